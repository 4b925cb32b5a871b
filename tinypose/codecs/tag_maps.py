"""Tags in the resolution of the picture, of which only the parts that someone asks for are computed.

Maps are cut into tiles of 4x4 pixels.
"""

from collections.abc import Sequence

import cv2
import numpy as np

TILE = 4  # pixels of a tile's side
# What bilinear enlargement by 2, done twice, makes of three pixels: those of the middle one's tile.
_SPREAD = np.float32([[6, 10, 0], [3, 12, 1], [1, 12, 3], [0, 10, 6]]) / 16
_SPREAD_BOTH = np.einsum("yi,xj->ijyx", _SPREAD, _SPREAD).reshape(9, TILE * TILE)


class TagMaps:
    """T tags of J joints.

    Args:
        maps: T of float32 [J, H, W], or of [J, H / 4, W / 4] to be enlarged by 2, twice.
        factor: 1 or 4.
    """

    def __init__(self, maps: Sequence[np.ndarray], factor: int = 1):
        self.factor, self.count = factor, len(maps)
        if factor == 1:
            self.maps = [whole_tiles(np.asarray(each)) for each in maps]
        else:  # as if the border's pixels went on
            self.maps = [np.pad(each, ((0, 0), (1, 1), (1, 1)), mode="edge") for each in maps]

    def tiles(self, joint: int, row: np.ndarray, column: np.ndarray) -> list[np.ndarray]:
        """Return the pixels of a joint's tiles [n], T of float32 [n, 16]."""
        if self.factor == 1:
            return [pixels(each[joint], row, column) for each in self.maps]
        width = self.maps[0].shape[2]
        around = (np.arange(3)[:, None] * width + np.arange(3)).ravel()
        places = (row * width + column)[:, None] + around
        return [each[joint].take(places) @ _SPREAD_BOTH for each in self.maps]

    def at(self, joint: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return a joint's tags at pixels [n], float32 [T, n]."""
        if self.factor == 1:
            return np.stack([each[joint, y, x] for each in self.maps])
        one, inside = np.arange(len(x)), y % TILE * TILE + x % TILE
        return np.stack([each[one, inside] for each in self.tiles(joint, y // TILE, x // TILE)])

    def extremes(self, joint: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the least and the greatest of each of a joint's tags in each tile, [H / 4, W / 4]."""
        if self.factor == 1:
            return [
                tuple(pooled(kind, each[joint]) for kind in (np.minimum, np.maximum)) for each in self.maps
            ]
        around = np.ones((3, 3), np.uint8)
        return [
            tuple(kind(each[joint], around)[1:-1, 1:-1] for kind in (cv2.erode, cv2.dilate))
            for each in self.maps
        ]


def whole_tiles(maps: np.ndarray) -> np.ndarray:
    """Return maps [..., H, W] with pixels repeated at their ends, where a tile is not full."""
    height, width = maps.shape[-2:]
    if height % TILE or width % TILE:
        more = ((0, -height % TILE), (0, -width % TILE))
        return np.pad(maps, (*((0, 0),) * (maps.ndim - 2), *more), mode="edge")
    return maps


def pixels(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the pixels of tiles [n] of a map [H, W], [n, 16]."""
    height, width = (size // TILE for size in values.shape)
    return values.reshape(height, TILE, width, TILE)[row, :, column].reshape(-1, TILE * TILE)


def pooled(function: np.ufunc, values: np.ndarray) -> np.ndarray:
    """Return `function` over the pixels of each tile, [H / 4, W / 4]."""
    rows = function.reduce(values.reshape(-1, TILE, values.shape[1]), axis=1)
    result = rows[:, ::TILE]
    for column in range(1, TILE):
        result = function(result, rows[:, column::TILE])
    return result
