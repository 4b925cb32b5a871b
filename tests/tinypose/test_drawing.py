"""Drawing, checked against what a line, a disc and a circle must cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinypose.drawing import contact_sheet, draw_people, label
from tinypose.skeleton import Limb, Skeleton, load_skeleton

RED, BLUE = (255, 0, 0), (0, 0, 255)
STICK = Skeleton(
    name="stick",
    joints=("a", "b", "c"),
    pairs=(("a", "b"),),
    sigmas=(0.1, 0.1, 0.1),
    limbs=(Limb(joints=("a", "b"), color=RED), Limb(joints=("b", "c"), color=BLUE)),
)


def canvas(height: int = 120, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 40, np.uint8)


def near(pixel: np.ndarray, color: tuple[int, int, int]) -> bool:
    """OpenCV's anti-aliased lines of one pixel reach nine tenths of their colour."""
    return np.abs(pixel.astype(int) - color).max() <= 30


def people(*joints: tuple[float, float, float]) -> np.ndarray:
    return np.array([joints])


def test_a_limb_lies_between_its_joints_in_its_colour():
    drawn = draw_people(canvas(), people((20, 60, 1), (120, 60, 1), (120, 20, 0.9)), STICK)
    assert near(drawn[60, 70], RED)
    assert near(drawn[40, 120], BLUE)
    assert (drawn[70:] == 40).all()
    assert (drawn[:, 140:] == 40).all()


def test_what_is_drawn_lies_where_the_joints_are_and_nowhere_else():
    drawn = draw_people(canvas(), people((20, 60, 1), (120, 60, 1), (0, 0, 0)), STICK)
    rows, columns = np.nonzero((drawn != 40).any(-1))
    radius = 1 + round(100 * 0.012)
    found = [rows.min(), rows.max(), columns.min(), columns.max()]
    np.testing.assert_allclose(found, [60 - radius, 60 + radius, 20 - radius, 120 + radius], atol=1)


def test_line_width_follows_the_size_of_the_person():
    widths = []
    for length in (100, 300, 600, 1000):
        drawn = draw_people(canvas(60, 1100), people((20, 30, 1), (20 + length, 30, 1), (0, 0, 0)), STICK)
        widths.append(int((drawn[:, 20 + length // 2, 0] > 150).sum()))
        assert 0 <= widths[-1] - round(length * 0.012) <= 2  # as much as OpenCV's rim adds
    assert widths == sorted(set(widths))


def test_the_box_sets_the_size_where_there_is_one():
    joints = people((20, 30, 1), (120, 30, 1), (0, 0, 0))
    thin = draw_people(canvas(), joints, STICK, boxes=np.array([[10, 20, 120, 20]]))
    thick = draw_people(canvas(), joints, STICK, boxes=np.array([[10, 20, 1000, 20]]))
    assert ((thick[20:40] == RED).all(-1)).sum() > 4 * ((thin[20:40] == RED).all(-1)).sum()


def test_an_uncertain_joint_is_hollow_and_its_limb_is_missing():
    joints = people((50, 60, 0.9), (150, 60, 0.1), (0, 0, 0))
    drawn = draw_people(canvas(), joints, STICK, threshold=0.5, boxes=np.array([[0, 0, 199, 119]]) * 2)
    assert tuple(drawn[60, 50]) == RED
    assert tuple(drawn[60, 100]) == (40, 40, 40)
    assert tuple(drawn[60, 150]) == (40, 40, 40), "the middle of the circle"
    ring = drawn[60 - 8 : 60 + 9, 150 - 8 : 150 + 9]
    assert ((ring == BLUE).all(-1)).sum() > 8


def test_an_uncertain_joint_does_not_cover_a_certain_one():
    joints = people((50, 60, 0.9), (150, 60, 0.9), (150, 60, 0.1))
    box = np.array([[0, 0, 400, 240]])
    with_ring = draw_people(canvas(), joints, STICK, boxes=box)
    joints[0, 2, 2] = 0
    np.testing.assert_array_equal(
        with_ring[60, 140:150], draw_people(canvas(), joints, STICK, boxes=box)[60, 140:150]
    )


def test_a_joint_at_the_threshold_is_certain():
    drawn = draw_people(canvas(), people((50, 60, 0.5), (150, 60, 0.5), (0, 0, 0)), STICK, threshold=0.5)
    assert near(drawn[60, 100], RED)


@pytest.mark.parametrize(
    "bad", [(50, 60, 0), (50, 60, 0.04), (50, 60, -1), (np.nan, 60, 1), (50, np.inf, 1), (50, 60, np.nan)]
)
def test_a_joint_that_is_not_there_is_not_drawn(bad):
    drawn = draw_people(canvas(), people((0, 0, 0), (0, 0, 0), bad), STICK)
    assert (drawn == 40).all()


def test_the_box_is_drawn_around_the_person():
    drawn = draw_people(canvas(), np.zeros((1, 3, 3)), STICK, boxes=np.array([[30, 20, 100, 60]]))
    for row, column in ((20, 80), (80, 80), (50, 30), (50, 130)):
        assert near(drawn[row, column], (255, 255, 255))
    assert tuple(drawn[50, 80]) == (40, 40, 40)


def test_boxes_have_their_colours():
    boxes = np.array([[10, 20, 50, 60], [100, 20, 50, 60]])
    drawn = draw_people(canvas(), np.zeros((2, 3, 3)), STICK, boxes=boxes, colors=[RED, BLUE])
    assert near(drawn[50, 10], RED) and near(drawn[50, 100], BLUE)


@pytest.mark.parametrize("corner", [(30, 60), (-50, -50), (500, 500)])
def test_a_label_stays_in_the_picture(corner):
    image = canvas()
    label(image, "17", corner, 0.8, color=RED, ground=BLUE)
    rows, columns = np.nonzero((image != 40).any(axis=2))
    assert 17 < np.ptp(rows) < 35 and 25 < np.ptp(columns) < 50
    assert near(image[rows.min(), columns.min()], BLUE) and (image[..., 0] > 200).sum() > 30
    if corner == (30, 60):
        assert (rows.max(), columns.min()) == (59, 30)


def test_a_label_in_a_tiny_picture():
    label(np.zeros((1, 1, 3), np.uint8), "17", (0, 0), 5)


def test_the_picture_given_stays_as_it_was_and_nobody_changes_nothing():
    image = canvas()
    draw_people(image, people((20, 60, 1), (120, 60, 1), (120, 20, 1)), STICK)
    assert (image == 40).all()
    nobody = draw_people(image, np.zeros((0, 3, 3)), STICK, boxes=np.zeros((0, 4)))
    assert (nobody == image).all()
    assert nobody is not image


def test_the_sides_of_coco_people_can_be_told():
    skeleton = load_skeleton("coco17")
    joints = np.zeros((1, 17, 3))
    for name, x in (("left", 140), ("right", 60)):
        joints[0, skeleton.index(f"{name}_shoulder")] = x, 20, 1
        joints[0, skeleton.index(f"{name}_elbow")] = x, 100, 1
    drawn = draw_people(canvas(), joints, skeleton)
    assert drawn[60, 140, 2] > drawn[60, 140, 0]
    assert drawn[60, 60, 0] > drawn[60, 60, 2]


@given(arrays(np.float64, (2, 3, 3), elements=st.floats(width=64)), st.floats(0, 1))
def test_any_numbers_can_be_drawn(joints, threshold):
    assert draw_people(canvas(30, 40), joints, STICK, threshold).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("image", "keypoints", "boxes", "message"),
    [
        (np.zeros((9, 9, 3)), np.zeros((1, 3, 3)), None, "uint8"),
        (np.zeros((9, 9), np.uint8), np.zeros((1, 3, 3)), None, "uint8"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((1, 4, 3)), None, r"stick: expected keypoints \[N, 3, 3\]"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((3, 3)), None, "expected keypoints"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((1, 3, 3)), np.zeros((2, 4)), r"expected boxes \[1, 4\]"),
    ],
)
def test_arrays_of_another_shape_are_named(image, keypoints, boxes, message):
    with pytest.raises(ValueError, match=message):
        draw_people(image, keypoints, STICK, boxes=boxes)


def test_contact_sheet_puts_each_picture_into_its_cell():
    images = [np.full((10, 20, 3), value, np.uint8) for value in range(5)]
    sheet = contact_sheet(images, columns=2, gap=3, color=(9, 8, 7))
    assert sheet.shape == (3 * 13 - 3, 2 * 23 - 3, 3)
    for number in range(5):
        row, column = divmod(number, 2)
        assert (sheet[row * 13 : row * 13 + 10, column * 23 : column * 23 + 20] == number).all()
    assert (sheet[10:13] == (9, 8, 7)).all()
    assert (sheet[:, 20:23] == (9, 8, 7)).all()
    assert (sheet[26:, 23:] == (9, 8, 7)).all()


def test_contact_sheet_centres_the_smaller_ones():
    small = np.zeros((4, 6, 3), np.uint8)
    sheet = contact_sheet([np.full((10, 20, 3), 5, np.uint8), small], columns=2, gap=0)
    assert sheet.shape == (10, 40, 3)
    assert (sheet[3:7, 27:33] == 0).all()
    assert (sheet == 0).sum() == small.size


def test_contact_sheet_is_no_wider_than_its_pictures():
    assert contact_sheet([canvas()] * 3, columns=10, gap=0).shape == (120, 600, 3)


@pytest.mark.parametrize(("images", "columns"), [([], 3), ([canvas()], 0)])
def test_contact_sheet_of_nothing_is_an_error(images, columns):
    with pytest.raises(ValueError, match="expected pictures"):
        contact_sheet(images, columns)
