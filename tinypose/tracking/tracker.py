"""Who is who from frame to frame, and where to look next.

Association goes in two rounds, as in ByteTrack (Zhang et al., ECCV 2022): confident people first, with
everybody who is remembered; then the doubtful ones, with those who were seen a moment ago. Likeness is
the mean of OKS and box overlap: OKS tells apart people whose boxes overlap, and boxes bear fast motion.
"""

from dataclasses import dataclass, field

import numpy as np

from tinypose.boxes import iou
from tinypose.data.coco import AREA_OF_BOX
from tinypose.metrics.oks import oks

NOBODY = -1  # the id of someone who is in no track


@dataclass
class Track:
    """One person over time.

    Attributes:
        id: counted from 1, never given again.
        keypoints: float64 [J, 3], the last ones seen: x, y and score.
        box: float64 [4], the last one.
        score: of the box, the detector's.
        seen: when, in seconds.
        velocity: float64 [2], pixels a second, of the middle of the box.
        margin: float64 [4], how far a detector's box reaches beyond the joints (`box_margin`); or None.
    """

    id: int
    keypoints: np.ndarray
    box: np.ndarray
    score: float
    seen: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    margin: np.ndarray | None = None

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Return keypoints [J, 3] and box [4] as expected at `time`, moving on for half a second at most."""
        shift = self.velocity * np.clip(time - self.seen, 0, 0.5)
        return self.keypoints + np.append(shift, 0), self.box + np.append(shift, [0, 0])


@dataclass
class Tracker:
    """Gives each person an id. One video, frames in order; not for several threads.

    Attributes:
        sigmas: [J], of the skeleton.
        sure: score from which someone unknown becomes a track; also the first round's.
        alike: likeness below which two are not the same person.
        patience: for how many seconds someone out of sight is remembered.
        joint_score: joints that score less do not count.
    """

    sigmas: tuple[float, ...]
    sure: float = 0.3
    alike: float = 0.1
    patience: float = 1.0
    joint_score: float = 0.2

    def __post_init__(self) -> None:
        self.tracks: list[Track] = []
        self._last_id = 0
        self._time = -np.inf

    def update(
        self,
        keypoints: np.ndarray,
        boxes: np.ndarray,
        box_scores: np.ndarray,
        scores: np.ndarray,
        time: float,
    ) -> np.ndarray:
        """Take the people of one frame.

        Args:
            keypoints: [N, J, 3], x and y in image pixels, and score; J is 0 where there are boxes alone.
            boxes: [N, 4].
            box_scores: [N], kept with the tracks.
            scores: [N], of the people: who is sure, who is doubtful.
            time: of the frame in seconds, later than the last one.

        Returns:
            int64 [N], ids; `NOBODY` for doubtful people who resemble no one.
        """
        keypoints, boxes = np.asarray(keypoints, np.float64), np.asarray(boxes, np.float64)
        ids = np.full(len(scores), NOBODY, np.int64)
        self.tracks = [track for track in self.tracks if time - track.seen <= self.patience]
        likeness = self._likeness(keypoints, boxes, time)
        sure = np.asarray(scores) >= self.sure
        recent = np.array([track.seen >= self._time for track in self.tracks], bool)
        free = np.ones(len(self.tracks), bool)
        for people, candidates in ((sure, free.copy()), (~sure, recent)):
            if not people.any():
                continue
            rows, columns = np.flatnonzero(people), np.flatnonzero(candidates & free)
            for i, j in _best_pairs(likeness[np.ix_(rows, columns)], self.alike):
                person, number = rows[i], columns[j]
                ids[person] = self.tracks[number].id
                free[number] = False
                _renew(self.tracks[number], keypoints[person], boxes[person], box_scores[person], time)
        for person in np.flatnonzero(sure & (ids == NOBODY)):
            self._last_id += 1
            ids[person] = self._last_id
            self.tracks.append(
                Track(self._last_id, keypoints[person], boxes[person], float(box_scores[person]), time)
            )
        self._time = time
        return ids

    def seen(self, time: float) -> list[Track]:
        """Return the tracks that were updated at `time`."""
        return [track for track in self.tracks if track.seen == time]

    def _likeness(self, keypoints: np.ndarray, boxes: np.ndarray, time: float) -> np.ndarray:
        """Return how much each person [N] is like each track [T], 0 to 1."""
        if not len(keypoints) or not self.tracks:
            return np.zeros((len(keypoints), len(self.tracks)))
        expected = [track.at(time) for track in self.tracks]
        joints = np.stack([each for each, _ in expected])
        overlap = iou(boxes, np.stack([box for _, box in expected]))
        if not joints.shape[1]:
            return overlap
        area = AREA_OF_BOX * np.prod([track.box[2:] for track in self.tracks], axis=1)
        both = np.minimum(keypoints[:, None, :, 2], joints[None, :, :, 2]) > self.joint_score
        similarity = oks(keypoints[:, None, :, :2], joints[None, :, :, :2], area[None], self.sigmas, both)
        return (similarity + overlap) / 2


def _best_pairs(likeness: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Return the pairs of the assignment with the greatest sum; pairs below `least` are not made."""
    from scipy.optimize import linear_sum_assignment  # a third of a second, and pictures need none of it

    rows, columns = linear_sum_assignment(np.where(likeness >= least, likeness, 0), maximize=True)
    return [(i, j) for i, j in zip(rows, columns, strict=True) if likeness[i, j] >= least]


def _renew(track: Track, keypoints: np.ndarray, box: np.ndarray, score: float, time: float) -> None:
    step = time - track.seen
    if step > 0:
        moved = (box[:2] + box[2:] / 2) - (track.box[:2] + track.box[2:] / 2)
        # Averaged over about a fifth of a second: single frames jitter.
        track.velocity = track.velocity + (1 - np.exp(-step / 0.2)) * (moved / step - track.velocity)
    track.keypoints, track.box, track.score, track.seen = keypoints, box, float(score), time


def joint_extent(keypoints: np.ndarray, joint_score: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the corners [2] between which the joints [J, 3] lie that score `joint_score` or more.

    None with fewer than 3 such joints, or all in one place.
    """
    sure = np.asarray(keypoints, np.float64)[keypoints[:, 2] >= joint_score, :2]
    if len(sure) < 3:
        return None
    low, high = sure.min(axis=0), sure.max(axis=0)
    return (low, high) if (high > low).any() else None


def box_margin(box: np.ndarray, keypoints: np.ndarray, joint_score: float) -> np.ndarray | None:
    """Return how far a box reaches beyond the joints in it, in parts of their extent.

    Args:
        box: [4], left, top, width, height.
        keypoints: [J, 3], x, y and score.
        joint_score: joints that score less do not count.

    Returns:
        float64 [4]: beyond the left, the top, the right and the bottom, each from -0.1 to 0.5; or None
        without an extent.
    """
    extent = joint_extent(keypoints, joint_score)
    if extent is None:
        return None
    low, high = extent
    beyond = np.concatenate([low - box[:2], box[:2] + box[2:] - high])
    return np.clip(beyond / max(high - low), -0.1, 0.5)


def follow_box(keypoints: np.ndarray, joint_score: float, margin: np.ndarray | float) -> np.ndarray | None:
    """Return the box to look in next for someone whose joints were found.

    Args:
        keypoints: [J, 3], x, y and score.
        joint_score: joints that score less do not count.
        margin: what lies around the joints, in parts of their extent: [4] as of `box_margin`, or one
            number for every side.

    Returns:
        float64 [4], left, top, width, height; or None without an extent.
    """
    extent = joint_extent(keypoints, joint_score)
    if extent is None:
        return None
    low, high = extent
    beyond = np.broadcast_to(margin, 4) * max(high - low)
    low, high = low - beyond[:2], high + beyond[2:]
    return np.concatenate([low, high - low])
