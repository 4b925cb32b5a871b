"""A file of boxes in COCO's results form, as a detector or another project wrote it: read and judged once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinypose.errors import UserError
from tinypose.files import read_json

BoxForm = Literal["size", "corners"]
SLACK = 2.0  # pixels that a box may lie outside the picture: rounding, and counting from 1
FARTHEST = 1e7  # pixels from the picture; what is further away is no box


@dataclass(frozen=True)
class Box:
    """One entry of a file of boxes.

    Attributes:
        place: in the file, from 0.
        image_id: the picture's number, or None.
        file_name: the picture's name, or None.
        category_id: what is in the box, or None.
        box: float64 [4], as it stands in the file.
        score: the detector's, or None.
    """

    place: int
    image_id: int | None
    file_name: str | None
    category_id: int | None
    box: np.ndarray
    score: float | None


def read_boxes(path: str | Path, scored: bool = False) -> list[Box]:
    """Read a list of {image_id or file_name, category_id, bbox, score}.

    Args:
        path: of the file; `category_id` may miss.
        scored: whether each must have a score.

    Raises:
        UserError: the file is missing or not in that form; the entry and field are named.
    """
    content = read_json(path, "file of boxes")
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of boxes (COCO's results format)")
    for place, entry in enumerate(content if scored else ()):
        if not isinstance(entry, dict) or "score" not in entry:
            raise UserError(f"{path}: [{place}]: expected an object with the key 'score'")
    return [_entry(entry, place, f"{path}: [{place}]") for place, entry in enumerate(content)]


def as_sizes(
    path: str | Path,
    boxes: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    form: BoxForm | None,
    option: str,
) -> list[np.ndarray]:
    """Return boxes as left, top, width, height, after judging by all of them how they are meant.

    Without `form` they are taken as left, top, width, height, unless most reach beyond their pictures and
    would lie in them if read as left, top, right, bottom.

    Args:
        path: the file, for the message.
        boxes: float64 [4] each, as read.
        sizes: width and height of the picture of each.
        form: what the user says.
        option: how the user says it.

    Raises:
        UserError: most contradict `form`, or look like corners.
    """
    if not boxes:
        return []
    values, limits = np.array(boxes, np.float64), np.array(sizes, np.float64)
    beyond = (values[:, :2] + values[:, 2:] > limits + SLACK).any(axis=1)
    ordered = (values[:, 2:] > values[:, :2]).all(axis=1)
    inside = ordered & (values[:, 2:] <= limits + SLACK).all(axis=1) & (values[:, :2] >= -SLACK).all(axis=1)
    if form is None and beyond.mean() > 0.5 and inside.mean() > 0.9:
        raise UserError(
            f"{path}: {beyond.sum()} of {len(values)} boxes reach beyond their pictures, as left, top, "
            f"right, bottom would; expected left, top, width, height. If they are corners, give "
            f"{option}=corners, else {option}=size"
        )
    if form != "corners":
        return list(values)
    if (~ordered).mean() > 0.5:
        raise UserError(
            f"{path}: {(~ordered).sum()} of {len(values)} boxes have a right edge left of their left one (or "
            f"a bottom above the top), so these are no corners; leave {option}=corners out"
        )
    return list(np.concatenate([values[:, :2], values[:, 2:] - values[:, :2]], axis=1))


def _entry(entry: Any, place: int, where: str) -> Box:
    if not isinstance(entry, dict) or ("image_id" not in entry and "file_name" not in entry):
        raise UserError(f"{where}: expected image_id (or file_name) and bbox: left, top, width, height")
    number, name = entry.get("image_id"), entry.get("file_name")
    if isinstance(number, str):
        number, name = None, name if name is not None else number
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise UserError(f"{where}: image_id: expected a whole number, found {_shown(number)}")
    if name is not None and not isinstance(name, str):
        raise UserError(f"{where}: file_name: expected text, found {_shown(name)}")
    category = entry.get("category_id")
    if category is not None and (isinstance(category, bool) or not isinstance(category, int)):
        raise UserError(f"{where}: category_id: expected a whole number, found {_shown(category)}")
    box = finite_numbers(entry.get("bbox"), FARTHEST)
    if box is None or len(box) != 4:
        raise UserError(
            f"{where}: expected image_id (or file_name) and bbox; bbox: expected left, top, width, height, "
            f"finite numbers, found {_shown(entry.get('bbox'))}"
        )
    score = entry.get("score")
    if "score" in entry and finite_numbers([score], FARTHEST) is None:
        raise UserError(f"{where}: score: expected a number, found {_shown(score)}")
    return Box(place, number, name, category, np.array(box), None if score is None else float(score))


def finite_numbers(values: Any, limit: float) -> list[float] | None:
    """Return a list of numbers within +-`limit` as floats, or None if it is anything else."""
    if not isinstance(values, list):
        return None
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not abs(value) <= limit:  # NaN neither
            return None
    return [float(value) for value in values]


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
