"""The pixel where a map less the rounded distance from a tag is greatest, without looking at all pixels."""

import numpy as np

from tinypose.codecs.tag_maps import TILE, TagMaps, pixels, pooled, whole_tiles

HIGH, MOST = np.float32(1 / 64), 0.125  # tiles from a part of the highest on, at most so many, for everyone
MANY, PART = 256, 8  # of so many other tiles this part first


def best_pixels(
    heatmap: np.ndarray, tags: TagMaps, joint: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel that is best for each wanted tag, the first of equals.

    No pixel is better than its height. So high tiles are looked at first, which for most is enough; for the
    others the highest height and the extremes of the tags in a tile tell whether a better pixel may be there.

    Args:
        heatmap: float32 [H, W], somewhere above zero.
        tags: of the same size.
        joint: whose tags.
        wanted: float32 [T, P].

    Returns:
        x and y, int64 [P].
    """
    heatmap = whole_tiles(heatmap)
    highest = pooled(np.maximum, heatmap)
    sample = np.sort(highest[::4, ::4], axis=None)
    enough = max(highest.max() * HIGH, sample[int(len(sample) * (1 - MOST))])
    high = highest >= enough
    seen = _look(heatmap, tags, joint, *np.nonzero(high))
    best = [_first_best(*seen, tag) for tag in wanted.T]
    hard = [person for person, (loss, _, _) in enumerate(best) if -loss < enough]
    if hard:
        bounds = highest - _rounded_distances(tags.extremes(joint), wanted[:, hard])
        bounds[:, high] = -np.inf
        for person, bound in zip(hard, bounds, strict=True):
            row, column = np.nonzero(bound >= -best[person][0])
            if len(row) > MANY:  # those that promise most often rule most others out
                promising = np.argpartition(-bound[row, column], len(row) // PART)[: len(row) // PART]
                seen = _look(heatmap, tags, joint, row[promising], column[promising])
                best[person] = min(best[person], _first_best(*seen, wanted[:, person]))
                row, column = np.nonzero(bound >= -best[person][0])
            if len(row):
                seen = _look(heatmap, tags, joint, row, column)
                best[person] = min(best[person], _first_best(*seen, wanted[:, person]))
    _, y, x = np.array(best).T.astype(int)
    return x, y


def _look(
    heatmap: np.ndarray, tags: TagMaps, joint: int, row: np.ndarray, column: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Return heights and tags of the pixels of tiles [n], each [n, 16], and the tiles."""
    return pixels(heatmap, row, column), tags.tiles(joint, row, column), row, column


def _first_best(
    heights: np.ndarray, tags: list[np.ndarray], row: np.ndarray, column: np.ndarray, wanted: np.ndarray
) -> tuple[float, int, int]:
    """Return the best of pixels that were looked at: its value's negative, y and x; the least is the best."""
    total = np.float32(0)
    for each, tag in zip(tags, wanted, strict=True):
        apart = each - tag
        apart *= apart
        total = apart + total
    values = heights - np.rint(np.sqrt(total, out=total), out=total)
    best = values.max()
    tile, inside = np.divmod(np.flatnonzero(values == best), TILE**2)
    y, x = TILE * row[tile] + inside // TILE, TILE * column[tile] + inside % TILE
    first = np.lexsort((x, y))[0]
    return -float(best), int(y[first]), int(x[first])


def _rounded_distances(extremes: list[tuple[np.ndarray, np.ndarray]], wanted: np.ndarray) -> np.ndarray:
    """Return how near to the wanted tags [T, P] a tile's may be, or a hair nearer, [P, H / 4, W / 4]."""
    total = np.float32(0)
    for (low, high), tag in zip(extremes, wanted[..., None, None], strict=True):
        outside = np.maximum(low - tag, tag - high)
        np.maximum(outside, 0, out=outside)
        outside *= outside
        total = outside + total
    np.sqrt(total, out=total)
    total -= np.float32(1e-3)  # distances are rounded in single precision
    return np.rint(total, out=total)
