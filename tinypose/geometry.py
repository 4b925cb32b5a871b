"""From a box in a picture to the crop that the network sees, and back.

Coordinates are continuous with pixel centres at whole numbers, and a length is a count of pixel
spacings: a crop of W pixels is W - 1 long, from the centre of its first pixel to that of its last.
Measured so, mapping there and back and mirroring add no error (UDP: Huang et al., "The Devil is in
the Details: Delving into Unbiased Data Processing for Human Pose Estimation", CVPR 2020). That is the
crop `udp`. mmpose's networks with SimCC heads know the crop `plain`, which is W pixels long, and whose
middle is (W / 2, H / 2).

Matrices are float64 [2, 3] and act on column vectors (x, y, 1).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tinypose.section import Crop


def fit_box(box: ArrayLike, size: tuple[int, int], padding: float = 1.25) -> np.ndarray:
    """Grow a box about its centre to the aspect ratio of `size`, then by `padding`.

    Args:
        box: [4], left, top, width, height in image pixels.
        size: width and height whose ratio the result has.
        padding: factor on both sides, 1 for none.

    Returns:
        float64 [4], left, top, width, height in image pixels.
    """
    x, y, width, height = np.asarray(box, np.float64)
    center = np.array([x + width / 2, y + height / 2])
    ratio = size[0] / size[1]
    grown = np.array([max(width, height * ratio), max(height, width / ratio)]) * padding
    return np.concatenate([center - grown / 2, grown])


def crop_matrix(
    box: ArrayLike, size: tuple[int, int], padding: float = 1.25, rotation: float = 0.0, crop: Crop = "udp"
) -> np.ndarray:
    """Return the map from image pixels to the pixels of the crop around a box.

    The corners of the grown box fall on the centres of the crop's corner pixels; in a plain crop the middle
    of the box falls on (width / 2, height / 2), half a pixel beyond the crop's.

    Args:
        box: [4], left, top, width, height in image pixels; width and height not both 0.
        size: width and height of the crop in pixels.
        padding: how much larger than the box the crop is.
        rotation: by how many degrees the content turns about the box's centre, clockwise as seen.
        crop: what a length is, see `span`.

    Returns:
        float64 [2, 3].

    Raises:
        ValueError: the box has no extent or is not finite.
    """
    left, top, width, height = fit_box(box, size, padding)
    if not np.isfinite([left, top, width, height]).all() or width <= 0 or height <= 0:
        raise ValueError(f"a box of no extent: {np.asarray(box).tolist()}")
    angle = np.deg2rad(rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = span(size, crop)
    linear = turn * (across / [width, height])[:, None]
    center = np.array([left + width / 2, top + height / 2])
    return np.column_stack([linear, across / 2 - linear @ center])


def span(size: tuple[int, int], crop: Crop) -> np.ndarray:
    """Return how wide and how high a crop of this size counts as, float64 [2]: W - 1 and H - 1, or W and H.

    It is also where x = 0 falls in the mirrored crop.
    """
    return np.array(size, np.float64) - (crop == "udp")


def invert(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of an affine map, float64 [2, 3]."""
    linear = np.linalg.inv(np.asarray(matrix, np.float64)[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def transform(matrix: np.ndarray, points: ArrayLike) -> np.ndarray:
    """Apply an affine map [2, 3] to points [..., 2] (x, y). Returns float64 [..., 2]."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def to_image(keypoints: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Bring joints found in crops back to the pictures.

    Args:
        keypoints: [N, J, 3], x and y in crop pixels, and the score.
        matrices: of each crop, float64 [2, 3], image pixels to crop pixels.

    Returns:
        float32 [N, J, 3], x and y in image pixels, and the score.
    """
    moved = np.array(keypoints, np.float64)
    for points, matrix in zip(moved, matrices, strict=True):
        points[:, :2] = transform(invert(matrix), points[:, :2])
    return moved.astype(np.float32)


def crop_image(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a picture, bilinear, black outside.

    Args:
        image: uint8 [H, W, 3].
        matrix: float64 [2, 3], image pixels to crop pixels (`crop_matrix`).
        size: width and height of the crop.

    Returns:
        uint8 [height, width, 3].
    """
    return cv2.warpAffine(image, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)


def flip_joints(joints: np.ndarray, width: float, flip_order: np.ndarray) -> np.ndarray:
    """Return the joints of the mirrored picture: left becomes right, and x becomes width - 1 - x.

    Args:
        joints: float [..., J, D], x first; columns past y travel with their joint.
        width: of the picture in pixels.
        flip_order: int [J] (`Skeleton.flip_order`).
    """
    flipped = joints[..., flip_order, :].copy()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped


def flip_box(box: ArrayLike, width: float) -> np.ndarray:
    """Return the box [..., 4] (left, top, width, height) of the mirrored picture, float64."""
    flipped = np.array(box, np.float64)
    flipped[..., 0] = width - 1 - flipped[..., 0] - flipped[..., 2]
    return flipped
