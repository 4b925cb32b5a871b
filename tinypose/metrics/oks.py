"""Object keypoint similarity, and COCO's average precision and recall over it.

https://cocodataset.org/#keypoints-eval
"""

import contextlib
import copy
import io
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def formatted(metrics: dict[str, float | None]) -> list[str]:
    """Return the values of `METRICS`, in that order, as tables show them."""
    return ["-" if metrics[name] is None else f"{metrics[name]:.1f}" for name in METRICS]


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


def coco_ap(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], sigmas: ArrayLike
) -> dict[str, float | None]:
    """Compute COCO's keypoint metrics by pycocotools.

    Args:
        ground_truth: COCO's annotation file as plain containers, category 1.
        results: COCO's results format: {image_id, category_id, keypoints [3 J], score}; category 1.
        sigmas: [J] (`Skeleton.sigmas`).

    Returns:
        `METRICS` in percent; None where the set has nobody of that size.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        # loadRes adds to the dictionaries it is given, and cannot read an empty list.
        found = truth.loadRes(copy.deepcopy(results)) if results else COCO()
        measure = COCOeval(truth, found, "keypoints")
        measure.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    return {
        name: None if value < 0 else 100 * float(value)
        for name, value in zip(METRICS, measure.stats, strict=True)
    }
