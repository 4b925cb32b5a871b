"""Open the networks that a command names: artifact folders, config files, or names of configs that ship."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinypose.config import CONFIGS, load_config, shipped_configs
from tinypose.detection.detector import Detector
from tinypose.errors import UserError
from tinypose.inference.bottom_up import BottomUp
from tinypose.inference.boxed import BoxedBottomUp
from tinypose.inference.estimator import PoseEstimator, TopDown, no_joints
from tinypose.inference.people import NO_JOINTS

NO_POSE = "none"  # instead of a pose network: boxes alone
Estimator = TopDown | BottomUp | BoxedBottomUp


def open_networks(
    pose: Path,
    detector: Path | None,
    pose_weights: str | None = None,
    detector_weights: str | None = None,
    no_detector: bool = False,
    engine: str | None = None,
    threads: int = 1,
    box_score: float = 0.4,
    score: float = 0.15,
) -> tuple[Estimator, dict[str, Any]]:
    """Open a pose network and a detector.

    Args:
        pose: a pose network; `none`: people's boxes alone.
        detector: None: the artifact's own, or PicoDet for a config; bottom-up networks do without.
        pose_weights: of a config, instead of its own.
        detector_weights: of a config, instead of its own.
        no_detector: boxes are given, or a picture is one person.
        engine: of artifacts; None: the fastest here.
        threads: of each engine.
        box_score: boxes that score no more are not looked at.
        score: of bottom-up networks, people who score no more are left out.

    Returns:
        What finds people, and what its results depend on, in plain containers.

    Raises:
        UserError: a network that cannot be had, or two that do not go together.
    """
    pose, detector = find_network(pose), None if detector is None else find_network(detector)
    for name, path, weights in (("pose", pose, pose_weights), ("detector", detector, detector_weights)):
        if weights and path is not None and not is_config(path):
            raise UserError(f"--{name}-weights goes with a config; an artifact has its weights")
    origin: dict[str, Any] = {"box_score": box_score}
    if str(pose) == NO_POSE:
        if no_detector:
            raise UserError("--pose none: people's boxes alone; --boxes and --whole are not for it")
        detector = detector or CONFIGS / "picodet_s_416_coco.yml"
        detect = open_detector(detector, detector_weights, engine, threads, box_score)
        estimate: Estimator = TopDown(no_joints, NO_JOINTS, detect, box_score)
        return estimate, origin | {"networks": [identity(detector, detector_weights)]}
    bottom_up = _open_bottom_up(pose, pose_weights, engine, threads, score)
    if bottom_up is not None:
        if no_detector or (detector_weights and detector is None):
            raise UserError(f"{pose}: finds everybody in a picture; --boxes and --whole are not for it")
        origin |= {"score": score, "networks": [identity(pose, pose_weights)]}
        if detector is None:
            return bottom_up, origin
        detect = open_detector(detector, detector_weights, engine, threads, box_score)
        origin["networks"].append(identity(detector, detector_weights))
        return BoxedBottomUp(bottom_up, detect, box_score), origin
    if is_config(pose):
        from tinypose.inference.checkpoint import top_down_from_config

        estimate = top_down_from_config(pose, pose_weights, box_score)
        detector = None if no_detector else detector or CONFIGS / "picodet_s_416_coco.yml"
    else:
        if not no_detector and detector is None and (pose / "detector").is_dir():
            detector = pose / "detector"
        if not no_detector and detector is None:
            raise UserError(
                f"{pose}: no detector in it; give --detector FOLDER (`lite-deploy export` makes "
                "one), or --whole if each picture shows one person"
            )
        estimate = PoseEstimator.from_artifact(pose, None, engine, threads, box_score, own_detector=False)
    origin["networks"] = [identity(pose, pose_weights)]
    if detector is not None:
        detect = open_detector(detector, detector_weights, engine, threads, box_score)
        estimate = replace(estimate, detect=detect)
        origin["networks"].append(identity(detector, detector_weights))
    return estimate, origin


def find_network(name: Path) -> Path:
    """Return the config that ships under a name, or the path to a config or an artifact's folder."""
    if name.suffix in (".yml", ".yaml") or name.exists() or str(name) == NO_POSE:
        return name.parent if name.name == "pose.json" else name
    return shipped_configs().get(str(name), name)


def is_config(path: Path) -> bool:
    """Whether a network is named by a config, and not by an artifact's folder."""
    return path.suffix in (".yml", ".yaml")


def identity(path: Path, weights: str | None) -> str:
    """Return what tells a network from others: an artifact's checksum, a config's name and weights."""
    if is_config(path):
        return f"{path} {weights or ''}".strip()
    from tinypose.artifact import FILE
    from tinypose.files import read_json

    return read_json(path / FILE)["sha256"]


def open_detector(
    path: Path, weights: str | None, engine: str | None, threads: int, box_score: float
) -> Detector:
    """Open a detector of either kind; boxes that score no more than `box_score` are dropped."""
    if not is_config(path):
        return Detector.from_artifact(path, engine, threads, box_score)
    from tinypose.inference.checkpoint import detector_from_config

    return detector_from_config(path, weights, box_score)


def _open_bottom_up(
    pose: Path, weights: str | None, engine: str | None, threads: int, score: float
) -> BottomUp | None:
    """Open a network that sees whole pictures; None if it sees one person's crop."""
    if is_config(pose):
        config = load_config(pose)
        if config.output.gives != "people":
            return None
        from tinypose.inference.checkpoint import bottom_up_from_config, choose_weights

        return bottom_up_from_config(config, choose_weights(pose, weights or config.weights), score)
    from tinypose.artifact.record import read_artifact

    if read_artifact(pose, check_files=False).output.gives != "people":
        return None
    return BottomUp.from_artifact(pose, engine, threads, score)
