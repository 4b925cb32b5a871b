"""A bottom-up network's poses, each given to the box of a detector that it lies in."""

from dataclasses import dataclass

import numpy as np

from tinypose.boxes import iou
from tinypose.inference.bottom_up import BottomUp, extents
from tinypose.inference.estimator import FindPeople, PoseEstimator
from tinypose.inference.people import JOINT_SCORE, People
from tinypose.metrics.oks import rescore
from tinypose.skeleton import Skeleton
from tinypose.tracking.tracker import NOBODY

LEAST = 0.1  # how well a pose must lie in a box to be its person's


@dataclass(frozen=True)
class BoxedBottomUp(PoseEstimator):
    """The detector says who there is, the bottom-up network where their joints are.

    Who has a box and no pose has joints of score 0; a pose in no box is left out.

    Attributes:
        poses: finds everybody's joints.
        detect: finds boxes.
        box_score: boxes that score no more are left out.
    """

    poses: BottomUp
    detect: FindPeople
    box_score: float = 0.4

    @property
    def skeleton(self) -> Skeleton:
        """Names the joints."""
        return self.poses.skeleton

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> People:
        """Find the people of a picture uint8 RGB [H, W, 3]; boxes cannot be given."""
        posed = self.poses(image, boxes)
        found = self.detect(image).above(self.box_score)
        joints = np.zeros((len(found), len(self.skeleton.joints), 3), np.float32)
        for box, pose in match_poses(found.boxes, posed.keypoints):
            joints[box] = posed.keypoints[pose]
        scores = rescore(found.scores, joints[..., 2], JOINT_SCORE).astype(np.float32)
        ids = np.full(len(found), NOBODY, np.int64)
        return People(found.boxes, joints, found.scores, scores, ids, self.skeleton, found.looks)


def match_poses(boxes: np.ndarray, keypoints: np.ndarray) -> list[tuple[int, int]]:
    """Give poses to boxes, so that they lie in them as well as can be.

    How well is the share of a pose's sure joints that are in the box, times the overlap (IoU) of the box
    with what the pose takes up.

    Args:
        boxes: [N, 4], left, top, width, height.
        keypoints: [P, J, 3], x, y and score.

    Returns:
        (place of the box, place of the pose), each at most once.
    """
    if not len(boxes) or not len(keypoints):
        return []
    sure = keypoints[..., 2] > JOINT_SCORE
    low, high = boxes[:, None, None, :2], (boxes[:, :2] + boxes[:, 2:])[:, None, None]
    inside = ((keypoints[None, ..., :2] >= low) & (keypoints[None, ..., :2] <= high)).all(axis=-1)
    share = (inside & sure).sum(axis=-1) / np.maximum(sure.sum(axis=-1), 1)
    fit = share * iou(boxes, extents(keypoints))
    from scipy.optimize import linear_sum_assignment  # a third of a second

    rows, columns = linear_sum_assignment(np.where(fit >= LEAST, fit, 0), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if fit[i, j] >= LEAST]
