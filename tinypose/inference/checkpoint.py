"""Pose estimation straight from configs and checkpoints, by Paddle, before anything was exported."""

from pathlib import Path

from tinypose.codecs.rescore import read_rescorer
from tinypose.config import Config, load_config
from tinypose.detection.config import load_detector_config
from tinypose.detection.detector import Detector
from tinypose.errors import UserError
from tinypose.inference.bottom_up import BottomUp
from tinypose.inference.estimator import TopDown
from tinypose.inference.pose_model import CropModel
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton


def bottom_up_from_config(config: Config, weights: str, score: float) -> BottomUp:
    """Build a network for whole pictures; flip test, scales and rescorer as the section `eval` says.

    Args:
        config: of a network whose output finds people.
        weights: file, URL, or name of the zoo.
        score: people who score no more are left out.

    Raises:
        UserError: weights that cannot be had or do not fit.
    """
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    skeleton = load_skeleton(config.skeleton)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, weights)
    rescorer = None if config.eval.rescorer is None else read_rescorer(config.eval.rescorer, skeleton)
    return BottomUp(
        network=as_network(net),
        settings=config.input,
        codec=config.output,
        skeleton=skeleton,
        score=score,
        flip=config.eval.flip,
        scales=config.eval.scales,
        rescorer=rescorer,
    )


def estimator_from_configs(
    pose: str | Path,
    detector: str | Path | None,
    pose_weights: str | None = None,
    detector_weights: str | None = None,
    box_score: float = 0.4,
) -> TopDown:
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
    from tinypose.detection.weights import load_detector, person_only
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    config = load_config(pose)
    skeleton = load_skeleton(config.skeleton)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, choose_weights(pose, pose_weights or config.weights))
    detect = None
    if detector is not None:
        settings = load_detector_config(detector)
        weights = choose_weights(detector, detector_weights or settings.weights)
        small, settings = person_only(
            load_detector(settings.model_copy(update={"weights": weights})), settings
        )
        codec = settings.codec.model_copy(update={"score": box_score})
        detect = Detector(as_network(small), settings.input, codec)
    find_joints = CropModel(as_network(net), config.input, config.output, len(skeleton.joints))
    return TopDown(find_joints, skeleton, detect, box_score)


def choose_weights(config: str | Path, given: str | None) -> str:
    """Return the weights that are given, or the name of those published under the config's name."""
    from tinypose.models.zoo import ZOO

    if given is not None:
        return given
    name = Path(config).stem
    if name not in ZOO:
        raise UserError(f"{config}: weights: not set, and none are published under the name '{name}'")
    return name
