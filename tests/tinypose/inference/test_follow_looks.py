"""People in video by their looks: crossings, boxes without joints, poses in boxes, MOT text."""

import json

import numpy as np
import pytest

from tinypose.detection.detector import Boxes
from tinypose.errors import UserError
from tinypose.inference.bottom_up import BottomUp
from tinypose.inference.boxed import BoxedBottomUp, match_poses
from tinypose.inference.estimator import TopDown, no_joints
from tinypose.inference.files import mot_lines
from tinypose.inference.follow_looks import LooksInVideo, follow_people
from tinypose.inference.people import NO_JOINTS, NOBODY, People
from tinypose.inference.seen import Seen
from tinypose.inference.settings import FollowSettings
from tinypose.skeleton import load_skeleton

SKELETON = load_skeleton("coco17")
BLACK = np.zeros((300, 600, 3), np.uint8)
LOOKS = np.eye(8, dtype=np.float32)


class Street:
    """Two people who walk towards and past each other, the one behind hidden while they overlap."""

    def __init__(self, looks=True):
        self.number, self.looks = 0, looks

    def places(self):
        return [(100 + 8 * self.number, 60), (460 - 8 * self.number, 64)]

    def detect(self, image):
        (one, y), (other, z) = self.places()
        seen = [0] if abs(one - other) < 24 else [0, 1]
        boxes = np.array([[one, y, 60, 160], [other, z, 60, 160]], np.float32)[seen]
        return Boxes(boxes, np.full(len(seen), 0.9, np.float32), LOOKS[seen] if self.looks else None)

    def pose(self, image, boxes):
        joints = np.full((len(boxes), 17, 3), 0.9, np.float32)
        joints[..., 0] = boxes[:, :1] + np.linspace(5, 50, 17)
        joints[..., 1] = boxes[:, 1:2] + np.linspace(5, 150, 17)
        return joints


def walk(street, follow, frames=46):
    everyone = []
    for number in range(frames):
        street.number = number
        everyone.append(follow(BLACK, number / 30))
    return everyone


@pytest.mark.parametrize("joints", [True, False])
def test_who_comes_into_an_empty_scene_is_told_from_the_second_frame_on(joints):
    street = Street()
    pose, skeleton = (street.pose, SKELETON) if joints else (no_joints, NO_JOINTS)

    def detect(image):
        found = street.detect(image)
        return found if 2 <= street.number < 5 else found.above(1.0)

    everyone = walk(street, LooksInVideo(TopDown(pose, skeleton, detect)), frames=7)
    assert [len(people) for people in everyone] == [0, 0, 0, 2, 2, 0, 0]
    assert everyone[0].looks.shape == (0, LOOKS.shape[1])


@pytest.mark.parametrize("joints", [True, False])
def test_who_crosses_keeps_the_id(joints):
    street = Street()
    pose, skeleton = (street.pose, SKELETON) if joints else (no_joints, NO_JOINTS)
    everyone = walk(street, LooksInVideo(TopDown(pose, skeleton, street.detect)))
    assert sorted(everyone[0].ids.tolist()) == [1, 2]
    first, last = (
        {int(i): float(b[0]) for i, b in zip(p.ids, p.boxes, strict=True)}
        for p in (everyone[0], everyone[-1])
    )
    assert sorted(last) == [1, 2], "nobody has a new id"
    left = min(first, key=first.get)
    assert last[left] == max(last.values()), "who came from the left has gone to the right"
    assert any(len(people) == 1 for people in everyone), "one is hidden for a while"
    assert everyone[-1].keypoints.shape == (2, 17 if joints else 0, 3)


def test_what_was_seen_gives_the_same_again():
    street = Street()
    estimate = TopDown(street.pose, SKELETON, street.detect)
    live, again = LooksInVideo(estimate), LooksInVideo(estimate)
    for number in range(46):
        street.number = number
        seen = live.look(BLACK, number / 30)
        kept = Seen.from_json(json.loads(json.dumps(seen.to_json())), SKELETON)
        one, other = live.take(seen), again.take(kept)
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_a_detector_without_looks_is_refused():
    street = Street(looks=False)
    follow = follow_people(TopDown(street.pose, SKELETON, street.detect), FollowSettings(tracker="looks"))
    with pytest.raises(UserError, match="--detector fairmot_dla34"):
        follow(BLACK, 0.0)


def test_boxes_alone_are_followed_by_overlap():
    street = Street()
    follow = follow_people(TopDown(no_joints, NO_JOINTS, street.detect), FollowSettings())
    everyone = walk(street, follow, frames=10)
    assert [sorted(people.ids.tolist()) for people in everyone] == [[1, 2]] * 10
    entry = everyone[-1].to_coco(9)[0]
    assert "keypoints" not in entry and entry["track_id"] in (1, 2) and entry["score"] > 0.5


class Poses(BottomUp):
    """Stands for a bottom-up network whose poses are known."""

    def __new__(cls, street):
        return object.__new__(cls)

    def __init__(self, street):
        object.__setattr__(self, "street", street)
        object.__setattr__(self, "skeleton", SKELETON)

    def __call__(self, image, boxes=None):
        found = np.array([[x, y, 60, 160] for x, y in self.street.places()], np.float32)[::-1]
        joints = self.street.pose(image, found)
        ones = np.ones(len(found), np.float32)
        return People(found, joints, ones, ones, np.full(len(found), NOBODY), SKELETON)


def test_bottom_up_poses_lie_in_the_boxes_of_their_people():
    street = Street()
    estimate = BoxedBottomUp(Poses(street), street.detect)
    everyone = walk(street, follow_people(estimate, FollowSettings(tracker="looks", smooth="none")))
    assert {number for people in everyone for number in people.ids.tolist()} == {1, 2}
    for number, people in enumerate(everyone):
        street.number = number
        nearest = {round(x): x for x, _ in street.places()}
        for box, joints in zip(people.boxes, people.keypoints, strict=True):
            start = joints[0, 0] - 5
            assert min(abs(start - x) for x in nearest.values()) < 0.01
            assert abs(start - box[0]) < 20


def test_a_pose_goes_to_the_box_that_it_fills():
    boxes = np.array([[0, 0, 100, 200], [10, 10, 50, 100], [400, 0, 50, 50]], np.float32)
    pose = np.full((1, 17, 3), 0.9, np.float32)
    pose[0, :, 0], pose[0, :, 1] = np.linspace(12, 58, 17), np.linspace(12, 108, 17)
    assert match_poses(boxes, pose) == [(1, 0)]
    assert match_poses(boxes[2:], pose) == []
    assert match_poses(boxes[:0], pose) == match_poses(boxes, pose[:0]) == []


def test_lines_of_the_mot_challenge():
    ones = np.ones(1, np.float32)
    joints = np.zeros((1, 17, 3), np.float32)
    people = People(
        np.array([[1, 2.5, 3, 4]], np.float32), joints, 0.75 * ones, ones, np.array([7]), SKELETON
    )
    assert mot_lines(people, 0) == ["1,7,1.00,2.50,3.00,4.00,0.75000,-1,-1,-1\n"]
