"""Measure a network by the metric of the set it is measured on."""

from typing import Any

import numpy as np

from tinypose.config import Config
from tinypose.data.coco import PeopleSet, ground_truth
from tinypose.engine.evaluate import people_to_evaluate, predict, to_results
from tinypose.metrics.coco_eval import coco_ap
from tinypose.metrics.crowdpose import crowdpose_ap
from tinypose.metrics.pckh import head_sizes, pckh
from tinypose.network import Network
from tinypose.skeleton import Skeleton


def main_metric(config: Config) -> str:
    """Return the name of the metric that decides which checkpoint is best."""
    return "PCKh" if config.data.val is not None and config.data.val.format == "mpii" else "AP"


def measure(
    network: Network, people: PeopleSet, config: Config, skeleton: Skeleton, progress: str = "evaluating"
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Measure a network on a set of people.

    Args:
        network: what to measure.
        people: of `data.val`.
        config: `data.val.format` decides the metric: COCO's AP and AR, the same and AP by crowding, or
            PCKh.
        skeleton: of the network.
        progress: what the progress bar says; empty for none.

    Returns:
        Percentages by name, the important ones first; None where nobody counts. And the predictions in
        COCO's results format.
    """
    keypoints = predict(network, people.people, config, skeleton, progress)
    return score(keypoints, people, config, skeleton)


def score(
    keypoints: np.ndarray, people: PeopleSet, config: Config, skeleton: Skeleton
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Measure joints that were found, float [P, J, 3] in image pixels; see `measure`."""
    results = to_results(people.people, keypoints, config, skeleton)
    if config.data.val.format == "coco":
        return coco_ap(ground_truth(people), results, skeleton.sigmas), results
    if config.data.val.format == "crowdpose":
        return crowdpose_ap(people, results, skeleton), results
    joints = [person.joints for person in people.people]
    return pckh(keypoints, np.stack(joints), head_sizes(people, skeleton), skeleton.joints), results


def load_val(config: Config, skeleton: Skeleton) -> PeopleSet | None:
    """Load `data.val`, if it is set."""
    return None if config.data.val is None else people_to_evaluate(config, skeleton)
