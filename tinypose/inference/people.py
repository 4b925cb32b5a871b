"""What pose estimation returns: the people of one picture."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinypose.drawing import PALETTE, draw_people, label
from tinypose.skeleton import Skeleton
from tinypose.tracking.tracker import NOBODY

ARRAYS = ("boxes", "keypoints", "box_scores", "scores", "ids")
JOINT_SCORE = 0.2  # joints that score less are uncertain
NO_JOINTS = Skeleton.model_construct(name="none", joints=(), pairs=(), sigmas=())  # of boxes alone


@dataclass(frozen=True)
class People:
    """The people found in one picture, best first; `len(people)` of them.

    Attributes:
        boxes: float32 [N, 4], left, top, width, height in image pixels: where each was looked for.
        keypoints: float32 [N, J, 3], x and y in image pixels (whole numbers are pixel centres), score.
        box_scores: float32 [N], 0 to 1: the detector's; of boxes that were given or no one detected, 1.
        scores: float32 [N], 0 to 1: the box's times the mean of the joints' that are above 0.2.
        ids: int64 [N], who it is over time, counted from 1; -1 in single pictures.
        skeleton: names the joints; `NO_JOINTS` where none were looked for.
        looks: float32 [N, D], vectors that are alike for one person; None: the detector gives none.
    """

    boxes: np.ndarray
    keypoints: np.ndarray
    box_scores: np.ndarray
    scores: np.ndarray
    ids: np.ndarray
    skeleton: Skeleton
    looks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, which: np.ndarray | list[int]) -> "People":
        """Return some of the people: their places, or a mask."""
        which = np.asarray(which)
        if which.dtype == bool and which.all():
            return self
        if not which.size:  # numpy takes an empty list for floats
            which = which.astype(np.int64)
        looks = None if self.looks is None else self.looks[which]
        return replace(self, looks=looks, **{name: getattr(self, name)[which] for name in ARRAYS})

    def draw(self, image: np.ndarray, joint_score: float | None = None) -> np.ndarray:
        """Draw boxes, skeletons and ids on a copy of the picture; each id has its colour.

        Args:
            image: uint8 RGB [H, W, 3].
            joint_score: joints that score less are drawn as circles, without limbs; none: the thresholds of
                the skeleton, or 0.2.

        Returns:
            uint8 RGB [H, W, 3].
        """
        numbers = [i if number == NOBODY else int(number) for i, number in enumerate(self.ids)]
        colors = [PALETTE[number % len(PALETTE)] for number in numbers]
        threshold = (self.skeleton.thresholds or JOINT_SCORE) if joint_score is None else joint_score
        result = draw_people(image, self.keypoints, self.skeleton, threshold, self.boxes, colors)
        for box, number, color in zip(self.boxes, self.ids, colors, strict=True):
            if number != NOBODY:
                scale = float(max(box[2:])) / 400
                label(result, str(number), (float(box[0]), float(box[1])), scale, (0, 0, 0), color)
        return result

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Return COCO's results form, with the box, and `track_id` for those who are followed.

        Where no joints were looked for, they are left out.

        Args:
            image_id: the picture's number, or the frame's.
        """
        results = []
        for box, joints, score, number in zip(self.boxes, self.keypoints, self.scores, self.ids, strict=True):
            entry = {
                "image_id": image_id,
                "category_id": 1,
                "keypoints": [round(float(value), 3) for value in joints.ravel()],
                "score": round(float(score), 5),
                "bbox": [round(float(value), 2) for value in box],
            }
            if not len(joints):
                del entry["keypoints"]
            if number != NOBODY:
                entry["track_id"] = int(number)
            results.append(entry)
        return results

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays, by the names of the attributes."""
        return {name: getattr(self, name).copy() for name in ARRAYS}


def no_people(skeleton: Skeleton) -> People:
    """Return the people of an empty picture."""
    joints = np.zeros((0, len(skeleton.joints), 3), np.float32)
    empty = np.zeros(0, np.float32)
    return People(np.zeros((0, 4), np.float32), joints, empty, empty, np.zeros(0, np.int64), skeleton)
