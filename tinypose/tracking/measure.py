"""How steady a joint's path is, and how far smoothing lags behind."""

import numpy as np


def jerk(points: np.ndarray) -> float:
    """Return the mean length of the third difference from frame to frame, in pixels.

    Args:
        points: [T, ..., 2], a path or several.
    """
    return float(np.linalg.norm(np.diff(points, 3, axis=0), axis=-1).mean())


def lag(raw: np.ndarray, smoothed: np.ndarray, times: np.ndarray, most: float = 0.2) -> float:
    """Return by how many seconds `raw` must be delayed to fit `smoothed` best, in least squares.

    Args:
        raw: [T, 2], a joint's path.
        smoothed: [T, 2], the same path smoothed.
        times: [T], in seconds, growing.
        most: the longest delay that is tried; the shortest is none, the step half a millisecond.
    """
    delays = np.arange(0, most, 0.0005)
    late = times >= times[0] + most  # before, delayed points are not known
    errors = [
        sum(
            ((np.interp(times[late] - delay, times, raw[:, axis]) - smoothed[late, axis]) ** 2).sum()
            for axis in (0, 1)
        )
        for delay in delays
    ]
    return float(delays[int(np.argmin(errors))])
