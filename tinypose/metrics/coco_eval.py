"""COCO's average precision and recall, by pycocotools, which nothing else here calls.

https://cocodataset.org/#keypoints-eval
"""

import contextlib
import copy
import io
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# As tables show them: `ARM` is a processor here.
HEADINGS = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR", "AR50", "AR75", "AR medium", "AR large")
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def formatted(metrics: dict[str, float | None]) -> list[str]:
    """Return the values of `METRICS`, in that order, as tables show them."""
    return ["-" if metrics[name] is None else f"{metrics[name]:.1f}" for name in METRICS]


def paired(
    truth: dict[str, Any],
    results: list[dict[str, Any]],
    kind: Literal["keypoints", "bbox"],
    sigmas: ArrayLike | None = None,
) -> COCOeval:
    """Pair results with annotations, picture by picture.

    Args:
        truth: COCO's annotation file as plain containers, category 1.
        results: COCO's results format, category 1.
        kind: what is compared.
        sigmas: [J] (`Skeleton.sigmas`), for keypoints.

    Returns:
        pycocotools' evaluation after its first step.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        annotated = COCO()
        annotated.dataset = truth
        annotated.createIndex()
        # loadRes adds to the dictionaries it is given, and cannot read an empty list.
        found = annotated.loadRes(copy.deepcopy(results)) if results else COCO()
        evaluation = COCOeval(annotated, found, kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        evaluation.evaluate()
    return evaluation


def summary(evaluation: COCOeval) -> np.ndarray:
    """Return pycocotools' twelve (boxes) or ten (keypoints) numbers, 0 to 1; -1 where nobody counts."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def coco_ap(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], sigmas: ArrayLike
) -> dict[str, float | None]:
    """Compute COCO's keypoint metrics.

    Args:
        ground_truth: COCO's annotation file as plain containers, category 1.
        results: COCO's results format: {image_id, category_id, keypoints [3 J], score}; category 1.
        sigmas: [J] (`Skeleton.sigmas`).

    Returns:
        `METRICS` in percent; None where the set has nobody of that size.
    """
    numbers = summary(paired(ground_truth, results, "keypoints", sigmas))
    return {
        name: None if value < 0 else 100 * float(value) for name, value in zip(METRICS, numbers, strict=True)
    }
