"""Ids over time, on people whose paths are known."""

import numpy as np
import pytest

from tinypose.skeleton import load_skeleton
from tinypose.tracking.tracker import NOBODY, Track, Tracker, box_margin, follow_box

SKELETON = load_skeleton("coco17")
RATE = 30


def person(seed, height=100.0):
    """Joints of someone standing at the origin, float [17, 3]."""
    rng = np.random.default_rng(seed)
    joints = np.column_stack([rng.uniform(-0.2, 0.2, 17), np.linspace(-0.5, 0.5, 17), np.ones(17)])
    return joints * [height, height, 1]


def frame(*people):
    """Keypoints, boxes, their scores and the scores of people given as (joints at the origin, x, y)."""
    keypoints = np.array([joints + [x, y, 0] for joints, x, y in people]).reshape(-1, 17, 3)
    boxes = [follow_box(each, 0.2, 0.05) for each in keypoints]
    return keypoints, np.array(boxes).reshape(-1, 4), np.full(len(people), 0.9), np.full(len(people), 0.8)


def tracker():
    return Tracker(SKELETON.sigmas)


def test_one_person_keeps_one_id():
    subject, joints = tracker(), person(0)
    for i in range(100):
        ids = subject.update(*frame((joints, 50 + 2 * i, 80)), i / RATE)
        assert ids.tolist() == [1]


@pytest.mark.parametrize("speed", [60, 150, 300])
def test_people_who_cross_keep_their_ids(speed):
    """They pass within a tenth of their height, in opposite directions, in any order of the frame."""
    subject, first, second = tracker(), person(1), person(2)
    rng = np.random.default_rng(3)
    names = {}
    for i in range(int(RATE * 600 / speed)):
        x = i * speed / RATE
        people = [("first", (first, x, 200)), ("second", (second, 600 - x, 210))]
        rng.shuffle(people)
        ids = subject.update(*frame(*(each for _, each in people)), i / RATE)
        for (name, _), number in zip(people, ids, strict=True):
            names.setdefault(name, number)
            assert names[name] == number
    assert len(set(names.values())) == 2


def test_someone_hidden_for_a_moment_returns_under_the_same_id():
    subject, joints = tracker(), person(4)
    for i in range(60):
        x = 100 + 120 * i / RATE
        seen = not 30 <= i < 42
        ids = subject.update(*frame(*([(joints, x, 100)] if seen else [])), i / RATE)
        assert ids.tolist() == ([1] if seen else [])


def test_someone_away_for_longer_is_someone_new():
    subject, joints = tracker(), person(5)
    assert subject.update(*frame((joints, 100, 100)), 0.0).tolist() == [1]
    assert subject.update(*frame(), 0.5).tolist() == []
    assert subject.update(*frame((joints, 100, 100)), 1.6).tolist() == [2]


def test_doubtful_people_join_a_track_but_do_not_start_one():
    subject, joints = tracker(), person(6)
    keypoints, boxes, box_scores, scores = frame((joints, 100, 100))
    doubtful = np.full(1, 0.1)
    assert subject.update(keypoints, boxes, box_scores, doubtful, 0.0).tolist() == [NOBODY]
    assert subject.update(keypoints, boxes, box_scores, scores, 0.1).tolist() == [1]
    assert subject.update(keypoints, boxes, box_scores, doubtful, 0.2).tolist() == [1]
    assert [track.id for track in subject.seen(0.2)] == [1]
    assert subject.update(
        keypoints + [400, 0, 0], boxes + [400, 0, 0, 0], box_scores, doubtful, 0.3
    ).tolist() == [NOBODY]


def test_a_doubtful_person_is_not_tied_to_someone_lost():
    subject, joints = tracker(), person(7)
    keypoints, boxes, box_scores, scores = frame((joints, 100, 100))
    subject.update(keypoints, boxes, box_scores, scores, 0.0)
    subject.update(*frame(), 0.1)
    assert subject.update(keypoints, boxes, box_scores, np.full(1, 0.1), 0.2).tolist() == [NOBODY]


def test_ids_of_forty_people_hold_while_they_walk():
    subject = tracker()
    crowd = [(person(seed, 60), 70 * (seed % 8), 90 * (seed // 8)) for seed in range(40)]
    expected = None
    for i in range(20):
        ids = subject.update(*frame(*((joints, x + 3 * i, y) for joints, x, y in crowd)), i / RATE)
        expected = ids if expected is None else expected
        assert ids.tolist() == expected.tolist()
    assert sorted(expected) == list(range(1, 41))


@pytest.mark.parametrize(("time", "moved"), [(1.0, 0), (1.25, 25), (1.5, 50), (6.0, 50), (0.5, 0)])
def test_someone_out_of_sight_is_expected_to_move_on_for_half_a_second(time, moved):
    joints, box = person(3), np.array([10.0, 20, 30, 40])
    track = Track(1, joints, box, 0.9, seen=1.0, velocity=np.array([100.0, -20.0]))
    keypoints, expected = track.at(time)
    np.testing.assert_allclose(expected, [10 + moved, 20 - 0.2 * moved, 30, 40])
    np.testing.assert_allclose(keypoints, joints + [moved, -0.2 * moved, 0])


def test_the_box_to_follow_holds_the_sure_joints():
    joints = np.array([[10, 20, 0.9], [30, 60, 0.5], [20, 40, 0.3], [500, 500, 0.1]])
    np.testing.assert_allclose(follow_box(joints, 0.2, 0.1), [6, 16, 28, 48])
    assert follow_box(joints, 0.4, 0.1) is None
    assert follow_box(np.tile([[5.0, 5, 1]], (4, 1)), 0.2, 0.1) is None


def test_a_box_that_follows_keeps_the_margins_of_the_detectors():
    joints = np.array([[10, 20, 0.9], [30, 60, 0.5], [20, 40, 0.3]])
    margin = box_margin(np.array([6, 8, 32, 72]), joints, 0.2)
    np.testing.assert_allclose(margin, [0.1, 0.3, 0.2, 0.5])
    np.testing.assert_allclose(follow_box(joints + [100, 0, 0], 0.2, margin), [106, 8, 32, 72])
    assert box_margin(np.array([0, 0, 9, 9]), joints[:2], 0.2) is None
