"""Builds the app without Gradle: resources, Java, dex and the native library, out of android_demo/."""

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lite_deploy.android.elf import PAGE
from lite_deploy.android.tools import Tools, android_jar, run
from tinypose.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "android_demo"
MAIN = DEMO / "app" / "src" / "main"
CPP = ROOT / "lite_deploy" / "cpp"
PACKAGE, ACTIVITY = "org.edgepose", ".app.MainActivity"
# app/build.gradle says the same of a build with Gradle (a test compares them).
MIN_SDK, TARGET_SDK, VERSION_CODE, VERSION_NAME = 23, 35, 1, "0.1.0"
_ANDROID = "http://schemas.android.com/apk/res/android"
# Nothing of the C++ library, and nothing that Android's own libraries lack.
FLAGS = (
    "-std=c++14", "-O3", "-DNDEBUG", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector",
    "-fno-threadsafe-statics", "-fno-math-errno", "-ffp-contract=off", "-fno-asynchronous-unwind-tables",
    "-mno-outline-atomics",
)  # fmt: skip
# What stands in for Android's libc and libm while linking: the names that may be asked for.
LIBC = ("abort", "clock_gettime", "free", "malloc", "memchr", "memcmp", "memcpy", "memmove", "memset")
LIBM = ("ceil", "exp", "expf", "floor", "hypot", "log", "logf", "nearbyint", "pow", "rint", "round", "sqrt")


@dataclass(frozen=True)
class Parts:
    """What was built."""

    resources: Path  # an APK with the manifest and resources alone
    dex: tuple[Path, ...]
    native: Path
    classes: Path
    android: Path  # what it was compiled against


def check_sources() -> None:
    """Raise UserError where the app's sources are not at hand."""
    if not MAIN.is_dir():
        raise UserError(
            f"{DEMO}: the app's sources are not there: an installed package has none; run this in a clone of "
            "the project, after `make setup`"
        )


def sources() -> list[Path]:
    """Return all that the app is built from."""
    return [*(p for p in MAIN.rglob("*") if p.is_file() and "assets" not in p.parts), *_stand_ins(),
            *(CPP / "pose").glob("*"), CPP / "no_stdlib.cc"]  # fmt: skip


def _stand_ins() -> list[Path]:
    return sorted((DEMO / "jvm" / "com").rglob("*.java"))


def build(tools: Tools, work: Path) -> Parts:
    """Build everything that does not depend on the user's networks.

    Args:
        tools: of `find_tools`.
        work: an empty folder.

    Raises:
        UserError: a program failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    resources, generated = _resources(tools, work)
    java = sorted((MAIN / "java").rglob("*.java"))
    android = android_jar(tools, java, work)
    classes, engine = work / "classes", work / "engine"
    # Paddle-Lite's classes: to compile against, and not part of the app.
    run("compiling", "javac", "-nowarn", "-Xlint:none", "--release", "8", "-d", engine, *_stand_ins())
    run(
        "compiling the app",
        "javac",
        "-nowarn",
        "-Xlint:-options",
        "-Werror",
        "--release",
        "8",
        "-cp",
        f"{android}:{engine}",
        "-d",
        classes,
        generated,
        *java,
    )
    dex = to_dex(tools, sorted(classes.rglob("*.class")), (android, engine), work / "dex")
    native = link_native(sorted((CPP / "pose").glob("*.cc")), work / "native")
    return Parts(resources, (dex,), native, classes, android)


def _resources(tools: Tools, work: Path) -> tuple[Path, Path]:
    """Return the APK with manifest and resources, and R.java."""
    compiled, apk, java = work / "resources.zip", work / "resources.apk", work / "generated"
    run("compiling resources", tools.aapt2, "compile", "--dir", MAIN / "res", "-o", compiled)
    manifest = work / "AndroidManifest.xml"
    write_manifest(MAIN / "AndroidManifest.xml", manifest)
    run(
        "linking resources",
        tools.aapt2,
        "link",
        "-I",
        tools.resources,
        "--manifest",
        manifest,
        "--java",
        java,
        "--custom-package",
        f"{PACKAGE}.app",
        "--min-sdk-version",
        MIN_SDK,
        "--target-sdk-version",
        TARGET_SDK,
        "--version-code",
        VERSION_CODE,
        "--version-name",
        VERSION_NAME,
        "-o",
        apk,
        compiled,
    )
    return apk, java.joinpath(*PACKAGE.split("."), "app", "R.java")


def write_manifest(source: Path, target: Path) -> None:
    """Write the manifest with what Gradle would insert: the package, and that libraries stay in the APK."""
    ElementTree.register_namespace("android", _ANDROID)
    tree = ElementTree.parse(source)
    tree.getroot().set("package", PACKAGE)
    tree.getroot().find("application").set(f"{{{_ANDROID}}}extractNativeLibs", "false")
    tree.write(target, encoding="utf-8", xml_declaration=True)


def to_dex(tools: Tools, inputs: Sequence[Path], libraries: Sequence[Path], folder: Path) -> Path:
    """Turn classes, or a jar, into one classes.dex."""
    folder.mkdir(parents=True)
    words = []
    for library in libraries:
        words += ["--lib" if library is libraries[0] else "--classpath", library]
    run(
        "dexing",
        "java",
        "-Xss4m",
        "-cp",
        tools.d8,
        "com.android.tools.r8.D8",
        "--release",
        "--min-api",
        MIN_SDK,
        *words,
        "--output",
        folder,
        *inputs,
    )
    return folder / "classes.dex"


def link_native(pose: Sequence[Path], folder: Path) -> Path:
    """Build libpose_jni.so for 64-bit ARM with Debian's cross compiler, against stand-ins for Android's own.

    It needs nothing but Android's libc and libm. A build with the NDK is what Android Studio makes of
    android_demo.
    """
    folder.mkdir(parents=True)
    compiler = "aarch64-linux-gnu-g++"
    for name, symbols in (("c", LIBC), ("m", LIBM)):
        source = folder / f"{name}.c"
        source.write_text("".join(f"void {symbol}(void) {{}}\n" for symbol in symbols))
        run(
            "linking",
            "aarch64-linux-gnu-gcc",
            "-w",
            "-fno-builtin",
            "-shared",
            "-nostdlib",
            f"-Wl,-soname,lib{name}.so",
            "-o",
            folder / f"lib{name}.so",
            source,
        )
    include = java_include()
    target = folder / "libpose_jni.so"
    run(
        "compiling C++",
        compiler,
        *FLAGS,
        "-shared",
        "-nostdlib",
        f"-Wl,-z,max-page-size={PAGE}",
        "-Wl,--hash-style=both,--no-undefined,-z,noexecstack,-soname,libpose_jni.so",
        "-I",
        CPP,
        "-isystem",
        include,
        "-isystem",
        include / "linux",
        MAIN / "cpp" / "pose_jni.cc",
        *pose,
        CPP / "no_stdlib.cc",
        f"-L{folder}",
        "-lm",
        "-lc",
        "-o",
        target,
    )
    run("stripping", "aarch64-linux-gnu-strip", "--strip-unneeded", target)
    return target


def java_include() -> Path:
    """Return the folder of jni.h."""
    found = Path(shutil.which("javac")).resolve().parents[1] / "include"
    if not (found / "jni.h").is_file():
        raise UserError(f"{found}: no jni.h in it; install a whole JDK (Debian: openjdk-17-jdk-headless)")
    return found
