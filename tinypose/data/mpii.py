"""MPII Human Pose as the usual JSON: a list of people with joints, joints_vis, center and scale."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinypose.data.coco import AREA_OF_BOX, PeopleSet, Person, Picture
from tinypose.errors import UserError
from tinypose.files import read_json
from tinypose.images import FORMATS
from tinypose.skeleton import Skeleton

SCALE = 200  # MPII's `scale` is a person's height in units of so many pixels
LOWER = 15  # the centre is moved down by so many pixels times the scale, to have room for the feet


def load_mpii(annotations: str | Path, images: str | Path, skeleton: Skeleton) -> PeopleSet:
    """Read MPII's people with at least one annotated joint.

    MPII counts pixels from 1, as MATLAB does; here they count from 0. The box is the square that
    MPII's people are usually cropped by: 200 pixels times `scale`, about the centre moved down by 15
    pixels times `scale`, before the crop's padding (1.25).

    Args:
        annotations: a list of {image, joints [J][2], joints_vis [J], center [2], scale}.
        images: the folder that its file names start at.
        skeleton: says how many joints to expect.

    Raises:
        UserError: a file that is missing or not in that format, missing pictures, nobody with joints.
    """
    annotations, images = Path(annotations), Path(images)
    entries = read_json(annotations, "annotation file in MPII's format")
    if not isinstance(entries, list):
        raise UserError(f"{annotations}: not MPII's format: expected a list of people at the top")
    people: list[Person] = []
    pictures: dict[int, Picture] = {}
    numbers: dict[str, int] = {}
    empty = 0
    for place, entry in enumerate(entries):
        where = f"{annotations}: [{place}]"
        name = str(_take(entry, "image", where))
        joints = _joints(entry, skeleton, where)
        if name not in numbers:
            numbers[name] = len(numbers) + 1
            pictures[numbers[name]] = _picture(numbers[name], images / name, where)
        picture = pictures[numbers[name]]
        if not (joints[:, 2] > 0).any():
            empty += 1
            continue
        box = mpii_box(_numbers(entry, "center", 2, where), _numbers(entry, "scale", 1, where)[0])
        area = AREA_OF_BOX * float(box[2] * box[3])
        people.append(Person(picture.image_id, place, picture.path, picture.size, box, joints, area))
    skipped = {"without keypoints": empty} if empty else {}
    result = PeopleSet(annotations, people, pictures, skipped)
    if not people:
        raise UserError(f"{annotations}: nobody with keypoints in it ({result.summary})")
    return result


def mpii_box(center: np.ndarray, scale: float) -> np.ndarray:
    """Return the square that a person is cropped by, float64 [4] (left, top, width, height), from 0."""
    x, y = np.asarray(center, np.float64) - 1 + [0, LOWER * scale]
    side = SCALE * float(scale)
    return np.array([x - side / 2, y - side / 2, side, side])


def _joints(entry: Any, skeleton: Skeleton, where: str) -> np.ndarray:
    count = len(skeleton.joints)
    positions, visible = _take(entry, "joints", where), _take(entry, "joints_vis", where)
    try:
        positions, visible = np.array(positions, np.float64), np.array(visible, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{where}: joints and joints_vis: expected numbers") from None
    if positions.shape != (count, 2) or visible.shape != (count,):
        raise UserError(
            f"{where}: joints: expected {count} positions and {count} flags (skeleton '{skeleton.name}'), "
            f"found {list(positions.shape)} and {list(visible.shape)}"
        )
    seen = (visible > 0) & np.isfinite(positions).all(axis=1)
    joints = np.column_stack([positions - 1, np.where(visible > 0, 2, 0)])
    joints[~seen] = 0
    return joints.astype(np.float32)


def _picture(number: int, path: Path, where: str) -> Picture:
    try:
        with Image.open(path, formats=FORMATS) as opened:  # reads the header only
            return Picture(number, path, opened.size)
    except FileNotFoundError:
        raise UserError(f"{where}: {path}: no such picture") from None
    except Exception as error:  # as in `read_image`
        raise UserError(f"{where}: {path!s:.200}: cannot read this picture: {error}") from None


def _numbers(entry: Any, key: str, count: int, where: str) -> np.ndarray:
    value = _take(entry, key, where)
    values = value if isinstance(value, list) else [value]
    if len(values) != count or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise UserError(f"{where}: {key}: expected {count} finite number(s), found {value!r}")
    if key == "scale" and values[0] <= 0:
        raise UserError(f"{where}: scale: expected a number above 0, found {value!r}")
    return np.array(values, np.float64)


def _take(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise UserError(f"{where}: expected a person with the key '{key}'")
    return entry[key]
