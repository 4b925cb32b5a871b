"""Find people's joints with any network (`tinypose.network.Network`), and measure them as COCO does.

A Paddle layer, a simulation of INT8 and a runtime on a phone are measured by the same code.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinypose.codecs import Outputs
from tinypose.config import Config
from tinypose.console import track
from tinypose.data.coco import PeopleSet, Person, ground_truth, load_detections
from tinypose.data.merge import load_set
from tinypose.errors import UserError
from tinypose.geometry import fit_box, to_image
from tinypose.metrics.coco_eval import coco_ap
from tinypose.metrics.oks import oks_nms, rescore
from tinypose.models.zoo import locate_boxes
from tinypose.network import Network
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import Skeleton


def people_to_evaluate(config: Config, skeleton: Skeleton) -> PeopleSet:
    """Load `data.val`, with the boxes of `eval.boxes` if a detector's are given.

    Raises:
        UserError: `data.val` is not set, or one of the files cannot be used.
    """
    if config.data.val is None:
        raise UserError("data.val: not set; give -o data.val.annotations=FILE -o data.val.images=FOLDER")
    if config.data.val.skeleton not in (None, config.skeleton):
        raise UserError(
            f"data.val.skeleton: measuring needs annotations with the config's own joints ('{skeleton.name}')"
        )
    people = load_set(config.data.val, skeleton)
    if config.eval.boxes is None:
        return people
    return load_detections(
        locate_boxes(config.eval.boxes), people, config.eval.box_threshold, config.eval.boxes_form
    )


def evaluate(
    network: Network, people: PeopleSet, config: Config, skeleton: Skeleton, progress: str = "evaluating"
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Measure a network on a set of people.

    Args:
        network: what to measure.
        people: whom to look at: annotated boxes (`load_people`) or a detector's (`load_detections`).
        config: sections `input`, `output` and `eval` say how.
        skeleton: joints, mirror order and sigmas.
        progress: what the progress bar says; empty for none.

    Returns:
        `tinypose.metrics.coco_eval.METRICS` in percent, and the predictions in COCO's results format.
    """
    keypoints = predict(network, people.people, config, skeleton, progress)
    results = to_results(people.people, keypoints, config, skeleton)
    return coco_ap(ground_truth(people), results, skeleton.sigmas), results


def predict(
    network: Network,
    people: Sequence[Person],
    config: Config,
    skeleton: Skeleton,
    progress: str = "predicting",
) -> np.ndarray:
    """Find the joints of each person, in batches; each picture is read once.

    Args:
        network: what finds them.
        people: boxes and pictures.
        config: sections `input`, `output` and `eval` say how.
        skeleton: joints and mirror order.
        progress: what the progress bar says; empty for none.

    Returns:
        float32 [P, J, 3] in the order of `people`: x and y in image pixels, and the joint's score.

    Raises:
        UserError: a picture that cannot be read, or a network that does not fit the skeleton or gives
            numbers that are not finite.
    """
    keypoints = np.zeros((len(people), len(skeleton.joints), 3), np.float32)
    for numbers, crops, matrices in crops_in_batches(people, config, progress):
        outputs = predict_outputs(network, crops, config, skeleton)
        keypoints[numbers] = to_image(config.output.keypoints(outputs, config.input.size), matrices)
    return keypoints


def crops_in_batches(
    people: Sequence[Person], config: Config, progress: str = ""
) -> Iterator[tuple[list[int], np.ndarray, list[np.ndarray]]]:
    """Cut people out of their pictures, `eval.batch_size` at a time; each picture is read once.

    Yields:
        Places in `people`, crops uint8 RGB [N, H, W, 3], and float64 [2, 3] each, from image to crop pixels.
    """
    order = sorted(range(len(people)), key=lambda number: str(people[number].path))
    numbers: Iterator[int] = track(order, progress) if progress else iter(order)
    batch: list[tuple[int, np.ndarray, np.ndarray]] = []
    path, image = None, None
    for number in numbers:
        person = people[number]
        if person.path != path:
            path, image = person.path, person.read()
        batch.append((number, *crop_person(image, person.box, config.input)))
        if len(batch) == config.eval.batch_size or number == order[-1]:
            places, crops, matrices = zip(*batch, strict=True)
            yield list(places), np.stack(crops), list(matrices)
            batch.clear()


def predict_outputs(network: Network, crops: np.ndarray, config: Config, skeleton: Skeleton) -> Outputs:
    """Run the network on crops uint8 RGB [N, H, W, 3], and on their mirror images if `eval.flip` says so.

    Raises:
        UserError: outputs of other shapes than `config.output` decodes, or not finite.
    """
    images = normalise(crops, config.input)
    outputs = _checked(network(images), len(crops), config, skeleton)
    if config.eval.flip:
        mirrored = network(np.ascontiguousarray(images[..., ::-1]))
        mirrored = _checked(mirrored, len(crops), config, skeleton)
        outputs = config.output.with_mirrored(outputs, mirrored, skeleton.flip_order)
    return outputs


def to_results(
    people: Sequence[Person], keypoints: np.ndarray, config: Config, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """Score people by box and joints, drop doubles (OKS-NMS), and return COCO's results format.

    Args:
        people: [P].
        keypoints: float [P, J, 3], x and y in image pixels, and score.
        config: `eval.joint_threshold` and `eval.nms`, and the crop, whose area OKS-NMS measures by, as in
            Simple Baselines (Xiao et al., ECCV 2018).
        skeleton: sigmas.
    """
    scores = rescore([person.score for person in people], keypoints[..., 2], config.eval.joint_threshold)
    areas = np.array(
        [fit_box(person.box, config.input.size, config.input.padding)[2:].prod() for person in people]
    )
    by_picture: dict[int, list[int]] = {}
    for number, person in enumerate(people):
        by_picture.setdefault(person.image_id, []).append(number)
    results = []
    for image_id, numbers in by_picture.items():
        kept = oks_nms(
            keypoints[numbers, :, :2], scores[numbers], areas[numbers], skeleton.sigmas, config.eval.nms
        )
        for number in (numbers[place] for place in kept):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": 1,
                    "keypoints": [round(float(value), 3) for value in keypoints[number].ravel()],
                    "score": float(scores[number]),
                }
            )
    return results


def _checked(outputs: Outputs, count: int, config: Config, skeleton: Skeleton) -> Outputs:
    expected = [(count, *shape) for shape in config.output.shapes(len(skeleton.joints), config.input.size)]
    found = [each.shape for each in outputs]
    if found != expected:
        raise UserError(
            f"the network gives {_listed(found)}, expected {_listed(expected)} for output "
            f"'{config.output.name}' and skeleton '{skeleton.name}'"
        )
    if not all(np.isfinite(each).all() for each in outputs):
        raise UserError("the network gives numbers that are not finite (NaN or infinity)")
    return outputs


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes)
