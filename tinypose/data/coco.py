"""People with keypoints in COCO's format: annotations, a detector's boxes, and the pictures.

people = load_people("person_keypoints_val2017.json", "val2017", load_skeleton("coco17"))
print(people.summary)
picture = people.people[0].read()
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.errors import UserError
from tinypose.files import read_json
from tinypose.images import read_image
from tinypose.skeleton import Skeleton

# A person covers about this part of the box: median 0.54, mean 0.53 over the 154 annotated people of
# COCO that were at hand; CrowdPose's evaluation uses 0.53 as well.
AREA_OF_BOX = 0.53


@dataclass(frozen=True)
class Picture:
    """A picture of the set: where it is, and the width and height that its annotations are for."""

    image_id: int
    path: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class Person:
    """One person in one picture, in image pixels with pixel centres at whole numbers.

    Attributes:
        image_id: the picture's number in the annotation file.
        annotation_id: the annotation's number, or None for a detection.
        path: the picture.
        size: width and height of the picture that the annotations are for.
        box: float64 [4], left, top, width, height, inside the picture.
        joints: float32 [J, 3], x, y and v: 0 not annotated, 1 hidden, 2 visible; zeros for a detection.
        area: of the person in square pixels.
        score: of the box: the detector's, or 1.
    """

    image_id: int
    annotation_id: int | None
    path: Path
    size: tuple[int, int]
    box: np.ndarray
    joints: np.ndarray
    area: float
    score: float = 1.0

    def read(self) -> np.ndarray:
        """Return the picture as its annotations see it, uint8 RGB [H, W, 3] (see `read_image`)."""
        return read_image(self.path, self.size)


@dataclass(frozen=True)
class PeopleSet:
    """People, and what was left out on the way to them.

    Attributes:
        annotations: the file they come from.
        people: in the order of that file.
        pictures: every picture of the file, by number, with people or without.
        skipped: reason -> how many annotations or boxes were left out for it.
        repaired: what was filled in -> how many times.
    """

    annotations: Path
    people: list[Person]
    pictures: dict[int, Picture]
    skipped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line: how many people and pictures, and how many were left out or repaired, and why."""
        used = len({person.image_id for person in self.people})
        parts = [f"{len(self.people)} people in {used} of {len(self.pictures)} pictures"]
        if self.skipped:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
            parts.append(f"left out: {reasons}")
        parts += [f"{what}: {count}" for what, count in self.repaired.items()]
        return "; ".join(parts)


def load_people(
    annotations: str | Path, images: str | Path, skeleton: Skeleton, present: bool = True
) -> PeopleSet:
    """Read the people that have at least one annotated joint.

    As COCO's own loaders do, crowds and people without joints are left out, and boxes are cut to the
    picture. An area that is missing or 0 is estimated from the box (`AREA_OF_BOX`).

    Args:
        annotations: COCO's person_keypoints JSON.
        images: the folder that its file names start at.
        skeleton: says how many joints to expect.
        present: check that the people's pictures are there.

    Raises:
        UserError: a file that is missing or not COCO, an annotation that contradicts the skeleton or
            itself, missing pictures (the first few named, all counted), or nobody with joints.
    """
    annotations = Path(annotations)
    content = read_annotations(annotations)
    pictures = _pictures(annotations, content["images"], Path(images))
    categories = person_categories(content)
    people: list[Person] = []
    skipped: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    for number, entry in enumerate(content["annotations"]):
        where = _where(annotations, number, entry)
        picture = pictures.get(_identity(entry, "image_id", where))
        if picture is None:
            raise UserError(f"{where}: image_id {entry['image_id']} is not among `images`")
        if entry.get("category_id", min(categories)) not in categories:
            skipped["of another category"] += 1
            continue
        joints = _joints(entry, skeleton, where)
        if entry.get("iscrowd", 0):
            skipped["crowd"] += 1
            continue
        if joints is None:
            skipped["without keypoints"] += 1
            continue
        stated = _box(entry, where)
        box = cut_box(stated, picture.size)
        if box is None:
            skipped["with a box of no extent in the picture"] += 1
            continue
        area, estimated = _area(entry, stated, where)
        if estimated:
            repaired["area missing or 0, estimated from the box"] += 1
        people.append(
            Person(picture.image_id, entry.get("id"), picture.path, picture.size, box, joints, area)
        )
    result = PeopleSet(annotations, people, pictures, dict(skipped), dict(repaired))
    if not people:
        raise UserError(f"{annotations}: nobody with keypoints in it ({result.summary})")
    if present:
        _check_present(people, annotations)
    return result


def load_detections(boxes: str | Path, people: PeopleSet, threshold: float = 0.0) -> PeopleSet:
    """Read a detector's person boxes for the pictures of a set, in COCO's results format.

    Args:
        boxes: JSON list of {image_id, category_id, bbox, score}; bbox is left, top, width, height.
        people: the annotated set; its pictures are kept, its people replaced.
        threshold: boxes with a lower score are left out.

    Raises:
        UserError: a file that is missing or not in that format, or without a box for these pictures.
    """
    boxes = Path(boxes)
    content = read_json(boxes, "file of detected boxes")
    if not isinstance(content, list):
        raise UserError(f"{boxes}: expected a list of boxes (COCO's results format)")
    joints = np.zeros_like(people.people[0].joints)
    found: list[Person] = []
    skipped: Counter[str] = Counter()
    for number, entry in enumerate(content):
        where = f"{boxes}: [{number}]"
        picture = people.pictures.get(_identity(entry, "image_id", where))
        score = _take(entry, "score", where)
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise UserError(f"{where}: score: expected a number, found {score!r}")
        box = _box(entry, where)
        if picture is None:
            skipped["for pictures of other sets"] += 1
        elif entry.get("category_id", 1) != 1:
            skipped["of another category than 1, person"] += 1
        elif score < threshold:
            skipped[f"with a score below {threshold:g}"] += 1
        elif (box := cut_box(box, picture.size)) is None:
            skipped["of no extent in the picture"] += 1
        else:
            area = AREA_OF_BOX * float(box[2] * box[3])
            found.append(
                Person(picture.image_id, None, picture.path, picture.size, box, joints, area, float(score))
            )
    result = replace(people, people=found, skipped=dict(skipped), repaired={})
    if not found:
        raise UserError(f"{boxes}: no box left for the pictures of {people.annotations} ({result.summary})")
    _check_present(found, people.annotations)
    return result


def ground_truth(people: PeopleSet) -> dict[str, Any]:
    """Return the set's annotations as pycocotools evaluates them.

    They are those of the file, for the set's pictures, with what COCO's evaluation needs filled in and
    areas repaired as in `load_people`. Crowds and people without joints stay: they are not missed, and
    a prediction on them is not held against the network.

    Returns:
        COCO's annotation file as plain containers, everyone in category 1.
    """
    content = read_annotations(people.annotations)
    categories = person_categories(content)
    annotations = []
    for number, entry in enumerate(content["annotations"]):
        other = entry.get("category_id", min(categories)) not in categories
        if other or entry["image_id"] not in people.pictures or not entry.get("keypoints"):
            continue
        where = _where(people.annotations, number, entry)
        box = _box(entry, where)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": entry["image_id"],
                "category_id": 1,
                "iscrowd": int(entry.get("iscrowd", 0)),
                "keypoints": entry["keypoints"],
                "num_keypoints": sum(v > 0 for v in entry["keypoints"][2::3]),
                "bbox": box.tolist(),
                "area": _area(entry, box, where)[0],
            }
        )
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in people.pictures],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": annotations,
    }


def read_annotations(path: str | Path) -> dict[str, Any]:
    """Read a COCO annotation file and check that it has COCO's shape at the top.

    Raises:
        UserError: missing, not JSON, or without the lists `images` and `annotations`.
    """
    content = read_json(path, "annotation file in COCO's format")
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f"{path}: not COCO's format: expected a list `{key}` at the top")
    return content


def person_categories(content: dict[str, Any]) -> set[int]:
    """Return the ids of the categories that have keypoints or are called person; {1} where none says so."""
    categories = content.get("categories")
    found = set()
    for category in categories if isinstance(categories, list) else []:
        if isinstance(category, dict) and (category.get("keypoints") or category.get("name") == "person"):
            found.add(category.get("id"))
    return found or {1}


def cut_box(box: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """Cut a box to the picture, as COCO's pose loaders do.

    COCO's width counts pixels, from the left edge of the first to the right edge of the last; the
    result is measured from centre to centre and so is one pixel smaller.

    Args:
        box: float [4], left, top, width, height.
        size: width and height of the picture.

    Returns:
        float64 [4], left, top, width, height; or None if nothing of it is in the picture.
    """
    first = np.maximum(box[:2], 0)
    last = np.minimum(np.array(size) - 1, first + np.maximum(box[2:] - 1, 0))
    extent = last - first
    return None if (extent < 0).any() or extent.max() <= 0 else np.concatenate([first, extent])


def _pictures(annotations: Path, entries: list, images: Path) -> dict[int, Picture]:
    pictures = {}
    for number, entry in enumerate(entries):
        where = f"{annotations}: images[{number}]"
        image_id, name = _identity(entry, "id", where), _take(entry, "file_name", where)
        size = (_take(entry, "width", where), _take(entry, "height", where))
        if not all(isinstance(side, int) and side > 0 for side in size):
            raise UserError(f"{where}: width and height: expected whole numbers above 0, found {size}")
        if image_id in pictures:
            raise UserError(f"{where}: id {image_id} stands twice among `images`")
        pictures[image_id] = Picture(image_id, images / str(name), size)
    return pictures


def _joints(entry: dict, skeleton: Skeleton, where: str) -> np.ndarray | None:
    """Return float32 [J, 3], or None when no joint is annotated."""
    values = entry.get("keypoints")
    if not values:
        return None
    count = len(skeleton.joints)
    try:
        joints = np.array(values, np.float32)
    except (TypeError, ValueError):
        raise UserError(f"{where}: keypoints: expected numbers x, y, v for each joint") from None
    if joints.size != 3 * count:
        raise UserError(
            f"{where}: keypoints: expected 3 numbers for each of the {count} joints of skeleton "
            f"'{skeleton.name}', found {joints.size}; set `skeleton` to the one of this data set"
        )
    joints = joints.reshape(count, 3)
    if not np.isfinite(joints).all() or not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise UserError(f"{where}: keypoints: expected finite x and y, and v of 0, 1 or 2")
    return joints if (joints[:, 2] > 0).any() else None


def _box(entry: dict, where: str) -> np.ndarray:
    value = _take(entry, "bbox", where)
    try:
        box = np.array(value, np.float64)
    except (TypeError, ValueError):
        box = np.zeros(0)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise UserError(f"{where}: bbox: expected left, top, width, height, found {value!r}")
    return box


def _area(entry: dict, box: np.ndarray, where: str) -> tuple[float, bool]:
    """Return the annotated area, or else one estimated from the box; and whether it was estimated."""
    area = entry.get("area") or 0.0
    if not isinstance(area, int | float) or not math.isfinite(area):
        raise UserError(f"{where}: area: expected a number, found {area!r}")
    return (float(area), False) if area > 0 else (AREA_OF_BOX * float(box[2] * box[3]), True)


def _where(annotations: Path, number: int, entry: Any) -> str:
    """Name an annotation for error messages: file, place and id."""
    identity = f" (id {entry.get('id')})" if isinstance(entry, dict) else ""
    return f"{annotations}: annotations[{number}]{identity}"


def _identity(entry: Any, key: str, where: str) -> int | str:
    value = _take(entry, key, where)
    if not isinstance(value, int | str):
        raise UserError(f"{where}: {key}: expected a number, found {value!r}")
    return value


def _take(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise UserError(f"{where}: expected an object with the key '{key}'")
    return entry[key]


def _check_present(people: Iterable[Person], annotations: Path) -> None:
    paths = dict.fromkeys(person.path for person in people)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        few = "\n".join(f"  {path}" for path in missing[:5])
        more = f"\n  and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UserError(
            f"{annotations}: {len(missing)} of {len(paths)} pictures are not there; "
            f"is the folder of pictures right?\n{few}{more}"
        )
