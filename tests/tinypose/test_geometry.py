"""Crops and their inverses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypose.data.augment import Variation, matrix_of
from tinypose.geometry import crop_image, crop_matrix, fit_box, flip_box, flip_joints, invert, transform
from tinypose.skeleton import load_skeleton

SIZE = (192, 256)
boxes = st.tuples(st.floats(-500, 2000), st.floats(-500, 2000), st.floats(1, 3000), st.floats(1, 3000)).map(
    np.array
)
sizes = st.sampled_from([(192, 256), (96, 128), (256, 256), (288, 384)])
points = st.tuples(st.floats(-4000, 6000), st.floats(-4000, 6000)).map(np.array)


@given(boxes, sizes, st.floats(1, 2), st.floats(-180, 180), points)
def test_there_and_back_is_exact(box, size, padding, rotation, point):
    matrix = crop_matrix(box, size, padding, rotation)
    back = transform(invert(matrix), transform(matrix, point))
    np.testing.assert_allclose(back, point, atol=1e-6)


@given(boxes, sizes, st.floats(1, 2))
def test_corners_of_the_grown_box_fall_on_corner_pixels(box, size, padding):
    left, top, width, height = fit_box(box, size, padding)
    corners = [[left, top], [left + width, top + height]]
    mapped = transform(crop_matrix(box, size, padding), corners)
    np.testing.assert_allclose(mapped, [[0, 0], [size[0] - 1, size[1] - 1]], atol=1e-7)


@given(boxes, sizes, st.floats(1, 2))
def test_grown_box_has_the_ratio_and_just_holds_the_box(box, size, padding):
    grown = fit_box(box, size, padding)
    assert grown[2] / grown[3] == pytest.approx(size[0] / size[1])
    np.testing.assert_allclose(grown[:2] + grown[2:] / 2, box[:2] + box[2:] / 2, atol=1e-9)
    ratios = grown[2:] / box[2:]
    assert ratios.min() == pytest.approx(padding)


@given(boxes, sizes, st.floats(-180, 180))
def test_rotation_keeps_the_middle_and_turns_clockwise(box, size, rotation):
    matrix = crop_matrix(box, size, rotation=rotation)
    middle = box[:2] + box[2:] / 2
    np.testing.assert_allclose(transform(matrix, middle), (np.array(size) - 1) / 2, atol=1e-7)
    # y points down, so clockwise takes what is right of the middle downwards.
    quarter = crop_matrix(box, size, rotation=90)
    moved = transform(quarter, middle + [1, 0]) - transform(quarter, middle)
    assert moved[1] > 0 and abs(moved[0]) < 1e-9 * moved[1] + 1e-12


def test_a_quarter_turn_by_hand():
    # A crop of 101 pixels is 100 long: the scale is 1 and only the turn is left.
    turned = crop_matrix([0, 0, 100, 100], (101, 101), padding=1.0, rotation=90)
    np.testing.assert_allclose(
        transform(turned, [[0, 0], [100, 0], [50, 50]]), [[100, 0], [100, 100], [50, 50]]
    )


@given(boxes, sizes, points, st.integers(1, 3000))
def test_mirrored_box_sees_the_mirrored_point(box, size, point, width):
    seen = transform(crop_matrix(box, size), point)
    mirrored = transform(crop_matrix(flip_box(box, width), size), [width - 1 - point[0], point[1]])
    np.testing.assert_allclose(mirrored, [size[0] - 1 - seen[0], seen[1]], atol=1e-5)


def test_flipping_joints_swaps_sides_and_is_its_own_inverse():
    skeleton = load_skeleton("coco17")
    joints = np.random.default_rng(0).uniform(0, 100, (3, 17, 3))
    flipped = flip_joints(joints, 101, skeleton.flip_order)
    left, right = skeleton.index("left_wrist"), skeleton.index("right_wrist")
    np.testing.assert_allclose(flipped[:, left, 0], 100 - joints[:, right, 0])
    np.testing.assert_allclose(flipped[:, left, 1:], joints[:, right, 1:])
    np.testing.assert_allclose(flip_joints(flipped, 101, skeleton.flip_order), joints)


def test_crop_shows_a_bright_pixel_where_the_matrix_says():
    image = np.zeros((300, 400, 3), np.uint8)
    image[120:123, 200:203] = 255  # its middle is (201, 121)
    matrix = crop_matrix([150, 60, 90, 120], SIZE)
    crop = crop_image(image, matrix, SIZE)
    assert crop.shape == (256, 192, 3) and crop.dtype == np.uint8
    y, x = np.indices(crop.shape[:2])
    weight = crop[..., 0].astype(float)
    middle = [(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()]
    np.testing.assert_allclose(middle, transform(matrix, [201, 121]), atol=0.05)


def test_cropping_the_mirrored_picture_mirrors_the_crop():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 120, 3), np.uint8)
    # A crop at the picture's own scale, so that no rounding of the interpolation differs.
    box = [20, 10, 31, 41]
    size = (32, 42)
    straight = crop_image(image, crop_matrix(box, size, padding=1.0), size)
    mirrored = crop_image(image[:, ::-1].copy(), crop_matrix(flip_box(box, 120), size, padding=1.0), size)
    assert np.abs(mirrored[:, ::-1].astype(int) - straight).max() <= 20


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [0, 0, float("nan"), 5], [0, 0, -3, -4]])
def test_a_box_of_no_extent_is_refused(box):
    with pytest.raises(ValueError, match="no extent"):
        crop_matrix(box, SIZE)


def test_plain_crops_are_mmposes(shared):
    cases = np.load(shared / "reference" / "rtmpose_crop.npz")
    for number, (left, top, right, bottom) in enumerate(cases["boxes_xyxy"].astype(np.float64)):
        box = [left, top, right - left, bottom - top]
        for rotation in (0, 30):
            expected = cases[f"matrix_rot{rotation}"][number]
            found = crop_matrix(box, (192, 256), rotation=-rotation, crop="plain")
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
        matrix = crop_matrix(box, (192, 256), crop="plain")
        back = transform(invert(matrix), cases["keypoints_in_input"])
        np.testing.assert_allclose(back, cases["keypoints_in_image"][number], atol=1e-3)
        udp = cases["udp_matrix_rot0_pretraining_only"][number]
        np.testing.assert_allclose(crop_matrix(box, (192, 256)), udp, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("crop", ["udp", "plain"])
def test_a_mirrored_crop_is_the_crop_of_the_mirrored_picture(crop):
    """Plain as in mmpose: the joint at x is at width - x then, not at width - 1 - x."""
    box, width = [13.0, 20.0, 60.0, 90.0], 150
    points = np.random.default_rng(0).uniform(0, width, (9, 2))
    found = transform(matrix_of(Variation(np.array(box), flip=True), SIZE, 1.25, crop), points)
    points[:, 0] = width - 1 - points[:, 0]
    np.testing.assert_allclose(found, transform(crop_matrix(flip_box(box, width), SIZE, crop=crop), points))
