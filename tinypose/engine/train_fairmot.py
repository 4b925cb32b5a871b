"""Train FairMOT: finding people and telling them apart, in one run like every other network's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import paddle
from paddle import nn

from tinypose.data.examples import Batch
from tinypose.data.merge import training_sets
from tinypose.data.tracked import load_tracked
from tinypose.detection.config import FairMOTDetectorConfig
from tinypose.detection.detector import Detector
from tinypose.detection.fairmot import FairMOT, FairMOTMaps
from tinypose.detection.weights import build_detector
from tinypose.engine.device import on_device
from tinypose.engine.fairmot_loss import SIZE_WEIGHT, TARGETS, detection_loss, looks_loss, weighted_sum
from tinypose.engine.task import Task, Validation
from tinypose.engine.train import fit
from tinypose.errors import UserError
from tinypose.metrics.boxes import box_ap, detect_all
from tinypose.models.weights import read_params
from tinypose.models.zoo import locate


class FairMOTObjective(nn.Layer):
    """The network and its loss as one layer, so that both can be one static graph."""

    def __init__(self, net: FairMOT):
        super().__init__()
        self.net, self.maps = net, FairMOTMaps(net)

    def forward(self, images: paddle.Tensor, targets: list[paddle.Tensor]) -> paddle.Tensor:
        """Return the loss, a scalar, of images [N, 3, H, W] against `tinypose.data.tracked`'s targets."""
        # Looks are brought to length 1 where people are, as the codec does it: a tenth of a step on a CPU.
        logits, size, offset, looks = self.maps(images)
        named = {TARGETS[i]: targets[i] for i in range(len(TARGETS))}  # compiled steps know no strict zip
        heatmap, reach, rounding = detection_loss([logits, size, offset], named)
        found = heatmap + SIZE_WEIGHT * reach + rounding
        told = looks_loss(looks, self.net.reid.classifier, named)
        return weighted_sum(found, told, self.net.loss.det_weight, self.net.loss.reid_weight)


def train_fairmot(
    config: FairMOTDetectorConfig, output: str | Path, resume: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Train the network of a config; see `tinypose.engine.train.train`.

    `weights` are what it starts from. Of those for other people the classifier is left out.

    Raises:
        UserError, Stopped: see `tinypose.engine.train.train`.
    """
    loaded = load_tracked(training_sets(config.data), config)
    identities = loaded[0].identities
    if config.model.identities not in (None, identities):
        raise UserError(
            f"model.identities: {config.model.identities}, and there are {identities} people in the data; "
            "leave it out"
        )
    paddle.seed(config.train.seed)
    net = build_detector(config, identities)
    if config.weights is not None:
        start_weights(net, config.weights)
    task = Task(lambda: loaded, lambda: _validation(config))
    objective = FairMOTObjective(net)
    return fit(config, output, net, objective, batch_inputs, task=task, resume=resume, quiet=quiet)


def start_weights(net: FairMOT, source: str) -> None:
    """Give a network weights to start from; the classifier stays as it is where it is for other people.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    path = locate(source)
    params, own = read_params(path), net.state_dict()
    odd = [
        key for key, value in own.items() if key not in params or list(params[key].shape) != list(value.shape)
    ]
    if unfit := [key for key in odd if not key.startswith("reid.classifier.")]:
        raise UserError(
            f"{path}: not weights of this network: {', '.join(unfit[:3])} and {len(unfit[3:])} more"
        )
    for key in own.keys() - odd:
        own[key].set_value(params[key].astype("float32"))


def batch_inputs(batch: Batch) -> tuple[paddle.Tensor, list[paddle.Tensor]]:
    """Return what `FairMOTObjective` takes."""
    return on_device(batch.images), [on_device(each) for each in batch.targets]


def _validation(config: FairMOTDetectorConfig) -> Validation | None:
    data = config.data.val
    if data is None:
        return None

    def measure(network: Callable) -> dict[str, float | None]:
        detector = Detector(network, config.input, config.codec)
        found = detect_all(detector, data.annotations, data.images, category=data.category)
        metrics = box_ap(data.annotations, found, data.category)
        return {key: None if value < 0 else 100 * value for key, value in metrics.items()}

    return Validation(f"{data.annotations.name}, to measure boxes on", measure, "AP", " of boxes")
