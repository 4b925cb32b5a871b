"""The people of a training picture as they are seen, which bottom-up codecs make targets of."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """What is seen at one resolution.

    Attributes:
        joints: float64 [P, J, 3], x and y in the view's pixels, v above 0 where annotated.
        mask: float32 [R, R], 0 where there are people whose joints nobody has annotated.
    """

    joints: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Seen:
    """A picture's people and how the picture was varied.

    Attributes:
        views: one for each size of the network's maps.
        joints: float64 [P, J, 3], x and y in the picture's own pixels.
        boxes: float64 [P, 2], width and height there.
        areas: float64 [P], as annotated.
        factor: how much larger than the picture what is seen is.
        zoom: input pixels a pixel of the picture.
    """

    views: tuple[View, ...]
    joints: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    factor: float
    zoom: float
