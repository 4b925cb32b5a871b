"""Boxes in plain numpy: from PicoDet's raw maps to people, overlap, suppression.

Boxes are left, top, width, height in pixels.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

STRIDES = (8, 16, 32, 64)
BINS = 8
CANDIDATES = 1000  # boxes that suppression looks at: the best ones


def decode_boxes(
    levels: list[np.ndarray],
    person: int,
    aligned: bool,
    score: float,
    distances: ArrayLike = range(BINS),
) -> tuple[np.ndarray, np.ndarray]:
    """Turn PicoDet's raw maps for one picture into the boxes of one class.

    A box is an anchor (the middle of its cell) and the distances to its four sides, each the mean of
    a distribution over 8 bins (generalized focal loss: Li et al. 2020).

    Args:
        levels: for strides 8, 16, 32 and 64 one float32 [1, classes + 32 (+ 1), h, w]: class logits,
            logits of the four distributions, and the alignment logit in the `lcnet` form.
        person: the class to decode, counted from 0.
        aligned: whether the alignment logit is there; the score is then the geometric mean of both.
        score: boxes that score no more are left out.
        distances: what each bin stands for, in strides.

    Returns:
        boxes float32 [K, 4] in input pixels, and scores float32 [K], in no order.
    """
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    bins = np.asarray(distances, np.float32)
    for maps, stride in zip(levels, STRIDES, strict=True):
        maps = maps[0]
        first_bin = len(maps) - 4 * BINS - aligned
        level_scores = _sigmoid(maps[person])
        if aligned:
            level_scores = np.sqrt(level_scores * _sigmoid(maps[-1]) + np.float32(1e-9))
        rows, columns = np.nonzero(level_scores > score)
        logits = maps[first_bin : first_bin + 4 * BINS, rows, columns].reshape(4, BINS, -1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        left, top, right, bottom = np.einsum("sbk,b->sk", weights / weights.sum(axis=1, keepdims=True), bins)
        x, y = columns.astype(np.float32) + 0.5, rows.astype(np.float32) + 0.5
        boxes.append(np.stack([x - left, y - top, left + right, top + bottom], axis=1) * np.float32(stride))
        scores.append(level_scores[rows, columns])
    return np.concatenate(boxes), np.concatenate(scores)


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float, most: int) -> np.ndarray:
    """Non-maximum suppression: drop each box that overlaps a better one.

    Args:
        boxes: float [K, 4].
        scores: float [K].
        overlap: IoU above which the weaker one goes.
        most: how many boxes stay, at most.

    Returns:
        int64, the places of those that stay, best first.
    """
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, overlap, top_k=CANDIDATES)
    return np.asarray(kept, np.int64)[:most]


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return intersection over union of boxes [N, 4] and [M, 4], float64 [N, M]; 0 where both are empty."""
    first, second = np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(first[..., 2:], axis=-1) + np.prod(second[..., 2:], axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip_boxes(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the parts of boxes [K, 4] that lie in a picture of this width and height."""
    limit = np.array([width, height], boxes.dtype)
    low = np.clip(boxes[:, :2], 0, limit)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limit)
    return np.concatenate([low, high - low], axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
