"""What can be asked of a machine that is measured: one small interface, and this machine behind it.

Commands are lists of words, quoted once, here; paths never pass through a shell unquoted; nothing waits
without a limit; and all that is put on a device lies in one folder, which is removed at the end.
"""

import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinypose.errors import UserError

PREFIX = "edge-pose-"
SHORT, LONG = 30.0, 600.0  # seconds: for a command, for copying a file


class DeviceLost(UserError):
    """The device went away: a cable, a network, a reboot. What was measured so far is kept."""


class TimedOut(DeviceLost):
    """The device, or the command on it, gave no answer in time; it may still be at work."""


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Device(ABC):
    """A machine that runs commands and holds files."""

    name: str  # for example adb:SERIAL
    temporary: str  # its folder for temporary files
    launcher: tuple[str, ...] = ()  # the command that programs built for the device are started with

    @abstractmethod
    def shell(self, script: str, timeout: float = SHORT) -> Done:
        """Run a line of POSIX shell and return what it printed.

        Raises:
            TimedOut: it took longer than `timeout` seconds; it may still be running there.
            DeviceLost: the device cannot be reached.
        """

    @abstractmethod
    def push(self, local: Path, remote: str, timeout: float = LONG) -> None:
        """Copy a file to the device; it stays executable if it was.

        Raises:
            UserError: the device refused it, for example because its storage is full.
        """

    @abstractmethod
    def pull(self, remote: str, local: Path, timeout: float = LONG) -> None:
        """Copy a file from the device.

        Raises:
            UserError: there is no such file, or it cannot be read.
        """

    def close(self) -> None:  # noqa: B027 (only ssh has a connection to end)
        """End connections."""

    def described(self) -> str:
        """Return what `lite_deploy.bench.machine` reads of a device that is only described; else nothing."""
        return ""

    def run(self, words: Sequence[str], timeout: float = SHORT) -> Done:
        """Run a command given as words; see `shell`."""
        return self.shell(shlex.join(words), timeout)

    def exists(self, path: str) -> bool:
        """Say whether there is a file or folder of that name."""
        return self.run(["test", "-e", path]).code == 0

    def make_folder(self, name: str | None = None) -> str:
        """Make a private temporary folder and return its path.

        Args:
            name: of the folder of an earlier run, to take it again if it is still there; none: a new one.

        Raises:
            UserError: it cannot be made, or belongs to someone else.
        """
        if name is not None and not re.fullmatch(PREFIX + "[0-9a-f]+", name):
            raise UserError(f"'{name}' is not a folder of this tool's; start again without --resume")
        path = f"{self.temporary}/{name or PREFIX + secrets.token_hex(6)}"
        folder = shlex.quote(path)
        script = f"mkdir -m 700 {folder}"
        if name is not None:
            script += f" || {{ test -d {folder} && test ! -L {folder} && test -O {folder}; }}"
        done = self.shell(script)
        if done.code != 0:
            raise UserError(f"{self.name}: cannot make {path}: {last_line(done.err)}")
        return path

    def remove(self, folder: str) -> None:
        """Remove a folder that `make_folder` made, with all that is in it."""
        parent, _, name = folder.rpartition("/")
        if parent != self.temporary or not name.startswith(PREFIX):
            raise ValueError(f"{folder}: not a folder that this tool made")
        done = self.run(["rm", "-rf", folder])
        if done.code != 0:
            raise UserError(f"{self.name}: cannot remove {folder}: {last_line(done.err)}")

    def leftovers(self) -> list[str]:
        """Return the folders of this user's that runs left there: broken off, or still under way."""
        each = f'for d in {shlex.quote(self.temporary)}/{PREFIX}*; do test -O "$d" && echo "$d"; done; true'
        return self.shell(each).out.splitlines()

    def checksum(self, path: str) -> str:
        """Return the SHA-256 of a file on the device; empty if there is none or it cannot tell."""
        # Not as an argument: sha256sum escapes odd names in what it prints.
        words = self.shell(f"sha256sum < {shlex.quote(path)}", timeout=LONG).out.split()
        return words[0] if words and re.fullmatch("[0-9a-f]{64}", words[0]) else ""


class Local(Device):
    """The machine that the tool runs on."""

    name = "local"

    def __init__(self) -> None:
        """Use its folder for temporary files."""
        self.temporary = tempfile.gettempdir()

    def shell(self, script: str, timeout: float = SHORT) -> Done:
        """See `Device`."""
        return call(["sh", "-c", script], timeout)

    def push(self, local: Path, remote: str, timeout: float = LONG) -> None:
        """See `Device`."""
        try:
            shutil.copy(local, remote)
        except OSError as error:
            raise UserError(f"local: cannot write {remote}: {error.strerror}") from None

    def pull(self, remote: str, local: Path, timeout: float = LONG) -> None:
        """See `Device`."""
        try:
            shutil.copy(remote, local)
        except OSError as error:
            raise UserError(f"local: cannot read {remote}: {error.strerror}") from None


def call(command: list[str], timeout: float, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) -> Done:
    """Run a command on this machine; output that is not UTF-8 does not stop it.

    Raises:
        TimedOut: it took longer than `timeout` seconds, and was killed.
    """
    try:
        done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimedOut(f"{command[0]}: no answer within {timeout:g} s") from None
    out = (done.stdout or b"").decode("utf-8", "replace")
    return Done(done.returncode, out.replace("\r\n", "\n"), done.stderr.decode("utf-8", "replace"))


def need(program: str, advice: str) -> None:
    """Raise UserError unless a program is installed here."""
    if shutil.which(program) is None:
        raise UserError(f"'{program}' is not installed here; {advice}")


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
