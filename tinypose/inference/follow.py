"""People in video: who is who, joints smoothed over time, and the detector only now and then.

    follow = PeopleInVideo(estimate)
    for frame in Video("exercise.mp4"):
        people = follow(frame.image, frame.time)

Each frame has two halves. `look` runs the networks and changes nothing; `take` gives ids and smooths,
from what `look` saw and nothing else. So an interrupted video resumes by taking again what was seen.
"""

from dataclasses import replace

import numpy as np

from tinypose.boxes import clip_boxes, iou
from tinypose.detection.detector import Boxes
from tinypose.inference.bottom_up import BottomUp
from tinypose.inference.boxed import BoxedBottomUp
from tinypose.inference.estimator import TopDown
from tinypose.inference.people import JOINT_SCORE, People
from tinypose.inference.seen import Seen
from tinypose.inference.settings import FollowSettings
from tinypose.inference.smoothing import Smoothing
from tinypose.tracking.tracker import NOBODY, Tracker, box_margin, follow_box

__all__ = ["FollowSettings", "PeopleInVideo", "Seen"]

# What lies around the joints of someone whom the detector has not seen, as a part of their extent.
MARGIN = 0.02
ALIKE = 0.6  # IoU of a detected and a followed box from which the followed one will do
COVERED = 0.3  # IoU above which a detected box is that of someone followed
TRUST = 0.7  # what is left of the score of someone whom the detector misses, each time
# Boxes lie on a grid of a quarter of a pixel. Joints say where the next crop is, so what the last bits of a
# box differ by from one machine to the next would grow from frame to frame, to pixels within a second.
GRID = 4


class PeopleInVideo:
    """Follows the people of one video. Keeps what it has seen: not for several threads or videos."""

    def __init__(self, estimate: TopDown | BottomUp | BoxedBottomUp, settings: FollowSettings | None = None):
        """Begin a video.

        Args:
            estimate: finds people and joints.
            settings: how they are followed.
        """
        self.estimate = estimate
        self.settings = settings or FollowSettings()
        self._tracker = Tracker(
            estimate.skeleton.sigmas,
            sure=self.settings.sure,
            patience=self.settings.patience,
            joint_score=JOINT_SCORE,
        )
        self._smoothing = Smoothing(self.settings)
        self._time = -np.inf
        self._since_detection: int | None = None

    def __call__(self, image: np.ndarray, time: float) -> People:
        """Return the people of the next frame, best first, with ids.

        Args:
            image: uint8 RGB [H, W, 3].
            time: of the frame in seconds, later than the last one.
        """
        return self.take(self.look(image, time))

    def look(self, image: np.ndarray, time: float) -> Seen:
        """Run the networks on the next frame: the pose network on everyone, the detector if it is due.

        It is due every `detect_every` frames, while no one is followed, and at once when someone is lost.
        A bottom-up network looks at every frame whole; where no joints are looked for, so does the detector.
        """
        if not isinstance(self.estimate, TopDown):
            people = self._there(self.estimate(image))
            return Seen(time, people, True, np.zeros_like(people.boxes))
        followed = self._where(image.shape[1], image.shape[0])
        due = self._since_detection is None or self._since_detection + 1 >= self.settings.detect_every
        if not due and len(followed):
            people = self._there(self.estimate.look(image, followed))
            if len(people) == len(followed):
                return Seen(time, people, False, np.zeros_like(people.boxes))
        found = _on_grid(self.estimate.find(image))
        overlap = iou(followed.boxes, found.boxes)
        boxes, scores, detected = [*found.boxes], [*found.scores], [*found.boxes]
        for i, box in enumerate(followed.boxes):
            j = overlap[i].argmax() if len(found) else 0
            if len(found) and overlap[i, j] >= ALIKE and overlap[:, j].argmax() == i:
                boxes[j] = box  # the joints are found as in the frame before, not shaken by a new box
            elif not len(found) or overlap[i, j] < COVERED:
                # Whom the detector misses, as it does now and then, is looked for where they were.
                boxes.append(box)
                scores.append(TRUST * followed.scores[i])
                detected.append(np.zeros(4, np.float32))
        looked = Boxes(np.reshape(boxes, (-1, 4)).astype(np.float32), np.array(scores, np.float32))
        people = self._there(self.estimate.look(image, looked))
        order = [int((looked.boxes == box).all(axis=1).argmax()) for box in people.boxes]
        return Seen(time, people, True, np.reshape(detected, (-1, 4)).astype(np.float32)[order])

    def take(self, seen: Seen) -> People:
        """Give ids to the people of a frame and smooth their joints and boxes."""
        people, time = seen.people, seen.time
        joints = people.keypoints
        ids = self._tracker.update(joints, people.boxes, people.box_scores, people.scores, time)
        self._learn_margins(seen, ids)
        people = replace(people, ids=ids).take(ids != NOBODY)
        self._time = time
        self._since_detection = 0 if seen.detected else (self._since_detection or 0) + 1
        return self._smoothing(people, time, {track.id for track in self._tracker.tracks})

    def _where(self, width: int, height: int) -> Boxes:
        """Return where those seen in the last frame are looked for in the next, and their boxes' scores."""
        boxes, scores = [], []
        for track in self._tracker.seen(self._time):
            box = follow_box(track.keypoints, JOINT_SCORE, MARGIN if track.margin is None else track.margin)
            if box is not None:
                boxes.append(box)
                scores.append(track.score)
        boxes = clip_boxes(np.array(boxes, np.float32).reshape(-1, 4), width, height)
        return _on_grid(Boxes(boxes, np.array(scores, np.float32)))

    def _learn_margins(self, seen: Seen, ids: np.ndarray) -> None:
        """Note how far the detector's boxes reach beyond the joints.

        Boxes that follow the joints are then like the detector's, and the joints found in them, too:
        without it, each detection makes a joint at rest jump.
        """
        tracks = {track.id: track for track in self._tracker.tracks}
        for i in np.flatnonzero((seen.found[:, 2] > 0) & (ids != NOBODY)):
            margin = box_margin(seen.found[i], seen.people.keypoints[i], JOINT_SCORE)
            if margin is not None:
                track = tracks[int(ids[i])]
                track.margin = margin if track.margin is None else (track.margin + margin) / 2

    def _there(self, people: People) -> People:
        """Leave out those in whose place there is no one any more."""
        if not people.skeleton.joints:
            return people.take(people.scores >= self.settings.least)
        joints = (people.keypoints[..., 2] > JOINT_SCORE).sum(axis=1)
        return people.take((people.scores >= self.settings.least) & (joints >= 3))


def _on_grid(found: Boxes) -> Boxes:
    return Boxes((np.round(found.boxes * GRID) / GRID).astype(np.float32), found.scores)
