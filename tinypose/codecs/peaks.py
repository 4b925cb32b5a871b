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
    if len(values) > count:  # noise has thousands of summits, and sorting them all takes longest
        places = places[values >= np.partition(values, -count)[-count]]
        values = heatmap.ravel()[places]
    best = np.argsort(-values, kind="stable")[:count]
    y, x = np.divmod(places[best], heatmap.shape[1])
    return x, y, values[best]


def resize(maps: np.ndarray, size: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
    """Bring maps float32 [C, H, W] to width and height `size`, bilinear, pixel centres at halves.

    Args:
        maps: float32 [C, H, W].
        size: width and height.
        out: where to write, float32 [C, height, width]; none: a new array, or `maps` of that size as it is.
    """
    if out is None:
        if maps.shape[:0:-1] == tuple(size):
            return maps
        out = np.empty((len(maps), size[1], size[0]), np.float32)
    for source, target in zip(maps, out, strict=True):
        resize_one(source, size, target)
    return out


def resize_one(source: np.ndarray, size: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
    """Do as `resize` with one map [H, W]; the result is a new array, or `out`."""
    return cv2.resize(np.ascontiguousarray(source, np.float32), size, dst=out)


def enlarge(maps: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge maps float32 [C, H, W], bilinear: pixel i becomes pixel factor * i.

    The last row and column are repeated.
    """
    if factor == 1:
        return maps
    # Columns first, while maps are small: what is written column by column is written slowly.
    count, height, width = maps.shape
    wide = np.empty((count, height, width, factor), np.float32)
    step = np.diff(maps, axis=2, append=maps[..., -1:]) / np.float32(factor)
    for part in range(factor):
        wide[..., part] = maps + part * step
    result = np.empty((count, height * factor, width * factor), np.float32)
    for map_, rows in zip(result, wide.reshape(count, height, -1), strict=True):
        step = np.diff(rows, axis=0, append=rows[-1:]) / np.float32(factor)
        for part in range(factor):
            map_[part::factor] = rows
            rows += step
    return result
