"""From a whole picture to what a bottom-up network sees, and back.

Matrices are float64 [2, 3], from the picture's pixels to the result's; `tinypose.geometry` applies and
inverts them.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinypose.geometry import flip_joints, transform

BLOCK = 64  # sizes are whole numbers of it, so that all of a network's maps have whole sizes
UNIT = 200  # pixels: the length that published code counts shifts in


def resized_size(
    picture: tuple[int, int], size: int, scale: float = 1.0, smallest: float = 1.0
) -> tuple[int, int]:
    """Return width and height that a picture is resized to, so that its shorter side is about `size`.

    Args:
        picture: width and height.
        size: of the network's training pictures.
        scale: times this.
        smallest: of the scales that are combined; HigherHRNet rounds sizes at it, others at 1.
    """
    short, long = min(picture), max(picture)
    rounded = int((smallest * size + BLOCK - 1) // BLOCK * BLOCK)
    shorter = int(rounded * scale / smallest)
    longer = int(int((rounded / short * long + BLOCK - 1) // BLOCK * BLOCK) * scale / smallest)
    return (shorter, longer) if picture[0] < picture[1] else (longer, shorter)


def resize_matrix(picture: tuple[int, int], resized: tuple[int, int]) -> np.ndarray:
    """Return the map that brings a picture into `resized` (width, height): its shorter side fills it."""
    width, height = picture
    factor = resized[0] / width if width < height else resized[1] / height
    centre = np.array([int(width / 2 + 0.5), int(height / 2 + 0.5)])
    return np.column_stack([factor * np.eye(2), np.array(resized) / 2 - factor * centre])


def inside_matrix(picture: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return the map that fits a whole picture into `size` (width, height), in its middle."""
    factor = min(size[0] / picture[0], size[1] / picture[1])
    return np.column_stack([factor * np.eye(2), (np.array(size) - factor * np.array(picture)) / 2])


@dataclass(frozen=True)
class WholeVariation:
    """How a picture is varied while training (HigherHRNet).

    Attributes:
        factor: how much larger than the picture what is seen is.
        rotation: degrees that the content turns counter-clockwise as seen.
        shift: of what is seen, in the picture's pixels (x, y).
        flip: mirrored at the end.
    """

    factor: float = 1.0
    rotation: float = 0.0
    shift: tuple[int, int] = (0, 0)
    flip: bool = False


def draw_variation(
    rng: np.random.Generator,
    picture: tuple[int, int],
    scale: tuple[float, float] = (0.75, 1.5),
    rotation: float = 30.0,
    shift: float = 40.0,
    flip_chance: float = 0.5,
) -> WholeVariation:
    """Draw a variation.

    Args:
        rng: consumed.
        picture: width and height.
        scale: bounds of the factor.
        rotation: bound in degrees.
        shift: bound in pixels of a picture whose shorter side is `UNIT`.
        flip_chance: of mirroring.
    """
    factor = rng.uniform(*scale)
    turn = rng.uniform(-rotation, rotation)
    bound = int(shift * min(picture) / UNIT * factor)
    dx, dy = rng.integers(-bound, bound, 2) if bound > 0 else (0, 0)
    return WholeVariation(factor, turn, (int(dx), int(dy)), bool(rng.random() < flip_chance))


def varied_matrix(picture: tuple[int, int], variation: WholeVariation, size: int) -> np.ndarray:
    """Return the map from a picture to a square of `size` pixels, not mirrored.

    What is seen is as long as the picture's shorter side times the factor.
    """
    scale = size / (min(picture) * variation.factor)
    angle = np.deg2rad(-variation.rotation)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array(picture) / 2 + variation.shift
    return np.column_stack([linear, size / 2 - linear @ centre])


def render_varied(image: np.ndarray, variation: WholeVariation, size: int) -> np.ndarray:
    """Resample a picture uint8 [H, W, 3] as `variation` says: uint8 [size, size, 3], black outside."""
    matrix = varied_matrix(image.shape[1::-1], variation, size)
    result = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(result[:, ::-1]) if variation.flip else result


def render_mask(mask: np.ndarray, variation: WholeVariation, size: int) -> np.ndarray:
    """Resample a mask bool [H, W] like the picture: float32 [size, size], 1 where it counts.

    Outside the picture nothing counts.
    """
    seen = render_varied(mask.astype(np.uint8) * 255, variation, size)
    return (seen / 255 > 0.5).astype(np.float32)


def move_varied(
    joints: np.ndarray,
    picture: tuple[int, int],
    variation: WholeVariation,
    size: int,
    flip_order: np.ndarray,
) -> np.ndarray:
    """Return joints float [..., J, 3] (x, y in the picture's pixels, v) in those of the square, float64."""
    moved = np.array(joints, np.float64)
    moved[..., :2] = transform(varied_matrix(picture, variation, size), moved[..., :2])
    return flip_joints(moved, size, flip_order) if variation.flip else moved
