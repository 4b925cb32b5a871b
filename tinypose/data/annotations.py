"""COCO's annotation files, read and checked once: whatever a command would stop at is found here.

content = read_coco("person_keypoints_val2017.json", load_skeleton("coco17"))
content.pictures, content.entries, content.category
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.boxes import finite_numbers
from tinypose.errors import UserError
from tinypose.files import read_json
from tinypose.skeleton import Skeleton

FARTHEST = 1e6  # pixels from the picture's corner; what is further away is a mistake
LARGEST_ID = 2**53  # what JSON keeps exactly everywhere
LARGEST_SIDE = 1_000_000
# COCO-WholeBody (Jin et al., ECCV 2020) keeps what is no body in lists of its own; by number of all joints.
BODY = 17
PARTS = {23: ("foot_kpts",), 133: ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")}
Category = int | str | tuple[int | str, ...] | None


@dataclass(frozen=True)
class Image:
    """A picture as the file describes it: number, name in its folder, width and height, crowding if told."""

    image_id: int | str
    file_name: str
    size: tuple[int, int]
    crowding: float | None


@dataclass(frozen=True)
class Entry:
    """An annotation.

    Attributes:
        where: file, place and id, for messages.
        annotation_id: its id, or None.
        image_id: of the picture, which is among the file's.
        category_id: what is annotated, or None.
        crowd: whether it is a crowd, which the evaluation leaves aside.
        joints: float64 [J, 3], x, y and v; None without keypoints, or in another category.
        stated: what it says of how many joints have v above 0, or None.
        box: float64 [4], left, top, width, height, as annotated; None where there is none.
        area: in square pixels; 0 where there is none.
    """

    where: str
    annotation_id: int | str | None
    image_id: int | str
    category_id: int | str | None
    crowd: bool
    joints: np.ndarray | None
    stated: int | None
    box: np.ndarray | None
    area: float

    @property
    def annotated(self) -> bool:
        """Whether a joint is."""
        return self.joints is not None and bool((self.joints[:, 2] > 0).any())


@dataclass(frozen=True)
class Annotations:
    """A whole file.

    Attributes:
        path: of the file.
        images: by number.
        entries: in the order of the file, of all categories.
        chosen: the ids of the categories that count.
        others: the ids of the file's other categories.
    """

    path: Path
    images: dict[int | str, Image]
    entries: list[Entry]
    chosen: frozenset[int | str]
    others: frozenset[int | str]

    def counts(self, entry: Entry) -> bool:
        """Whether an annotation is of a category that counts; one without any is."""
        return entry.category_id is None or entry.category_id in self.chosen


def read_coco(path: str | Path, skeleton: Skeleton | None, category: Category = None) -> Annotations:
    """Read a file in COCO's form.

    Args:
        path: of the file.
        skeleton: says how many joints to expect; None: joints are not read, only who there is.
        category: name or id of the category that counts; None: see `choose`.

    Raises:
        UserError: missing, not COCO's form, or an entry that contradicts itself, the skeleton or the file.
    """
    path = Path(path)
    content = read_top(path)
    names = _categories(path, content.get("categories"))
    images = _images(path, content["images"])
    chosen = choose(path, names, content["annotations"], skeleton, category)
    entries = [
        _entry(entry, f"{path}: annotations[{place}]", images, chosen, skeleton)
        for place, entry in enumerate(content["annotations"])
    ]
    return Annotations(path, images, entries, chosen, frozenset(names) - chosen)


def read_top(path: str | Path) -> dict[str, Any]:
    """Read a COCO annotation file and check that it has COCO's shape at the top, and no more.

    Raises:
        UserError: missing, not JSON, or without the lists `images` and `annotations`.
    """
    content = read_json(path, "annotation file in COCO's format")
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not COCO's format: expected a list `{key}` at the top")
    return content


def choose(
    path: Path,
    categories: dict[int | str, dict[str, Any]],
    entries: Sequence[Any],
    skeleton: Skeleton | None,
    category: Category,
) -> frozenset[int | str]:
    """Return the ids of the categories that count.

    Without `category` it is the one whose joints are named as the skeleton's, or else has as many; or has
    joints at all; or is named person; or is the only one; or the only one whose annotations have keypoints.

    Raises:
        UserError: no such category, or several that could be meant; those in the file are listed.
    """
    if category is not None:
        wanted = category if isinstance(category, tuple) else (category,)
        return frozenset(key for each in wanted for key in _named(path, categories, each))
    if not categories:  # then they say it themselves
        used = {
            each.get("category_id") for each in entries if isinstance(each, dict) and each.get("keypoints")
        }
        used = {key for key in used if _is_id(key)}
        if len(used) > 1 and 1 not in used:
            raise UserError(
                f"{path}: no `categories`, and keypoints in several: {', '.join(sorted(map(str, used)))}; "
                "set `category` of this set (-o data.val.category=ID)"
            )
        return frozenset({1} if 1 in used or not used else used)
    with_joints = {key: each["keypoints"] for key, each in categories.items() if each.get("keypoints")}
    steps: list[Iterable[int | str]] = []
    if skeleton is not None:
        steps.append(key for key, joints in with_joints.items() if tuple(joints) == skeleton.joints)
        steps.append(key for key, joints in with_joints.items() if len(joints) == len(skeleton.joints))
        steps.append(with_joints)
    steps.append(key for key, each in categories.items() if str(each.get("name")).lower() == "person")
    steps.append(with_joints)
    steps.append(categories)
    steps.append(key for key in categories if any(_has_joints(each, key) for each in entries))
    for step in map(list, steps):
        if len(step) == 1:
            return frozenset(step)
    raise UserError(
        f"{path}: several categories could be meant; set `category` of this set (-o data.val.category=NAME, "
        f"a name or an id) to one of: {_listed(categories)}"
    )


def _has_joints(entry: Any, category: int | str) -> bool:
    return isinstance(entry, dict) and entry.get("category_id") == category and bool(entry.get("keypoints"))


def _named(path: Path, categories: dict[int | str, dict[str, Any]], wanted: int | str) -> list[int | str]:
    found = [key for key in categories if key == wanted]
    found = found or [
        key for key, each in categories.items() if str(each.get("name")).lower() == str(wanted).lower()
    ]
    if not found:
        raise UserError(f"{path}: no category '{wanted}'; there are: {_listed(categories)}")
    return found


def _listed(categories: dict[int | str, dict[str, Any]]) -> str:
    named = [
        f"{key} '{each.get('name', '')}' ({len(each['keypoints'])} joints)" if each.get("keypoints")
        else f"{key} '{each.get('name', '')}'"
        for key, each in categories.items()
    ]  # fmt: skip
    return ", ".join(named[:20]) + (f" and {len(named) - 20} more" if len(named) > 20 else "") or "none"


def _categories(path: Path, entries: Any) -> dict[int | str, dict[str, Any]]:
    result: dict[int | str, dict[str, Any]] = {}
    if entries is None:
        return result
    if not isinstance(entries, list):
        raise UserError(f"{path}: categories: expected a list, found {_shown(entries)}")
    for place, entry in enumerate(entries):
        where = f"{path}: categories[{place}]"
        key = _identity(entry, "id", where)
        joints = entry.get("keypoints")
        if joints is not None and not (
            isinstance(joints, list) and all(isinstance(each, str) for each in joints)
        ):
            raise UserError(f"{where}: keypoints: expected a list of names, found {_shown(joints)}")
        if key in result:
            raise UserError(f"{where}: id {key} stands twice among `categories`")
        result[key] = entry
    return result


def _images(path: Path, entries: list[Any]) -> dict[int | str, Image]:
    images: dict[int | str, Image] = {}
    for place, entry in enumerate(entries):
        where = f"{path}: images[{place}]"
        image_id, name = _identity(entry, "id", where), _take(entry, "file_name", where)
        if not isinstance(name, str) or not name or "\0" in name:
            raise UserError(f"{where}: file_name: expected the name of a file, found {_shown(name)}")
        size = (_take(entry, "width", where), _take(entry, "height", where))
        if not all(
            isinstance(side, int) and not isinstance(side, bool) and 0 < side <= LARGEST_SIDE for side in size
        ):
            raise UserError(
                f"{where}: width and height: expected whole numbers above 0, found {_shown(size)}"
            )
        crowding = entry.get("crowdIndex")
        if crowding is not None and (finite_numbers([crowding], 1) is None or crowding < 0):
            raise UserError(f"{where}: crowdIndex: expected a number from 0 to 1, found {_shown(crowding)}")
        if image_id in images:
            raise UserError(f"{where}: id {image_id} stands twice among `images`")
        images[image_id] = Image(image_id, name, size, crowding)
    return images


def _entry(
    entry: Any,
    where: str,
    images: dict[int | str, Image],
    chosen: frozenset[int | str],
    skeleton: Skeleton | None,
) -> Entry:
    identity = entry.get("id") if isinstance(entry, dict) else None
    where = f"{where} (id {_shown(identity)})" if isinstance(entry, dict) else where
    if identity is not None:
        _identity(entry, "id", where)
    image_id = _identity(entry, "image_id", where)
    if image_id not in images:
        raise UserError(f"{where}: image_id {image_id} is not among `images`")
    category = entry.get("category_id")
    if category is not None:
        _identity(entry, "category_id", where)
    crowd = entry.get("iscrowd")
    if crowd is not None and (not isinstance(crowd, int | float) or crowd not in (0, 1)):
        raise UserError(f"{where}: iscrowd: expected 0 or 1, found {_shown(crowd)}")
    if not (category is None or category in chosen):
        return Entry(where, identity, image_id, category, bool(crowd), None, None, None, 0.0)
    joints = None if skeleton is None else _joints(entry, skeleton, where)
    stated = entry.get("num_keypoints")
    if stated is not None and finite_numbers([stated], LARGEST_ID) is None:
        raise UserError(f"{where}: num_keypoints: expected a number, found {_shown(stated)}")
    needed = joints is not None and bool((joints[:, 2] > 0).any())
    box = _box(entry, where, needed and skeleton is not None)
    area = entry.get("area")
    if area is not None and finite_numbers([area], FARTHEST**2) is None:
        raise UserError(f"{where}: area: expected a number, found {_shown(area)}")
    return Entry(
        where, identity, image_id, category, bool(crowd), joints, stated, box, max(float(area or 0), 0.0)
    )


def _joints(entry: dict[str, Any], skeleton: Skeleton, where: str) -> np.ndarray | None:
    """Return float64 [J, 3], or None where there are none."""
    values, count = entry.get("keypoints"), len(skeleton.joints)
    if values is None or values == []:
        return None
    parts = PARTS.get(count, ())
    lists = [values, *map(entry.get, parts)]
    joined = bool(parts) and all(isinstance(each, list) for each in lists) and len(values) == 3 * BODY
    flat = values
    if joined:
        flat = [number for each in lists for number in each]
    elif isinstance(values, list) and all(isinstance(each, list) and len(each) == 3 for each in values):
        flat = [value for each in values for value in each]  # [[x, y, v], ...], as some tools write
    numbers = finite_numbers(flat, FARTHEST)
    if numbers is None:
        plain = isinstance(flat, list) and all(isinstance(v, int | float) for v in flat)
        expected = "finite x and y" if plain else "numbers x, y, v for each joint"
        raise UserError(f"{where}: keypoints: expected {expected}, found {_shown(values)}")
    if len(numbers) != 3 * count:
        raise UserError(
            f"{where}: keypoints: expected 3 numbers for each of the {count} joints of skeleton "
            f"'{skeleton.name}', found {len(numbers)}; set `skeleton` to the one of this data set"
        )
    joints = np.array(numbers).reshape(count, 3)
    if joined:  # there v is a score in faces and hands
        joints[BODY:, 2] = np.where(joints[BODY:, 2] > 0, 2, 0)
    if not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise UserError(f"{where}: keypoints: expected finite x and y, and v of 0, 1 or 2")
    return joints


def _box(entry: dict[str, Any], where: str, needed: bool) -> np.ndarray | None:
    value = entry.get("bbox")
    if value is None or value == []:
        if needed:
            raise UserError(f"{where}: expected an object with the key 'bbox': left, top, width, height")
        return None
    numbers = finite_numbers(value, FARTHEST)
    if numbers is None or len(numbers) != 4:
        raise UserError(f"{where}: bbox: expected left, top, width, height, found {_shown(value)}")
    return np.array(numbers)


def _identity(entry: Any, key: str, where: str) -> int | str:
    value = _take(entry, key, where)
    if not _is_id(value):
        raise UserError(f"{where}: {key}: expected a number, found {_shown(value)}")
    return value


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID


def _take(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise UserError(f"{where}: expected an object with the key '{key}'")
    return entry[key]


def _shown(value: Any) -> str:
    return f"{value!r:.80}" if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
