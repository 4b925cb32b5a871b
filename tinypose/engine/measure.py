"""Measure a network by the metric of the set it is measured on."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinypose.codecs.rescore import read_rescorer
from tinypose.config import Config
from tinypose.console import track
from tinypose.crowds import find_people
from tinypose.data.coco import PeopleSet, Picture, ground_truth
from tinypose.engine.evaluate import people_to_evaluate, predict, to_results
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.metrics.coco_eval import coco_ap
from tinypose.metrics.crowdpose import crowdpose_ap
from tinypose.metrics.pckh import head_sizes, pckh
from tinypose.network import Network
from tinypose.skeleton import Skeleton


def main_metric(config: Config) -> str:
    """Return the name of the metric that decides which checkpoint is best."""
    return "PCKh" if config.data.val is not None and config.data.val.format == "mpii" else "AP"


def measure(
    network: Network,
    people: PeopleSet,
    config: Config,
    skeleton: Skeleton,
    progress: str = "evaluating",
    fixed: bool = False,
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Measure a network on a set of people.

    Args:
        network: what to measure.
        people: of `data.val`.
        config: `data.val.format` decides the metric: COCO's AP and AR, the same and AP by crowding, or
            PCKh.
        skeleton: of the network.
        progress: what the progress bar says; empty for none.
        fixed: of whole pictures: the network takes one size, as exported ones do.

    Returns:
        Percentages by name, the important ones first; None where nobody counts. And the predictions in
        COCO's results format.
    """
    if config.output.gives == "people":
        if config.data.val.format == "mpii":
            raise UserError(
                "data.val.format: MPII is measured in given boxes; expected COCO's for this output"
            )
        pictures = people.pictures.values()
        results = predict_pictures(network, pictures, config, skeleton, progress, fixed=fixed)
        if config.data.val.format == "crowdpose":
            return crowdpose_ap(people, results, skeleton), results
        return coco_ap(ground_truth(people), results, skeleton.sigmas), results
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


def predict_pictures(
    network: Network,
    pictures: Iterable[Picture],
    config: Config,
    skeleton: Skeleton,
    progress: str = "predicting",
    scales: Sequence[float] | None = None,
    rescoring: bool = True,
    fixed: bool = False,
) -> list[dict[str, Any]]:
    """Find everybody in whole pictures.

    Args:
        network: of `config.output`.
        pictures: to look at.
        config: sections `input`, `output` and `eval` say how.
        skeleton: joints and mirror order.
        progress: what the progress bar says; empty for none.
        scales: instead of `eval.scales`.
        rescoring: with `eval.rescorer`, if there is one.
        fixed: the network takes pictures of `input`'s size only.

    Returns:
        COCO's results format.
    """
    rescorer = None
    if rescoring and config.eval.rescorer is not None:
        rescorer = read_rescorer(config.eval.rescorer, skeleton)
    pictures = list(pictures)
    results = []
    for picture in track(pictures, progress) if progress else pictures:
        keypoints, scores = find_people(
            network,
            read_image(picture.path, picture.size),
            config.input,
            config.output,
            skeleton,
            flip=config.eval.flip,
            scales=config.eval.scales if scales is None else scales,
            fixed=fixed,
            rescorer=rescorer,
        )
        results += [
            {
                "image_id": picture.image_id,
                "category_id": 1,
                "keypoints": [round(float(value), 3) for value in points.ravel()],
                "score": float(value),
            }
            for points, value in zip(keypoints, scores, strict=True)
        ]
    return results


def load_val(config: Config, skeleton: Skeleton) -> PeopleSet | None:
    """Load `data.val`, if it is set."""
    return None if config.data.val is None else people_to_evaluate(config, skeleton)
