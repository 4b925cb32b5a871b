"""PCKh: the percentage of joints found within a part of the head's size (Andriluka et al., CVPR 2014).

http://human-pose.mpi-inf.mpg.de
"""

from collections.abc import Sequence

import numpy as np

from tinypose.data.coco import PeopleSet
from tinypose.errors import UserError
from tinypose.files import read_json
from tinypose.skeleton import Skeleton

HEAD_BOX_PART = 0.6  # of the head box's diagonal; MPII's own evaluation calls it SC_BIAS
LEFT_OUT = ("pelvis", "thorax")  # MPII's evaluation does not count them in the mean


def pckh(
    keypoints: np.ndarray,
    joints: np.ndarray,
    head_sizes: np.ndarray,
    names: Sequence[str],
    thresholds: Sequence[float] = (0.5, 0.1),
) -> dict[str, float | None]:
    """Compute PCKh of all joints together and of each joint.

    Args:
        keypoints: float [P, J, 2 or more], found, in image pixels.
        joints: float [P, J, 3], annotated: x, y, v; only joints with v above 0 count.
        head_sizes: float [P], in pixels; people whose size is not above 0 do not count.
        names: of the joints.
        thresholds: in head sizes; the first is the one that is called PCKh without a number.

    Returns:
        In percent: `PCKh` and `PCKh@...` over all joints but `LEFT_OUT`, each annotated joint counting
        once, then the same for each joint, as `PCKh left_knee`. None where no joint is annotated.
    """
    distance = np.linalg.norm(keypoints[..., :2].astype(np.float64) - joints[..., :2], axis=-1)
    counts = (joints[..., 2] > 0) & (head_sizes > 0)[:, None]
    parts = distance / np.where(head_sizes > 0, head_sizes, 1)[:, None]
    in_mean = np.array([name not in LEFT_OUT for name in names])
    result: dict[str, float | None] = {}
    for threshold in thresholds:
        title = "PCKh" if threshold == thresholds[0] else f"PCKh@{threshold:g}"
        result[title] = _percentage((parts <= threshold) & in_mean, counts & in_mean)
    for threshold in thresholds:
        title = "PCKh" if threshold == thresholds[0] else f"PCKh@{threshold:g}"
        for number, name in enumerate(names):
            result[f"{title} {name}"] = _percentage(parts[:, number] <= threshold, counts[:, number])
    return result


def head_sizes(people: PeopleSet, skeleton: Skeleton) -> np.ndarray:
    """Return the size of each person's head in pixels, float64 [P]; 0 where it is not known.

    It is 0.6 times the diagonal of `head_box` ([left, top, width, height]) in the annotations, as MPII
    defines it. The usual JSON files have no head boxes; then it is the length of the skeleton's head
    segment, upper neck to head top.

    Raises:
        UserError: neither head boxes nor a skeleton with a head segment.
    """
    entries = read_json(people.annotations, "annotation file in MPII's format")
    boxes = [entries[person.annotation_id].get("head_box") for person in people.people]
    if all(box is not None for box in boxes):
        return HEAD_BOX_PART * np.array([np.hypot(box[2], box[3]) for box in boxes], np.float64)
    if skeleton.head_segment is None:
        raise UserError(
            f"{people.annotations}: no head_box, and skeleton '{skeleton.name}' has no head_segment: "
            "PCKh needs one of the two"
        )
    ends = [skeleton.index(joint) for joint in skeleton.head_segment]
    sizes = np.zeros(len(people.people))
    for number, person in enumerate(people.people):
        first, second = person.joints[ends].astype(np.float64)
        if first[2] > 0 and second[2] > 0:
            sizes[number] = np.linalg.norm(first[:2] - second[:2])
    return sizes


def _percentage(found: np.ndarray, counts: np.ndarray) -> float | None:
    return 100 * float((found & counts).sum() / counts.sum()) if counts.any() else None
