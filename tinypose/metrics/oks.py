"""Object keypoint similarity, and what is decided by it.

https://cocodataset.org/#keypoints-eval
"""

import numpy as np
from numpy.typing import ArrayLike


def oks(
    joints: ArrayLike, others: ArrayLike, area: ArrayLike, sigmas: ArrayLike, visible: ArrayLike | None = None
) -> np.ndarray:
    """Return the object keypoint similarity: the mean over joints of exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        joints: [..., J, 2], x and y in image pixels.
        others: [..., J, 2], in the same frame; leading axes broadcast.
        area: [...], of the person in square pixels.
        sigmas: [J] (`Skeleton.sigmas`).
        visible: [..., J], above 0 for the joints that count; all by default.

    Returns:
        float64 [...], between 0 and 1; 0 where no joint counts.
    """
    distance = ((np.asarray(joints, np.float64) - np.asarray(others, np.float64)) ** 2).sum(axis=-1)
    variance = (2 * np.asarray(sigmas, np.float64)) ** 2
    area = np.asarray(area, np.float64)[..., None] + np.spacing(1)
    similarity = np.exp(-distance / (2 * area * variance))
    if visible is None:
        return similarity.mean(axis=-1)
    counts = np.broadcast_to(np.asarray(visible) > 0, similarity.shape)
    return (similarity * counts).sum(axis=-1) / np.maximum(counts.sum(axis=-1), 1)


def oks_nms(
    joints: ArrayLike, scores: ArrayLike, areas: ArrayLike, sigmas: ArrayLike, threshold: float
) -> list[int]:
    """Keep the best person, drop all that are too like them, and go on with the rest (greedy).

    Args:
        joints: [P, J, 2], people of one picture.
        scores: [P].
        areas: [P], in square pixels; two people are compared at their mean.
        sigmas: [J].
        threshold: OKS above which the weaker person is dropped.

    Returns:
        The kept people's numbers, best score first; equal scores keep their order.
    """
    joints, areas = np.asarray(joints, np.float64), np.asarray(areas, np.float64)
    rest = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept = []
    while rest.size:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        alike = oks(joints[best], joints[rest], (areas[best] + areas[rest]) / 2, sigmas)
        rest = rest[alike <= threshold]
    return kept


def rescore(box_scores: ArrayLike, joint_scores: ArrayLike, threshold: float) -> np.ndarray:
    """Return box score times the mean of the joint scores above `threshold`.

    Args:
        box_scores: [P].
        joint_scores: [P, J].
        threshold: joints at or below it are left out of the mean.

    Returns:
        float64 [P]; 0 where no joint is above the threshold.
    """
    joint_scores = np.asarray(joint_scores, np.float64)
    counts = joint_scores > threshold
    mean = (joint_scores * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return np.asarray(box_scores, np.float64) * mean
