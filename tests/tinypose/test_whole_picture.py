"""Whole pictures: sizes, matrices and masks against the published code's."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypose.geometry import invert, transform
from tinypose.skeleton import load_skeleton
from tinypose.whole_picture import (
    WholeVariation,
    draw_variation,
    move_varied,
    render_mask,
    render_varied,
    resize_matrix,
    resized_size,
    varied_matrix,
)


def test_resizing(shared):
    cases = json.loads((shared / "reference" / "case_bottomup_resize.json").read_text())
    assert len(cases) == 48
    for case in cases:
        height, width = case["image_hw"]
        picture, size = (width, height), case["input_size"]
        smallest = min(case["scales"])
        resized = resized_size(picture, size, case["scale_factor"], smallest)
        base = resized_size(picture, size, 1.0, smallest)
        assert (list(resized), list(base)) == (case["resized_wh"], case["base_wh"])
        np.testing.assert_allclose(resize_matrix(picture, resized), case["matrix"], atol=2e-5)
        back = invert(resize_matrix(picture, base))
        points = np.array(case["points"])[:, :2]
        np.testing.assert_allclose(transform(back, points), case["back"], atol=1e-4)


def variation_of(case):
    return WholeVariation(case["scale_draw"], case["rotation"], (case["dx"], case["dy"]))


def test_varying(shared):
    cases = json.loads((shared / "reference" / "case_bottomup_augment.json").read_text())
    arrays = np.load(shared / "reference" / "case_bottomup_augment.npz")
    for i, case in enumerate(cases):
        height, width = case["image_hw"]
        variation = variation_of(case)
        for size in (128, 256, 512):
            matrix = varied_matrix((width, height), variation, size)
            np.testing.assert_allclose(matrix, case[f"matrix_{size}"], atol=1e-6)
        mask = np.ones((height, width), bool)
        mask[height // 3 : height // 2, width // 4 : width // 2] = False
        for size in (128, 256):
            joints = move_varied(
                arrays[f"joints_in_{i}"], (width, height), variation, size, load_skeleton("coco17").flip_order
            )
            np.testing.assert_allclose(joints, arrays[f"joints_{size}_{i}"], atol=1e-4)
            np.testing.assert_array_equal(render_mask(mask, variation, size), arrays[f"mask_{size}_{i}"])


@given(st.integers(0, 10**6), st.integers(20, 900), st.integers(20, 900))
def test_draws_stay_within_their_bounds_and_joints_follow_the_picture(seed, width, height):
    variation = draw_variation(np.random.default_rng(seed), (width, height))
    assert 0.75 <= variation.factor <= 1.5 and abs(variation.rotation) <= 30
    assert max(map(abs, variation.shift)) <= 40 * min(width, height) / 200 * variation.factor


@pytest.mark.parametrize("flip", [False, True])
def test_a_point_lies_where_it_is_seen(flip):
    image = np.zeros((100, 140, 3), np.uint8)
    image[58:63, 68:73] = 255
    variation = WholeVariation(1.1, 20.0, (4, -7), flip)
    seen = render_varied(image, variation, 128)[..., 0].astype(float)
    y, x = np.mgrid[:128, :128]
    found = [(x * seen).sum() / seen.sum(), (y * seen).sum() / seen.sum()]
    joints = move_varied(np.array([[70.0, 60.0, 2]]), (140, 100), variation, 128, np.array([0]))
    np.testing.assert_allclose(found, joints[0, :2], atol=0.1)
