"""Boxes as heatmaps of their middles (Zhou et al., "Objects as Points", 2019), with the looks of each person.

Maps are at a quarter of the input's size. A box is four distances from its middle, in map pixels.
"""

import math
from collections.abc import Sequence

import numpy as np

STRIDE = 4
OVERLAP = 0.7  # IoU that a box moved by the Gaussian's radius still has with the box


def decode_centres(
    heatmap: np.ndarray,
    size: np.ndarray,
    offset: np.ndarray,
    looks: np.ndarray,
    inner_size: tuple[float, float],
    ratio: float,
    most: int = 500,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the boxes of one picture.

    Args:
        heatmap: float [1, h, w], scores or their logits: the order counts.
        size: float [4, h, w], from the middle to the left, top, right and bottom, in map pixels.
        offset: float [2, h, w], x and y: what rounding the middle took away.
        looks: float [D, h, w].
        inner_size: width and height that the picture takes in the input, without the border around it.
        ratio: input pixels to a pixel of the picture.
        most: how many boxes, at most; those with equal neighbours all count.

    Returns:
        boxes float32 [K, 4] (left, top, right, bottom in pixels of the picture, not clipped), what the
        heatmap has there float32 [K], and looks float32 [K, D]; best first.
    """
    from scipy.ndimage import maximum_filter  # not above: configs are read without it

    map_size = np.array(heatmap.shape[:0:-1])
    highest = heatmap[0] == maximum_filter(heatmap[0], 3, mode="constant", cval=-np.inf)
    places = np.flatnonzero(highest)
    places = places[np.argsort(-heatmap[0].ravel()[places], kind="stable")][:most]
    y, x = np.divmod(places, map_size[0])
    middle = np.stack([x, y], axis=1).astype(np.float32) + offset[:, y, x].T
    distances = size[:, y, x].T
    border = (map_size * STRIDE - np.asarray(inner_size, np.float32)) / 2
    corners = np.concatenate([middle - distances[:, :2], middle + distances[:, 2:]], axis=1) * STRIDE
    boxes = (corners - np.tile(border, 2)) / ratio
    return boxes.astype(np.float32), heatmap[0, y, x].astype(np.float32), looks[:, y, x].T.astype(np.float32)


def centre_targets(
    boxes: np.ndarray, map_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw boxes as the network should see them.

    Args:
        boxes: float [K, 4], x and y of the middle, width and height, in parts of the input.
        map_size: width and height of the maps.

    Returns:
        heatmap float32 [1, h, w]; place of each middle, row * width + column, int64 [K]; offsets float32
        [K, 2]; and distances to left, top, right and bottom, float32 [K, 4], in map pixels.
    """
    scale = np.tile(np.array(map_size, np.float32), 2)
    x, y, width, height = (np.asarray(boxes, np.float32).reshape(-1, 4) * scale).T
    middle = np.stack([np.clip(x, 0, map_size[0] - 1), np.clip(y, 0, map_size[1] - 1)], axis=1)
    whole = middle.astype(np.int64)
    heatmap = np.zeros((map_size[1], map_size[0]), np.float32)
    for (column, row), w, h in zip(whole, width, height, strict=True):
        _draw(heatmap, int(column), int(row), max(0, int(gaussian_radius(math.ceil(h), math.ceil(w)))))
    reach = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    distances = np.concatenate([middle - reach[:, :2], reach[:, 2:] - middle], axis=1)
    places = whole[:, 1] * map_size[0] + whole[:, 0]
    return heatmap[None], places, (middle - whole).astype(np.float32), distances.astype(np.float32)


def gaussian_radius(height: float, width: float, overlap: float = OVERLAP) -> float:
    """Return by how much corners may move so that a box keeps this overlap with itself (CornerNet, 2018)."""
    both, area = height + width, height * width
    inner = (both + math.sqrt(both**2 - 4 * area * (1 - overlap) / (1 + overlap))) / 2
    smaller = (2 * both + math.sqrt(4 * both**2 - 16 * (1 - overlap) * area)) / 2
    larger = (
        -2 * overlap * both + math.sqrt(4 * overlap**2 * both**2 + 16 * overlap * (1 - overlap) * area)
    ) / 2
    return min(inner, smaller, larger)


def _draw(heatmap: np.ndarray, column: int, row: int, radius: int) -> None:
    """Draw a Gaussian of height 1, cut at `radius`, over what is there."""
    sigma = (2 * radius + 1) / 6
    span = np.arange(-radius, radius + 1)
    line = np.exp(-(span**2) / (2 * sigma**2))
    height, width = heatmap.shape
    rows, columns = span + row, span + column
    in_rows, in_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    where = np.ix_(rows[in_rows], columns[in_columns])
    heatmap[where] = np.maximum(heatmap[where], np.outer(line[in_rows], line[in_columns]))


def letterbox(
    size: Sequence[int], input_size: tuple[int, int]
) -> tuple[float, tuple[int, int], tuple[int, int]]:
    """Return how a picture is brought into the input whole, with a border on two sides.

    Args:
        size: width and height of the picture.
        input_size: width and height of the input.

    Returns:
        the factor; width and height of the picture within; and how much border lies left and on top.
    """
    ratio = min(input_size[0] / size[0], input_size[1] / size[1])
    inner = (max(round(size[0] * ratio), 1), max(round(size[1] * ratio), 1))
    left, top = ((whole - part) / 2 for whole, part in zip(input_size, inner, strict=True))
    return ratio, inner, (round(left - 0.1), round(top - 0.1))
