"""The highest points of maps, and maps brought to other sizes."""

import cv2
import numpy as np


def peaks(
    heatmap: np.ndarray, kernel: int, count: int, threshold: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find pixels that no pixel around them exceeds.

    Args:
        heatmap: float32 [H, W].
        kernel: height and width of what is around, odd.
        count: at most so many, the highest.
        threshold: only pixels above it.

    Returns:
        x and y, int64 [n], and values, float32 [n], highest first; of equals the upper left first.
    """
    heatmap = np.ascontiguousarray(heatmap, np.float32)
    summits = cv2.dilate(heatmap, np.ones((kernel, kernel), np.uint8))
    places = np.flatnonzero((heatmap == summits) & (heatmap > threshold))
    values = heatmap.ravel()[places]
    best = np.argsort(-values, kind="stable")[:count]
    y, x = np.divmod(places[best], heatmap.shape[1])
    return x, y, values[best]


def resize(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring maps float32 [C, H, W] to width and height `size`, bilinear, pixel centres at halves."""
    if maps.shape[:0:-1] == tuple(size):
        return maps
    result = np.empty((len(maps), size[1], size[0]), np.float32)
    for source, target in zip(maps, result, strict=True):
        cv2.resize(np.ascontiguousarray(source, np.float32), size, dst=target)
    return result


def enlarge(maps: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge maps float32 [C, H, W] by 1, 2, 4, 8 or 16, bilinear: pixel i becomes pixel factor * i.

    The last row and column are repeated.

    Raises:
        ValueError: another factor.
    """
    if factor == 1:
        return maps
    if factor not in (2, 4, 8, 16):  # whose fractions OpenCV's fixed point has exactly
        raise ValueError(f"factor: expected 1, 2, 4, 8 or 16, found {factor}")
    size = (maps.shape[2] * factor, maps.shape[1] * factor)
    matrix = np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]])
    result = np.empty((len(maps), size[1], size[0]), np.float32)
    for source, target in zip(maps, result, strict=True):
        cv2.warpAffine(
            np.ascontiguousarray(source, np.float32),
            matrix,
            size,
            dst=target,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return result
