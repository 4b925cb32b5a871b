"""What a pose network is trained to make small."""

from collections.abc import Sequence

import paddle
from paddle import nn

from tinypose.codecs import Codec
from tinypose.engine.bottom_up_loss import offsets, tags
from tinypose.engine.simcc_loss import simcc_kl
from tinypose.errors import UserError


def heatmap_loss(
    output: paddle.Tensor, target: paddle.Tensor, weight: paddle.Tensor, hard_joints: int | None = None
) -> paddle.Tensor:
    """Return the mean squared error of weighted heatmaps.

    Without `hard_joints` it is the mean over everything, as PP-TinyPose was trained with; a joint of
    weight 0 adds nothing to it.

    Args:
        output: float32 [N, J, h, w].
        target: float32 [N, J, h, w].
        weight: float32 [N, J].
        hard_joints: of each person only so many joints count, the worst ones (online hard keypoint
            mining: Chen et al., "Cascaded Pyramid Network for Multi-Person Pose Estimation", CVPR 2018).

    Returns:
        A scalar.
    """
    error = ((output - target) * weight.unsqueeze([2, 3])) ** 2
    if hard_joints is None:
        return error.mean()
    by_joint = error.mean(axis=[2, 3])
    return by_joint.topk(hard_joints, axis=1)[0].mean()


def heatmap(
    outputs: Sequence[paddle.Tensor],
    targets: Sequence[paddle.Tensor],
    codec: Codec,
    hard_joints: int | None = None,
) -> paddle.Tensor:
    """Return `heatmap_loss` of the one output, given `HeatmapCodec.targets` in batches."""
    return heatmap_loss(outputs[0], *targets, hard_joints)


def simcc(
    outputs: Sequence[paddle.Tensor],
    targets: Sequence[paddle.Tensor],
    codec: Codec,
    hard_joints: int | None = None,
) -> paddle.Tensor:
    """Return `simcc_kl` of both outputs, given `SimccCodec.targets` in batches."""
    if hard_joints is not None:
        raise UserError("train.hard_joints: chooses among heatmaps; with output.name=simcc leave it out")
    *labels, weights = targets
    return simcc_kl(list(outputs), labels, weights)


# By the codec's name: (outputs, its targets, the codec, `train.hard_joints`) -> a scalar.
LOSSES = {"heatmap": heatmap, "simcc": simcc, "tags": tags, "offsets": offsets}


class PoseObjective(nn.Layer):
    """A network and its loss as one layer, so that both can be one static graph.

    Args:
        net: gives the list of outputs that `codec` decodes.
        codec: names the loss.
        hard_joints: see `TrainConfig`.
    """

    def __init__(self, net: nn.Layer, codec: Codec, hard_joints: int | None = None):
        super().__init__()
        self.net, self.codec, self.hard_joints = net, codec, hard_joints

    def forward(self, images: paddle.Tensor, targets: list[paddle.Tensor]) -> paddle.Tensor:
        """Return the loss, a scalar, of images [N, 3, H, W] against the codec's targets."""
        return LOSSES[self.codec.name](self.net(images), targets, self.codec, self.hard_joints)
