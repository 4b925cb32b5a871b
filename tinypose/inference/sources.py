"""What a user names as a source: pictures, folders, videos, cameras, streams."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from tinypose.errors import UserError
from tinypose.images import FORMATS

PICTURES = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".heic",
}
VIDEOS = {
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".avi",
    ".webm",
    ".mpg",
    ".mpeg",
    ".ts",
    ".flv",
    ".wmv",
    ".3gp",
    ".gif",
}

VIDEO_HEADS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"GIF8",
    b"\x30\x26\xb2\x75",  # Windows Media
    b"\0\0\x01\xba",  # MPEG programme stream
    b"\0\0\x01\xb3",  # MPEG video
    b"\0\0\0\x01",  # H.264 and H.265 as they are
)


@dataclass(frozen=True)
class Source:
    """One picture, video file, camera or stream.

    Attributes:
        kind: what it is.
        name: the path, the camera's number or the address.
        place: of a file, its path within the folder that was given, or its name.
    """

    kind: Literal["picture", "video", "camera", "stream"]
    name: str
    place: PurePosixPath = PurePosixPath()

    @property
    def stem(self) -> str:
        """A name for the results: of a file, its place without the suffix."""
        if self.kind == "camera":
            return f"camera{Path(self.name).name}"
        if self.kind == "stream":
            return Path(self.name.split("?")[0].rstrip("/")).stem or "stream"
        return str(self.place.with_suffix("") if self.place.name else Path(self.name).stem)


def find_sources(names: Sequence[str], results: Path | None = None) -> list[Source]:
    """Return what `names` name, in that order; of folders and their sub-folders, pictures and videos by name.

    A name is a camera's number, an address (rtsp://, http://, ...), a folder or a file. What a file holds
    is told by its suffix; with an unknown one, by its content. Hidden folders are not searched, nor is
    `results`. A file that is named twice is taken once.

    Raises:
        UserError: something is not there, is no picture or video, or a folder has none.
    """
    sources = []
    for name in names:
        path = Path(name)
        if name.isascii() and name.isdecimal() and not path.exists():
            sources.append(Source("camera", name))
        elif "://" in name:
            sources.append(Source("stream", name))
        elif path.is_dir():
            found = [_file(each, each.relative_to(path)) for each in _search(path, results)]
            if not found:
                raise UserError(f"{path}: no pictures or videos in this folder, or in those within it")
            sources += found
        elif path.is_file():
            sources.append(_file(path, Path(path.name)))
        else:
            raise UserError(
                f"{name}: no such file or folder; a source is a picture, a folder, a video, the number of a "
                "camera or the address of a stream"
            )
    once: dict[str, Source] = {}
    for each in sources:
        once.setdefault(os.path.realpath(each.name) if each.place.name else each.name, each)
    return list(once.values())


def _search(folder: Path, results: Path | None) -> Iterator[Path]:
    left = results.resolve() if results is not None and results.resolve() != folder.resolve() else None
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != left
        )
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURES | VIDEOS:
                yield here / name


def _file(path: Path, place: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix in PICTURES | VIDEOS:
        kind = "picture" if suffix in PICTURES else "video"
    elif is_video(path):
        kind = "video"
    else:
        try:
            with Image.open(path, formats=FORMATS):
                kind = "picture"
        except Exception:  # whatever its bytes led Pillow to
            raise UserError(
                f"{path}: neither a picture nor a video of a kind that is read here (by its content; its "
                f"name ends in '{suffix}')"
            ) from None
    return Source(kind, str(path), PurePosixPath(place))


def is_video(path: Path) -> bool:
    """Tell by its first bytes whether a file is a video of a kind that is read here."""
    try:
        with open(path, "rb") as file:
            head = file.read(400)
    except OSError as error:
        raise UserError(f"{path}: cannot read it: {error.strerror}") from None
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or head.startswith(VIDEO_HEADS)
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or (head[0:1] == b"G" and head[188:189] == b"G")  # MPEG transport stream
        or (head[4:5] == b"G" and head[196:197] == b"G")  # with times before its packets
    )
