"""What a student is trained to make small."""

import math
from collections.abc import Sequence

import paddle
from paddle import nn

from compress.distill.whole_pictures import offset_parts, tag_parts
from tinypose.codecs import Codec
from tinypose.config_train import DistillConfig
from tinypose.engine.loss import LOSSES, heatmap_loss
from tinypose.engine.simcc_loss import distil_features, distil_logits

Tensors = Sequence[paddle.Tensor]


def heatmap_parts(
    outputs: Tensors, taught: Tensors, targets: Tensors, settings: DistillConfig, codec: Codec
) -> paddle.Tensor | float:
    """Return what a student's heatmaps [N, J, h, w] lack of a teacher's (Zhang et al., CVPR 2019)."""
    total = 0.0
    if settings.visible:
        total = total + settings.visible * heatmap_loss(outputs[0], taught[0], targets[-1])
    if settings.every:
        total = total + settings.every * ((outputs[0] - taught[0]) ** 2).mean()
    return total


def simcc_parts(
    outputs: Tensors, taught: Tensors, targets: Tensors, settings: DistillConfig, codec: Codec
) -> paddle.Tensor | float:
    """Return how a student's coordinates diverge from a teacher's (Yang et al., "DWPose", 2023)."""
    return distil_logits(list(outputs), list(taught), settings.every) if settings.every else 0.0


def tags(
    outputs: Tensors, taught: Tensors, targets: Tensors, settings: DistillConfig, codec: Codec
) -> paddle.Tensor | float:
    """Return what is lacking of a HigherHRNet's outputs."""
    return settings.every * tag_parts(outputs, taught, targets, codec) if settings.every else 0.0


def offsets(
    outputs: Tensors, taught: Tensors, targets: Tensors, settings: DistillConfig, codec: Codec
) -> paddle.Tensor | float:
    """Return what is lacking of the outputs of an adaptive network or a DEKR."""
    return settings.every * offset_parts(outputs, taught, targets, codec) if settings.every else 0.0


def relative_features(own: paddle.Tensor, wanted: paddle.Tensor, weight: float) -> paddle.Tensor:
    """Return the squared error in units of the teacher's own size: one weight means the same for all."""
    return weight * ((own - wanted) ** 2).mean() / (wanted**2).mean()


# By the codec's name: of the outputs, and of the features behind the adapter.
PARTS = {
    "heatmap": (heatmap_parts, relative_features),
    "simcc": (simcc_parts, distil_features),
    "tags": (tags, relative_features),
    "offsets": (offsets, relative_features),
}


class DistillObjective(nn.Layer):
    """A student, its adapter, and the loss against annotated joints and a teacher, as one layer.

    Heatmaps as in Zhang et al., "Fast Human Pose Estimation", CVPR 2019; features through a learned
    1x1 convolution as in Romero et al., "FitNets", ICLR 2015; SimCC's vectors, and the features before them,
    as DWPose does (Yang et al., "Effective Whole-body Pose Estimation with Two-stages Distillation", 2023).

    Args:
        net: the student, a `PoseNet` where features are learned.
        settings: the weights of the parts.
        codec: of the outputs of both.
        teacher_channels: of the teacher's features; None without a part for features.
        hard_joints: see `TrainConfig`.
    """

    def __init__(
        self,
        net: nn.Layer,
        settings: DistillConfig,
        codec: Codec,
        teacher_channels: int | None = None,
        hard_joints: int | None = None,
    ):
        super().__init__()
        self.net, self.settings, self.codec = net, settings, codec
        self.hard_joints = hard_joints
        if teacher_channels is not None:
            self.adapter = nn.Conv2D(net.backbone.channels, teacher_channels, 1)

    def forward(
        self,
        images: paddle.Tensor,
        targets: list[paddle.Tensor],
        strength: paddle.Tensor,
        taught: list[paddle.Tensor],
        teacher_features: paddle.Tensor | None = None,
    ) -> paddle.Tensor:
        """Return the loss, a scalar.

        Args:
            images: float32 [N, 3, H, W].
            targets: of the annotated joints, as the codec gives them; of crops the last is float32 [N, J],
                1 where a joint is annotated.
            strength: float32 scalar that the teacher's parts are multiplied by.
            taught: the teacher's outputs.
            teacher_features: float32 [N, C, h, w].
        """
        settings = self.settings
        of_outputs, of_features = PARTS[self.codec.name]
        if teacher_features is None:
            outputs, parts = self.net(images), 0.0
        else:
            features = self.net.backbone(images)
            outputs = self.net.outputs(features)
            parts = of_features(self.adapter(features), teacher_features, settings.features)
        parts = parts + of_outputs(outputs, taught, targets, settings, self.codec)
        truth = LOSSES[self.codec.name](outputs, targets, self.codec, self.hard_joints)
        return settings.truth * truth + strength * parts


def strength_at(step: int, steps: int, settings: DistillConfig) -> float:
    """Return what the teacher's parts are multiplied by in a step, from 1 to `final_factor`."""
    done = step / max(steps, 1)
    falling = {"none": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[settings.decay]
    return settings.final_factor + (1 - settings.final_factor) * falling if settings.decay != "none" else 1.0
