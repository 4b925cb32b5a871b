"""The pixel where a map less the rounded distance from a tag is greatest, without looking at all pixels."""

from itertools import pairwise

import numpy as np

TILE = 4  # pixels of a tile's side
BLOCK = 4  # tiles of a block's side
SAMPLE = 8  # a pixel in so many, each way, is looked at first


class Blocks:
    """A joint's map, cut into blocks of tiles whose bounds tell which ones can hold the best pixel.

    Args:
        heatmap: float32 [H, W].
        tags: float32 [T, H, W].
    """

    def __init__(self, heatmap: np.ndarray, tags: np.ndarray):
        self.width = heatmap.shape[1]
        # Bounds [1 + 2 T, ...]: the highest height, then each tag's least and greatest.
        self.heatmap, self.tags = _padded(heatmap), [_padded(each) for each in tags]
        tiles = [_pooled(np.maximum, self.heatmap, TILE)]
        for each in self.tags:
            tiles += [_pooled(np.minimum, each, TILE), _pooled(np.maximum, each, TILE)]
        self.tiles = np.stack(tiles)
        kinds = (np.maximum, *(np.minimum, np.maximum) * len(tags))
        self.blocks = np.stack([_pooled(kind, each, BLOCK) for kind, each in zip(kinds, tiles, strict=True)])

    def best(self, wanted: np.ndarray) -> np.ndarray:
        """Return the pixel that is best for each wanted tag, the first of equals.

        Args:
            wanted: float32 [T, P].

        Returns:
            int64 [P], places in the flattened map.
        """
        samples = [each[::SAMPLE, ::SAMPLE].reshape(1, -1) for each in (self.heatmap, *self.tags)]
        least = _values(samples[0], samples[1:], wanted[..., None]).max(axis=1)

        blocks = self.blocks.reshape(len(self.blocks), 1, -1)
        person, block = np.nonzero(_bounds(blocks, wanted[..., None]) >= least[:, None])
        row, column = np.divmod(block, self.blocks.shape[2])
        inside = np.arange(BLOCK)
        rows = BLOCK * row[:, None, None] + inside[:, None]
        columns = BLOCK * column[:, None, None] + inside
        bounds = _bounds(self.tiles[:, rows, columns], wanted[:, person, None, None])
        which, y, x = np.nonzero(bounds >= least[person, None, None])
        bounds = bounds[which, y, x]
        person, row, column = person[which], BLOCK * row[which] + y, BLOCK * column[which] + x

        # The most promising tile of each one often rules most others out.
        starts = np.searchsorted(person, np.arange(len(least) + 1))
        first = np.array([start + bounds[start:end].argmax() for start, end in pairwise(starts)])
        least = np.maximum(least, self._best_of(person[first], row[first], column[first], wanted)[0])
        left = bounds >= least[person]
        person, row, column = person[left], row[left], column[left]
        values, at = self._best_of(person, row, column, wanted)
        # Each one's best of these, the upper left of equals.
        ranked = np.lexsort((at, -values, person))
        return at[ranked[np.searchsorted(person[ranked], np.arange(len(least)))]]

    def _best_of(
        self, person: np.ndarray, row: np.ndarray, column: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the value and the place of the best pixel of tiles [n], each for one person [n]."""
        height, width = (size // TILE for size in self.heatmap.shape)
        pixels = [
            each.reshape(height, TILE, width, TILE)[row, :, column] for each in (self.heatmap, *self.tags)
        ]
        values = _values(pixels[0], pixels[1:], wanted[:, person, None, None]).reshape(len(person), -1)
        at = values.argmax(axis=1)
        values = values[np.arange(len(person)), at]
        return values, (TILE * row + at // TILE) * self.width + TILE * column + at % TILE


def _values(heights: np.ndarray, tags: list[np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Return heights less rounded distances of tags, [T] of the heights' shape, from those wanted."""
    total = np.float32(0)
    for each, tag in zip(tags, wanted, strict=True):
        apart = each - tag
        apart *= apart
        total = apart + total
    return heights - np.rint(np.sqrt(total))


def _bounds(extremes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return what no pixel exceeds: extremes are the highest height, and each tag's least and greatest."""
    total = np.float32(0)
    for low, high, tag in zip(extremes[1::2], extremes[2::2], wanted, strict=True):
        outside = np.maximum(np.maximum(low - tag, tag - high), 0)
        total = outside * outside + total
    # A hair more, as distances are rounded in single precision.
    return extremes[0] - np.rint(np.sqrt(total) - np.float32(1e-4))


def _padded(values: np.ndarray) -> np.ndarray:
    """Return [H, W] with pixels repeated at its end, where a block is not full."""
    height, width = values.shape
    side = TILE * BLOCK
    if height % side or width % side:
        return np.pad(values, ((0, -height % side), (0, -width % side)), mode="edge")
    return values


def _pooled(function: np.ufunc, values: np.ndarray, side: int) -> np.ndarray:
    """Return `function` over squares of pixels, [H / side, W / side]."""
    rows = values[::side]
    for row in range(1, side):
        rows = function(rows, values[row::side])
    result = rows[:, ::side]
    for column in range(1, side):
        result = function(result, rows[:, column::side])
    return result
