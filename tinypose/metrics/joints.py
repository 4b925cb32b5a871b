"""Measures of joints of one's own, where there are no published sigmas: PCK, NME and end-point error.

PCK is the share of joints found within a part of a length of the person (Yang and Ramanan, TPAMI 2013), NME
the mean distance in parts of that length, and the end-point error the mean distance in pixels.
"""

from collections.abc import Sequence

import numpy as np

from tinypose.data.coco import Person
from tinypose.errors import UserError
from tinypose.skeleton import Skeleton

PARTS = (0.05, 0.1, 0.2)  # of the length, within which a joint counts as found
LENGTHS = ("box", "diagonal", "area")


def joint_measures(
    keypoints: np.ndarray, joints: np.ndarray, lengths: np.ndarray, names: Sequence[str]
) -> dict[str, tuple[float | None, ...]]:
    """Measure each joint, and all together.

    Args:
        keypoints: float [P, J, 2 or more], found, x and y in image pixels.
        joints: float [P, J, 3], annotated: x, y, v; only joints with v above 0 count.
        lengths: float [P], in pixels; people whose length is not above 0 do not count.
        names: of the joints.

    Returns:
        For `all` and each joint, as `columns` names them: how many were annotated; PCK in percent for each
        of `PARTS`; NME in percent of the length; end-point error in pixels. None where nothing is annotated.
    """
    distance = np.linalg.norm(keypoints[..., :2].astype(np.float64) - joints[..., :2], axis=-1)
    known = np.asarray(lengths) > 0
    counts = (joints[..., 2] > 0) & known[:, None]
    relative = distance / np.where(known, lengths, 1)[:, None]
    rows = {"all": _measured(relative[counts], distance[counts])}
    for number, name in enumerate(names):
        which = counts[:, number]
        rows[name] = _measured(relative[which, number], distance[which, number])
    return rows


def columns() -> tuple[str, ...]:
    """Return the heads of what `joint_measures` returns."""
    return ("annotated", *(f"PCK@{part:g}" for part in PARTS), "NME %", "end-point error px")


def person_lengths(people: Sequence[Person], skeleton: Skeleton, length: str) -> np.ndarray:
    """Return a length of each person in pixels, float64 [P]; 0 where it is not known.

    Args:
        people: [P], with their annotated boxes and joints.
        skeleton: names the joints.
        length: `box`, the longer side of the box; `diagonal` of the box; `area`, the square root of the
            box's; or two joints with a comma between, such as `left_shoulder,right_hip` (the torso) or the
            outer corners of the eyes.

    Raises:
        UserError: none of these.
    """
    sides = np.array([person.box[2:] for person in people], np.float64).reshape(-1, 2)
    if length == "box":
        return sides.max(axis=1)
    if length == "diagonal":
        return np.hypot(*sides.T)
    if length == "area":
        return np.sqrt(sides.prod(axis=1))
    ends = [name.strip() for name in length.split(",")]
    if len(ends) != 2 or ends[0] == ends[1] or any(name not in skeleton.joints for name in ends):
        raise UserError(
            f"--length: '{length}': expected {', '.join(LENGTHS)}, or two joints of skeleton "
            f"'{skeleton.name}' with a comma between, such as {','.join((skeleton.joints * 2)[:2])}"
        )
    joints = np.stack([person.joints for person in people])[:, [skeleton.index(name) for name in ends]]
    apart = np.linalg.norm(joints[:, 0, :2].astype(np.float64) - joints[:, 1, :2], axis=-1)
    return np.where((joints[..., 2] > 0).all(axis=1), apart, 0)


def _measured(relative: np.ndarray, distance: np.ndarray) -> tuple[float | None, ...]:
    if not len(distance):
        return (0, *[None] * (len(PARTS) + 2))
    found = [100 * float((relative <= part).mean()) for part in PARTS]
    return (len(distance), *found, 100 * float(relative.mean()), float(distance.mean()))
