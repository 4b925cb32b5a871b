"""People in video: one id each, the detector now and then, smoothing that the real video shows."""

import json

import numpy as np
import pytest

from tinypose import PeopleInVideo, Video
from tinypose.detection.detector import Boxes
from tinypose.inference.estimator import TopDown
from tinypose.inference.follow import FollowSettings, Seen
from tinypose.skeleton import load_skeleton
from tinypose.tracking.measure import jerk, lag

SKELETON = load_skeleton("coco17")
BLACK = np.zeros((300, 400, 3), np.uint8)


class Stage:
    """A picture with people whose places are known: answers as a detector and as a pose network.

    The pose network finds whoever's middle lies in the box it is given.
    """

    def __init__(self, people):
        self.people = people  # [J, 3] each
        self.detections = 0
        self.blind = False

    def detect(self, image):
        self.detections += 1
        boxes = [] if self.blind else [self._box(each) for each in self.people]
        return Boxes(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))

    def pose(self, image, boxes):
        found = np.zeros((len(boxes), 17, 3), np.float32)
        for joints, (x, y, width, height) in zip(found, boxes, strict=True):
            for person in self.people:
                middle = person[:, :2].mean(axis=0)
                if x < middle[0] < x + width and y < middle[1] < y + height:
                    joints[:] = person
        return found

    def estimator(self):
        return TopDown(self.pose, SKELETON, self.detect)

    @staticmethod
    def _box(joints):
        low, high = joints[:, :2].min(axis=0) - 5, joints[:, :2].max(axis=0) + 5
        return [*low, *(high - low)]


def person(x, y, seed=0):
    rng = np.random.default_rng(seed)
    joints = np.column_stack([rng.uniform(-20, 20, 17), np.linspace(-50, 50, 17), np.full(17, 0.9)])
    return joints + [x, y, 0]


def test_the_detector_runs_every_nth_frame():
    stage = Stage([person(100, 100), person(250, 100, 1)])
    follow = PeopleInVideo(stage.estimator(), FollowSettings(detect_every=5))
    for i in range(16):
        stage.people = [each + [2, 0, 0] for each in stage.people]
        assert sorted(follow(BLACK, i / 30).ids) == [1, 2]
        assert stage.detections == i // 5 + 1


def test_the_detector_runs_at_once_when_someone_is_lost():
    stage = Stage([person(100, 100), person(250, 100, 1)])
    follow = PeopleInVideo(stage.estimator(), FollowSettings(detect_every=100))
    for i in range(3):
        follow(BLACK, i / 30)
    assert stage.detections == 1
    stage.people = stage.people[:1]
    assert follow(BLACK, 3 / 30).ids.tolist() == [1]
    assert stage.detections == 2
    for i in range(4, 8):
        assert follow(BLACK, i / 30).ids.tolist() == [1]
    assert stage.detections == 2, "who was lost is not looked for in every frame"
    stage.people.append(person(330, 150, 2))
    settled = PeopleInVideo(stage.estimator(), FollowSettings(detect_every=3))
    assert sorted(settled(BLACK, 0.0).ids) == [1, 2]


def test_with_no_one_there_the_detector_keeps_looking():
    stage = Stage([])
    follow = PeopleInVideo(stage.estimator(), FollowSettings(detect_every=4))
    for i in range(9):
        assert len(follow(BLACK, i / 30)) == 0
    assert stage.detections == 9
    stage.people = [person(100, 100)]
    assert follow(BLACK, 9 / 30).ids.tolist() == [1]


def test_someone_whom_the_detector_misses_is_kept_for_a_while():
    stage = Stage([person(100, 100)])
    follow = PeopleInVideo(stage.estimator(), FollowSettings(detect_every=5))
    follow(BLACK, 0.0)
    stage.blind = True
    present = [len(follow(BLACK, i / 30)) for i in range(1, 60)]
    assert all(present[:10]), "one or two missed detections are bridged"
    assert not any(present[-10:]), "but not for ever"


def test_resuming_from_what_was_seen_gives_the_same():
    rng = np.random.default_rng(0)
    stage = Stage([person(100, 100), person(250, 120, 1)])
    whole, first, second = (PeopleInVideo(stage.estimator()) for _ in range(3))
    seen = []
    for i in range(30):
        stage.people = [each + np.append(rng.normal(0, 2, 2), 0) for each in stage.people]
        expected = whole(BLACK, i / 30)
        if i < 17:
            seen.append(first.look(BLACK, i / 30))
            first.take(seen[-1])
            continue
        for each in seen:
            second.take(Seen.from_json(json.loads(json.dumps(each.to_json())), SKELETON))
        seen = []
        found = second(BLACK, i / 30)
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.ids, expected.ids)


@pytest.fixture(scope="module")
def exercise(shared, estimate):
    """What the networks see in each frame of the real video, and the people that come of it."""
    follow = PeopleInVideo(estimate)
    seen, people = [], []
    for frame in Video(shared / "samples" / "exercise.mp4"):
        seen.append(follow.look(frame.image, frame.time))
        people.append(follow.take(seen[-1]))
    return seen, people


def test_every_frame_has_one_person_with_one_id(exercise):
    seen, people = exercise
    assert len(people) == 284
    assert {tuple(each.ids) for each in people} == {(1,)}
    assert 284 / 5 <= sum(each.detected for each in seen) <= 284 / 5 + 10


STILL = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"]


def test_smoothing_steadies_still_joints_and_does_not_lag(exercise):
    seen, people = exercise
    raw = np.stack([each.people.keypoints[0, :, :2] for each in seen])
    smoothed = np.stack([each.keypoints[0, :, :2] for each in people])
    times = np.array([each.time for each in seen])
    still = [SKELETON.index(joint) for joint in STILL]
    assert jerk(smoothed[:, still]) <= jerk(raw[:, still]) / 2
    for wrist in ("left_wrist", "right_wrist"):
        index = SKELETON.index(wrist)
        assert lag(raw[:, index], smoothed[:, index], times) < 0.03


def test_following_costs_little_accuracy(exercise, shared, estimate):
    """Joints found in followed boxes are where the detector's boxes put them."""
    seen, _ = exercise
    frames = list(Video(shared / "samples" / "exercise.mp4"))
    distances = []
    for number in (3, 37, 84, 143, 199, 252):
        assert not seen[number].detected
        expected = estimate(frames[number].image).keypoints[0]
        sure = expected[:, 2] > 0.5
        distances.append(np.linalg.norm((seen[number].people.keypoints[0] - expected)[sure, :2], axis=1))
    assert np.median(np.concatenate(distances)) < 0.015 * 402


@pytest.mark.parametrize("smooth", ["ema", "none"])
def test_other_smoothing(exercise, estimate, smooth):
    seen, _ = exercise
    follow = PeopleInVideo(estimate, FollowSettings(smooth=smooth))
    people = [follow.take(each) for each in seen[:20]]
    change = max(
        np.abs(a.keypoints[..., :2] - b.people.keypoints[..., :2]).max()
        for a, b in zip(people, seen[:20], strict=True)
    )
    assert (change == 0) == (smooth == "none")
