"""What runs under the emulator, built when it is wanted and kept in the cache: the runner, and the plugin."""

import hashlib
import os
import tempfile
from pathlib import Path

from lite_deploy.bench.device import call, last_line, need
from lite_deploy.bench.emulator.device import COMPILER, qemu_version
from tinypose.console import err
from tinypose.errors import UserError
from tinypose.files import cache_folder

CPP = Path(__file__).parents[2] / "cpp"
PLUGIN = Path(__file__).with_name("count.c")
PATIENCE = 900.0  # seconds for a build
NEWEST = 8  # QEMU; from 9 on its plugin interface is another


def arm_runner(paddle_lite: Path) -> Path:
    """Build pose_runner for 64-bit ARM Linux, unless it is in the cache.

    Args:
        paddle_lite: an unpacked ARM Linux release of Paddle-Lite, the folder that holds cxx/.

    Returns:
        The folder `device` of the build: the runner, and the library beside it.

    Raises:
        UserError: no such release, something to build with is missing, or the build fails.
    """
    library = paddle_lite / "cxx" / "lib" / "libpaddle_light_api_shared.so"
    for path in (paddle_lite / "cxx" / "include" / "paddle_api.h", library):
        if not path.is_file():
            raise UserError(
                f"--paddle-lite {paddle_lite}: no {path.relative_to(paddle_lite)}; expected an unpacked ARM "
                "Linux release of Paddle-Lite (inference_lite_lib.armlinux.armv8...), which holds cxx/"
            )
    _check_arm(library)
    need("cmake", "install CMake (Debian: cmake)")
    need(COMPILER, "install the cross compiler (Debian: g++-aarch64-linux-gnu)")
    sources = sorted(each for each in CPP.rglob("*") if each.is_file())
    if not sources:
        raise UserError(f"{CPP}: the runner's sources are not there; run this from a checkout of the project")
    about = library.stat()
    parts = [each.read_bytes() for each in sources]
    parts += [str(library.resolve()).encode(), f"{about.st_size} {about.st_mtime_ns}".encode()]
    target = cache_folder() / "runner" / _digest(parts)

    def build(folder: Path) -> None:
        configure = ["cmake", "-S", str(CPP), "-B", str(folder), f"-DPADDLE_LITE_DIR={paddle_lite.resolve()}"]
        configure += [f"-DCMAKE_TOOLCHAIN_FILE={CPP / 'aarch64-linux-gnu.cmake'}"]
        said = _run(configure)
        if "no pose_runner" in said:
            raise UserError("'nlohmann/json.hpp' is not here; install it (Debian: nlohmann-json3-dev)")
        _run(["cmake", "--build", str(folder), "--target", "pose_runner", "-j", str(os.cpu_count() or 1)])

    return _once(target, "the runner for ARM", build) / "device"


def plugin() -> tuple[str, Path]:
    """Build the plugin that counts, unless it is in the cache; return QEMU's name and the plugin.

    Raises:
        UserError: QEMU has no plugins or is too new, or no C compiler.
    """
    program, version = qemu_version()
    if version > NEWEST:
        raise UserError(
            f"{program}: version {version}; the plugin that counts is for QEMU 6 to {NEWEST}: after that "
            "the interface of plugins changed"
        )
    need("gcc", "install a C compiler (Debian: gcc)")
    target = cache_folder() / "plugin" / _digest([PLUGIN.read_bytes()])

    def build(folder: Path) -> None:
        out = str(folder / "libcount.so")
        _run(["gcc", "-std=c11", "-O2", "-Wall", "-shared", "-fPIC", "-o", out, "-D_GNU_SOURCE", str(PLUGIN)])

    return program, _once(target, "QEMU's plugin", build) / "libcount.so"


def _check_arm(library: Path) -> None:
    """Raise UserError unless a library is for 64-bit ARM: byte 18 of an ELF file names the machine."""
    with open(library, "rb") as file:
        start = file.read(20)
    if start[:4] != b"\x7fELF" or start[4] != 2 or int.from_bytes(start[18:20], "little") != 183:
        raise UserError(f"{library}: not for 64-bit ARM; expected the ARM Linux release (armlinux.armv8)")


def _once(target: Path, what: str, build) -> Path:
    """Make a folder whole or not at all, unless it is there."""
    if target.is_dir():
        return target
    err.print(f"building {what} into {target}", markup=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        build(made)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    return target


def _run(command: list[str]) -> str:
    done = call(command, PATIENCE)
    if done.code != 0:
        said = done.err + done.out
        error = next((line for line in said.splitlines() if "error" in line.lower()), last_line(said))
        raise UserError(f"{' '.join(command)}\nfailed: {error}")
    return done.out + done.err


def _digest(parts: list[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]
