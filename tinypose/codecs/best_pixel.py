"""The pixel where a map less the rounded distance from a tag is greatest, without looking at all pixels."""

import numpy as np

BLOCK = 16  # pixels of a block's side


class Blocks:
    """A joint's map, cut into blocks whose bounds tell which ones can hold the best pixel.

    Args:
        heatmap: float32 [H, W].
        tags: float32 [T, H, W].
    """

    def __init__(self, heatmap: np.ndarray, tags: np.ndarray):
        self.width = heatmap.shape[1]
        self.heatmap, self.tags = _cut(heatmap), [_cut(each) for each in tags]
        self.highest = _reduce(np.maximum, self.heatmap)
        self.low = np.stack([_reduce(np.minimum, each) for each in self.tags])
        self.high = np.stack([_reduce(np.maximum, each) for each in self.tags])

    def best(self, wanted: np.ndarray) -> np.ndarray:
        """Return the pixel that is best for each wanted tag, the first of equals.

        Args:
            wanted: float32 [T, P].

        Returns:
            int64 [P], places in the flattened map.
        """
        outside = np.maximum(self.low[:, None] - wanted[..., None], wanted[..., None] - self.high[:, None])
        nearest = np.sqrt((np.maximum(outside, 0) ** 2).sum(axis=0))
        # No pixel of a block is better; a hair more, as distances are rounded in single precision.
        bounds = self.highest - np.round(nearest - 1e-4)
        order = np.argsort(-bounds, axis=1)
        values = np.full(wanted.shape[1], -np.inf)
        places = np.zeros(wanted.shape[1], np.int64)
        start, size = 0, 1
        while start < order.shape[1]:
            chosen = order[:, start : start + size]
            person, column = np.nonzero(np.take_along_axis(bounds, chosen, axis=1) >= values[:, None])
            if not len(person):
                break
            row, tile = np.divmod(chosen[person, column], self.heatmap.shape[2])
            distance = sum(
                (each[row, :, tile] - tag[person, None, None]) ** 2
                for each, tag in zip(self.tags, wanted, strict=True)
            )
            found = (self.heatmap[row, :, tile] - np.rint(np.sqrt(distance))).reshape(len(person), -1)
            at = found.argmax(axis=1)
            found = found[np.arange(len(person)), at]
            at = (BLOCK * row + at // BLOCK) * self.width + BLOCK * tile + at % BLOCK
            # Each one's best of these, the upper left of equals.
            ranked = np.lexsort((at, -found, person))
            who, first = np.unique(person[ranked], return_index=True)
            found, at = found[ranked[first]], at[ranked[first]]
            better = (found > values[who]) | ((found == values[who]) & (at < places[who]))
            values[who[better]], places[who[better]] = found[better], at[better]
            start, size = start + size, 4 * size
        return places


def _cut(values: np.ndarray) -> np.ndarray:
    """Return [H, W] as [rows of blocks, 16, blocks, 16]; where one is not full, pixels are repeated."""
    height, width = values.shape
    if height % BLOCK or width % BLOCK:
        values = np.pad(values, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    return values.reshape(-1, BLOCK, values.shape[1] // BLOCK, BLOCK)


def _reduce(function: np.ufunc, blocks: np.ndarray) -> np.ndarray:
    """Return `function` over each block, one after another."""
    rows = function.reduce(blocks.reshape(len(blocks), BLOCK, -1), axis=1)
    return function.reduce(rows.reshape(-1, BLOCK), axis=1)
