"""From a picture and a box to what the network reads."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tinypose.config import InputConfig
from tinypose.geometry import crop_image, crop_matrix


def crop_person(image: np.ndarray, box: ArrayLike, config: InputConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cut a person out.

    Args:
        image: uint8 RGB [H, W, 3].
        box: [4], left, top, width, height in image pixels.
        config: size, padding and kind of the crop.

    Returns:
        The crop, uint8 RGB [height, width, 3], and float64 [2, 3] from image to crop pixels.
    """
    size = (config.width, config.height)
    matrix = crop_matrix(box, size, config.padding, crop=config.crop)
    return crop_image(image, matrix, size), matrix


def normalise(crops: np.ndarray, config: InputConfig) -> np.ndarray:
    """Return (pixel / 255 - mean) / std.

    Args:
        crops: uint8 RGB [N, H, W, 3].
        config: mean and std by channel.

    Returns:
        float32 [N, 3, H, W], contiguous.
    """
    mean, std = np.array(config.mean, np.float32), np.array(config.std, np.float32)
    gain, shift = (1 / (255 * std)).astype(np.float32), mean / std
    count, height, width, _ = crops.shape
    result = np.empty((count, 3, height, width), np.float32)
    for crop, planes in zip(crops, result, strict=True):
        # Channel by channel: more than ten times as fast as broadcasting and transposing.
        for channel, plane, factor, term in zip(cv2.split(crop), planes, gain, shift, strict=True):
            np.multiply(channel, factor, out=plane)
            plane -= term
    return result


def as_read(pictures: np.ndarray, config: InputConfig, raw: bool) -> np.ndarray:
    """Return what a network reads, float32 [N, 3, H, W]: normalised, or `raw` pixels, 0 to 255.

    `pictures` are uint8 RGB [N, H, W, 3].
    """
    if raw:
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32)
    return normalise(pictures, config)
