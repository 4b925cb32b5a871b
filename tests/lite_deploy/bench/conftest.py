"""The C++ side, built once a session for each kind of processor."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
CPP = PROJECT / "lite_deploy" / "cpp"
CROSS = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64-static"


def need(*programs: str) -> None:
    """Skip the test unless all of these programs are installed."""
    if missing := [each for each in programs if shutil.which(each) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")


def build(folder: Path, *options: str) -> Path:
    """Build the C++ side with CMake in `folder`; a failure shows the compiler's words."""
    for command in (["cmake", "-S", CPP, "-B", folder, *options], ["cmake", "--build", folder, "-j", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


@pytest.fixture(scope="session")
def native_build(tmp_path_factory) -> Path:
    """The build folder for this machine."""
    need("cmake", "g++")
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def arm_build(tmp_path_factory) -> Path:
    """The build folder for 64-bit ARM Linux, static so that the emulator needs no ARM libraries."""
    need("cmake", CROSS, EMULATOR)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={CPP}/aarch64-linux-gnu.cmake"
    return build(tmp_path_factory.mktemp("arm"), toolchain, "-DCMAKE_EXE_LINKER_FLAGS=-static")


@pytest.fixture(scope="session")
def sanitized_build(tmp_path_factory) -> Path:
    """The build folder for this machine with the address and undefined-behaviour sanitizers."""
    need("cmake", "g++")
    return build(tmp_path_factory.mktemp("sanitized"), "-DPOSE_SANITIZE=ON")


@pytest.fixture(scope="session")
def plain_build(tmp_path_factory) -> Path:
    """The build folder for this machine without vector instructions, as any other processor gets it."""
    need("cmake", "g++")
    return build(tmp_path_factory.mktemp("plain"), "-DPOSE_PLAIN=ON")


@pytest.fixture(params=["native", "plain", "sanitized", "arm"])
def pose_check(request):
    """A function that feeds lines to the pose_check program of each build and returns what it prints."""
    folder = request.getfixturevalue(f"{request.param}_build")
    emulator = [EMULATOR] if request.param == "arm" else []

    def run(lines: list[str]) -> list[str]:
        done = subprocess.run(
            [*emulator, folder / "pose_check"],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},  # it needs ptrace, which containers forbid
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.splitlines()

    return run
