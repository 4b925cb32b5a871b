"""Random variation of crops while training.

What varies is drawn first, as plain numbers that do not depend on the crop's size (`draw`), and then
carried out (`render`). So a teacher and a student of different input sizes see the same variation.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tinypose.config import AugmentConfig, InputConfig
from tinypose.geometry import crop_image, crop_matrix, fit_box, span, transform
from tinypose.section import Crop
from tinypose.skeleton import Skeleton

HALF_BODY_PADDING = 1.5  # around the joints of a half body, which its box fits tightly
BLUR_WINDOWS = (3, 7)  # pixels of a crop that is 192 wide: the smallest and the largest


@dataclass(frozen=True)
class Variation:
    """How one crop differs from the plain one.

    Attributes:
        box: float64 [4], left, top, width, height in image pixels; the crop's padding comes on top.
        rotation: of the content, in degrees, clockwise as seen.
        flip: whether the crop is mirrored.
        disc: what AID blacks out, or None: x, y and radius in widths of the crop, from its first pixel.
        gains: brightness, contrast and saturation, 1 each for no change.
        hsv: what is added to hue (of 180, which goes round), saturation and value (of 255).
        blur: window of the mean, in widths of the crop; 0: none.
        median: likewise, of the median.
        hole: what is blacked out, or None: left, top, width and height, in parts of the crop.
    """

    box: np.ndarray
    rotation: float = 0.0
    flip: bool = False
    disc: tuple[float, float, float] | None = None
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hsv: tuple[int, int, int] = (0, 0, 0)
    blur: float = 0.0
    median: float = 0.0
    hole: tuple[float, float, float, float] | None = None


def draw(
    rng: np.random.Generator,
    box: np.ndarray,
    joints: np.ndarray,
    config: AugmentConfig,
    crop: InputConfig,
    skeleton: Skeleton,
) -> Variation:
    """Draw how a crop is varied.

    Scale, rotation, flip and half body as in HRNet's training (Sun et al., CVPR 2019); information
    dropping after Huang et al., "AID: Pushing the Performance Boundary of Human Pose Estimation with
    Information Dropping Augmentation", 2020; changes of hue, saturation and value as in YOLOX (Ge et al.,
    2021), blurs and holes as RTMPose takes them (Jiang et al., 2023).

    Args:
        rng: the only source of chance.
        box: [4], left, top, width, height in image pixels.
        joints: float [J, 3], x, y in image pixels and v.
        config: chances and bounds.
        crop: the crop's size and padding; only its ratio of width to height matters.
        skeleton: mirror order and upper body.
    """
    box = np.asarray(box, np.float64)
    annotated = joints[:, 2] > 0
    if annotated.sum() > config.half_body_joints and rng.random() < config.half_body_chance:
        box = _half_body(rng, box, joints, annotated, crop.padding, skeleton)
    scale = float(np.clip(1 + config.scale * rng.standard_normal(), 1 - config.scale, 1 + config.scale))
    box = np.concatenate([box[:2] - box[2:] * (scale - 1) / 2, box[2:] * scale])
    if config.shift and rng.random() < config.shift_chance:
        # In parts of the crop, which is `padding` times the grown box; a normal distribution cut to [-1, 1].
        grown = fit_box(box, crop.size, crop.padding)[2:]
        box[:2] += np.clip(rng.standard_normal(2) / 2, -1, 1) * config.shift * grown
    rotation = 0.0
    if rng.random() < config.rotation_chance:
        bound = 2 * config.rotation
        rotation = float(np.clip(config.rotation * rng.standard_normal(), -bound, bound))
    flip = bool(rng.random() < config.flip_chance)
    variation = Variation(box, rotation, flip)
    disc = None
    if rng.random() < config.drop_chance and annotated.any():
        x, y = _place(variation, joints[rng.choice(np.flatnonzero(annotated)), :2], crop)
        dx, dy = rng.standard_normal(2) * config.drop_offset
        disc = (float(x + dx), float(y + dy), float(rng.uniform(*config.drop_radius)))
    gains = (1.0, 1.0, 1.0)
    if config.color:
        gains = tuple(float(gain) for gain in rng.uniform(1 - config.color, 1 + config.color, 3))
    return Variation(box, rotation, flip, disc, gains, **_draw_published(rng, config))


def _draw_published(rng: np.random.Generator, config: AugmentConfig) -> dict[str, Any]:
    """Draw hue, saturation and value, blurs and a hole; from nothing where they are off."""
    drawn: dict[str, Any] = {}
    if any(config.hsv):
        added = rng.uniform(-1, 1, 3) * config.hsv * rng.integers(0, 2, 3)
        drawn["hsv"] = tuple(int(each) for each in added)
    for name, chance in (("blur", config.blur_chance), ("median", config.median_chance)):
        if chance and rng.random() < chance:
            smallest, largest = BLUR_WINDOWS
            drawn[name] = float(rng.choice(range(smallest, largest + 1, 2)) / 192)
    if config.hole_chance and rng.random() < config.hole_chance:
        width, height = rng.uniform(*config.hole_size, 2)
        left, top = rng.uniform(0, 1, 2) * (1 - width, 1 - height)
        drawn["hole"] = (float(left), float(top), float(width), float(height))
    return drawn


def matrix_of(variation: Variation, size: tuple[int, int], padding: float, crop: Crop = "udp") -> np.ndarray:
    """Return the map from image pixels to the pixels of the varied crop, float64 [2, 3]."""
    matrix = crop_matrix(variation.box, size, padding, variation.rotation, crop)
    if variation.flip:
        matrix[0] = -matrix[0]
        matrix[0, 2] += span(size, crop)[0]
    return matrix


def render(
    image: np.ndarray, variation: Variation, size: tuple[int, int], padding: float, crop: Crop = "udp"
) -> np.ndarray:
    """Cut the varied crop out of a picture.

    Args:
        image: uint8 RGB [H, W, 3].
        variation: what was drawn.
        size: width and height of the crop.
        padding: how much larger than the box the crop is.
        crop: see `tinypose.geometry`.

    Returns:
        uint8 RGB [height, width, 3].
    """
    pixels = crop_image(image, matrix_of(variation, size, padding, crop), size)
    if variation.gains != (1.0, 1.0, 1.0):
        pixels = _recolor(pixels, variation.gains)
    if any(variation.hsv):
        pixels = _shift_hsv(pixels, variation.hsv)
    for share, blur in ((variation.blur, _mean), (variation.median, cv2.medianBlur)):
        window = 2 * round((share * size[0] - 1) / 2) + 1  # odd
        if window > 1:
            pixels = blur(pixels, window)
    if variation.disc is not None:
        x, y, radius = (value * (size[0] - 1) for value in variation.disc)
        rows, columns = np.ogrid[: size[1], : size[0]]
        pixels[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = 0
    if variation.hole is not None:
        left, top, width, height = np.round(np.multiply(variation.hole, (*size, *size))).astype(int)
        pixels[top : top + height, left : left + width] = 0
    return pixels


def move_joints(
    joints: np.ndarray,
    variation: Variation,
    size: tuple[int, int],
    padding: float,
    skeleton: Skeleton,
    crop: Crop = "udp",
) -> np.ndarray:
    """Return the joints in the varied crop: float64 [J, 3], x and y in crop pixels, v as it was.

    In a mirrored crop left and right have changed places.
    """
    moved = np.array(joints, np.float64)
    moved[:, :2] = transform(matrix_of(variation, size, padding, crop), moved[:, :2])
    return moved[skeleton.flip_order] if variation.flip else moved


def _place(variation: Variation, point: np.ndarray, crop: InputConfig) -> np.ndarray:
    """Return where an image point lies in the crop, [2], in widths of the crop."""
    size = (crop.width, crop.height)
    return transform(matrix_of(variation, size, crop.padding, crop.crop), point) / (crop.width - 1)


def _half_body(
    rng: np.random.Generator,
    box: np.ndarray,
    joints: np.ndarray,
    annotated: np.ndarray,
    padding: float,
    skeleton: Skeleton,
) -> np.ndarray:
    """Return a box around the upper or the lower body, or `box` where too few joints are there."""
    upper = np.zeros(len(joints), bool)
    upper[skeleton.upper_body_indices] = True
    halves = [joints[annotated & upper, :2], joints[annotated & ~upper, :2]]
    chosen = halves[int(rng.random() < 0.5)]
    if len(chosen) <= 2:
        chosen = max(halves, key=len)
    if len(chosen) <= 2:
        return box
    extent = np.ptp(chosen, axis=0).astype(np.float64) * HALF_BODY_PADDING / padding
    if extent.max() <= 0:
        return box
    return np.concatenate([chosen.mean(axis=0) - extent / 2, extent])


def _recolor(crop: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """Change brightness, then contrast about the mean, then saturation about the grey."""
    brightness, contrast, saturation = (np.float32(gain) for gain in gains)
    pixels = crop.astype(np.float32) * brightness
    mean = pixels.mean()
    pixels = (pixels - mean) * contrast + mean
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    pixels = (pixels - grey[..., None]) * saturation + grey[..., None]
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)


def _shift_hsv(crop: np.ndarray, added: tuple[int, int, int]) -> np.ndarray:
    """Add to hue, which goes round, and to saturation and value, which end at 0 and 255."""
    hue, saturation, value = cv2.split(cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).astype(np.int16))
    hue = (hue + added[0]) % 180
    saturation, value = (
        np.clip(each + more, 0, 255) for each, more in zip((saturation, value), added[1:], strict=True)
    )
    return cv2.cvtColor(cv2.merge([hue, saturation, value]).astype(np.uint8), cv2.COLOR_HSV2RGB)


def _mean(crop: np.ndarray, window: int) -> np.ndarray:
    return cv2.blur(crop, (window, window))
