"""Bottom-up targets against the published code's."""

import numpy as np
import pytest

from tinypose.codecs.bottom_up_targets import centred_heatmaps, grouped_heatmaps, offsets, tag_places


@pytest.mark.parametrize("size,sigma", [(64, 2), (128, 2), (128, -1)])
def test_higherhrnets_heatmaps_and_tags(shared, size, sigma):
    case = np.load(shared / "reference" / "case_higherhrnet_targets.npz")
    joints = case[f"joints_{size}_{sigma}"]
    heatmaps = grouped_heatmaps(joints, size, size / 64 if sigma < 0 else sigma)
    np.testing.assert_allclose(heatmaps, case[f"heatmap_{size}_{sigma}"], atol=1e-6)
    np.testing.assert_array_equal(tag_places(joints, size), case[f"tag_index_{size}_{sigma}"])


def test_scale_aware_heatmaps(shared):
    case = np.load(shared / "reference" / "case_higherhrnet_targets.npz")
    joints = case["joints_scaleaware"]
    heatmaps = grouped_heatmaps(joints[..., :3], 64, joints[:, 0, 3])
    np.testing.assert_allclose(heatmaps, case["heatmap_scaleaware"], atol=1e-6)


def test_the_adaptive_networks(shared):
    case = np.load(shared / "reference" / "case_adaptive_loss.npz")
    heatmaps, weights = centred_heatmaps(case["joints"], 32, 0.1, per_channel=False)
    np.testing.assert_allclose(heatmaps, case["heatmap1"], atol=1e-6)
    np.testing.assert_allclose(weights, case["weight1"], atol=1e-6)
    heatmaps, weights = centred_heatmaps(case["joints2"], 64, 0.025, per_channel=False)
    np.testing.assert_allclose(heatmaps, case["heatmap2"], atol=1e-6)
    np.testing.assert_allclose(weights, case["weight2"], atol=1e-6)
    target, weights = offsets(case["joints"], case["area"][:, 0], 32)
    np.testing.assert_allclose(target, case["offset"], atol=1e-5)
    np.testing.assert_allclose(weights, case["offset_weight"], atol=1e-6)


@pytest.mark.parametrize("joints,size", [(17, 40), (14, 32)])
def test_dekrs(shared, joints, size):
    case = np.load(shared / "reference" / "case_dekr_loss.npz")
    heatmaps, weights = centred_heatmaps(case[f"k{joints}_joints"], size, 0.1, per_channel=True)
    np.testing.assert_allclose(heatmaps, case[f"k{joints}_heatmap"], atol=1e-6)
    np.testing.assert_allclose(weights, case[f"k{joints}_weight"], atol=1e-4)
    target, weights = offsets(case[f"k{joints}_joints"], case[f"k{joints}_area"][:, 0], size)
    np.testing.assert_allclose(target, case[f"k{joints}_offset"], atol=1e-5)
    np.testing.assert_allclose(weights, case[f"k{joints}_offset_weight"], atol=1e-6)
