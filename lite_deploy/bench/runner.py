"""The runner on a device: bring it there, start it, read its line, explain how it ended."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lite_deploy.bench.device import Device, TimedOut, last_line
from tinypose.console import track
from tinypose.errors import UserError
from tinypose.files import sha256

_SIGNALS = {
    132: "illegal instruction: the processor lacks what the model or the runner was built for",
    134: "aborted",
    135: "bus error",
    137: "killed: out of memory?",
    139: "segmentation fault",
}


class RunFailed(Exception):
    """The runner on the device did not give a result."""


@dataclass(frozen=True)
class Runner:
    """What runs on the device: `cpp`, with files to push, or `python`, started by a command."""

    kind: str
    files: tuple[Path, ...] = ()
    python: str = ""

    def command(self, device: Device, folder: str) -> list[str]:
        """Return how to start it on the device."""
        if self.kind == "python":
            return [self.python, "-m", "lite_deploy.bench.local_runner"]
        return [*device.launcher, f"{folder}/pose_runner"]


def cpp_runner(folder: Path) -> Runner:
    """Return the C++ runner in the `device` folder of its build, with the libraries beside it.

    Raises:
        UserError: there is none.
    """
    program = folder / "pose_runner"
    if not program.is_file():
        raise UserError(
            f"--runner {folder}: no pose_runner in it; expected the folder `device` of a build of "
            "lite_deploy/cpp, or `python` where the device has this package (docs/benchmark.md)"
        )
    return Runner("cpp", (program, *sorted(each for each in folder.iterdir() if ".so" in each.suffixes)))


def push(device: Device, files: Iterable[Path], folder: str) -> None:
    """Bring to a folder of the device what it does not have yet."""
    for file in track(list(files), f"copying to {device.name}"):
        target = f"{folder}/{file.name}"
        if device.checksum(target) != sha256(file):
            device.push(file, target)


def start(
    device: Device, runner: Runner, folder: str, words: Sequence[str], timeout: float, kind: str
) -> dict:
    """Start the runner once and return the line it prints.

    Args:
        device: where.
        runner: what; it lies in `folder`.
        folder: on the device, of `Device.make_folder`.
        words: the runner's options.
        timeout: seconds after which it is stuck.
        kind: the line's expected `kind`.

    Raises:
        RunFailed: it was stuck, crashed or says why it cannot.
        DeviceLost: the device went away.
    """
    library = f"LD_LIBRARY_PATH={shlex.quote(folder)} " if runner.kind == "cpp" else ""
    command = shlex.join([*runner.command(device, folder), *words])
    # The shell notes the process, so that one that outlives a lost connection can be found and ended.
    script = f"{library}{command} & p=$!; echo $p > {shlex.quote(folder)}/pid; wait $p"
    try:
        done = device.shell(script, timeout)
    except TimedOut as error:
        stop_leftover(device, folder)
        raise RunFailed(f"stuck: {error}") from None
    printed = [line for line in done.out.splitlines() if line.startswith("{")]
    try:
        values = json.loads(printed[-1])
    except (IndexError, ValueError):
        raise RunFailed(f"the runner ended with exit code {done.code}: {_why(done.code, done.err)}") from None
    if values.get("kind") != kind:
        raise RunFailed(str(values.get("message")))
    return values


def stop_leftover(device: Device, folder: str) -> None:
    """End a runner of ours that is still at work on the device."""
    name, quoted = folder.rpartition("/")[2], shlex.quote(folder)
    ours = f"grep -q {name} /proc/$p/cmdline 2>/dev/null"
    device.shell(f"p=$(cat {quoted}/pid 2>/dev/null) && {ours} && kill -9 $p; true")


def _why(code: int, errors: str) -> str:
    """Say how a program ended: its signal, and its last words."""
    # The emulator and the shell report the signal in their own words, which come last.
    reported = ("qemu: uncaught", "Aborted", "Segmentation", "Illegal instruction", "Bus error", "Killed")
    words = [line for line in errors.splitlines() if line.strip() and not line.strip().startswith(reported)]
    said = last_line("\n".join(words))
    return f"{_SIGNALS[code]}; {said}" if code in _SIGNALS else said
