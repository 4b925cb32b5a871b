"""Ranges: how far a tensor's values reach before they are clipped to 127 steps on either side.

All methods work on a histogram of absolute values, so a calibration set of any size takes two passes
(the greatest value of each tensor, then the histogram) and little memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compress.quant.scales import LEVELS
from tinypose.errors import UserError

BINS = 4096
METHODS = ("abs_max", "percentile", "mse", "kl")


@dataclass
class Histogram:
    """Counts of |x| in `BINS` equal bins from 0 to `top`."""

    top: float
    counts: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """Return float64 [BINS]: the middle of each bin."""
        return (np.arange(len(self.counts)) + 0.5) * (self.top / len(self.counts))


def abs_max(histogram: Histogram) -> float:
    """Return the greatest |x| seen: nothing is clipped."""
    return histogram.top


def percentile(histogram: Histogram, percent: float) -> float:
    """Return the |x| that `percent` of the values that are not zero do not pass.

    Zeros are left out, because after a ReLU they are half of the values and say nothing of the range.
    """
    counts = histogram.counts.astype(np.float64).copy()
    if counts.sum() > counts[0]:
        counts[0] = 0
    share = np.cumsum(counts) / max(counts.sum(), 1)
    index = int(np.searchsorted(share, percent / 100))
    return histogram.top * min(index + 1, len(counts)) / len(counts)


def mse(histogram: Histogram) -> float:
    """Return the range whose rounding and clipping together cost the least squared error.

    Candidates are a hundred thresholds from 5 % of the greatest value up; the error is summed over
    the bins (Banner et al. 2019 give the closed form for Gaussians; real tensors are none).
    """
    x, weight = histogram.centres, histogram.counts.astype(np.float64)
    candidates = histogram.top * np.linspace(0.05, 1.0, 96)
    errors = [np.sum(weight * (x - _round_trip(x, limit)) ** 2) for limit in candidates]
    return float(candidates[int(np.argmin(errors))])


def kl(histogram: Histogram) -> float:
    """Return the range whose quantised distribution diverges least from the clipped one.

    The entropy calibration of TensorRT (Migacz 2017): for each candidate the clipped tail is counted
    in the last bin, and the divergence from the histogram merged to 128 levels is measured.
    """
    counts = histogram.counts.astype(np.float64).copy()
    if counts.sum() > counts[0]:
        counts[0] = 0  # the zeros of a ReLU are exact at any range
    best, best_divergence = histogram.top, np.inf
    for stop in range(LEVELS + 1, len(counts) + 1, 32):
        reference = counts[:stop].copy()
        reference[-1] += counts[stop:].sum()
        level = (np.arange(stop) * (LEVELS + 1)) // stop
        occupied = counts[:stop] > 0
        mass = np.bincount(level, counts[:stop], LEVELS + 1)
        bins = np.bincount(level, occupied, LEVELS + 1)
        spread = np.where(occupied, (mass / np.maximum(bins, 1))[level], 0.0)
        divergence = _divergence(reference, spread)
        if divergence < best_divergence:
            best, best_divergence = histogram.top * stop / len(counts), divergence
    return float(best)


def find_range(histogram: Histogram, method: str, percent: float = 99.99) -> float:
    """Return the range of a tensor by the named method: abs_max, percentile, mse or kl."""
    if method == "percentile":
        return percentile(histogram, percent)
    methods = {"abs_max": abs_max, "mse": mse, "kl": kl}
    if method not in methods:
        raise UserError(f"quant.ranges: expected abs_max, percentile, mse or kl, found '{method}'")
    return methods[method](histogram)


def find_ranges(histograms: Mapping[str, Histogram], method: str, percent: float = 99.99) -> dict[str, float]:
    """Return the range of each tensor by one method; 1 for one that is always zero: no division by zero."""
    return {
        name: find_range(histogram, method, percent) if histogram.top > 0 else 1.0
        for name, histogram in histograms.items()
    }


def _round_trip(x: np.ndarray, limit: float) -> np.ndarray:
    step = limit / LEVELS
    return np.clip(np.round(x / step), -LEVELS, LEVELS) * step


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback-Leibler divergence of two unnormalised histograms; smoothed where q is empty."""
    if q.sum() == 0:
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    q = np.where((q == 0) & (p > 0), 1e-9, q)
    mask = p > 0
    return float(np.sum(p[mask] * np.log(p[mask] / q[mask])))
