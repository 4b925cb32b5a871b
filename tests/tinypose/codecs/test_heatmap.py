"""Heatmaps: encoding, decoding, and the way there and back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinypose.codecs.heatmap import decode, encode, flip_back, grid_step, to_crop, to_heatmap

INPUT, HEATMAP = (192, 256), (48, 64)
grids = pytest.mark.parametrize("grid", ["stride", "udp"])


@settings(deadline=None)
@given(
    size=st.sampled_from([((192, 256), (48, 64)), ((96, 128), (24, 32)), ((256, 256), (64, 64))]),
    grid=st.sampled_from(["stride", "udp"]),
    sigma=st.floats(1.0, 3.0),
    blur=st.sampled_from([3, 5]),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_unbiased_and_dark_come_back_within_a_twentieth_of_a_pixel(size, grid, sigma, blur, where):
    input_size, heatmap_size = size
    margin = 3  # DARK reads two pixels to each side of the maximum
    wanted = margin + np.array(where) * (np.array(heatmap_size) - 1 - 2 * margin)
    joint = to_crop(wanted[None], input_size, heatmap_size, grid)
    heatmaps, weights = encode(joint, np.ones(1), input_size, heatmap_size, sigma, grid=grid)
    found = decode(heatmaps[None], "dark", blur)[0]
    assert weights.tolist() == [1]
    assert np.abs(found[0, :2] - wanted).max() < 0.05
    back = to_crop(found, input_size, heatmap_size, grid)
    assert np.abs(back[0, :2] - joint[0]).max() < 0.05 * grid_step(input_size, heatmap_size, grid).max()


@settings(deadline=None)
@given(st.floats(2, 45), st.floats(2, 61), st.sampled_from([1.0, 2.0]))
def test_error_bounds_of_the_coarser_decodings(x, y, sigma):
    joint = to_crop(np.array([[x, y]]), INPUT, HEATMAP)
    heatmaps, _ = encode(joint, np.ones(1), INPUT, HEATMAP, sigma)
    assert np.abs(decode(heatmaps[None], "max")[0, 0, :2] - [x, y]).max() <= 0.5 + 1e-4
    assert np.abs(decode(heatmaps[None], "shift")[0, 0, :2] - [x, y]).max() <= 0.25 + 1e-4


@settings(deadline=None)
@given(st.floats(0, 188), st.floats(0, 251))
def test_rounded_encoding_peaks_at_one_on_the_nearest_pixel(x, y):
    heatmaps, _ = encode(np.array([[x, y]]), np.ones(1), INPUT, HEATMAP, 2.0, encoding="rounded")
    nearest = np.floor(np.array([x, y]) / grid_step(INPUT, HEATMAP) + 0.5)
    np.testing.assert_allclose(decode(heatmaps[None], "max")[0, 0], [*nearest, 1.0])


@grids
def test_encoding_is_the_gaussian_of_its_definition(grid):
    joints = np.array([[100.3, 50.7], [0.0, 255.0]])
    heatmaps, weights = encode(joints, np.array([2, 1]), INPUT, HEATMAP, 1.5, grid=grid)
    assert heatmaps.dtype == weights.dtype == np.float32 and heatmaps.shape == (2, 64, 48)
    for (x, y), found in zip(to_heatmap(joints, INPUT, HEATMAP, grid), heatmaps, strict=True):
        for row, column in [(0, 0), (13, 25), (12, 24), (63, 1), (60, 0)]:
            expected = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 1.5**2))
            assert found[row, column] == pytest.approx(expected, abs=1e-6)


def test_weights_leave_out_what_is_hidden_from_the_map():
    step = grid_step(INPUT, HEATMAP)
    joints = np.array([[10, 10], [10, 10], [-5.9, 30], [-6.1, 30], [30, 63 + 5.9], [30, 63 + 6.1]]) * step
    heatmaps, weights = encode(joints, np.array([0, 1, 2, 2, 2, 2]), INPUT, HEATMAP, 2.0)
    assert weights.tolist() == [0, 1, 1, 0, 1, 0]
    assert (heatmaps.reshape(6, -1).max(axis=1) > 0).tolist() == [False, True, True, False, True, False]


@grids
def test_the_first_pixels_coincide_and_udp_the_last_too(grid):
    assert to_crop(np.zeros((1, 2)), INPUT, HEATMAP, grid).tolist() == [[0, 0]]
    last = to_crop(np.array([[47.0, 63.0]]), INPUT, HEATMAP, "udp")
    np.testing.assert_allclose(last, [[191, 255]])


@grids
def test_flip_back_lays_the_mirrored_heatmap_exactly_on_the_other(grid):
    rng = np.random.default_rng(0)
    order = np.array([0, 2, 1])
    joints = rng.uniform([30, 30], [160, 220], (3, 2))
    mirrored = np.column_stack([191 - joints[order, 0], joints[order, 1]])
    heatmaps, _ = encode(joints, np.ones(3), INPUT, HEATMAP, 2.0, grid=grid)
    others, _ = encode(mirrored, np.ones(3), INPUT, HEATMAP, 2.0, grid=grid)
    returned = flip_back(others[None], order, grid)[0]
    np.testing.assert_allclose(returned[..., 1:], heatmaps[..., 1:], atol=1e-6)


def test_dark_equals_smoothing_the_whole_map_and_one_newton_step():
    """Against the method as the paper states it, on maps that are no clean Gaussians."""
    rng = np.random.default_rng(1)
    for blur in (3, 11):
        clean, _ = encode(rng.uniform(40, 150, (30, 2)), np.ones(30), INPUT, HEATMAP, 2.0)
        noisy = np.maximum(clean + rng.normal(0, 0.03, clean.shape), 0).astype(np.float32)
        found = decode(noisy[None], "dark", blur)[0]
        for heatmap, (x, y, score) in zip(noisy, found, strict=True):
            row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
            border = blur // 2
            padded = np.pad(heatmap.astype(np.float64), border)
            smooth = cv2.GaussianBlur(padded, (blur, blur), 0)[border:-border, border:-border]
            logs = np.log(np.maximum(smooth, 1e-10))
            p = logs[row - 2 : row + 3, column - 2 : column + 3]
            slope = np.array([p[2, 3] - p[2, 1], p[3, 2] - p[1, 2]]) / 2
            mixed = (p[3, 3] - p[1, 3] - p[3, 1] + p[1, 1]) / 4
            bend = np.array(
                [
                    [(p[2, 4] - 2 * p[2, 2] + p[2, 0]) / 4, mixed],
                    [mixed, (p[4, 2] - 2 * p[2, 2] + p[0, 2]) / 4],
                ]
            )
            step = -np.linalg.solve(bend, slope) if (np.linalg.eigvalsh(bend) < 0).all() else np.zeros(2)
            np.testing.assert_allclose([x, y], [column + step[0], row + step[1]], atol=1e-4)
            assert score == heatmap.max()


@pytest.mark.parametrize("method", ["dark", "shift", "max"])
@pytest.mark.parametrize("corner", [(0, 0), (0, 47), (63, 0), (63, 47), (1, 46)])
def test_a_maximum_at_the_border_is_returned_as_it_is(method, corner):
    heatmaps = np.zeros((1, 1, 64, 48), np.float32)
    heatmaps[0, 0][corner] = 0.7
    np.testing.assert_allclose(decode(heatmaps, method)[0, 0], [corner[1], corner[0], 0.7])


@pytest.mark.parametrize(("axis", "last"), [(0, 47), (1, 63)])
def test_dark_stays_where_its_pixels_leave_the_map_and_steps_one_pixel_further_in(axis, last):
    """It looks two pixels around, so a maximum next to the border keeps its place."""
    for pixel, steps in ((1, False), (last - 1, False), (2, True), (last - 2, True)):
        joint = np.full((1, 2), 20.0)
        joint[0, axis] = pixel + 0.3 * np.sign(last / 2 - pixel)  # towards the middle
        maps, _ = encode(to_crop(joint, INPUT, HEATMAP), np.ones(1), INPUT, HEATMAP, 2.0)
        assert maps[0].argmax() == np.ravel_multi_index((20, pixel) if axis == 0 else (pixel, 20), (64, 48))
        found = decode(maps[None], "dark")[0, 0, axis]
        assert (abs(found - joint[0, axis]) < 0.05) if steps else (found == pixel)


def test_an_empty_map_has_score_zero_and_a_finite_place():
    for method in ("dark", "shift", "max"):
        found = decode(np.zeros((2, 3, 32, 24), np.float32), method)
        assert found.shape == (2, 3, 3) and found.dtype == np.float32
        assert np.isfinite(found).all() and (found[..., 2] == 0).all()


def test_decoding_leaves_its_input_alone():
    heatmaps = np.random.default_rng(0).random((2, 3, 32, 24)).astype(np.float32)
    before = heatmaps.copy()
    for method in ("dark", "shift", "max"):
        decode(heatmaps, method)
    np.testing.assert_array_equal(heatmaps, before)


def test_unknown_ways_are_refused():
    maps = np.zeros((1, 1, 8, 8), np.float32)
    with pytest.raises(ValueError, match="method"):
        decode(maps, "soft")
    with pytest.raises(ValueError, match="odd"):
        decode(maps, "dark", 4)
    with pytest.raises(ValueError, match="grid"):
        grid_step(INPUT, HEATMAP, "corner")
    with pytest.raises(ValueError, match="encoding"):
        encode(np.zeros((1, 2)), np.ones(1), INPUT, HEATMAP, 2.0, encoding="sharp")
