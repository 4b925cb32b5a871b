"""An ARM core that QEMU emulates, as a device to run on."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lite_deploy.bench.device import SHORT, Local, call, need
from lite_deploy.bench.emulator.cores import Core, describe_in, probe
from tinypose.errors import UserError

QEMU = ("qemu-aarch64", "qemu-aarch64-static")
COMPILER = "aarch64-linux-gnu-g++"


class Emulator(Local):
    """The machine at hand, where programs for ARM Linux run as on one core that is described to them."""

    def __init__(self, core: Core) -> None:
        """Describe the core in a folder of its own.

        Raises:
            UserError: QEMU or ARM's C library is missing, with what to install.
        """
        super().__init__()
        self.core = core
        self.name = f"emulator:{core.name}"
        program = next((each for each in QEMU if shutil.which(each)), None)
        if program is None:
            raise UserError(f"'{QEMU[0]}' is not installed here; install QEMU's user mode (qemu-user)")
        libraries = arm_libraries()
        self._sysroot = tempfile.TemporaryDirectory(prefix="pose-emulator-")
        describe_in(Path(self._sysroot.name), core, libraries)
        self.launcher = (program, "-cpu", core.qemu, "-L", self._sysroot.name)

    @contextmanager
    def counting(self, program: str, plugin: Path, out: Path, operators: int) -> Iterator[None]:
        """Count what is started meanwhile (`count.c`).

        Args:
            program: the QEMU that can load plugins.
            plugin: the plugin.
            out: the file that it writes.
            operators: how many the network has.
        """
        if "," in f"{plugin}{out}":
            raise UserError(f"{plugin}, {out}: QEMU takes no comma in the name of a plugin or its file")
        before = self.launcher
        words = f"file={plugin},out={out},operators={operators}"
        self.launcher = (program, *before[1:], "-plugin", words)
        try:
            yield
        finally:
            self.launcher = before

    def described(self) -> str:
        """See `Device`."""
        return probe(self.core)

    def close(self) -> None:
        """See `Device`."""
        self._sysroot.cleanup()


def arm_libraries() -> Path:
    """Return the folder with ARM Linux's C library, which comes with the cross compiler.

    Raises:
        UserError: there is none.
    """
    need(COMPILER, "install the cross compiler (Debian: g++-aarch64-linux-gnu)")
    loader = Path(call([COMPILER, "-print-file-name=ld-linux-aarch64.so.1"], SHORT).out.strip())
    if not loader.is_file():
        raise UserError(f"{COMPILER}: no ld-linux-aarch64.so.1 (Debian: libc6-dev-arm64-cross)")
    return loader.resolve().parent


def qemu_version() -> tuple[str, int]:
    """Return the QEMU that can load plugins, and the number before the dot of its version.

    Raises:
        UserError: it is missing, or was built without plugins.
    """
    need(QEMU[0], "counting needs QEMU's user mode with plugins (Debian: qemu-user, not -static)")
    if "-plugin" not in call([QEMU[0], "-help"], SHORT).out:
        raise UserError(f"{QEMU[0]}: built without plugins, so it cannot count (Debian: qemu-user has them)")
    said = subprocess.run([QEMU[0], "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)", said)
    if not found:
        raise UserError(f"{QEMU[0]} --version: expected a version, found '{said.strip()}'")
    return QEMU[0], int(found[1])
