"""What a source of annotations holds, and how its parts are read: of `tinypose.data.convert`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.boxes import finite_numbers
from tinypose.errors import UserError
from tinypose.images import picture_size
from tinypose.skeleton import Skeleton

FARTHEST = 1e6  # pixels: a larger number is a mistake


@dataclass(frozen=True)
class Person:
    """One person: joints float64 [J, 3] (x, y in pixels, v), and a box [4] or None."""

    joints: np.ndarray
    box: np.ndarray | None


@dataclass
class Found:
    """What a source holds.

    Attributes:
        sizes: picture's name -> width and height.
        people: picture's name -> people.
        left_out: reason -> how often.
    """

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    people: dict[str, list[Person]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, size: tuple[int, int], people: Sequence[Person]) -> None:
        """Add a picture and its people."""
        self.sizes[name] = size
        self.people.setdefault(name, []).extend(people)


def person_of(
    joints: dict[str, tuple[float, float, int]], box: np.ndarray | None, skeleton: Skeleton
) -> Person:
    """Return a person from joints by name; those that are not there are zeros."""
    rows = np.zeros((len(skeleton.joints), 3))
    for name, row in joints.items():
        rows[skeleton.index(name)] = row
    return Person(rows, box)


def take_joint(
    joints: dict[str, Any], name: str, row: tuple[float, float, int], skeleton: Skeleton, found: Found
) -> None:
    """Add a joint by its name to those of a person, or count why not."""
    name = name.strip().lower().replace(" ", "_").replace("-", "_")
    if name not in skeleton.joints:
        found.left_out[f"joint '{name:.40}', which skeleton '{skeleton.name}' has not"] += 1
    elif name in joints:
        found.left_out[f"joint '{name}' twice in one person"] += 1
    else:
        joints[name] = row


def size_of(size: tuple[Any, Any], images: Path | None, name: str, where: str) -> tuple[int, int]:
    """Return a picture's width and height as stated, or else its own, or raise a UserError."""
    if all(isinstance(side, int) and not isinstance(side, bool) and 0 < side < 10**6 for side in size):
        return size
    if images is None:
        raise UserError(f"{where}: does not say how large '{name}' is; --images says where the pictures are")
    return picture_size(images / name)


def list_of(entry: Any, key: str, where: str) -> list[Any]:
    """Return the list that an object has under a key, or raise a UserError."""
    if not isinstance(entry, dict) or not isinstance(entry.get(key), list):
        raise UserError(f"{where}: expected an object with a list `{key}`")
    return entry[key]


def numbers_of(values: Any, count: int, where: str) -> list[float]:
    """Return so many finite numbers, or raise a UserError."""
    numbers = finite_numbers(values, FARTHEST)
    if numbers is None or len(numbers) != count:
        raise UserError(f"{where}: expected {count} finite numbers, found {values!r:.60}")
    return numbers
