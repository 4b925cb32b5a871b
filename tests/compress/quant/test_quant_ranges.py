"""Ranges: against closed forms, brute force and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.quant.ranges import BINS, Histogram, abs_max, find_range, kl, mse, percentile
from compress.quant.scales import LEVELS
from tinypose.errors import UserError


def histogram(values: np.ndarray) -> Histogram:
    top = float(np.abs(values).max())
    counts, _ = np.histogram(np.abs(values), BINS, (0, top))
    return Histogram(top, counts)


def squared_error(values: np.ndarray, limit: float) -> float:
    step = limit / LEVELS
    return float(((values - np.clip(np.round(values / step), -LEVELS, LEVELS) * step) ** 2).mean())


def test_uniform_values_are_not_clipped():
    values = np.random.default_rng(0).uniform(-3, 3, 200_000)
    assert mse(histogram(values)) == pytest.approx(3, rel=0.02)
    assert kl(histogram(values)) == pytest.approx(3, rel=0.05)


def test_one_outlier_does_not_set_the_range():
    values = np.concatenate([np.random.default_rng(1).normal(0, 1, 500_000), [60.0]])
    found = histogram(values)
    assert abs_max(found) == 60
    for limit in (mse(found), percentile(found, 99.99), kl(found)):
        assert 3 < limit < 20


def test_mse_range_of_a_gaussian_is_the_best_there_is():
    values = np.random.default_rng(2).normal(0, 1, 300_000)
    found = mse(histogram(values))
    best = min(squared_error(values, limit) for limit in np.linspace(1, values.max(), 150))
    assert squared_error(values, found) < 1.03 * best


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(60, 100), st.integers(0, 2**31))
def test_percentile_leaves_that_share_below(scale, percent, seed):
    values = np.abs(np.random.default_rng(seed).standard_cauchy(5000).clip(-50, 50)) * scale
    found = histogram(values)
    limit = percentile(found, percent)
    bin_width = found.top / BINS
    assert np.mean(values <= limit + bin_width) >= percent / 100 - 1e-9
    assert np.mean(values <= limit - 2 * bin_width) <= percent / 100 + 0.01


def test_percentile_does_not_count_the_zeros_of_a_relu():
    values = np.random.default_rng(3).uniform(0.1, 1, 10_000)
    with_zeros = np.concatenate([values, np.zeros(90_000)])
    assert percentile(histogram(with_zeros), 90) == pytest.approx(percentile(histogram(values), 90), rel=0.01)


@pytest.mark.parametrize("method", ["abs_max", "percentile", "mse", "kl"])
def test_ranges_scale_with_the_values(method):
    values = np.random.default_rng(4).laplace(0, 1, 50_000)
    small, large = (find_range(histogram(values * scale), method) for scale in (1, 1000))
    assert large == pytest.approx(1000 * small, rel=1e-6)


def test_unknown_method_is_named():
    with pytest.raises(UserError, match=r"quant\.ranges.*'max'"):
        find_range(histogram(np.ones(3)), "max")
