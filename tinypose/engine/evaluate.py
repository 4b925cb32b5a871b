"""Find people's joints with any network, and measure them as COCO does.

A network is a callable from float32 images [N, 3, H, W] to float32 heatmaps [N, J, h, w], so that a
Paddle layer (`as_run`), a simulation of INT8 and a runtime on a phone are measured by the same code.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinypose.codecs import heatmap
from tinypose.config import Config
from tinypose.console import track
from tinypose.data.coco import PeopleSet, Person, ground_truth, load_detections, load_people
from tinypose.data.mpii import load_mpii
from tinypose.errors import UserError
from tinypose.geometry import fit_box, invert, transform
from tinypose.metrics.oks import coco_ap, oks_nms, rescore
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import Skeleton

Run = Callable[[np.ndarray], np.ndarray]


def as_run(net: Any) -> Run:
    """Make a Paddle layer a callable on arrays. Puts the layer into inference mode."""
    import paddle  # other runtimes do without it

    net.eval()

    def run(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            return net(paddle.to_tensor(images)).numpy()

    return run


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
    load = load_mpii if config.data.val.format == "mpii" else load_people
    people = load(config.data.val.annotations, config.data.val.images, skeleton)
    if config.eval.boxes is None:
        return people
    return load_detections(config.eval.boxes, people, config.eval.box_threshold)


def evaluate(
    run: Run, people: PeopleSet, config: Config, skeleton: Skeleton, progress: str = "evaluating"
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    """Measure a network on a set of people.

    Args:
        run: float32 [N, 3, H, W] -> float32 [N, J, h, w].
        people: whom to look at: annotated boxes (`load_people`) or a detector's (`load_detections`).
        config: sections `input`, `heatmap` and `eval` say how.
        skeleton: joints, mirror order and sigmas.
        progress: what the progress bar says; empty for none.

    Returns:
        COCO's metrics in percent (`tinypose.metrics.oks.METRICS`), and the predictions in COCO's results
        format.
    """
    keypoints = predict(run, people.people, config, skeleton, progress)
    results = to_results(people.people, keypoints, config, skeleton)
    return coco_ap(ground_truth(people), results, skeleton.sigmas), results


def predict(
    run: Run, people: Sequence[Person], config: Config, skeleton: Skeleton, progress: str = "predicting"
) -> np.ndarray:
    """Find the joints of each person, in batches; each picture is read once.

    Args:
        run: float32 [N, 3, H, W] -> float32 [N, J, h, w].
        people: boxes and pictures.
        config: sections `input`, `heatmap` and `eval` say how.
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
        heatmaps = predict_heatmaps(run, crops, config, skeleton)
        keypoints[numbers] = to_image(heatmaps, matrices, config)
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


def predict_heatmaps(run: Run, crops: np.ndarray, config: Config, skeleton: Skeleton) -> np.ndarray:
    """Run the network on crops uint8 RGB [N, H, W, 3], and on their mirror images if `eval.flip` says so.

    Returns:
        float32 [N, J, h, w].
    """
    images = normalise(crops, config.input)
    heatmaps = _checked(run(images), len(crops), skeleton)
    if config.eval.flip:
        mirrored = _checked(run(np.ascontiguousarray(images[..., ::-1])), len(crops), skeleton)
        heatmaps = (heatmaps + heatmap.flip_back(mirrored, skeleton.flip_order, config.heatmap.grid)) / 2
    return heatmaps


def to_image(heatmaps: np.ndarray, matrices: Sequence[np.ndarray], config: Config) -> np.ndarray:
    """Decode heatmaps float32 [N, J, h, w] to keypoints in image pixels, float32 [N, J, 3] (x, y, score).

    `matrices` are float64 [2, 3] each, from image to crop pixels.
    """
    keypoints = heatmap.decode(heatmaps, config.heatmap.decode, config.heatmap.blur)
    size = (config.input.width, config.input.height)
    keypoints = heatmap.to_crop(keypoints, size, heatmaps.shape[:1:-1], config.heatmap.grid)
    for points, matrix in zip(keypoints, matrices, strict=True):
        points[:, :2] = transform(invert(matrix), points[:, :2])
    return keypoints.astype(np.float32)


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
    size = (config.input.width, config.input.height)
    areas = np.array([fit_box(person.box, size, config.input.padding)[2:].prod() for person in people])
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


def _checked(heatmaps: np.ndarray, count: int, skeleton: Skeleton) -> np.ndarray:
    if heatmaps.ndim != 4 or heatmaps.shape[:2] != (count, len(skeleton.joints)):
        raise UserError(
            f"the network gives {list(heatmaps.shape)}, expected heatmaps [{count}, {len(skeleton.joints)}, "
            f"height, width] for skeleton '{skeleton.name}'"
        )
    if not np.isfinite(heatmaps).all():
        raise UserError("the network gives numbers that are not finite (NaN or infinity)")
    return heatmaps
