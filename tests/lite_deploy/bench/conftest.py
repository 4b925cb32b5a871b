"""The C++ side, built once a session for each kind of processor; and machines to measure."""

import getpass
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
CPP = PROJECT / "lite_deploy" / "cpp"
CROSS = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64-static"


def need(*programs: str) -> None:
    """Skip the test unless all of these programs are installed."""
    if missing := [each for each in programs if shutil.which(each) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")


def build(folder: Path, *options: str, target: str = "all") -> Path:
    """Build the C++ side with CMake in `folder`; a failure shows the compiler's words."""
    configure = ["cmake", "-S", CPP, "-B", folder, *options]
    for command in (configure, ["cmake", "--build", folder, "-j", "2", "--target", target]):
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
    return build(tmp_path_factory.mktemp("plain"), "-DPOSE_PLAIN=ON", target="pose_check")


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
            timeout=600,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},  # it needs ptrace, which containers forbid
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="module", params=["native", "sanitized", "arm"])
def ask(request):
    """A function that asks people_check of each build one line and returns the words of its answer."""
    folder = request.getfixturevalue(f"{request.param}_build")
    emulator = [EMULATOR] if request.param == "arm" else []
    process = subprocess.Popen(
        [*emulator, folder / "people_check"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},  # it needs ptrace, which containers forbid
    )

    def answer(line: str) -> list[str]:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        text = process.stdout.readline()
        assert text.endswith("\n"), f"people_check ended at: {line[:200]}"
        return text.split()

    yield answer
    process.stdin.close()
    process.stdout.close()
    assert process.wait(timeout=600) == 0


@dataclass(frozen=True)
class Sshd:
    """A real sshd on a loopback port, with throw-away keys."""

    port: int
    key: Path
    known_hosts: Path

    @property
    def device(self) -> str:
        """What to write after --device."""
        return f"ssh:{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def options(self) -> list[str]:
        """The options that go with it."""
        return ["--device", self.device, "--key", str(self.key), "--known-hosts", str(self.known_hosts)]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory) -> Iterator[Sshd]:
    """A running sshd that this user may log in to with a key."""
    program = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
    if program is None:
        pytest.skip("needs sshd (Debian: openssh-server)")
    need("ssh", "ssh-keygen")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True, timeout=600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        "PidFile none",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",
    ]
    (folder / "config").write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a root sshd locks its unprivileged half in
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", folder / "config"], stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail(f"sshd does not answer: {(folder / 'log').read_text()}")
        yield Sshd(port, folder / "user", folder / "known")
    finally:
        server.terminate()
        server.wait(timeout=600)


@pytest.fixture
def phones(tmp_path, monkeypatch) -> Callable[..., Path]:
    """A function that sets up phones behind the adb stand-in and returns the folder they are played from."""
    folder = tmp_path / "phones"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "adb"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/adb_standin.py" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ADB_STANDIN", str(folder))

    def plug_in(**states: str | dict) -> Path:
        phones = {}
        for serial, state in states.items():
            phone = {"state": state} if isinstance(state, str) else {"state": "device", **state}
            phones[serial] = {"free_bytes": 10**9, **phone}
            (folder / serial / "data" / "local" / "tmp").mkdir(parents=True, exist_ok=True)
            (folder / serial / "bin").mkdir(exist_ok=True)
        (folder / "phones.json").write_text(json.dumps(phones))
        return folder

    return plug_in


@pytest.fixture(scope="session")
def device_folder(wheel_release, tmp_path_factory) -> Path:
    """The C++ runner for this machine, with the real Paddle-Lite that is inside the paddlelite wheel."""
    need("cmake", "g++")
    if not Path("/usr/include/nlohmann/json.hpp").is_file():
        pytest.skip("needs nlohmann/json (Debian: nlohmann-json3-dev)")
    folder = tmp_path_factory.mktemp("runner")
    release = f"-DPADDLE_LITE_DIR={wheel_release.folder}"
    flags = " ".join(wheel_release.flags)
    made = build(folder / "build", release, f"-DCMAKE_EXE_LINKER_FLAGS={flags}") / "device"
    (made / "libpaddle_light_api_shared.so").unlink()  # 40 MB that the wheel's own name makes unnecessary
    shutil.copy(wheel_release.python, made)
    return made


@pytest.fixture(scope="session")
def simcc_folder(tmp_path_factory) -> Path:
    """RTMPose-t for small crops, with random weights."""
    from lite_deploy.export import export
    from tinypose.config import CONFIGS, load_config
    from tinypose.models import build_model
    from tinypose.models.weights import write_params

    folder = tmp_path_factory.mktemp("simcc")
    weights = folder / "random.pdparams"
    changes = [f"weights={weights}", "input.width=64", "input.height=96"]
    config = load_config(CONFIGS / "rtmpose_t_256x192.yml", changes)
    net = build_model(config, 17)
    write_params(weights, {name: value.numpy() for name, value in net.state_dict().items()})
    export(config, folder / "rtmpose", rewritten=False, models=["x86_fp32"])
    return folder / "rtmpose"


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A page of a headless Chromium (tests/lite_deploy/bench/chromium.py)."""
    need("chromium")
    # Test folders are no packages, so a neighbour is loaded by its file.
    spec = importlib.util.spec_from_file_location("pose_chromium", HERE / "chromium.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.chromium("chromium") as page:
        yield page


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder for pictures that a person may want to look at; git does not see it."""
    folder = PROJECT / "output"
    folder.mkdir(exist_ok=True)
    return folder
