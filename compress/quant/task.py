"""What every command about quantisation begins with: the network as a graph, and the people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.graph.ir import Graph
from compress.graph.rewrite import fold, rewrite
from compress.graph.trace import trace
from compress.quant.data import calibration_people, crops_of
from tinypose.config import Config
from tinypose.data.coco import PeopleSet, ground_truth
from tinypose.engine.evaluate import people_to_evaluate, predict, to_results
from tinypose.engine.measure import main_metric, measure, predict_pictures
from tinypose.errors import UserError
from tinypose.metrics.crowdpose import crowdpose_truth
from tinypose.metrics.pckh import head_sizes
from tinypose.metrics.resample import Parts, ap_parts, pckh_parts
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.models.zoo import locate
from tinypose.network import Network
from tinypose.skeleton import Skeleton, load_skeleton


@dataclass(frozen=True)
class Task:
    """A network to quantise.

    Attributes:
        config: without flip test: a device has none, so neither has what is promised of it.
        graph: BatchNorm folded, and rewritten unless it was asked not to be.
        crops: uint8 RGB [N, H, W, 3] of the people, or the whole pictures, to calibrate on.
        validation: the people to measure on.
        weights: the file that the network was loaded from.
    """

    config: Config
    skeleton: Skeleton
    graph: Graph
    crops: np.ndarray
    validation: PeopleSet
    weights: Path

    def measure(self, network: Network) -> float:
        """Return the main metric of a network, AP or PCKh, in percent."""
        fixed = self.config.output.gives == "people"  # a device has one size
        metrics, _ = measure(network, self.validation, self.config, self.skeleton, "", fixed=fixed)
        return metrics[main_metric(self.config)] or 0.0

    def parts(self, network: Network) -> Parts:
        """Measure a network so that the main metric of any selection of pictures or people is known."""
        config, people, skeleton = self.config, self.validation, self.skeleton
        if config.output.gives == "people":
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
        return ap_parts(truth, results, skeleton.sigmas)


def read_task(config: Config, file: Path, rewritten: bool = True) -> Task:
    """Load what `config` names.

    Raises:
        UserError: weights or people are not named, or cannot be read.
    """
    if config.weights is None:
        raise UserError(f"{file}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    plain: dict[str, Any] = {"eval": config.eval.model_copy(update={"flip": False})}
    if config.output.gives == "people":
        plain = _for_whole_pictures(config)
    config = config.model_copy(update=plain)
    skeleton = load_skeleton(config.skeleton)
    people = calibration_people(config, skeleton)
    validation = people_to_evaluate(config, skeleton)
    net = build_model(config, len(skeleton.joints))
    weights = locate(config.weights)
    load_weights(net, weights)
    net.eval()
    traced = trace(net, (1, 3, config.input.height, config.input.width))
    graph = rewrite(traced) if rewritten else fold(traced)
    return Task(config, skeleton, graph, crops_of(people, config), validation, weights)


def _for_whole_pictures(config: Config) -> dict[str, Any]:
    """Return what changes for a network that sees whole pictures: one look, and no training."""
    if config.quant.sensitivity == "ap":
        raise UserError("quant.sensitivity: 'ap' is for networks that see crops; use 'heatmap'")
    if config.quant.method in ("pact", "lsq"):
        raise UserError(f"quant.method: '{config.quant.method}' is for networks that see crops; use 'ptq'")
    once = {"flip": False, "scales": (1.0,), "rescorer": None}
    return {
        "eval": config.eval.model_copy(update=once),
        "quant": config.quant.model_copy(update={"method": "ptq"}),
    }
