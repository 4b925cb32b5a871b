"""The artifact folder: what passes from training to phones, and the engines that run what it names."""

from pathlib import Path

FILE = "pose.json"  # the description in every folder


def artifact_folder(path: str | Path) -> Path:
    """Return the folder of an artifact that is named by itself or by its description in it."""
    path = Path(path)
    return path.parent if path.name == FILE else path
