"""What a pose network is trained to make small."""

import paddle
from paddle import nn


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


class HeatmapObjective(nn.Layer):
    """A network and its loss as one layer, so that both can be one static graph."""

    def __init__(self, net: nn.Layer, hard_joints: int | None = None):
        super().__init__()
        self.net = net
        self.hard_joints = hard_joints

    def forward(
        self, images: paddle.Tensor, heatmaps: paddle.Tensor, weights: paddle.Tensor
    ) -> paddle.Tensor:
        """Return the loss, a scalar, of images [N, 3, H, W] against heatmaps [N, J, h, w], weights [N, J]."""
        return heatmap_loss(self.net(images), heatmaps, weights, self.hard_joints)
