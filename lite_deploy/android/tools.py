"""What builds an app: from Android's SDK where there is one, else from Debian's packages and PyPI."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lite_deploy.android.stubs import write_stubs
from tinypose.console import err
from tinypose.errors import UserError
from tinypose.files import sha256, write_whole
from tinypose.models.zoo import cache_folder

PACKAGES = {
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jre-headless",
    "aapt2": "aapt",
    "apksigner": "apksigner",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
}
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
# The wheel that carries bundletool, which holds the dexer D8 3.3.28; Debian has none.
WHEEL, JAR = "mobsf==4.4.0", "bundletool-all-1.17.2.jar"
JAR_SHA256 = "2d4ad908faea64047c1cc9cb747e6aa667c6ab192e09607bd16b67246a8cd6ae"
# Debian's source package with Android's public interface, level 29, and its digest.
SOURCE, SIGNATURES = "android-platform-frameworks-base", "api/current.txt"
SIGNATURES_SHA256 = "542d4115065177ec3872f4de3757d1d5607411c918ce433e0024713fd8009aee"
# The level of each member of Android's interface.
LEVELS = "package/lib/android/android-platform-21-37-merged.d.ts"
LEVELS_SHA256 = "86e69628596decea377d1daad033b3a4f82664d3bee6da2bb656230bca031f9b"


@dataclass(frozen=True)
class Tools:
    """Where the programs and libraries are; `android_jar` is None where stubs have to be made."""

    aapt2: Path
    apksigner: Path
    d8: Path  # a jar
    resources: Path  # of Android itself, for aapt2
    android_jar: Path | None


def find_tools() -> Tools:
    """Find everything that an app is built with, fetching the dexer if need be.

    Raises:
        UserError: something is missing, with the packages that have it.
    """
    sdk = _sdk()
    missing = [name for name in ("javac", "keytool", "aarch64-linux-gnu-g++") if shutil.which(name) is None]
    if sdk is None:
        missing += [name for name in ("aapt2", "apksigner") if shutil.which(name) is None]
    packages = [PACKAGES[each] for each in missing]
    if sdk is None and not FRAMEWORK.is_file():
        packages.append("android-framework-res")
    if packages:
        raise UserError(
            f"an app cannot be built here: missing {', '.join(missing) or FRAMEWORK}; either install "
            f"Debian's packages: apt-get install {' '.join(dict.fromkeys(packages))}; or set ANDROID_HOME to "
            "Android's SDK (with build-tools and a platform) in place of all but a JDK and the compiler"
        )
    if sdk is not None:
        tools, jar = sdk
        return Tools(tools / "aapt2", tools / "apksigner", tools / "lib" / "d8.jar", jar, jar)
    return Tools(Path(shutil.which("aapt2")), Path(shutil.which("apksigner")), _d8(), FRAMEWORK, None)


def run(what: str, *words: object) -> str:
    """Run a program of the build; return what it prints.

    Raises:
        UserError: it failed, with its last words.
    """
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise UserError(f"{what} failed: {Path(str(words[0])).name}: {said}")
    return done.stdout


def _sdk() -> tuple[Path, Path] | None:
    """Return the newest build-tools and the newest android.jar of Android's SDK, if there is one."""
    home = os.environ.get("ANDROID_HOME") or os.environ.get("ANDROID_SDK_ROOT")
    if not home:
        return None
    tools = sorted(
        (p for p in Path(home).glob("build-tools/*") if (p / "lib" / "d8.jar").is_file()), key=_order
    )
    jars = sorted(Path(home).glob("platforms/android-*/android.jar"), key=lambda p: _order(p.parent))
    if not tools or not jars:
        raise UserError(
            f"ANDROID_HOME {home}: no build-tools or no platform in it; install both with sdkmanager"
        )
    return tools[-1], jars[-1]


def _order(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _kept(name: str, digest: str, make) -> Path:
    """Return a file of the cache; `make(path)` writes it if it is not there."""
    target = cache_folder() / "android" / name
    if target.is_file() and sha256(target) == digest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(target) as temporary, tempfile.TemporaryDirectory() as folder:
        make(Path(folder), temporary)
        if (found := sha256(temporary)) != digest:
            raise UserError(f"{name}: not what is expected: SHA-256 {found[:12]}..., not {digest[:12]}...")
    return target


def _d8() -> Path:
    """Return the jar that holds D8, out of a wheel of PyPI."""

    def fetch(folder: Path, target: Path) -> None:
        err.print(f"fetching the dexer: {WHEEL} of PyPI, 104 MB, once", markup=False)
        run(
            "fetching the dexer",
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--dest",
            folder,
            WHEEL,
        )
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            name = next(each for each in wheel.namelist() if each.endswith(JAR))
            target.write_bytes(wheel.read(name))

    return _kept(JAR, JAR_SHA256, fetch)


def signatures() -> Path:
    """Return Android's public interface, as text, out of Debian's source package."""

    def fetch(folder: Path, target: Path) -> None:
        err.print(
            f"fetching Android's public interface: Debian's source package {SOURCE}, 45 MB, once",
            markup=False,
        )
        if shutil.which("apt-get") is None:
            raise UserError("no apt-get here to fetch it with; set ANDROID_HOME to Android's SDK instead")
        options = _source_lists(folder)
        run("reading Debian's list of sources", "apt-get", *options, "update", "-qq")
        done = subprocess.run(
            ["apt-get", *options, "source", "--download-only", "-qq", SOURCE],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        archive = next(folder.glob(f"{SOURCE}_*.orig.tar.*"), None)
        if done.returncode or archive is None:
            raise UserError(f"apt-get source {SOURCE} failed: {done.stderr.strip()[-500:]}")
        with tarfile.open(archive) as content:
            for member in content:
                if member.name.endswith(SIGNATURES) and member.name.count("/") <= 2:
                    target.write_bytes(content.extractfile(member).read())
                    return
        raise UserError(f"{archive.name}: no {SIGNATURES} in it")

    return _kept("current.txt", SIGNATURES_SHA256, fetch)


def _source_lists(folder: Path) -> list[str]:
    """Make lists of sources out of this machine's own; return apt-get's options for them."""
    lists = folder / "sources.list.d"
    lists.mkdir()
    (folder / "lists" / "partial").mkdir(parents=True)
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if not path.is_file():
            continue
        text = re.sub(r"(?m)^(Types:.*)\bdeb\b(?!-)", r"\1deb-src", path.read_text())
        text = re.sub(r"(?m)^deb(?= )", "deb-src", text)
        if "debian" in text:  # other shops' lists have no sources
            (lists / path.name).write_text(text)
    return ["-o", f"Dir::Etc::sourcelist={folder / 'none'}", "-o", f"Dir::Etc::sourceparts={lists}",
            "-o", f"Dir::State::lists={folder / 'lists'}"]  # fmt: skip


def android_jar(tools: Tools, sources: Sequence[Path], work: Path) -> Path:
    """Return what an app is compiled against: the SDK's android.jar, or stubs of what these sources name."""
    if tools.android_jar is not None:
        return tools.android_jar
    files = write_stubs(signatures(), sources, work / "stubs")
    listing = work / "stubs.txt"
    listing.write_text("\n".join(map(str, files)))
    classes = work / "android"
    run(
        "compiling Android's stubs",
        "javac",
        "-nowarn",
        "-proc:none",
        "-Xlint:none",
        "--release",
        "8",
        "-d",
        classes,
        f"@{listing}",
    )
    return classes


def digest(paths: Sequence[Path], root: Path) -> str:
    """Return a digest of files by name and content."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(root)}\0{sha256(path)}\n".encode())
    return total.hexdigest()[:16]


def level_table() -> Path:
    """Return the declarations of Android's API with the level of each member, out of a package of npm."""

    def fetch(folder: Path, target: Path) -> None:
        from lite_deploy.android.levels import PACKAGE

        done = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True
        )
        archive = next(folder.glob("*.tgz"), None)
        if done.returncode or archive is None:
            raise UserError(f"npm pack {PACKAGE} failed: {done.stderr.strip()[-500:]}")
        with tarfile.open(archive) as content:
            target.write_bytes(content.extractfile(LEVELS).read())

    return _kept("levels.d.ts", LEVELS_SHA256, fetch)
