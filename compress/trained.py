"""The network of a config as it was trained, a pose network or a detector, and what it reads and gives."""

from dataclasses import dataclass
from pathlib import Path

from paddle import nn

from tinypose.artifact.record import InputRecord
from tinypose.codecs import Codec
from tinypose.config import Config
from tinypose.detection.config import DetectorConfig
from tinypose.detection.weights import load_detector, person_only
from tinypose.metrics.thresholds import with_thresholds
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.skeleton import Skeleton, load_skeleton


@dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
        net: float32 images [N, 3, H, W] to a list of outputs.
        input: what it reads.
        output: what its outputs mean.
        skeleton: of the joints it finds; None: it finds boxes.
    """

    net: nn.Layer
    input: InputRecord
    output: Codec
    skeleton: Skeleton | None


def load_trained(config: Config | DetectorConfig, weights: str | Path) -> Trained:
    """Build the network of a config and load its weights. Of a detector's classes the person alone is kept.

    Raises:
        UserError: the weights cannot be had or do not fit.
    """
    if isinstance(config, DetectorConfig):
        config = config.model_copy(update={"weights": str(weights)})
        net, kept = person_only(load_detector(config), config)
        fit = "letterbox" if config.model.name == "fairmot" else "squeeze"
        return Trained(net, InputRecord(**kept.input.model_dump(), fit=fit), kept.codec, None)
    skeleton = with_thresholds(load_skeleton(config.skeleton), config.eval.thresholds)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, weights)
    values = config.input.model_dump()
    fit = "person"
    if config.output.gives == "people":
        values.update(padding=None, crop="udp")
        fit = "inside"
    return Trained(net, InputRecord(**values, fit=fit), config.output, skeleton)
