"""When INT8 on a device counts as right: about as near to FP32 as what was expected of it."""

import numpy as np
import pytest

from lite_deploy.verify_device import ROUNDED_AGAIN, as_near


@pytest.fixture
def outputs() -> tuple[list[np.ndarray], list[np.ndarray], np.random.Generator]:
    """Return two outputs in FP32, and in INT8."""
    rng = np.random.default_rng(0)
    fp32 = [rng.normal(size=(2, 3, 8, 8)), rng.normal(size=(2, 5))]
    return fp32, [each + rng.normal(0, 0.1, each.shape) for each in fp32], rng


def test_roundings_drawn_anew_are_right(outputs):
    fp32, expected, rng = outputs
    again = [each + rng.normal(0, 0.1, each.shape) for each in fp32]
    assert as_near(fp32, expected, again) and as_near(fp32, expected, expected)


def test_what_is_farther_is_wrong(outputs):
    fp32, expected, _ = outputs
    for factor, right in ((ROUNDED_AGAIN - 0.01, True), (ROUNDED_AGAIN + 0.01, False)):
        off = [one + factor * (other - one) for one, other in zip(fp32, expected, strict=True)]
        assert as_near(fp32, expected, off) == right
    assert not as_near(fp32, expected, [each[::-1] for each in fp32])
    assert not as_near(fp32, expected, [np.zeros_like(each) for each in fp32])
    assert not as_near(fp32, expected, [np.full_like(each, np.nan) for each in fp32])
