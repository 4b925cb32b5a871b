"""What every command about quantisation begins with: a network as a graph, and what it is measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.graph.ir import Graph
from compress.graph.rewrite import fold, rewrite
from compress.graph.trace import trace
from compress.quant.data import calibration_crops
from compress.quant.scales import Scales
from compress.quant.sensitivity import ap_alone
from compress.trained import Trained, load_trained
from tinypose.config import Config
from tinypose.data.annotations import read_coco
from tinypose.data.coco import PeopleSet, ground_truth
from tinypose.detection.config import DetectorConfig
from tinypose.detection.detector import Detector
from tinypose.engine.evaluate import people_to_evaluate, predict, to_results
from tinypose.engine.measure import main_metric, predict_pictures
from tinypose.errors import UserError
from tinypose.metrics.boxes import annotated_boxes, box_truth, detect_pictures
from tinypose.metrics.crowdpose import crowdpose_truth
from tinypose.metrics.pckh import head_sizes
from tinypose.metrics.resample import Parts, ap_parts, pckh_parts
from tinypose.models.zoo import locate
from tinypose.network import Network
from tinypose.skeleton import Skeleton

# Convolution -> accuracy with it alone in INT8; what is measured is kept in the file.
Alone = Callable[[Graph, Scales, Path], dict[str, float]]


@dataclass(frozen=True)
class Measure:
    """How the accuracy of a network is measured.

    Attributes:
        metric: its name: AP, PCKh or box AP.
        people: how many are measured on.
        parts: measures a network so that the metric of any selection of pictures or people is known.
        alone: measures it with each convolution alone in INT8; None: that is not done for such a network.
    """

    metric: str
    people: int
    parts: Callable[[Network], Parts]
    alone: Alone | None

    def of(self, network: Network) -> float:
        """Return the metric of a network, in percent."""
        parts = self.parts(network)
        return parts.of(range(parts.count))


@dataclass(frozen=True)
class Task:
    """A network to quantise.

    Attributes:
        config: without flip test: a device has none, so neither has what is promised of it.
        graph: BatchNorm folded, and rewritten unless it was asked not to be.
        crops: uint8 RGB [N, H, W, 3] of the people, or the whole pictures, to calibrate on.
        seen: what they are: people or pictures.
        measure: how accurate it is.
        weights: the file that the network was loaded from.
    """

    config: Config | DetectorConfig
    graph: Graph
    crops: np.ndarray
    seen: str
    measure: Measure
    weights: Path


def read_task(config: Config | DetectorConfig, file: Path, rewritten: bool = True) -> Task:
    """Load what `config` names.

    Raises:
        UserError: weights, or what to calibrate or measure on, are not named, or cannot be read.
    """
    if config.weights is None:
        raise UserError(f"{file}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    weights = locate(config.weights)
    trained = load_trained(config, weights)
    config = _as_on_device(config, trained)
    crops = calibration_crops(config, trained.skeleton)
    measure = _boxes(config, trained) if trained.skeleton is None else _joints(config, trained.skeleton)
    traced = trace(trained.net, (1, 3, config.input.height, config.input.width))
    graph = rewrite(traced) if rewritten else fold(traced)
    seen = "people" if trained.output.gives == "joints" else "pictures"
    return Task(config, graph, crops, seen, measure, weights)


def _as_on_device(config: Config | DetectorConfig, trained: Trained) -> Config | DetectorConfig:
    """Return what changes for a device, which looks once; and no training of what sees whole pictures."""
    changes: dict[str, Any] = {}
    if trained.output.gives != "joints":
        if config.quant.sensitivity == "ap":
            raise UserError("quant.sensitivity: 'ap' is for networks that see crops; use 'heatmap'")
        if config.quant.method in ("pact", "lsq"):
            raise UserError(
                f"quant.method: '{config.quant.method}' is for networks that see crops; use 'ptq'"
            )
        changes["quant"] = config.quant.model_copy(update={"method": "ptq"})
    if isinstance(config, Config):
        once: dict[str, Any] = {"flip": False}
        if trained.output.gives == "people":
            once |= {"scales": (1.0,), "rescorer": None}
        changes["eval"] = config.eval.model_copy(update=once)
    return config.model_copy(update=changes)


def _boxes(config: DetectorConfig, trained: Trained) -> Measure:
    """Measure boxes of people, as `tinypose detect` does."""
    data = annotated_boxes(config.data.val)
    source = read_coco(data.annotations, None, data.category)
    truth = box_truth(source)

    def parts(network: Network) -> Parts:
        detector = Detector(network, trained.input.config(), trained.output)
        found = detect_pictures(detector, source, data.images, batch=config.quant.batch_size)
        return ap_parts(truth, found, "bbox")

    return Measure("box AP", len(truth["annotations"]), parts, None)


def _joints(config: Config, skeleton: Skeleton) -> Measure:
    """Measure people's joints, as `tinypose eval` does."""
    people = people_to_evaluate(config, skeleton)
    parts = partial(_joint_parts, config, skeleton, people)
    alone = None
    if config.output.gives == "joints":
        alone = lambda graph, scales, cache: ap_alone(graph, scales, people, config, skeleton, cache)  # noqa: E731
    return Measure(main_metric(config), len(people.people), parts, alone)


def _joint_parts(config: Config, skeleton: Skeleton, people: PeopleSet, network: Network) -> Parts:
    if config.output.gives == "people":  # a device has one size
        pictures = people.pictures.values()
        results = predict_pictures(network, pictures, config, skeleton, "", fixed=True)
    else:
        keypoints = predict(network, people.people, config, skeleton, "")
        if main_metric(config) == "PCKh":
            joints = np.stack([person.joints for person in people.people])
            return pckh_parts(keypoints, joints, head_sizes(people, skeleton), skeleton.joints)
        results = to_results(people.people, keypoints, config, skeleton)
    crowded = config.data.val.format == "crowdpose"
    truth = crowdpose_truth(people) if crowded else ground_truth(people)
    return ap_parts(truth, results, "keypoints", skeleton.sigmas)
