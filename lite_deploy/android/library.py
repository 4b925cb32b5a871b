"""Paddle-Lite's release for Android: where its parts lie, and what its library can."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from lite_deploy.android.elf import count_words, read_elf
from tinypose.errors import UserError

RELEASES = "https://github.com/PaddlePaddle/Paddle-Lite/releases/tag/v2.13-rc"
# The archives' names; `lite_deploy/cpp/README.md` has them too.
FP16_ARCHIVE = "inference_lite_lib.android.armv8.clang.c++_shared.with_extra.with_cv.arm82_fp16.tar.gz"
PLAIN_ARCHIVE = "inference_lite_lib.android.armv8.clang.c++_shared.with_extra.with_cv.tar.gz"
GET_ONE = f"get {FP16_ARCHIVE} (phones since about 2018) or {PLAIN_ARCHIVE} (any) from {RELEASES}, unpack it"

# The name of an operator that only libraries `with_extra` have.
_EXTRA_MARK = b"polygon_box_transform"
# Multiply-adds on vectors of half precision (FMLA, by vector): their bits, and which of them count.
# v2.13-rc has 1,902 of them when it is built with FP16; other code has none.
_HALF_FMLA, _HALF_MASK, _HALF_LEAST = 0x0E400C00, 0xBFE0FC00, 50
_SHARED_STL = "libc++_shared.so"


@dataclass(frozen=True)
class Library:
    """What the app knows of the engine in it."""

    present: bool
    fp16: bool = False
    extra: bool = False
    files: tuple[Path, ...] = ()  # the libraries, for lib/arm64-v8a
    jar: Path | None = None

    def as_dict(self) -> dict[str, bool]:
        """Return what goes into the app's index."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, bool)}


NONE = Library(False)


def read_library(folder: Path, more: Iterable[Path] = ()) -> Library:
    """Find what the app takes of an unpacked release.

    Args:
        folder: the one that holds java/ (and cxx/).
        more: further libraries that the engine's needs, such as the NDK's libc++_shared.so.

    Raises:
        UserError: not a release for 64-bit Android, or a library that it needs is missing.
    """
    jar = _first(folder, "java/jar/PaddlePredictor.jar", "jar/PaddlePredictor.jar")
    library = _first(folder, "java/so/libpaddle_lite_jni.so", "so/libpaddle_lite_jni.so")
    elf = read_elf(library)
    if elf.machine != "EM_AARCH64" or elf.interpreter:
        raise UserError(f"{library}: expected a library for 64-bit ARM; {GET_ONE}")
    if any(re.fullmatch(r"lib\w+\.so\.\d+", name) for name in elf.needed):
        raise UserError(f"{library}: for Linux, not for Android; {GET_ONE}")
    content = library.read_bytes()
    files = [library, *more]
    beside = [library.parent, folder / "cxx" / "lib", folder]
    if _SHARED_STL in elf.needed and not any(each.name == _SHARED_STL for each in files):
        found = next((each / _SHARED_STL for each in beside if (each / _SHARED_STL).is_file()), None)
        if found is None:
            raise UserError(
                f"{library}: needs {_SHARED_STL}, which is not beside it; name the NDK's with --library "
                "$NDK/toolchains/llvm/prebuilt/linux-x86_64/sysroot/usr/lib/aarch64-linux-android/"
                f"{_SHARED_STL}"
            )
        files.append(found)
    half = count_words(library, _HALF_FMLA, _HALF_MASK) >= _HALF_LEAST
    return Library(True, half, _EXTRA_MARK in content, tuple(files), jar)


def _first(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder}: no {names[0]}; expected Paddle-Lite's release for Android: {GET_ONE}")
