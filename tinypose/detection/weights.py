"""Detectors with their weights, and with what finds people alone."""

import re

import numpy as np
from paddle import nn

from tinypose.detection.config import DetectorConfig
from tinypose.detection.fairmot import FairMOT, FairMOTMaps
from tinypose.detection.picodet import PicoDet
from tinypose.errors import UserError
from tinypose.models.weights import load_weights, read_params
from tinypose.models.zoo import locate

CLASSIFIER = "reid.classifier.weight"


def build_detector(config: DetectorConfig, identities: int | None = None) -> PicoDet | FairMOT:
    """Build a config's detector with random weights.

    Args:
        config: what it is.
        identities: of FairMOT, how many people to tell apart, where the config does not say.
    """
    if config.model.name == "picodet":
        return PicoDet(config.model.form, config.model.classes)
    model = config.model
    return FairMOT(model.identities or identities, model.width, model.looks, model.deformable)


def counted_detector(config: DetectorConfig) -> PicoDet | FairMOTMaps:
    """Build a config's detector with random weights, as its costs are counted: FairMOT without classifier."""
    if config.model.name == "picodet":
        return build_detector(config)
    return FairMOTMaps(build_detector(config, identities=2))


def load_detector(config: DetectorConfig) -> PicoDet | FairMOT:
    """Build a config's detector and load `config.weights` into it.

    Raises:
        UserError: the weights cannot be had or do not fit.
    """
    identities = None
    if config.model.name == "fairmot" and config.model.identities is None:
        identities = identities_of(config.weights)
    net = build_detector(config, identities)
    load_weights(net, config.weights)
    return net


def identities_of(weights: str) -> int:
    """Return among how many people FairMOT's weights tell.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    path = locate(weights)
    classifier = read_params(path).get(CLASSIFIER)
    if classifier is None or classifier.ndim != 2:
        raise UserError(f"{path}: no '{CLASSIFIER}' in it: these are not FairMOT's weights")
    return classifier.shape[1]


def person_only(net: nn.Layer, config: DetectorConfig) -> tuple[nn.Layer, DetectorConfig]:
    """Return a detector of people alone that gives the same boxes: of the head, the rest is cut away.

    Args:
        net: with its weights.
        config: what it is; of PicoDet, `config.output.person` is the class that stays.

    Returns:
        A network that finds people and does nothing else, and what it is.
    """
    if config.model.name == "fairmot":
        return FairMOTMaps(net), config
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
