"""Boxes in plain numpy: overlap, suppression, the part in a picture.

Boxes are left, top, width, height in pixels.
"""

import numpy as np

CANDIDATES = 1000  # boxes that suppression looks at: the best ones


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
    import cv2  # not above: configs are read without it

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
