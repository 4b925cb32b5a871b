"""AP or PCKh of any selection of what was measured: to see how much it hangs on who that was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from tinypose.metrics.coco_eval import paired
from tinypose.metrics.pckh import pckh


@dataclass(frozen=True)
class Parts:
    """What was measured, part by part: pictures for AP, people for PCKh.

    Attributes:
        count: of parts.
        of: the metric in percent of the parts at some places; a place may be named several times.
    """

    count: int
    of: Callable[[Sequence[int]], float]


_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Matches:
    """What COCO found in one picture, at each of its T thresholds of OKS or IoU.

    Attributes:
        scores: float [D], of what was predicted, greatest first.
        right: bool [T, D], whether it is one of the people.
        counted: bool [T, D], whether it counts: what is matched to a person that does not count does not.
        people: how many there are.
    """

    scores: np.ndarray
    right: np.ndarray
    counted: np.ndarray
    people: int


def picture_matches(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    kind: Literal["keypoints", "bbox"],
    sigmas: ArrayLike | None = None,
) -> list[Matches]:
    """Match predictions with people; see `tinypose.metrics.coco_eval.paired` for the arguments.

    Returns:
        One for each picture that has people or predictions, in the order of the pictures' numbers.
    """
    measure = paired(ground_truth, results, kind, sigmas)
    # Categories by areas by pictures; the first area is all sizes, and there is one category.
    pictures = measure.evalImgs[: len(measure.params.imgIds)]
    return [
        Matches(
            np.asarray(each["dtScores"], np.float64),
            np.asarray(each["dtMatches"]) > 0,
            ~np.asarray(each["dtIgnore"], bool),
            int((np.asarray(each["gtIgnore"]) == 0).sum()),
        )
        for each in pictures
        if each is not None
    ]


def average_precision(pictures: Sequence[Matches]) -> float:
    """Return COCO's AP of these pictures in percent; a picture may stand in them several times."""
    people = sum(each.people for each in pictures)
    if not people:
        return 0.0
    order = np.argsort(-np.concatenate([each.scores for each in pictures]), kind="mergesort")
    right = np.concatenate([each.right for each in pictures], axis=1)[:, order]
    counted = np.concatenate([each.counted for each in pictures], axis=1)[:, order]
    true = np.cumsum(right & counted, axis=1)
    false = np.cumsum(~right & counted, axis=1)
    precision = true / np.maximum(true + false, np.spacing(1))
    # The best precision at this recall or a greater one.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    found = []
    for recall, best in zip(true / people, precision, strict=True):
        places = np.searchsorted(recall, _RECALLS, side="left")
        found.append(np.append(best, 0.0)[places].mean())
    return 100 * float(np.mean(found))


def ap_parts(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    kind: Literal["keypoints", "bbox"],
    sigmas: ArrayLike | None = None,
) -> Parts:
    """Return COCO's AP by pictures; see `tinypose.metrics.coco_eval.paired`."""
    matches = picture_matches(ground_truth, results, kind, sigmas)
    return Parts(len(matches), lambda places: average_precision([matches[place] for place in places]))


def pckh_parts(keypoints: np.ndarray, joints: np.ndarray, sizes: np.ndarray, names: Sequence[str]) -> Parts:
    """Return PCKh by people; see `tinypose.metrics.pckh.pckh`."""

    def of(places: Sequence[int]) -> float:
        chosen = np.asarray(places, int)
        return pckh(keypoints[chosen], joints[chosen], sizes[chosen], names)["PCKh"] or 0.0

    return Parts(len(keypoints), of)
