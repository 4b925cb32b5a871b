"""From a teacher's heatmap pixels to a student's, where their sizes differ."""

import numpy as np

from tinypose.codecs.heatmap import grid_step
from tinypose.config import Config


def sampling(teacher: Config, student: Config) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the two matrices that bring the teacher's maps onto the student's pixels.

    Both crops show the same part of the picture, corner on corner. A student's heatmap pixel lies
    somewhere between the teacher's; it takes their values by linear interpolation. Beyond the border the
    outermost value is taken.

    Returns:
        rows float32 [student's height, teacher's height] and columns float32 [teacher's width, student's
        width], so that `rows @ maps @ columns` are the teacher's maps at the student's pixels; None where
        the pixels are the same.
    """
    matrices = []
    for axis in (1, 0):
        crops = [config.input.size[axis] for config in (teacher, student)]
        sizes = [config.output.heatmap_size(config.input.size)[axis] for config in (teacher, student)]
        steps = [
            grid_step(config.input.size, config.output.heatmap_size(config.input.size), config.output.grid)[
                axis
            ]
            for config in (teacher, student)
        ]
        places = np.arange(sizes[1]) * steps[1] * (crops[0] - 1) / (crops[1] - 1) / steps[0]
        matrices.append(interpolation(places, sizes[0]))
    rows, columns = matrices[0], matrices[1].T
    if all(len(m) == m.shape[1] and np.array_equal(m, np.eye(len(m), dtype=np.float32)) for m in matrices):
        return None
    return rows, np.ascontiguousarray(columns)


def interpolation(places: np.ndarray, size: int) -> np.ndarray:
    """Return float32 [len(places), size], which takes values at whole numbers to values at `places`."""
    inside = np.clip(places, 0, size - 1)
    lower = np.minimum(np.floor(inside).astype(int), size - 2)
    share = inside - lower
    matrix = np.zeros((len(places), size), np.float32)
    matrix[np.arange(len(places)), lower] += 1 - share
    matrix[np.arange(len(places)), lower + 1] += share
    return matrix
