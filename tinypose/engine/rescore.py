"""Learning to score poses: from a network's poses on its training set to a rescorer."""

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn.initializer import Uniform

from tinypose.codecs.rescore import HIDDEN, LAYERS, Rescorer, features
from tinypose.errors import UserError
from tinypose.metrics.coco_eval import paired
from tinypose.skeleton import Skeleton, load_skeleton


@dataclass(frozen=True)
class Rows:
    """What a rescorer learns from.

    Attributes:
        keypoints: float32 [R, J, 3], x and y in the picture's pixels, and value.
        likeness: float32 [R], object keypoint similarity with the person they are likest.
    """

    keypoints: np.ndarray
    likeness: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """Return float32 [R]: the likeness; as published 0 where it is exactly 1."""
        return np.where(self.likeness == 1, 0, self.likeness).astype(np.float32)


def collect(truth: dict[str, Any], results: list[dict[str, Any]], skeleton: Skeleton) -> Rows:
    """Pair a network's poses with annotated people, as COCO's evaluation does.

    Each of the 20 best poses of a picture with people comes once for each of COCO's ranges of size (all,
    medium, large): with its greatest likeness to a person of that range, or to an ignored one if there
    are no others.

    Args:
        truth: annotations (`tinypose.data.coco.ground_truth`).
        results: COCO's results format, with joints' values as third numbers.
        skeleton: sigmas.

    Raises:
        UserError: no pose in a picture with people.
    """
    measure = paired(truth, results, "keypoints", skeleton.sigmas)
    category, most = measure.params.catIds[0], measure.params.maxDets[-1]
    keypoints, likeness = [], []
    for low, high in measure.params.areaRng:
        for image in measure.params.imgIds:
            people = measure._gts[image, category]  # noqa: SLF001 (pycocotools has no other way to them)
            poses = sorted(measure._dts[image, category], key=lambda each: -each["score"])[:most]  # noqa: SLF001
            if not people or not poses:
                continue
            ignored = np.array([bool(p["ignore"]) or not low <= p["area"] <= high for p in people])
            counted = ~ignored if not ignored.all() else ignored
            keypoints += [np.reshape(each["keypoints"], (-1, 3)) for each in poses]
            likeness += np.asarray(measure.ious[image, category])[:, counted].max(axis=1).tolist()
    if not keypoints:
        raise UserError("rescoring: no pose in a picture with annotated people; are the results of this set?")
    return Rows(np.array(keypoints, np.float32), np.array(likeness, np.float32))


def read_rows(path: str | Path) -> tuple[Rows, Skeleton]:
    """Read what `tinypose rescore data` wrote, and the skeleton of its poses.

    Raises:
        UserError: the file cannot be read or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            rows = Rows(content["keypoints"], content["likeness"])
            name = str(content["skeleton"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: expected what `tinypose rescore data` writes: {error}") from None
    skeleton = load_skeleton(name)
    if rows.keypoints.shape != (len(rows.likeness), len(skeleton.joints), 3) or not len(rows.likeness):
        raise UserError(
            f"{path}: keypoints: expected poses of skeleton '{name}', found {rows.keypoints.shape}"
        )
    return rows, skeleton


class RescoreNet(nn.Layer):
    """Three linear layers, ReLU between them."""

    def __init__(self, inputs: int):
        super().__init__()
        sides = (inputs, HIDDEN, HIDDEN, 1)
        for number, layer in enumerate(LAYERS):
            bound = (3 / sides[number]) ** 0.5  # He et al. 2015, uniform, for a linear unit
            weights = paddle.ParamAttr(initializer=Uniform(-bound, bound))
            setattr(self, layer, nn.Linear(sides[number], sides[number + 1], weight_attr=weights))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Turn features [N, F] into opinions [N, 1]."""
        return self.l3(nn.functional.relu(self.l2(nn.functional.relu(self.l1(x)))))


def train(
    rows: Rows,
    skeleton: Skeleton,
    epochs: int = 20,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[Rescorer, list[float]]:
    """Train a rescorer by mean squared error and Adam.

    Args:
        rows: of `collect`.
        skeleton: links.
        epochs: over the rows; those that do not fill the last batch are left out, others each epoch.
        batch_size: rows a step; all of them where there are fewer.
        learning_rate: of Adam.
        seed: of the initial weights and the order.
        track: shows progress over the epochs.

    Returns:
        Weights, and the mean loss of each epoch.
    """
    inputs = features(rows.keypoints, skeleton)
    targets = rows.targets[:, None]
    paddle.seed(seed)
    net = RescoreNet(inputs.shape[1])
    optimizer = paddle.optimizer.Adam(learning_rate, parameters=net.parameters())
    batch_size = min(batch_size, len(inputs))
    losses = []
    for epoch in track(range(epochs)):
        order = np.random.default_rng([seed, epoch]).permutation(len(inputs))
        total = []
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            total.append(step(net, optimizer, inputs[chosen], targets[chosen]))
        losses.append(float(np.mean(total)))
    return {key: value.numpy() for key, value in net.state_dict().items()}, losses


def step(net: nn.Layer, optimizer: Any, inputs: np.ndarray, targets: np.ndarray) -> float:
    """Take one step on inputs [N, F] and targets [N, 1]; return the loss before it."""
    loss = nn.functional.mse_loss(net(paddle.to_tensor(inputs)), paddle.to_tensor(targets))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)
