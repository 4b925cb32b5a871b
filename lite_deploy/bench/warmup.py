"""When a warm-up is over."""

from collections.abc import Sequence
from statistics import median

WINDOW = 8
TOLERANCE = 0.02


def is_warm(runs: Sequence[float], window: int = WINDOW, tolerance: float = TOLERANCE) -> bool:
    """Say whether the last runs no longer get faster or slower.

    The medians of the last two windows must differ by less than `tolerance`. The C++ runner follows the
    same rule (`pose/warmup.h`).
    """
    if len(runs) < 2 * window:
        return False
    before, last = median(runs[-2 * window : -window]), median(runs[-window:])
    return bool(abs(last - before) <= tolerance * before)
