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
from tinypose.metrics.thresholds import with_thresholds
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

    skeleton = with_thresholds(load_skeleton(config.skeleton), config.eval.thresholds)
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


def top_down_from_config(pose: str | Path, weights: str | None, box_score: float = 0.4) -> TopDown:
    """Build a pose network for people's crops and load its weights; it has no detector yet.

    Args:
        pose: a pose network's config.
        weights: instead of the config's `weights`; without either, those published under its name.
        box_score: boxes that score no more are not looked at.

    Raises:
        UserError: the config or weights cannot be had or do not fit.
    """
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    config = load_config(pose)
    skeleton = with_thresholds(load_skeleton(config.skeleton), config.eval.thresholds)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, choose_weights(pose, weights or config.weights))
    find_joints = CropModel(as_network(net), config.input, config.output, len(skeleton.joints))
    return TopDown(find_joints, skeleton, None, box_score)


def detector_from_config(path: str | Path, weights: str | None, box_score: float = 0.4) -> Detector:
    """Build a detector and load its weights; see `top_down_from_config`.

    Raises:
        UserError: the config or weights cannot be had or do not fit.
    """
    from tinypose.detection.weights import load_detector, person_only

    settings = load_detector_config(path)
    chosen = choose_weights(path, weights or settings.weights)
    net, settings = person_only(load_detector(settings.model_copy(update={"weights": chosen})), settings)
    codec = settings.codec.model_copy(update={"score": box_score})
    return Detector(as_network(net), settings.input, codec)


def choose_weights(config: str | Path, given: str | None) -> str:
    """Return the weights that are given, or the name of those published under the config's name."""
    from tinypose.models.zoo import ZOO

    if given is not None:
        return given
    name = Path(config).stem
    if name not in ZOO:
        raise UserError(f"{config}: weights: not set, and none are published under the name '{name}'")
    return name
