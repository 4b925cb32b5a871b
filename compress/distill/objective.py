"""What a student is trained to make small."""

import math

import paddle
from paddle import nn

from tinypose.config import DistillConfig
from tinypose.engine.loss import heatmap_loss


class DistillObjective(nn.Layer):
    """A student, its adapter, and the loss against annotated joints and a teacher, as one layer.

    Heatmaps as in Zhang et al., "Fast Human Pose Estimation", CVPR 2019; features through a learned
    1x1 convolution as in Romero et al., "FitNets", ICLR 2015.

    Args:
        net: the student, a `PoseNet` where features are learned.
        settings: the weights of the parts.
        teacher_channels: of the teacher's features; None without a part for features.
        hard_joints: see `TrainConfig`.
    """

    def __init__(
        self,
        net: nn.Layer,
        settings: DistillConfig,
        teacher_channels: int | None = None,
        hard_joints: int | None = None,
    ):
        super().__init__()
        self.net = net
        self.settings = settings
        self.hard_joints = hard_joints
        if teacher_channels is not None:
            self.adapter = nn.Conv2D(net.backbone.channels, teacher_channels, 1)

    def forward(
        self,
        images: paddle.Tensor,
        targets: list[paddle.Tensor],
        strength: paddle.Tensor,
        teacher_heatmaps: paddle.Tensor,
        teacher_features: paddle.Tensor | None = None,
    ) -> paddle.Tensor:
        """Return the loss, a scalar.

        Args:
            images: float32 [N, 3, H, W].
            targets: heatmaps float32 [N, J, h, w] of the annotated joints, and weights float32 [N, J], 1
                where a joint is annotated.
            strength: float32 scalar that the teacher's parts are multiplied by.
            teacher_heatmaps: float32 [N, J, h, w].
            teacher_features: float32 [N, C, h, w].
        """
        settings = self.settings
        heatmaps, weights = targets
        if teacher_features is None:
            features, output = None, self.net(images)[0]
        else:
            features = self.net.backbone(images)
            output = self.net.outputs(features)[0]
        taught = 0.0
        if settings.visible:
            taught = taught + settings.visible * heatmap_loss(output, teacher_heatmaps, weights)
        if settings.every:
            taught = taught + settings.every * ((output - teacher_heatmaps) ** 2).mean()
        if features is not None:
            error = ((self.adapter(features) - teacher_features) ** 2).mean()
            # In units of the teacher's own size, so that the weight means the same for any teacher.
            taught = taught + settings.features * error / (teacher_features**2).mean()
        truth = heatmap_loss(output, heatmaps, weights, self.hard_joints)
        return settings.truth * truth + strength * taught


def strength_at(step: int, steps: int, settings: DistillConfig) -> float:
    """Return what the teacher's parts are multiplied by in a step, from 1 to `final_factor`."""
    done = step / max(steps, 1)
    falling = {"none": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[settings.decay]
    return settings.final_factor + (1 - settings.final_factor) * falling if settings.decay != "none" else 1.0
