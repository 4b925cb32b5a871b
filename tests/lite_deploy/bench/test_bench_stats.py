"""The statistics of the benchmark: a known shift is found and none is invented, at the stated rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from lite_deploy.bench import stats
from lite_deploy.bench.warmup import is_warm

TRIALS = 400


def measure(rng, rounds=5, runs=60, base=10.0, between=0.01, within=0.03, correlation=0.5):
    """Latencies as devices give them: rounds differ, runs of a round are correlated, the tail is long."""
    noise = rng.standard_normal((rounds, runs))
    noise = lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], noise)
    level = between * rng.standard_normal((rounds, 1))
    return list(base * np.exp(level + within * noise) * (1 + rng.exponential(0.01, (rounds, runs))))


# What the intervals are to cover: the median of a very long run.
TRUTH = np.median(np.concatenate(measure(np.random.default_rng(10**6), rounds=10_000, between=0)))


def rate(event, trials=TRIALS):
    return sum(event(np.random.default_rng(seed)) for seed in range(trials)) / trials


def test_summary_of_known_numbers():
    summary = stats.summarise([np.arange(1, 51.0), np.arange(51, 102.0)])
    assert (summary.median, summary.p90, summary.p99) == (51, 91, 100)
    assert (summary.minimum, summary.maximum, summary.runs, summary.rounds) == (1, 101, 101, 2)
    assert summary.low <= summary.median <= summary.high


def test_interval_of_rounds_covers_the_truth():
    def covers(rng):
        low, high = stats.median_interval(measure(rng, rounds=5), 0.95)
        return low <= TRUTH <= high

    assert 0.92 <= rate(covers) <= 0.98


def test_block_bootstrap_covers_correlated_runs():
    def covers(rng, interval):
        low, high = interval(measure(rng, rounds=1, runs=200, between=0)[0])
        return low <= TRUTH <= high

    def independent(runs):  # what one would do at first; it must be worse, or blocks are not needed
        drawn = np.random.default_rng(0).choice(runs, (500, len(runs)))
        return np.quantile(np.median(drawn, axis=1), [0.025, 0.975])

    assert rate(lambda rng: covers(rng, stats.block_bootstrap), 200) >= 0.88
    assert rate(lambda rng: covers(rng, independent), 200) <= 0.85


@pytest.mark.parametrize("rounds", [3, 5, 8])
def test_null_shift_is_rarely_called_slower(rounds):
    """At the edge of what is allowed the false alarms keep to 5 %; with no change there are none."""

    def at_the_edge(rng):
        old, new = measure(rng, rounds), measure(rng, rounds, base=10.5)
        return stats.compare(old, new, 0.05).verdict == "slower"

    def unchanged(rng):
        return stats.compare(measure(rng, rounds), measure(rng, rounds), 0.05).verdict == "slower"

    assert rate(at_the_edge) <= 0.08  # 0.05 and three standard errors of 400 trials
    assert rate(unchanged) <= 0.01


def test_null_shift_when_one_side_is_noisier():
    def alarm(rng):
        old, new = measure(rng, 8, between=0.005), measure(rng, 8, base=10.5, between=0.04)
        return stats.compare(old, new, 0.05).verdict == "slower"

    assert rate(alarm) <= 0.08


@pytest.mark.parametrize(("rounds", "shift", "least"), [(5, 1.10, 0.95), (5, 1.15, 0.99), (8, 1.08, 0.95)])
def test_known_shift_is_found(rounds, shift, least):
    def found(rng):
        old, new = measure(rng, rounds), measure(rng, rounds, base=10 * shift)
        return stats.compare(old, new, 0.05).verdict == "slower"

    assert rate(found) >= least


def test_unchanged_is_called_fine_when_rounds_suffice():
    assert rate(lambda rng: stats.compare(measure(rng, 8), measure(rng, 8), 0.05).verdict == "fine") >= 0.95


def test_two_rounds_are_never_a_verdict():
    rng = np.random.default_rng(0)
    assert stats.compare(measure(rng, 2), measure(rng, 2, base=30), 0.05).verdict == "undecided"


def test_equal_rounds_compare():
    steady = [np.full(20, 10.0)] * 5
    assert stats.compare(steady, steady, 0.05).verdict == "fine"
    assert stats.compare(steady, [each * 1.2 for each in steady], 0.05).verdict == "slower"
    assert stats.compare(steady, [each * 0.5 for each in steady], 0.05).verdict == "fine"


KINDS_OF_NOISE = {
    "between": st.floats(0, 0.02),
    "within": st.floats(0.005, 0.1),
    "correlation": st.floats(0, 0.9),
    "runs": st.sampled_from([15, 40]),
}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 6), st.fixed_dictionaries(KINDS_OF_NOISE))
def test_stated_rates_hold_whatever_the_noise(seed, rounds, noise):
    """Right at the limit at most one alarm in twenty; a shift far past the noise is always found."""
    trials, alarms = 120, 0
    for trial in range(trials):
        rng = np.random.default_rng([seed, trial])
        old = measure(rng, rounds, **noise)
        alarms += stats.compare(old, measure(rng, rounds, base=10.5, **noise), 0.05).verdict == "slower"
        if trial % 10 == 0:
            assert stats.compare(old, measure(rng, rounds, base=20.0, **noise), 0.05).verdict == "slower"
    assert alarms / trials <= 0.05 + 4.5 * np.sqrt(0.05 * 0.95 / trials)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 1000), st.sampled_from([3, 5]))
def test_units_do_not_matter(seed, factor, rounds):
    rng = np.random.default_rng(seed)
    old, new = measure(rng, rounds), measure(rng, rounds, base=10.7)
    here = stats.compare(old, new, 0.05)
    there = stats.compare([factor * each for each in old], [factor * each for each in new], 0.05)
    assert here.verdict == there.verdict
    assert here.ratio == pytest.approx(there.ratio)
    assert here.p_value == pytest.approx(there.p_value)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1.3, 4.0))
def test_large_shift_is_always_found_and_its_reverse_is_fine(seed, shift):
    rng = np.random.default_rng(seed)
    old, new = measure(rng, 5), measure(rng, 5, base=10 * shift)
    result = stats.compare(old, new, 0.05)
    assert result.verdict == "slower" and result.low <= shift * 1.05 and result.high >= shift * 0.95
    assert stats.compare(new, old, 0.05).verdict == "fine"


def test_enough_rounds_follow_the_noise():
    rng = np.random.default_rng(1)
    assert not stats.enough(measure(rng, 2, between=0), 0.5)
    assert stats.enough([np.full(5, 10.0)] * 3, 0.001)
    wanted = dict.fromkeys((0.005, 0.05), 3)
    for noise in wanted:
        rounds = measure(rng, 40, between=noise)
        while not stats.enough(rounds[: wanted[noise]], 0.03):
            wanted[noise] += 1
    assert wanted[0.005] <= 5 < wanted[0.05]


def test_warm_up_ends_when_latency_settles():
    rng = np.random.default_rng(2)
    falling = 10 * (1 + 2 * np.exp(-np.arange(200) / 10)) * np.exp(0.005 * rng.standard_normal(200))
    warm = next(n for n in range(200) if is_warm(falling[:n]))
    assert 30 <= warm <= 80  # after 40 runs the exponential still adds 4 %
    assert not is_warm([10.0] * 15)
    assert is_warm([10.0] * 16)


def test_throttling_within_a_round():
    def steady(rng):
        return stats.slowed_down(measure(rng, 1, runs=100)[0]) > 0

    def throttled(rng):
        runs = measure(rng, 1, runs=100)[0] * np.where(np.arange(100) < 55, 1, 1.25)
        return stats.slowed_down(runs) > 0.15

    assert rate(steady) == 0
    assert rate(throttled) >= 0.99
    assert stats.slowed_down(np.array([1.0, 9.0])) == 0


def test_throttling_over_rounds():
    def steady(rng):
        return stats.drifted(measure(rng, 6)) > 0

    def heating(rng):
        rounds = measure(rng, 6)
        return stats.drifted([each * (1 + 0.06 * i) for i, each in enumerate(rounds)]) > 0.1

    assert rate(steady) == 0
    assert rate(heating) >= 0.99


def test_noisy_neighbour():
    def quiet(rng):
        return stats.interrupted(measure(rng, 1)[0]) > 0

    def loud(rng):
        runs = measure(rng, 1, runs=200)[0]
        runs[rng.random(200) < 0.15] *= 2
        return stats.interrupted(runs) > 0

    assert rate(quiet) == 0
    assert rate(loud) >= 0.99
