"""People in pictures: a detector finds them, a pose network finds their joints."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinypose.artifact import artifact_folder
from tinypose.artifact.engines import choose_model
from tinypose.artifact.record import read_artifact
from tinypose.data.coco import AREA_OF_BOX, cut_box
from tinypose.detection.detector import Boxes, Detector
from tinypose.errors import UserError
from tinypose.inference.people import JOINT_SCORE, People
from tinypose.inference.pose_model import PoseModel
from tinypose.metrics.oks import oks, rescore
from tinypose.skeleton import Skeleton
from tinypose.tracking.tracker import NOBODY

# OKS above which two poses in one picture are the same person's. A second box on one person's head and chest
# comes to 0.7 and more; of 279 pairs of different people in coco-mini, 277 are below 0.15.
SAME = 0.6

TOGETHER = 32  # people in one batch: more are no faster, and take memory

FindJoints = Callable[[np.ndarray, np.ndarray], np.ndarray]
FindPeople = Callable[[np.ndarray], Boxes]


class PoseEstimator(ABC):
    """From a picture to its people. Call it with a picture.

        from tinypose import PoseEstimator

        estimate = PoseEstimator.from_artifact("artifacts/tinypose_256x192", "artifacts/picodet_s_416")
        people = estimate(image)  # uint8 RGB [H, W, 3]
        drawn = people.draw(image)

    May be called from several threads; each engine runs one call at a time.

    Attributes:
        skeleton: names the joints.
    """

    skeleton: Skeleton

    @abstractmethod
    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> People:
        """Find the people of a picture and their joints.

        Args:
            image: uint8 RGB [H, W, 3].
            boxes: [N, 4], left, top, width, height in pixels: where to look, instead of detecting.

        Raises:
            ValueError: the picture is of another shape or type.
        """

    @staticmethod
    def from_artifact(
        folder: str | Path,
        detector: str | Path | None = None,
        engine: str | None = None,
        threads: int = 1,
        box_score: float = 0.4,
        own_detector: bool = True,
    ) -> "TopDown":
        """Open artifact folders; nothing else is needed, neither configs nor the training code.

        Args:
            folder: of the pose network, what `lite-deploy export` made.
            detector: what `lite-deploy export` made; none: the folder `detector` within
                `folder` if it is there, else the whole picture is one person.
            engine: `paddle-lite`, `onnxruntime` or `paddle-inference`; none: the fastest here.
            threads: how many each engine may use; Paddle-Lite's Python package has one.
            box_score: boxes that score no more are not looked at.
            own_detector: without `detector`, take the one in `folder`, if there is one.

        Raises:
            UserError: a folder is damaged or of another kind, or has no model for this engine and machine.
        """
        folder = artifact_folder(folder)
        artifact = read_artifact(folder, check_files=False, gives="joints")  # PoseModel checks them
        pose = PoseModel(folder, choose_model(artifact, engine), threads)
        if detector is None and own_detector and (folder / "detector").is_dir():
            detector = folder / "detector"
        detect = None if detector is None else Detector.from_artifact(detector, engine, threads, box_score)
        return TopDown(pose, artifact.skeleton, detect, box_score)


@dataclass(frozen=True)
class TopDown(PoseEstimator):
    """A detector finds boxes, a pose network the joints of the person in each.

    Attributes:
        pose: finds joints: (image uint8 RGB [H, W, 3], boxes [N, 4]) -> float32 [N, J, 3].
        skeleton: names the joints.
        detect: finds boxes; None: the whole picture is one person.
        box_score: boxes that score no more are not looked at. 0.4 keeps most people and few false
            ones; with PicoDet-S 416 on 32 pictures of COCO, 66 of 81 such boxes were on a person.
    """

    pose: FindJoints
    skeleton: Skeleton
    detect: FindPeople | None = None
    box_score: float = 0.4

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> People:
        """Find the people of a picture and their joints; see `PoseEstimator`."""
        if boxes is None:
            return self.look(image, self.find(image))
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        return self.look(image, Boxes(boxes, np.ones(len(boxes), np.float32)), merge=False)

    def find(self, image: np.ndarray) -> Boxes:
        """Return where the people are, by the detector or, without one, the whole picture."""
        _check(image)
        if self.detect is None:
            height, width = image.shape[:2]
            return Boxes(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32))
        return self.detect(image).above(self.box_score)

    def look(self, image: np.ndarray, found: Boxes, merge: bool = True) -> People:
        """Find the joints of people whose boxes are known, in batches of at most `TOGETHER`.

        Args:
            image: uint8 RGB [H, W, 3].
            found: boxes, and scores that go into those of the people. Boxes outside the picture, or of
                less than two pixels either way, are left out.
            merge: of poses that are the same person's, keep the best.
        """
        _check(image)
        size = (image.shape[1], image.shape[0])
        cut = [cut_box(np.asarray(box, np.float64), size) for box in found.boxes]
        there = [i for i, box in enumerate(cut) if box is not None]
        boxes, box_scores = found.boxes[there], found.scores[there]
        looked = np.array([cut[i] for i in there]).reshape(-1, 4)
        parts = [self.pose(image, looked[i : i + TOGETHER]) for i in range(0, max(len(looked), 1), TOGETHER)]
        joints = np.concatenate(parts)
        if not np.isfinite(joints).all():
            raise UserError("the pose network gives numbers that are not finite (NaN or infinity)")
        scores = box_scores
        if self.skeleton.joints:
            scores = rescore(box_scores, joints[..., 2], JOINT_SCORE).astype(np.float32)
        ids = np.full(len(there), NOBODY, np.int64)
        looks = None if found.looks is None else found.looks[there]
        people = People(boxes, joints, box_scores, scores, ids, self.skeleton, looks)
        return people.take(_different(people)) if merge and len(people) > 1 else people


def _different(people: People) -> list[int]:
    """Return the places of people, best first, without those who are someone better once more.

    Compared are the joints that are sure in both: where the unsure ones go, each box says otherwise.
    """
    joints, sure = people.keypoints[..., :2], people.keypoints[..., 2] > JOINT_SCORE
    areas = AREA_OF_BOX * np.prod(people.boxes[:, 2:], axis=1)
    rest = np.argsort(-people.scores, kind="stable")
    kept = []
    while rest.size:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        both = sure[best] & sure[rest]
        area = (areas[best] + areas[rest]) / 2
        alike = oks(joints[best], joints[rest], area, people.skeleton.sigmas, both)
        rest = rest[(alike <= SAME) | (both.sum(axis=1) < 3)]
    return kept


def no_joints(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Stand where a pose network would, and find none: float32 [N, 0, 3]."""
    return np.zeros((len(boxes), 0, 3), np.float32)


def _check(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected a picture uint8 [H, W, 3], found {image.dtype} {list(image.shape)}")
