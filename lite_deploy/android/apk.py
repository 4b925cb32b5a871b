"""Puts an APK together, aligns and signs it, and checks what came of it."""

import os
import re
import shutil
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lite_deploy.android.elf import PAGE, check_pages, read_elf
from lite_deploy.android.tools import Tools, run
from tinypose.errors import UserError
from tinypose.files import write_whole
from tinypose.models.zoo import cache_folder

ABI = "arm64-v8a"
# Every entry has the same time, so that the same inputs give the same bytes.
_WHEN = (1980, 1, 1, 0, 0, 0)
# The extra field that says how an entry is aligned, as Android's own tools write it; apksigner keeps it.
_ALIGNED = 0xD935
# What Android maps from the APK as it is.
_STORED = (".so", ".arsc", ".dex")
PASSWORD = "EDGE_POSE_KEY_PASSWORD"


def write_apk(target: Path, resources: Path, files: Mapping[str, Path]) -> None:
    """Write an unsigned APK.

    Args:
        target: the APK.
        resources: an APK whose entries are taken over: manifest and resources.
        files: what else goes into it, by name in the APK; `.so` are aligned to pages of 16 KB.
    """
    with open(target, "wb") as raw, zipfile.ZipFile(raw, "w") as out, zipfile.ZipFile(resources) as base:
        entries = {name: base.read(name) for name in base.namelist() if not name.endswith("/")}
        for name in sorted({*entries, *files}):
            content = files[name].read_bytes() if name in files else entries[name]
            info = zipfile.ZipInfo(name, _WHEN)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
            if info.compress_type == zipfile.ZIP_STORED:
                unit = PAGE if name.endswith(".so") else 4
                begin = raw.tell() + 30 + len(name.encode()) + 6
                pad = -begin % unit
                info.extra = struct.pack("<HHH", _ALIGNED, 2 + pad, unit) + bytes(pad)
            out.writestr(info, content)


def sign(tools: Tools, unsigned: Path, target: Path, key: Path | None, alias: str | None) -> str:
    """Sign an APK; return whose key it was.

    Args:
        tools: of `find_tools`.
        unsigned: the APK.
        target: gets the signed one, whole or not at all.
        key: a key store; None: a debug key, made if there is none. Its password is taken from the variable
            EDGE_POSE_KEY_PASSWORD, or asked for.
        alias: of the key in it; None: the only one.

    Raises:
        UserError: the key cannot be used.
    """
    words = ["--ks", key or debug_key(), *(["--ks-key-alias", alias] if alias else [])]
    if key is None:
        words += ["--ks-pass", "pass:android"]
    elif os.environ.get(PASSWORD):
        words += ["--ks-pass", f"env:{PASSWORD}"]
    with write_whole(target) as temporary:
        run(
            "signing",
            tools.apksigner,
            "sign",
            *words,
            "--v1-signing-enabled",
            "true",
            "--v4-signing-enabled",
            "false",
            "--out",
            temporary,
            unsigned,
        )
    return str(key) if key else "a debug key: for trying, not for a shop"


def debug_key() -> Path:
    """Return the debug key that Android's own tools use, or one of ours."""
    own = Path.home() / ".android" / "debug.keystore"
    if own.is_file():
        return own
    made = cache_folder() / "android" / "debug.keystore"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(made) as temporary:
            temporary.unlink(missing_ok=True)  # keytool wants to make it
            run(
                "making a debug key",
                "keytool",
                "-genkeypair",
                "-keystore",
                temporary,
                "-storepass",
                "android",
                "-keypass",
                "android",
                "-alias",
                "androiddebugkey",
                "-keyalg",
                "RSA",
                "-keysize",
                "2048",
                "-validity",
                "10000",
                "-dname",
                "CN=Android Debug,O=Android,C=US",
            )
    return made


def check_apk(tools: Tools, apk: Path, allow_4k: bool = False) -> dict[str, str]:
    """Check a signed APK: signature, manifest, alignment, libraries.

    Returns:
        What it is, for a table.

    Raises:
        UserError: it would not install, or not run everywhere.
    """
    verified = run("verifying", tools.apksigner, "verify", "--verbose", apk)
    schemes = re.findall(r"Verified using (v[\d.]+) scheme.*: true", verified)
    badging = run("reading the manifest", tools.aapt2, "dump", "badging", apk)
    facts = {
        "package": _fact(badging, r"package: name='([^']+)'"),
        "version": _fact(badging, r"versionName='([^']+)'"),
        "runs on": f"Android API {_fact(badging, r'sdkVersion:.([0-9]+)')} and later, 64-bit ARM",
        "made for": f"API {_fact(badging, r'targetSdkVersion:.([0-9]+)')}",
        "signed": ", ".join(schemes),
    }
    if not {"v2", "v3"} <= set(schemes):
        raise UserError(f"{apk}: signed by {', '.join(schemes) or 'nothing'}; expected v2 and v3")
    if "uses-feature: name='android.hardware.camera'" in badging.replace("-not-required", "?"):
        raise UserError(f"{apk}: asks for a camera at the back; devices without one could not install it")
    with zipfile.ZipFile(apk) as content:
        libraries = [info for info in content.infolist() if info.filename.endswith(".so")]
        facts["libraries"] = ", ".join(Path(info.filename).name for info in libraries)
        _check_alignment(apk, content)
        folder = cache_folder() / "android"
        for info in libraries:
            _check_library(content, info, folder, allow_4k)
    return facts


def _fact(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "?"


def _check_alignment(apk: Path, content: zipfile.ZipFile) -> None:
    with open(apk, "rb") as raw:
        for info in content.infolist():
            raw.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", raw.read(4))
            begin = info.header_offset + 30 + name + extra
            if info.filename.endswith(_STORED):
                unit = PAGE if info.filename.endswith(".so") else 4
                if info.compress_type != zipfile.ZIP_STORED or begin % unit:
                    raise UserError(f"{apk}: {info.filename} is compressed or not aligned to {unit} bytes")


def _check_library(content: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, allow_4k: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / Path(info.filename).name) as temporary:
        with content.open(info) as source, open(temporary, "wb") as target:
            shutil.copyfileobj(source, target)
        elf = read_elf(temporary)
        if elf.machine != "EM_AARCH64" or elf.relocated_text:
            raise UserError(
                f"{info.filename}: {elf.machine}; expected a library for 64-bit ARM without TEXTREL"
            )
        if not allow_4k:
            check_pages(temporary)
