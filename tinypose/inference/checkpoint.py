"""Pose estimation straight from configs and checkpoints, by Paddle, before anything was exported."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinypose.config import Config, load_config
from tinypose.detection.config import DetectorSpec, load_detector_config
from tinypose.detection.detector import Detector
from tinypose.errors import UserError
from tinypose.inference.estimator import PoseEstimator
from tinypose.inference.pose_model import read_joints
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import load_skeleton


@dataclass(frozen=True)
class CheckpointPose:
    """Finds joints with a Paddle network; what `PoseModel` is to an artifact folder.

    Attributes:
        run: float32 [N, 3, H, W] to float32 [N, J, h, w].
        config: sections `input` and `heatmap` say how.
        joints: how many there are.
    """

    run: Callable[[np.ndarray], np.ndarray]
    config: Config
    joints: int

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return float32 [P, J, 3] for a picture uint8 RGB [H, W, 3] and boxes [P, 4]."""
        if not len(boxes):
            return np.zeros((0, self.joints, 3), np.float32)
        settings = self.config.input
        crops, matrices = zip(*(crop_person(image, box, settings) for box in boxes), strict=True)
        heatmaps = self.run(normalise(np.stack(crops), settings))
        return read_joints(heatmaps, list(matrices), (settings.width, settings.height), self.config.heatmap)


def estimator_from_configs(
    pose: str | Path,
    detector: str | Path | None,
    pose_weights: str | None = None,
    detector_weights: str | None = None,
    box_score: float = 0.4,
) -> PoseEstimator:
    """Build both networks from configs and load their weights.

    Args:
        pose: a pose network's config.
        detector: a detector's config; none: the whole picture is one person.
        pose_weights: instead of the config's `weights`; without either, those published under its name.
        detector_weights: the same for the detector.
        box_score: boxes that score no more are not looked at.

    Raises:
        UserError: a config or weights cannot be had or do not fit.
    """
    from tinypose.detection.weights import as_detector_run, load_detector, person_only
    from tinypose.engine.evaluate import as_run
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    config = load_config(pose)
    skeleton = load_skeleton(config.skeleton)
    net = build_model(config.model, len(skeleton.joints))
    load_weights(net, _weights(pose, pose_weights or config.weights))
    detect = None
    if detector is not None:
        settings = load_detector_config(detector)
        weights = _weights(detector, detector_weights or settings.weights)
        small, spec = person_only(load_detector(settings.model_copy(update={"weights": weights})), settings)
        boxes = spec.boxes.model_copy(update={"score": box_score})
        detect = Detector(
            as_detector_run(small), DetectorSpec(model=spec.model, input=spec.input, boxes=boxes)
        )
    return PoseEstimator(
        CheckpointPose(as_run(net), config, len(skeleton.joints)), skeleton, detect, box_score
    )


def _weights(config: str | Path, given: str | None) -> str:
    from tinypose.models.zoo import ZOO

    if given is not None:
        return given
    name = Path(config).stem
    if name not in ZOO:
        raise UserError(f"{config}: weights: not set, and none are published under the name '{name}'")
    return name
