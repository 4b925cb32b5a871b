"""Filters against closed forms: they know seconds, not frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinypose.tracking.measure import jerk, lag
from tinypose.tracking.smooth import Ema, OneEuro

FILTERS = [OneEuro(), OneEuro(cutoff=0.3, beta=0), Ema(), Ema(constant=0.3)]


def fresh(smoother):
    return type(smoother)(**vars_of(smoother))


def vars_of(smoother):
    return {name: getattr(smoother, name) for name in smoother.__dataclass_fields__}


@pytest.mark.parametrize("smoother", FILTERS)
def test_what_stands_still_stays(smoother):
    smoother = fresh(smoother)
    points = np.array([[3.0, 4.0], [100.0, -7.0]])
    for time in (0, 0.03, 0.1, 0.11):
        np.testing.assert_allclose(smoother(points, time, 50.0), points)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=12), st.floats(0.01, 0.5))
def test_ema_follows_a_step_by_its_time_constant(steps, constant):
    smoother = Ema(constant)
    smoother(np.zeros((1, 2)), 0.0, 1.0)
    for time in np.cumsum(steps):
        value = smoother(np.ones((1, 2)), time, 1.0)
    np.testing.assert_allclose(value, 1 - np.exp(-sum(steps) / constant), rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=12), st.floats(0.1, 5))
def test_one_euro_without_beta_is_a_low_pass_of_its_cutoff(steps, cutoff):
    smoother = OneEuro(cutoff=cutoff, beta=0)
    smoother(np.zeros((1, 2)), 0.0, 1.0)
    for time in np.cumsum(steps):
        value = smoother(np.ones((1, 2)), time, 1.0)
    np.testing.assert_allclose(value, 1 - np.exp(-2 * np.pi * cutoff * sum(steps)), rtol=1e-6)


@pytest.mark.parametrize("smoother", FILTERS)
def test_nothing_is_smoothed_over_a_gap_or_backwards(smoother):
    smoother = fresh(smoother)
    smoother(np.zeros((1, 2)), 0.0, 1.0)
    np.testing.assert_array_equal(smoother(np.full((1, 2), 9.0), 0.6, 1.0), [[9, 9]])
    np.testing.assert_array_equal(smoother(np.full((1, 2), 5.0), 0.3, 1.0), [[5, 5]])


def test_fast_joints_lag_less_and_still_ones_are_steadier():
    times = np.arange(0, 4, 1 / 30)
    noise = np.random.default_rng(0).normal(0, 0.005, (len(times), 2, 2))
    path = np.zeros((len(times), 2, 2))
    path[:, 1, 0] = np.sin(2 * np.pi * times)
    smoother = OneEuro()
    found = np.array([smoother(p, t, 2.0) for p, t in zip(path + noise, times, strict=True)])
    assert lag(path[:, 1], found[:, 1], times) < 0.02
    assert jerk(found[:, 0]) < jerk((path + noise)[:, 0]) / 2
    ema = Ema(constant=0.1)
    found = np.array([ema(p, t, 2.0) for p, t in zip(path + noise, times, strict=True)])
    assert 0.06 < lag(path[:, 1], found[:, 1], times) < 0.12


def test_near_and_far_people_are_smoothed_alike():
    rng = np.random.default_rng(1)
    points = rng.normal(0, 5, (40, 6, 2))
    near, far = OneEuro(), OneEuro()
    for time, each in enumerate(points):
        np.testing.assert_allclose(near(4 * each, time / 30, 400.0), 4 * far(each, time / 30, 100.0))


def test_the_input_is_left_alone_and_the_output_is_ones_own():
    smoother = Ema()
    points = np.zeros((2, 2))
    first = smoother(points, 0.0, 1.0)
    first += 100
    np.testing.assert_array_equal(smoother(points, 0.01, 1.0), 0)
    np.testing.assert_array_equal(points, 0)


def test_lag_and_jerk_of_known_paths():
    times = np.arange(0, 3, 1 / 30)
    path = np.column_stack([np.sin(3 * times), np.cos(2 * times)])
    late = np.column_stack([np.sin(3 * (times - 0.05)), np.cos(2 * (times - 0.05))])
    assert lag(path, late, times) == pytest.approx(0.05, abs=0.001)
    assert lag(path, path, times) == 0
    cubic = np.column_stack([np.arange(9) ** 3, np.zeros(9)])
    assert jerk(cubic) == 6
