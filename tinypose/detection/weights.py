"""PicoDet with its weights, and with the one class that is a person."""

import re
from collections.abc import Callable

import numpy as np
import paddle

from tinypose.detection.config import DetectorConfig, DetectorSpec
from tinypose.detection.picodet import PicoDet
from tinypose.models.weights import load_weights


def load_detector(config: DetectorConfig) -> PicoDet:
    """Build a config's detector and load `config.weights` into it.

    Raises:
        UserError: the weights cannot be had or do not fit.
    """
    net = PicoDet(config.model.form, config.model.classes)
    load_weights(net, config.weights)
    return net


def person_only(net: PicoDet, spec: DetectorSpec) -> tuple[PicoDet, DetectorSpec]:
    """Return a detector of people alone that gives the same boxes: of the head, the rest is cut away.

    Args:
        net: with its weights.
        spec: what it is; `spec.boxes.person` is the class that stays.

    Returns:
        A new network with one class, and what it is.
    """
    classes, person = spec.model.classes, spec.boxes.person
    small = PicoDet(spec.model.form, 1)
    params = {}
    for key, tensor in net.state_dict().items():
        value = tensor.numpy()
        if re.match(r"head\.head_cls(\d|_list\.)", key):  # class logits first; in `esnet`, the box behind
            value = np.concatenate([value[person : person + 1], value[classes:]])
        params[key] = value
    small.set_state_dict(params)
    model = spec.model.model_copy(update={"classes": 1})
    boxes = spec.boxes.model_copy(update={"person": 0})
    return small, DetectorSpec(model=model, input=spec.input, boxes=boxes)


def as_detector_run(net: PicoDet) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Make a detector a callable on arrays. Puts it into inference mode."""
    net.eval()

    def run(images: np.ndarray) -> list[np.ndarray]:
        with paddle.no_grad():
            return [level.numpy() for level in net(paddle.to_tensor(images))]

    return run
