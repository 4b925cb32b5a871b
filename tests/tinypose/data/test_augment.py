"""Augmentation: joints move with the pixels, draws depend on nothing but their seed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinypose.config import AugmentConfig, InputConfig
from tinypose.data.augment import Variation, draw, matrix_of, move_joints, render
from tinypose.geometry import crop_matrix, fit_box, invert, transform
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")
CROP = InputConfig(width=96, height=128)
SIZE = (96, 128)
BOX = np.array([60.0, 40.0, 70.0, 110.0])


def people_joints(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = BOX[:2] + rng.uniform(0.05, 0.95, (17, 2)) * BOX[2:]
    return np.column_stack([places, np.full(17, 2)]).astype(np.float32)


def spots(joints: np.ndarray, shape: tuple[int, int] = (200, 200)) -> np.ndarray:
    """A picture with a soft white spot on each joint."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for px, py in joints[:, :2]:
        image = np.maximum(image, np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.5**2)))
    return np.repeat((255 * image).round().astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=25, deadline=None)
@given(
    rotation=st.floats(-60, 60),
    flip=st.booleans(),
    scale=st.floats(0.75, 1.25),
    joint=st.integers(0, 16),
    seed=st.integers(0, 50),
)
def test_the_joint_is_where_its_pixels_went(rotation, flip, scale, joint, seed):
    joints = people_joints(seed)
    box = np.concatenate([BOX[:2] - BOX[2:] * (scale - 1) / 2, BOX[2:] * scale])
    variation = Variation(box, rotation, flip)
    alone = joints[joint : joint + 1]
    crop = render(spots(alone), variation, SIZE, CROP.padding)[..., 0].astype(np.float64)
    moved = move_joints(joints, variation, SIZE, CROP.padding, COCO)
    x, y, _ = moved[COCO.flip_order[joint] if flip else joint]
    if not (6 < x < SIZE[0] - 7 and 6 < y < SIZE[1] - 7):
        return
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    assert np.abs(found - [x, y]).max() < 0.1


def test_without_variation_the_crop_is_the_one_that_is_evaluated():
    matrix = matrix_of(Variation(BOX), SIZE, CROP.padding)
    np.testing.assert_array_equal(matrix, crop_matrix(BOX, SIZE, CROP.padding))


def test_a_flip_mirrors_pixels_and_joints_exactly():
    joints = people_joints()
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    plain, mirrored = Variation(BOX), Variation(BOX, flip=True)
    np.testing.assert_array_equal(
        render(image, mirrored, SIZE, 1.25), render(image, plain, SIZE, 1.25)[:, ::-1]
    )
    moved = move_joints(joints, plain, SIZE, 1.25, COCO)
    moved[:, 0] = SIZE[0] - 1 - moved[:, 0]
    np.testing.assert_allclose(move_joints(joints, mirrored, SIZE, 1.25, COCO), moved[COCO.flip_order])


def test_the_same_seed_draws_the_same_and_others_differ():
    config = AugmentConfig(color=0.3)
    first, again, other = (
        draw(np.random.default_rng(seed), BOX, people_joints(), config, CROP, COCO) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.box, again.box)
    assert (first.rotation, first.flip, first.disc, first.gains) == (
        again.rotation,
        again.flip,
        again.disc,
        again.gains,
    )
    assert first.gains != other.gains


def test_draws_stay_in_their_bounds_and_reach_them():
    config = AugmentConfig(half_body_chance=0, drop_chance=0)
    drawn = [
        draw(np.random.default_rng(seed), BOX, people_joints(), config, CROP, COCO) for seed in range(2000)
    ]
    scales = np.array([v.box[2] / BOX[2] for v in drawn])
    rotations = np.array([v.rotation for v in drawn])
    assert scales.min() == pytest.approx(0.75) and scales.max() == pytest.approx(1.25)
    assert np.abs(rotations).max() <= 60
    assert np.mean(rotations == 0) == pytest.approx(0.4, abs=0.04)
    assert np.std(rotations[rotations != 0]) == pytest.approx(30 * 0.94, rel=0.1)  # cut at two sigma
    assert np.mean([v.flip for v in drawn]) == pytest.approx(0.5, abs=0.04)
    centers = np.array([v.box[:2] + v.box[2:] / 2 for v in drawn])
    np.testing.assert_allclose(centers, np.tile(BOX[:2] + BOX[2:] / 2, (2000, 1)))


def test_crops_are_moved_by_parts_of_themselves():
    config = AugmentConfig(
        shift=0.2, shift_chance=0.5, scale=0, rotation=0, half_body_chance=0, drop_chance=0, flip_chance=0
    )
    rngs = (np.random.default_rng(seed) for seed in range(1000))
    boxes = np.array([draw(rng, BOX, people_joints(), config, CROP, COCO).box for rng in rngs])
    moves = (boxes[:, :2] - BOX[:2]) / fit_box(BOX, SIZE, CROP.padding)[2:]
    assert np.abs(moves).max(axis=0) == pytest.approx([0.2, 0.2])
    assert np.mean(np.any(moves != 0, axis=1)) == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(boxes[:, 2:], np.tile(BOX[2:], (1000, 1)))


def test_everything_off_changes_nothing():
    off = AugmentConfig(scale=0, rotation=0, flip_chance=0, half_body_chance=0, drop_chance=0)
    variation = draw(np.random.default_rng(3), BOX, people_joints(), off, CROP, COCO)
    np.testing.assert_allclose(variation.box, BOX)
    assert (variation.rotation, variation.flip, variation.disc) == (0, False, None)


def test_half_body_keeps_one_half_in_the_crop():
    config = AugmentConfig(half_body_chance=1, scale=0, rotation_chance=0, flip_chance=0, drop_chance=0)
    joints = people_joints(4)
    upper = np.zeros(17, bool)
    upper[COCO.upper_body_indices] = True
    joints[upper, 1] = BOX[1] + (joints[upper, 1] - BOX[1]) * 0.4
    joints[~upper, 1] = BOX[1] + BOX[3] * 0.6 + (joints[~upper, 1] - BOX[1]) * 0.4
    seen = set()
    for seed in range(40):
        variation = draw(np.random.default_rng(seed), BOX, joints, config, CROP, COCO)
        moved = move_joints(joints, variation, SIZE, CROP.padding, COCO)
        inside = ((moved[:, :2] >= 0) & (moved[:, :2] <= np.array(SIZE) - 1)).all(axis=1)
        halves = [half for half in (upper, ~upper) if inside[half].all()]
        assert halves, "neither half is whole in the crop"
        seen.add(len(halves) == 1 and bool(halves[0][0]))
        assert variation.box[3] < BOX[3]
    assert seen == {True, False}


def test_few_joints_are_never_cropped_to_a_half():
    config = AugmentConfig(half_body_chance=1, scale=0, rotation_chance=0)
    joints = people_joints()
    joints[8:, 2] = 0
    variation = draw(np.random.default_rng(0), BOX, joints, config, CROP, COCO)
    np.testing.assert_allclose(variation.box, BOX)


@pytest.mark.parametrize("flip", [False, True])
def test_the_dropped_disc_lies_on_a_joint(flip):
    config = AugmentConfig(
        drop_chance=1, drop_offset=0, half_body_chance=0, flip_chance=float(flip), scale=0.2
    )
    joints = people_joints(7)
    joints[5:, 2] = 0  # the others may not be chosen
    white = np.full((200, 200, 3), 255, np.uint8)
    for seed in range(10):
        variation = draw(np.random.default_rng(seed), BOX, joints, config, CROP, COCO)
        moved = move_joints(joints, variation, SIZE, CROP.padding, COCO)
        x, y, radius = (value * (SIZE[0] - 1) for value in variation.disc)
        distance = np.hypot(moved[:, 0] - x, moved[:, 1] - y)
        assert moved[distance.argmin(), 2] > 0 and distance.min() < 1e-6
        assert 0.1 <= radius / (SIZE[0] - 1) <= 0.2
        crop = render(white, variation, SIZE, CROP.padding)
        if 0 <= round(x) < SIZE[0] and 0 <= round(y) < SIZE[1]:
            assert not crop[round(y), round(x)].any()


def test_two_sizes_show_the_same_variation():
    joints = people_joints()
    variation = Variation(BOX, 20, True, (0.5, 0.6, 0.15))
    small = move_joints(joints, variation, (96, 128), 1.25, COCO)[:, :2]
    large = move_joints(joints, variation, (192, 256), 1.25, COCO)[:, :2]
    np.testing.assert_allclose(small / [95, 127], large / [191, 255])
    white = np.full((200, 200, 3), 255, np.uint8)
    dark = [(render(white, variation, size, 1.0) == 0).all(axis=2).mean() for size in ((96, 128), (192, 256))]
    assert dark[0] == pytest.approx(dark[1], rel=0.1)


def test_color_changes_pixels_but_not_where_they_are():
    image = spots(people_joints())
    plain, bright = Variation(BOX), Variation(BOX, gains=(0.5, 1.0, 1.0))
    np.testing.assert_allclose(
        render(image, bright, SIZE, 1.25), render(image, plain, SIZE, 1.25) * 0.5, atol=1
    )


def published(seed: int) -> Variation:
    """Return a draw of what RTMPose's recipe varies beside place and size."""
    names = dict.fromkeys(("scale", "rotation_chance", "flip_chance", "half_body_chance", "drop_chance"), 0)
    config = AugmentConfig(hsv=(5, 30, 30), blur_chance=0.1, median_chance=0.2, hole_chance=0.5, **names)
    return draw(np.random.default_rng(seed), BOX, people_joints(), config, CROP, COCO)


def test_hues_blurs_and_holes_are_drawn_as_often_and_as_far_as_asked():
    drawn = [published(seed) for seed in range(4000)]
    hsv = np.array([each.hsv for each in drawn])
    assert np.abs(hsv).max(axis=0).tolist() == [4, 29, 29]  # whole numbers, towards zero
    assert (hsv[:, 1:] != 0).mean(axis=0) == pytest.approx(0.5 * 29 / 30, abs=0.03)
    for name, chance in (("blur", 0.1), ("median", 0.2)):
        windows = np.array([getattr(each, name) for each in drawn]) * 192
        assert (windows > 0).mean() == pytest.approx(chance, abs=0.02)
        assert set(np.round(windows, 6)) == {0, 3, 5, 7}
    holes = np.array([each.hole for each in drawn if each.hole is not None])
    assert len(holes) / len(drawn) == pytest.approx(0.5, abs=0.03)
    sides = holes[:, 2:]
    assert sides.min() == pytest.approx(0.2, abs=0.001) and sides.max() == pytest.approx(0.4, abs=0.001)
    assert holes[:, :2].min() >= 0 and (holes[:, :2] + sides).max() <= 1
    assert (holes[:, :2] + sides).max() > 0.99


def test_hue_goes_round_and_saturation_ends():
    colours = np.full((200, 200, 3), (200, 40, 40), np.uint8)  # hue 0, saturation 204, value 200

    def seen(*hsv):
        found = render(colours, Variation(BOX, hsv=hsv), SIZE, 0.5)[64, 48].tolist()
        return pytest.approx(found, abs=1)

    assert seen(0, 0, 0) == [200, 40, 40]
    assert seen(60, 0, 0) == [40, 200, 40]
    assert seen(-60, 0, 0) == [40, 40, 200]
    assert seen(0, 100, 0) == [200, 0, 0]
    assert seen(0, -204, 0) == [200, 200, 200]
    assert seen(0, 0, 100) == [255, 51, 51]


@pytest.mark.parametrize("size", [(192, 256), (96, 128)])
def test_blurs_are_of_windows_that_grow_with_the_crop(size):
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    plain = render(image, Variation(BOX), size, 1.25)
    window = {192: 7, 96: 3}[size[0]]
    np.testing.assert_array_equal(
        render(image, Variation(BOX, blur=7 / 192), size, 1.25), cv2.blur(plain, (window, window))
    )
    np.testing.assert_array_equal(
        render(image, Variation(BOX, median=7 / 192), size, 1.25), cv2.medianBlur(plain, window)
    )


def test_a_hole_is_black_and_all_around_is_as_it_was():
    image = np.random.default_rng(0).integers(1, 255, (400, 400, 3), np.uint8)
    box = np.array([150.0, 150.0, 60.0, 80.0])
    plain = render(image, Variation(box), SIZE, 1.0)
    holed = render(image, Variation(box, hole=(0.25, 0.5, 0.25, 0.375)), SIZE, 1.0)
    assert not holed[64:112, 24:48].any()
    holed[64:112, 24:48] = plain[64:112, 24:48]
    np.testing.assert_array_equal(holed, plain)


def test_the_matrix_leads_back():
    variation = Variation(BOX, 33, True)
    matrix = matrix_of(variation, SIZE, 1.25)
    points = np.random.default_rng(0).uniform(0, 90, (20, 2))
    np.testing.assert_allclose(transform(matrix, transform(invert(matrix), points)), points, atol=1e-9)
