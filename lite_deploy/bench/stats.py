"""The statistics of latency: how sure a median is, whether a device held still, and what is slower.

Runs of one process share its memory layout, its heat and its clock, so they are not independent. A
benchmark therefore visits each case several times, in rounds, each a process of its own, and the round is
the unit of every interval and test here: what counts is how well one round predicts the next.
Latencies multiply (a slower clock slows everything by a factor), so the logarithm is taken first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from scipy import stats

Rounds = Sequence[np.ndarray]  # one float64 array of latencies a round, in milliseconds

MIN_ROUNDS = 3  # fewer say nothing of how rounds differ
SLOWED = 0.10  # growth from the first to the last third that is called throttling
OUTLIER = 1.5  # times the median: a run that something interrupted
OUTLIERS = 0.05  # share of such runs that is called noise
MAX_PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Quantiles:
    """Latencies of one case in milliseconds; `low` to `high` is the confidence interval of the median."""

    median: float
    low: float
    high: float
    p90: float
    p99: float
    minimum: float
    maximum: float
    runs: int
    rounds: int


@dataclass(frozen=True)
class Comparison:
    """How much slower the new latencies are, and whether that is past the allowed slowdown.

    `ratio` is new / old (1.05: five per cent slower), `low` to `high` its confidence interval, `p_value`
    that of the hypothesis "not slower than allowed". `verdict` is `slower` (past the allowed slowdown,
    significantly), `fine` (the whole interval is within it) or `undecided` (more rounds would tell).
    """

    ratio: float
    low: float
    high: float
    p_value: float
    verdict: str


def summarise(rounds: Rounds, confidence: float = 0.95) -> Quantiles:
    """Sum up the latencies of one case.

    Args:
        rounds: the latencies of each round, in milliseconds, each with one run at least.
        confidence: of the interval around the median.
    """
    runs = np.concatenate(rounds)
    low, high = median_interval(rounds, confidence)
    p50, p90, p99 = np.percentile(runs, [50, 90, 99])
    return Quantiles(*map(float, (p50, low, high, p90, p99, runs.min(), runs.max())), len(runs), len(rounds))


def median_interval(rounds: Rounds, confidence: float = 0.95) -> tuple[float, float]:
    """Return a confidence interval of the typical median, in milliseconds.

    From three rounds on it is Student's interval of the mean logarithm of the rounds' medians. With fewer,
    a block bootstrap of the runs, which cannot see how rounds differ and so is too narrow for a promise.
    """
    if len(rounds) < MIN_ROUNDS:
        return block_bootstrap(np.concatenate(rounds), confidence)
    logs = _log_medians(rounds)
    spread = stats.sem(logs)
    if spread == 0:
        return (float(np.exp(logs.mean())),) * 2
    low, high = stats.t.interval(confidence, len(logs) - 1, logs.mean(), spread)
    return float(np.exp(low)), float(np.exp(high))


def block_bootstrap(
    runs: np.ndarray, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return a percentile interval of the median of consecutive, correlated runs.

    Whole stretches of runs are drawn, wrapping round the end (the circular block bootstrap, Politis and
    Romano 1992), so that drift within a stretch counts.

    Args:
        runs: float [n], in the order they were measured.
        confidence: of the interval.
        resamples: how often to draw; the interval's own noise falls with it.
        seed: the same runs give the same interval.
    """
    count = len(runs)
    block = min(count, max(1, round(2 * count ** (1 / 3))))
    blocks = -(-count // block)
    starts = np.random.default_rng(seed).integers(0, count, (resamples, blocks, 1))
    drawn = ((starts + np.arange(block)) % count).reshape(resamples, -1)[:, :count]
    medians = np.median(np.asarray(runs, dtype=np.float64)[drawn], axis=1)
    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def enough(rounds: Rounds, precision: float, confidence: float = 0.95) -> bool:
    """Say whether the median is known to within `precision` (0.03: plus or minus three per cent)."""
    if len(rounds) < MIN_ROUNDS:
        return False
    low, high = median_interval(rounds, confidence)
    return high / low <= ((1 + precision) / (1 - precision))


def slowed_down(runs: np.ndarray) -> float:
    """Return how much slower the last third of a round is than the first, 0.0 if not significantly.

    0.2 means a fifth slower. Below a tenth, or when a rank test could explain it by chance, it is 0.0: a
    device that throttles loses far more.
    """
    third = len(runs) // 3
    if third < 5:
        return 0.0
    first, last = runs[:third], runs[-third:]
    growth = float(np.median(last) / np.median(first) - 1)
    if growth < SLOWED or stats.mannwhitneyu(last, first, alternative="greater").pvalue > 0.001:
        return 0.0
    return growth


def drifted(rounds: Rounds) -> float:
    """Return the growth from the first rounds to the last, 0.0 if they do not rise significantly.

    The sign of a device that heats up over minutes: each round is steady but later ones are slower. Needs
    five rounds. The test is Kendall's rank correlation of the rounds' medians with their order.
    """
    if len(rounds) < 5:
        return 0.0
    logs = _log_medians(rounds)
    third = max(1, len(rounds) // 3)
    growth = float(np.expm1(np.median(logs[-third:]) - np.median(logs[:third])))
    rising = stats.kendalltau(np.arange(len(logs)), logs, alternative="greater").pvalue < 0.01
    return growth if growth >= SLOWED and rising else 0.0


def interrupted(runs: np.ndarray) -> float:
    """Return the share of runs that took over 1.5 times the median, 0.0 if it is below one in twenty."""
    share = float(np.mean(runs > OUTLIER * np.median(runs)))
    return share if share >= OUTLIERS else 0.0


def compare(
    old: Rounds, new: Rounds, max_slowdown: float, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Test whether `new` is slower than `old` by more than `max_slowdown`.

    A permutation test over rounds: the old medians are first slowed by the allowed factor, and if the new
    ones are no worse than that, which rounds are called new is arbitrary. It is exact whatever the
    distribution, so a harmless change fails at most once in `1 / (1 - confidence)` comparisons. The
    statistic is Welch's t, which stays right when one of the two is noisier. The interval of the ratio is
    Welch's.

    Args:
        old: the reference's rounds, in milliseconds.
        new: the rounds to judge.
        max_slowdown: 0.05 allows five per cent.
        confidence: 1 minus the rate of false alarms.
        seed: for the permutations, where there are too many to try all.
    """
    a, b = _log_medians(old), _log_medians(new)
    ratio = float(np.exp(b.mean() - a.mean()))
    if min(len(a), len(b)) < MIN_ROUNDS:
        return Comparison(ratio, 0.0, float("inf"), 1.0, "undecided")
    low, high = (float(np.exp(each)) for each in _welch_interval(a, b, confidence))
    p_value = _permutation_p(a + np.log1p(max_slowdown), b, seed)
    if ratio > 1 + max_slowdown and p_value <= 1 - confidence:
        verdict = "slower"
    else:
        verdict = "fine" if high <= 1 + max_slowdown else "undecided"
    return Comparison(ratio, low, high, p_value, verdict)


def _permutation_p(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return how often a random half of all values looks as much larger than the rest as `b` than `a`.

    `scipy.stats.permutation_test` gives the same numbers in ten times the time.
    """
    both = np.concatenate([b, a])
    both -= both.mean()
    chosen = _choices(len(b), len(both), seed)
    total, squares = both.sum(), (both**2).sum()
    sums, parts = both[chosen].sum(axis=1), (both**2)[chosen].sum(axis=1)
    n, m = len(b), len(a)
    mean_b, mean_a = sums / n, (total - sums) / m
    var_b = np.maximum(parts / n - mean_b**2, 0) / (n - 1)
    var_a = np.maximum((squares - parts) / m - mean_a**2, 0) / (m - 1)
    # Equal values on a side have no spread: any difference is then beyond doubt, and none is none.
    welch_t = (mean_b - mean_a) / np.sqrt(var_b + var_a + 1e-12)
    return float(np.mean(welch_t >= welch_t[0] - 1e-9))


@lru_cache(maxsize=16)
def _choices(count: int, total: int, seed: int) -> np.ndarray:
    """Return ways to choose `count` of `total` places, int [ways, count]: all if they are not too many.

    The first row is 0, 1, 2 ...: the values as they were measured.
    """
    if comb(total, count) <= MAX_PERMUTATIONS:
        return np.array(list(combinations(range(total), count)))
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(total), (MAX_PERMUTATIONS, 1)), axis=1)[:, :count]
    return np.vstack([np.arange(count), drawn])


def _welch_interval(a: np.ndarray, b: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return Welch's interval of mean(b) - mean(a)."""
    if a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b) < 1e-18:
        return (b.mean() - a.mean(),) * 2
    return tuple(stats.ttest_ind(b, a, equal_var=False).confidence_interval(confidence))


def _log_medians(rounds: Rounds) -> np.ndarray:
    return np.log([np.median(each) for each in rounds])
