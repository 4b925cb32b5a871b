"""People with keypoints in COCO's format: annotations, a detector's boxes, and the pictures.

people = load_people("person_keypoints_val2017.json", "val2017", load_skeleton("coco17"))
print(people.summary)
picture = people.people[0].read()
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.annotations import Annotations, Category, Entry, read_coco
from tinypose.data.boxes import Box, BoxForm, as_sizes, read_boxes
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.skeleton import Skeleton

# A person covers about this part of the box: median 0.54, mean 0.53 over the 154 annotated people of
# COCO that were at hand; CrowdPose's evaluation uses 0.53 as well.
AREA_OF_BOX = 0.53
PERSON = 1  # COCO's category


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
        source: the whole file, of a set in COCO's form.
    """

    annotations: Path
    people: list[Person]
    pictures: dict[int, Picture]
    skipped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    source: Annotations | None = field(default=None, repr=False)

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
    annotations: str | Path,
    images: str | Path,
    skeleton: Skeleton,
    present: bool = True,
    category: Category = None,
) -> PeopleSet:
    """Read the people that have at least one annotated joint.

    As COCO's own loaders do, crowds and people without joints are left out, and boxes are cut to the
    picture. An area that is missing or 0 is estimated from the box (`AREA_OF_BOX`).

    Args:
        annotations: COCO's person_keypoints JSON.
        images: the folder that its file names start at.
        skeleton: says how many joints to expect.
        present: check that the people's pictures are there.
        category: name or id of the category that counts; None: see `tinypose.data.annotations.choose`.

    Raises:
        UserError: a file that is missing or not COCO, an annotation that contradicts the skeleton or
            itself, missing pictures (the first few named, all counted), or nobody with joints.
    """
    source = read_coco(annotations, skeleton, category)
    pictures = {
        each.image_id: Picture(each.image_id, Path(images) / each.file_name, each.size)
        for each in source.images.values()
    }
    people: list[Person] = []
    skipped: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    for entry in source.entries:
        picture = pictures[entry.image_id]
        if not source.counts(entry):
            skipped["of another category"] += 1
        elif entry.crowd:
            skipped["crowd"] += 1
        elif not entry.annotated:
            skipped["without keypoints"] += 1
        elif (box := cut_box(entry.box, picture.size)) is None:
            skipped["with a box of no extent in the picture"] += 1
        else:
            area, estimated = _area(entry)
            if estimated:
                repaired["area missing or 0, estimated from the box"] += 1
            joints = entry.joints.astype(np.float32)
            people.append(
                Person(picture.image_id, entry.annotation_id, picture.path, picture.size, box, joints, area)
            )
    result = PeopleSet(source.path, people, pictures, dict(skipped), dict(repaired), source)
    if not people:
        raise UserError(f"{annotations}: nobody with keypoints in it ({result.summary})")
    if present:
        _check_present(people, source.path)
    return result


def load_detections(
    boxes: str | Path, people: PeopleSet, threshold: float = 0.0, form: BoxForm | None = None
) -> PeopleSet:
    """Read a detector's person boxes for the pictures of a set, in COCO's results format.

    Boxes count if they are of the set's category, or of COCO's number for a person, 1, where the set has
    no other category of that number.

    Args:
        boxes: JSON list of {image_id, category_id, bbox, score}; bbox is left, top, width, height.
        people: the annotated set; its pictures are kept, its people replaced.
        threshold: boxes with a lower score are left out.
        form: what bbox is; None: left, top, width, height, unless most boxes contradict it.

    Raises:
        UserError: a file that is missing or not in that format, or without a box for these pictures.
    """
    boxes = Path(boxes)
    joints = np.zeros_like(people.people[0].joints)
    wanted, others = {PERSON}, frozenset()
    if people.source is not None:
        wanted, others = {*people.source.chosen, PERSON}, people.source.others
    skipped: Counter[str] = Counter()
    kept: list[Box] = []
    for entry in read_boxes(boxes, scored=True):
        picture = people.pictures.get(entry.file_name if entry.image_id is None else entry.image_id)
        if picture is None:
            skipped["for pictures of other sets"] += 1
        elif entry.category_id is not None and (
            entry.category_id not in wanted or entry.category_id in others
        ):
            skipped["of another category than the set's people"] += 1
        elif entry.score < threshold:
            skipped[f"with a score below {threshold:g}"] += 1
        else:
            kept.append(replace(entry, image_id=picture.image_id))
    pictures = [people.pictures[entry.image_id] for entry in kept]
    stated = as_sizes(
        boxes, [each.box for each in kept], [each.size for each in pictures], form, "eval.boxes_form"
    )
    found: list[Person] = []
    for entry, picture, box in zip(kept, pictures, stated, strict=True):
        cut = cut_box(box, picture.size)
        if cut is None:
            skipped["of no extent in the picture"] += 1
            continue
        area = AREA_OF_BOX * float(cut[2] * cut[3])
        found.append(
            Person(picture.image_id, None, picture.path, picture.size, cut, joints, area, entry.score)
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
    assert people.source is not None, "a set in COCO's form"
    annotations = []
    for entry in people.source.entries:
        if not people.source.counts(entry) or entry.joints is None or entry.box is None:
            continue
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": entry.image_id,
                "category_id": PERSON,
                "iscrowd": int(entry.crowd),
                "keypoints": entry.joints.ravel().tolist(),
                "num_keypoints": int((entry.joints[:, 2] > 0).sum()),
                "bbox": entry.box.tolist(),
                "area": _area(entry)[0],
            }
        )
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in people.pictures],
        "categories": [{"id": PERSON, "name": "person"}],
        "annotations": annotations,
    }


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


def _area(entry: Entry) -> tuple[float, bool]:
    """Return the annotated area, or else one estimated from the box; and whether it was estimated."""
    if entry.area > 0:
        return entry.area, False
    return AREA_OF_BOX * float(entry.box[2] * entry.box[3]), True


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
