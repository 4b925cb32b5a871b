"""PicoDet with its weights, and with the one class that is a person."""

import re

import numpy as np

from tinypose.detection.config import DetectorConfig
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


def person_only(net: PicoDet, config: DetectorConfig) -> tuple[PicoDet, DetectorConfig]:
    """Return a detector of people alone that gives the same boxes: of the head, the rest is cut away.

    Args:
        net: with its weights.
        config: what it is; `config.output.person` is the class that stays.

    Returns:
        A new network with one class, and what it is.
    """
    classes, person = config.model.classes, config.output.person
    small = PicoDet(config.model.form, 1)
    params = {}
    for key, tensor in net.state_dict().items():
        value = tensor.numpy()
        if re.match(r"head\.head_cls(\d|_list\.)", key):  # class logits first; in `esnet`, the box behind
            value = np.concatenate([value[person : person + 1], value[classes:]])
        params[key] = value
    small.set_state_dict(params)
    model = config.model.model_copy(update={"classes": 1})
    output = config.output.model_copy(update={"person": 0})
    return small, config.model_copy(update={"model": model, "output": output})
