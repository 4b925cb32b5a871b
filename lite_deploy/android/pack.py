"""From artifact folders to a signed app."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lite_deploy.android.apk import ABI, check_apk, sign, write_apk
from lite_deploy.android.assets import read_networks, write_assets
from lite_deploy.android.build import ACTIVITY, PACKAGE, ROOT, Parts, build, check_sources, sources, to_dex
from lite_deploy.android.elf import check_pages
from lite_deploy.android.library import NONE, Library
from lite_deploy.android.tools import Tools, digest
from lite_deploy.bench.device import LONG, call, last_line
from lite_deploy.nb.read import read_nb
from tinypose.errors import UserError
from tinypose.files import temporary_folder
from tinypose.models.zoo import cache_folder


def base(tools: Tools) -> Parts:
    """Return the app without networks and engine, built once for each state of its sources."""
    check_sources()
    target = cache_folder() / "android" / f"base-{digest(sources(), ROOT)}"
    if not (target / "done").is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(target) as work:
            build(tools, work / "base")
            (work / "base" / "done").touch()
            shutil.rmtree(target, ignore_errors=True)
            (work / "base").rename(target)
    return Parts(
        target / "resources.apk",
        (target / "dex" / "classes.dex",),
        target / "native" / "libpose_jni.so",
        target / "classes",
        target / "android" if tools.android_jar is None else tools.android_jar,
    )


def make_app(
    tools: Tools,
    target: Path,
    poses: Sequence[Path],
    detector: Path,
    library: Library = NONE,
    image: np.ndarray | None = None,
    key: Path | None = None,
    alias: str | None = None,
    allow_4k: bool = False,
) -> dict[str, str]:
    """Make an APK with networks in it, signed and checked.

    Args:
        tools: of `find_tools`.
        target: the APK; it appears whole or not at all.
        poses: folders of pose networks.
        detector: the detector's.
        library: the engine.
        image: for the self-test, uint8 RGB [H, W, 3]; None: a drawn one.
        key: see `lite_deploy.android.apk.sign`.
        alias: the same.
        allow_4k: take libraries that devices with pages of 16 KB cannot load.

    Returns:
        What it is, for a table.

    Raises:
        UserError: something is wrong with what was given, or with what came of it.
    """
    networks = read_networks(poses, detector, "arm")
    for file in library.files if not allow_4k else ():
        check_pages(file)
    parts = base(tools)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        index = write_assets(work / "pose", networks, library, image=image)
        files = {
            f"assets/pose/{p.relative_to(work / 'pose')}": p
            for p in (work / "pose").rglob("*")
            if p.is_file()
        }
        files |= {"classes.dex": parts.dex[0], f"lib/{ABI}/libpose_jni.so": parts.native}
        if library.jar is not None:
            files["classes2.dex"] = to_dex(tools, [library.jar], (parts.android,), work / "engine")
        files |= {f"lib/{ABI}/{each.name}": each for each in library.files}
        write_apk(work / "unsigned.apk", parts.resources, files)
        signed = sign(tools, work / "unsigned.apk", target, key, alias)
    facts = check_apk(tools, target, allow_4k)
    facts["signed"] += f", with {signed}"
    facts["networks"] = ", ".join((*index["poses"], index["detector"]))
    facts["needs"] = needs(library, [model.precision for a in networks.values() for model in a.models])
    return facts


def needs(library: Library, precisions: Sequence[str]) -> str:
    """Say what a phone must have."""
    if library.fp16:
        return "a processor with ARMv8.2's FP16 (asimdhp), for which the engine is built: since about 2018"
    if "fp16" in precisions:
        return "any 64-bit ARM; the FP16 models stay unused, the engine is not built for them"
    return "any 64-bit ARM"


def version_problem(library: Library, folders: Sequence[Path]) -> str | None:
    """Return a warning if the engine does not name the version that the models were made with."""
    if not library.files:
        return None
    content = library.files[0].read_bytes()
    for folder in folders:
        for path in sorted(folder.glob("arm_*.nb")):
            made = read_nb(path).version
            if made.encode() not in content:
                engine = library.files[0].name
                return f"{path}: made by Paddle-Lite {made}, which {engine} does not name: use one version"
    return None


def install(apk: Path, serial: str | None) -> None:
    """Send an APK to a phone by adb, and start it.

    Raises:
        UserError: no phone, or it refuses, in its words.
    """
    from lite_deploy.bench.adb import Adb

    name = Adb(serial).name.partition(":")[2]
    for words in (["install", "-r", str(apk)], ["shell", "am", "start", "-n", f"{PACKAGE}/{ACTIVITY}"]):
        try:
            done = call(["adb", "-s", name, *words], LONG)
        except subprocess.SubprocessError as error:
            raise UserError(f"adb {words[0]}: {error}") from None
        said = done.out + done.err
        if done.code != 0 or "Failure [" in said or "Error:" in said:
            raise UserError(f"adb:{name}: {' '.join(words[:3])}: {last_line(said)}")
