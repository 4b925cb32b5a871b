"""The app's own classes on this machine's JVM, with its JNI library and the wheel's Paddle-Lite."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from programs import call, need  # noqa: E402

PROJECT = Path(__file__).resolve().parents[3]
DEMO = PROJECT / "android_demo"
CORE = DEMO / "app" / "src" / "main" / "java" / "org" / "edgepose" / "core"
JSON = Path("/usr/share/java/com.android.json.jar")


# What -Xcheck:jni says of the app's own calls; Java's fonts are not clean themselves.
_OURS = re.compile(r"(?:WARNING|FATAL ERROR) in native method[^\n]*\n\tat (?:org\.edgepose|com\.baidu)")


def once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` has filled, once for all of xdist's processes."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / name / "made").exists():
            (root / name).mkdir(exist_ok=True)
            make(root / name)
            (root / name / "made").touch()
    return root / name


@pytest.fixture(scope="session")
def java_home() -> Path:
    """The JDK."""
    need("javac", "java")
    return Path(shutil.which("javac")).resolve().parents[1]


@pytest.fixture(scope="session")
def classes(java_home, tmp_path_factory) -> Path:
    """The app's classes but those of Android's screen and camera, and what asks them questions."""
    if not JSON.is_file():
        pytest.skip("needs org.json for the JVM (Debian: libandroid-json-java)")
    sources = [*CORE.glob("*.java"), *(DEMO / "jvm").rglob("*.java")]
    words = ["-Xlint:all,-options,-serial,-path", "-Werror", "--release", "8", "-cp", JSON]
    return once(tmp_path_factory, "app_classes", lambda folder: call("javac", *words, "-d", folder, *sources))


@pytest.fixture(scope="session")
def libraries(java_home, wheel_release, tmp_path_factory) -> Path:
    """libpose_jni.so, and Paddle-Lite behind the natives of its Java classes, for this machine."""
    need("cmake", "g++")
    include, lib = java_home / "include", wheel_release.folder / "cxx" / "lib"

    def make(folder: Path) -> None:
        source = DEMO / "app" / "src" / "main" / "cpp"
        call("cmake", "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", f"-DJNI_DIR={include}")
        call("cmake", "--build", folder, "-j", "2", "--target", "pose_jni")
        headers = (wheel_release.folder / "cxx" / "include", include, include / "linux")
        words = [word for each in headers for word in ("-isystem", each)]
        words += [DEMO / "jvm" / "paddle_standin.cc", "-o", folder / "libpaddle_lite_jni.so"]
        words += [*wheel_release.flags, f"-Wl,-rpath,{wheel_release.python.parent}"]
        call("g++", "-std=c++14", "-O2", "-shared", "-fPIC", *words, f"-L{lib}", "-l:liblite_pybind.so")

    return once(tmp_path_factory, "app_libraries", make)


def answering(classes: Path, *options: str) -> Iterator[Callable[..., dict]]:
    """Start a JVM that answers questions about the app's classes (android_demo/jvm/.../Check.java)."""
    command = ["java", "-Xss2m", *options, "-cp", f"{classes}:{JSON}", "org.edgepose.core.Check"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )

    def question(what: str, **values) -> dict:
        process.stdin.write(json.dumps({"ask": what, **values}) + "\n")
        process.stdin.flush()
        said = []
        for line in process.stdout:  # the engine, and -Xcheck:jni, may say something of their own
            if line.startswith("{"):
                assert not _OURS.search("".join(said)), "".join(said)
                return json.loads(line)
            said.append(line)
        raise AssertionError(f"the JVM ended with {process.wait(timeout=60)}: {''.join(said)[-4000:]}")

    yield question
    process.stdin.close()
    process.wait(timeout=60)


@pytest.fixture(scope="session")
def ask_plain(classes) -> Iterator[Callable[..., dict]]:
    """A function that asks those of the app's classes that need no native library."""
    yield from answering(classes)


@pytest.fixture(scope="session")
def ask(classes, libraries) -> Iterator[Callable[..., dict]]:
    """A function that asks the app's classes, with the native libraries, calls through JNI being checked."""
    yield from answering(classes, "-Xcheck:jni", f"-Djava.library.path={libraries}")


@pytest.fixture(scope="session")
def catalogue(pose_folder, detector_folder, tmp_path_factory) -> Path:
    """What the app carries, with models for this machine in place of those for ARM."""
    from lite_deploy.android.assets import read_networks, write_assets
    from lite_deploy.android.library import Library

    folder = tmp_path_factory.mktemp("assets") / "pose"
    networks = read_networks([pose_folder], detector_folder, "x86")
    write_assets(folder, networks, Library(True, fp16=True, extra=True), "x86")
    return folder
