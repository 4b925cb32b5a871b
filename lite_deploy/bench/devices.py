"""From what the user wrote after `--device` to the machine."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from lite_deploy.bench.adb import Adb
from lite_deploy.bench.device import Device, Local
from lite_deploy.bench.emulator.build import arm_runner
from lite_deploy.bench.emulator.cores import CORES, core_named
from lite_deploy.bench.emulator.device import Emulator
from lite_deploy.bench.runner import Runner, cpp_runner
from lite_deploy.bench.ssh import Ssh
from tinypose.errors import UserError


def open_device(text: str, key: Path | None = None, known_hosts: Path | None = None) -> Device:
    """Open a machine.

    Args:
        text: `local`, `adb`, `adb:SERIAL`, `ssh:HOST`, `ssh:USER@HOST`, `ssh:USER@HOST:PORT` or
            `emulator:CORE`.
        key: private key for ssh.
        known_hosts: file of host keys for ssh.

    Raises:
        UserError: it is none of these, or cannot be reached.
    """
    kind, _, rest = text.partition(":")
    if text == "local":
        return Local()
    if kind == "adb":
        return Adb(rest or None)
    if kind == "ssh":
        return _open_ssh(text, rest.removeprefix("//"), key, known_hosts)
    if kind == "emulator" and rest:
        return Emulator(core_named(rest))
    if kind == "emulator":
        raise UserError(f"--device {text}: name a core: emulator:" + ", emulator:".join(CORES))
    raise UserError(
        f"--device {text}: expected local, adb, adb:SERIAL, ssh:[USER@]HOST[:PORT] or emulator:CORE"
    )


def each_device(text: str) -> list[str]:
    """Return the devices that are meant: `emulator` means every core that can be emulated."""
    return [f"emulator:{name}" for name in CORES] if text == "emulator" else [text]


def choose_runner(
    device: str, runner: str | None, python: str = "python3", paddle_lite: Path | None = None
) -> Runner:
    """Return what computes on a device.

    Args:
        device: as for `open_device`, or `emulator`.
        runner: the folder `device` of a build of lite_deploy/cpp, or `python`; none: this Python on this
            machine, and under the emulator the one that is built with `paddle_lite`.
        python: the device's.
        paddle_lite: an unpacked ARM Linux release of Paddle-Lite, for the emulator.

    Raises:
        UserError: there is none, or it cannot be built.
    """
    emulated = device.partition(":")[0] == "emulator"
    if paddle_lite is not None and (runner is not None or not emulated):
        raise UserError("--paddle-lite: is for --device emulator, and without --runner")
    if emulated and runner == "python":
        raise UserError("--runner python: not under the emulator; give --paddle-lite FOLDER")
    if runner in (None, "python") and device == "local":
        return Runner("python", python=sys.executable)
    if runner == "python":
        return Runner("python", python=python)
    if runner is not None:
        return cpp_runner(Path(runner))
    if emulated and paddle_lite is None:
        raise UserError(
            "--paddle-lite: expected an unpacked ARM Linux release of Paddle-Lite v2.13-rc, the folder that "
            "holds cxx/ (lite_deploy/cpp/README.md), or --runner with a runner that was built with one"
        )
    if paddle_lite is not None:
        return cpp_runner(arm_runner(paddle_lite))
    raise UserError("--runner: expected the folder `device` of a build of lite_deploy/cpp, or `python`")


def _open_ssh(text: str, rest: str, key: Path | None, known_hosts: Path | None) -> Ssh:
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError as error:
        raise UserError(f"--device {text}: {error}") from None
    if not parts.hostname or parts.netloc != rest or parts.password:
        raise UserError(f"--device {text}: expected ssh:[USER@]HOST[:PORT]")
    # The host as it was written, because aliases of ~/.ssh/config tell upper from lower case.
    user, at, host = rest.rpartition("@")
    host = host.removesuffix(f":{port}") if port else host
    return Ssh(user + at + host.strip("[]"), port, key, known_hosts)
