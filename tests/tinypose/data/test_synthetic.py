"""The drawn set: the same again from the same seed, and annotations that are true of the pictures."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinypose.data.synthetic import draw_picture
from tinypose.data.synthetic.canvas import pick
from tinypose.data.synthetic.person import JOINTS, OBJECT, ON, PARTS
from tinypose.data.synthetic.pose import sample_body, sample_posed
from tinypose.skeleton import load_skeleton

SIZE = (160, 144)
J = {name: index for index, name in enumerate(JOINTS)}


@pytest.fixture(scope="module")
def pictures() -> list:
    return [draw_picture(3, index) for index in range(60)]


def test_joints_are_those_of_the_coco_skeleton():
    assert load_skeleton("coco17").joints == JOINTS


# Determinism.


def test_drawing_does_not_touch_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    draw_picture(0, 0, SIZE)
    assert np.array_equal(np.random.get_state()[1], before)


# What the annotations say.


def test_boxes_areas_and_joints_agree_with_the_labels(pictures):
    for picture in pictures:
        height, width = picture.labels.shape
        assert picture.image.shape == (height, width, 3)
        assert picture.image.dtype == np.uint8
        for number, person in enumerate(picture.people):
            first = 1 + number * len(PARTS)
            mask = (picture.labels >= first) & (picture.labels < first + len(PARTS))
            assert person.area == mask.sum()
            x, y, w, h = person.box
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
            if person.area:
                rows, columns = np.nonzero(mask)
                assert x <= columns.min() <= columns.max() < x + w
                assert y <= rows.min() <= rows.max() < y + h
            told = person.joints[person.joints[:, 2] > 0]
            assert (told[:, 0] >= x).all()
            assert (told[:, 0] <= x + w).all()
            assert (told[:, 1] >= y).all()
            assert (told[:, 1] <= y + h).all()
            assert (person.joints[person.joints[:, 2] == 0] == 0).all()


def test_a_joint_is_visible_only_where_its_own_limb_is_in_front(pictures):
    hidden_by = {"self": 0, "person": 0, "thing": 0}
    for picture in pictures:
        for number, person in enumerate(picture.people):
            first = 1 + number * len(PARTS)
            for name, (x, y, v) in zip(JOINTS, person.joints, strict=True):
                if v == 0:
                    continue
                label = int(picture.labels[round(y), round(x)])
                side, _, kind = name.rpartition("_")
                own = {
                    first + PARTS.index(p)
                    for p in PARTS
                    if p in ON[kind] or p in [f"{side}_{q}" for q in ON[kind]]
                }
                if v == 2:
                    assert label in own
                elif label == OBJECT:
                    hidden_by["thing"] += 1
                elif first <= label < first + len(PARTS):
                    hidden_by["self"] += 1
                else:
                    hidden_by["person"] += 1
                    # In front of somebody are only people who come later, which are nearer.
                    assert label >= first + len(PARTS)
    assert min(hidden_by.values()) > 10, hidden_by


def test_somebody_alone_with_nothing_in_front_is_hidden_only_by_themselves():
    seen = 0
    for index in range(40):
        picture = draw_picture(1, index, people=(1, 1))
        if (picture.labels == OBJECT).any():
            continue
        person = picture.people[0]
        assert person.area == np.count_nonzero(picture.labels)
        for x, y, v in person.joints:
            if v:
                assert picture.labels[round(y), round(x)] > 0, "a joint beside the body"
                seen += 1
    assert seen > 300


def test_the_picture_shows_what_the_labels_say():
    """Two pictures that differ in nothing but the people differ where the people are."""
    picture = draw_picture(11, 0, people=(2, 2))
    inside = picture.labels > 0
    eroded = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))) > 0
    # Bodies are evenly coloured patches: the rims of parts are edges, so edges are denser on people.
    edges = cv2.Laplacian(cv2.GaussianBlur(picture.image, (0, 0), 1), cv2.CV_32F)
    border = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    away = ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)
    strength = np.abs(edges).max(-1)
    assert strength[border].mean() > 2 * strength[away].mean()
    assert eroded.any()


def test_shares_of_hidden_and_outside_joints_are_those_of_a_worthwhile_task(pictures):
    people = [person for picture in pictures for person in picture.people]
    joints = np.concatenate([p.joints[:, 2] for p in people if p.joints[:, 2].any()])
    assert 0.15 < (joints == 1).mean() < 0.45
    assert 0.005 < (joints == 0).mean() < 0.20
    assert {len(picture.people) for picture in pictures} == {1, 2, 3, 4, 5}
    untold = sum(not p.joints[:, 2].any() for p in people) / len(people)
    assert untold < 0.1
    heights = np.array([p.box[3] for p in people])
    assert np.percentile(heights, 90) > 1.8 * np.percentile(heights, 10)


# Left and right, front and back.


@pytest.mark.parametrize(("yaw", "sign"), [(0, 1), (180, -1)])
def test_left_is_right_in_the_picture_of_somebody_who_faces_it(yaw, sign):
    """Seen from the hips towards the shoulders, so that lying people count too."""
    right_way, faces = [], []
    for index in range(40):
        for person in draw_picture(2, index, people=(1, 1), yaw=yaw).people:
            xy, v = person.joints[:, :2], person.joints[:, 2]
            needed = [J[f"{side}_{name}"] for side in ("left", "right") for name in ("shoulder", "hip")]
            if (v[needed] == 0).any():
                continue
            up = xy[J["left_shoulder"]] + xy[J["right_shoulder"]] - xy[J["left_hip"]] - xy[J["right_hip"]]
            across = xy[J["left_shoulder"]] - xy[J["right_shoulder"]]
            right_way.append(sign * (across[0] * -up[1] + across[1] * up[0]) > 0)
            if v[J["nose"]]:
                faces.append(v[J["nose"]] == 2)
    assert len(right_way) > 25
    assert np.mean(right_way) > 0.97
    assert np.mean(faces) > 0.7 if yaw == 0 else np.mean(faces) < 0.1


def test_from_the_side_the_far_ear_and_shoulder_are_hidden():
    near, far = [], []
    for index in range(40):
        picture = draw_picture(
            4, index, people=(1, 1), yaw=90
        )  # the chest to the right: the right side is near
        if (picture.labels == OBJECT).any():
            continue
        v = picture.people[0].joints[:, 2]
        for name in ("shoulder", "ear"):
            far += [v[J[f"left_{name}"]]] if v[J[f"left_{name}"]] else []
            near += [v[J[f"right_{name}"]]] if v[J[f"right_{name}"]] else []
    assert np.mean(np.array(near) == 2) > np.mean(np.array(far) == 2) + 0.4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-180, 180))
def test_bones_keep_their_lengths_in_every_pose(seed, yaw):
    rng = np.random.default_rng(seed)
    body = sample_body(rng)
    points = sample_posed(rng, body, yaw).points

    def length(a: str, b: str) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    for side in ("left", "right"):
        assert length(f"{side}_shoulder", f"{side}_elbow") == pytest.approx(body.upper_arm)
        assert length(f"{side}_elbow", f"{side}_wrist") == pytest.approx(body.forearm)
        assert length(f"{side}_hip", f"{side}_knee") == pytest.approx(body.thigh)
        assert length(f"{side}_knee", f"{side}_ankle") == pytest.approx(body.shin)
        assert length(f"{side}_hip", "pelvis") == pytest.approx(body.hip)
    assert length("left_eye", "nose") == pytest.approx(length("right_eye", "nose"))
    assert length("left_ear", "right_ear") == pytest.approx(1.8 * body.head)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_torso_and_head_are_rotations_and_knees_bend_backwards(seed):
    rng = np.random.default_rng(seed)
    posed = sample_posed(rng, sample_body(rng), yaw=0)
    for rotation in (posed.torso, posed.head):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    for side in ("left", "right"):
        hip, knee, ankle, toe, heel = (
            posed.points[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "toe", "heel")
        )
        shin, thigh = ankle - knee, knee - hip
        # The toe points to where the knee may not bend: forwards, seen from the shin.
        assert (thigh / np.linalg.norm(thigh) - shin / np.linalg.norm(shin)) @ (toe - heel) > -0.06


@given(st.dictionaries(st.text(), st.floats(0.01, 1), min_size=1, max_size=5), st.integers(0, 99))
def test_pick_draws_a_name_that_is_there(shares, seed):
    assert pick(np.random.default_rng(seed), shares) in shares


def test_pick_draws_as_often_as_the_shares_say():
    rng = np.random.default_rng(0)
    drawn = [pick(rng, {"a": 3, "b": 1}) for _ in range(4000)]
    assert drawn.count("a") / 4000 == pytest.approx(0.75, abs=0.03)


# The folder.


# The command.
