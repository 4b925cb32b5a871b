"""What a user names as a source: pictures, folders, videos, cameras, streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from tinypose.errors import UserError

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


@dataclass(frozen=True)
class Source:
    """One picture, video file, camera or stream.

    Attributes:
        kind: what it is.
        name: the path, the camera's number or the address.
    """

    kind: Literal["picture", "video", "camera", "stream"]
    name: str

    @property
    def stem(self) -> str:
        """A name for the results: of a file without its suffix."""
        if self.kind == "camera":
            return f"camera{Path(self.name).name}"
        if self.kind == "stream":
            return Path(self.name.split("?")[0].rstrip("/")).stem or "stream"
        return Path(self.name).stem


def find_sources(names: Sequence[str]) -> list[Source]:
    """Return what `names` name, in that order; of folders, the pictures and videos in them by name.

    A name is a camera's number, an address (rtsp://, http://, ...), a folder or a file. What a file holds
    is told by its suffix; with an unknown one, by its content.

    Raises:
        UserError: something is not there, or a folder has neither pictures nor videos.
    """
    sources = []
    for name in names:
        path = Path(name)
        if name.isdigit() and not path.exists():
            sources.append(Source("camera", name))
        elif "://" in name:
            sources.append(Source("stream", name))
        elif path.is_dir():
            found = [
                _file(each) for each in sorted(path.iterdir()) if each.suffix.lower() in PICTURES | VIDEOS
            ]
            if not found:
                raise UserError(
                    f"{path}: no pictures or videos in this folder (folders in it are not searched)"
                )
            sources += found
        elif path.is_file():
            sources.append(_file(path))
        else:
            raise UserError(
                f"{name}: no such file or folder; a source is a picture, a folder, a video, the number of a "
                "camera or the address of a stream"
            )
    return sources


def _file(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix in PICTURES | VIDEOS:
        return Source("picture" if suffix in PICTURES else "video", str(path))
    try:
        with Image.open(path):
            return Source("picture", str(path))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return Source("video", str(path))
