"""Heads that find all people of a picture at once, on HRNet's features.

Their sublayers bear the names of the published code: PaddleDetection's for HigherHRNet, HRNet/DEKR's and
the adaptive network's own repository's for the others (`tinypose.models.torch_names` has the differences).
"""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Constant, Normal

from tinypose.models.deformable import AdaptiveBlock, TransformerBlock
from tinypose.models.hrnet import BasicBlock

STD = 0.001  # of the kernels' initial values
DILATIONS = (1, 2, 3)
PER_JOINT = 15  # channels of DEKR's offset branch for each joint


class HigherHead(nn.Layer):
    """HigherHRNet's head (Cheng et al., CVPR 2020): heatmaps and tags at 1/4, heatmaps at 1/2.

    Args:
        channels: of the features.
        joints: J.
        scales: with the scale maps of SWAHR (Luo et al., CVPR 2021), which only training reads.
    """

    def __init__(self, channels: int, joints: int, scales: bool = False):
        super().__init__()
        self.conv1 = _pointwise(channels, 2 * joints)
        self.conv2 = _pointwise(channels, joints)
        self.deconv = _doubling(channels + 2 * joints, channels)
        self.blocks = nn.Sequential(*(BasicBlock(channels) for _ in range(4)))
        self.scales = scales
        if scales:
            self.scalelayer0 = _scale_layer(channels, joints)
            self.scalelayer1 = _scale_layer(channels, joints)

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, features: paddle.Tensor) -> list[paddle.Tensor]:
        """Turn features [N, channels, H, W] into maps.

        Returns:
            [N, 2 J, H, W], heatmaps and tags; [N, J, 2 H, 2 W], heatmaps; in training with `scales`
            also the scale maps [N, J, H, W] and [N, J, 2 H, 2 W].
        """
        maps, scales = self.maps(features, self.scales and self.training)
        return maps + scales

    def maps(self, features: paddle.Tensor, scales: bool) -> tuple[list[paddle.Tensor], list[paddle.Tensor]]:
        """Return `forward`'s maps and its scale maps apart; none of these without `scales`."""
        coarse = self.conv1(features)
        wide = self.blocks(self.deconv(paddle.concat([features, coarse], axis=1)))
        extra = [self.scalelayer0(features), self.scalelayer1(wide)] if scales else []
        return [coarse, self.conv2(wide)], extra


class AdaptiveHead(nn.Layer):
    """Heatmaps, a centre and the joints' distances from it, by kernels that follow the person.

    "Bottom-Up Human Pose Estimation by Ranking Heatmap-Guided Adaptive Keypoint Estimates" (Sun et al.
    2020). The heatmaps come from three dilations that share their kernels.

    Args:
        channels: of the backbone's maps, finest first.
        joints: J.
        higher: also heatmaps at 1/2, from a transposed convolution.
        regression: channels of the branch that finds offsets.
    """

    def __init__(self, channels: Sequence[int], joints: int, higher: bool = False, regression: int = 256):
        super().__init__()
        width, total = channels[0], sum(channels)
        self.transition_cls = _pointwise_norm(total, width)
        self.transition_reg = _pointwise_norm(total + joints, regression)
        self.multi_level_layers_4x_heatmap = TransformerBlock(width, DILATIONS)
        self.multi_level_layers_4x_regression = TransformerBlock(regression)
        self.final_layers = nn.LayerList(
            [_pointwise(width, joints), _pointwise(regression, 2 * joints + 1)]
            + ([_pointwise(width, joints)] if higher else [])
        )
        self.joints = joints
        self.higher = higher
        if higher:
            self.deconv_layers = nn.Sequential(*_doubling(width + joints, width), BasicBlock(width))

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, features: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """Turn the backbone's maps [N, C, H, W], each half the size of the one before, into maps.

        Returns:
            [N, J + 1, H, W], heatmaps and the centre's; [N, 2 J, H, W], pixel minus joint in map pixels,
            (x, y) of the first joint, of the second and so on. With `higher`: three of the first kind,
            one a dilation; heatmaps [N, J, 2 H, 2 W]; and the offsets.
        """
        x = _at_one_size(features)
        narrow = self.transition_cls(x)
        heatmaps = [self.final_layers[0](each) for each in self.multi_level_layers_4x_heatmap(narrow)]
        mean = (heatmaps[0] + heatmaps[1] + heatmaps[2]) * (1 / len(DILATIONS))
        regressed = self.transition_reg(paddle.concat([x, mean], axis=1))
        regressed = self.final_layers[1](self.multi_level_layers_4x_regression(regressed)[0])
        offsets, centre = regressed[:, : 2 * self.joints], regressed[:, 2 * self.joints :]
        if not self.higher:
            return [paddle.concat([mean, centre], axis=1), offsets]
        fine = self.final_layers[2](self.deconv_layers(paddle.concat([narrow, mean], axis=1)))
        return [*(paddle.concat([each, centre], axis=1) for each in heatmaps), fine, offsets]


class DekrHead(nn.Layer):
    """DEKR's head (Geng et al., CVPR 2021): each joint's offset has kernels of its own.

    Args:
        channels: of the backbone's maps, finest first.
        joints: J.
    """

    def __init__(self, channels: Sequence[int], joints: int):
        super().__init__()
        width, total = channels[0], sum(channels)
        self.joints = joints
        self.transition_heatmap = _pointwise_norm(total, width)
        self.transition_offset = _pointwise_norm(total, PER_JOINT * joints)
        self.head_heatmap = nn.Sequential(BasicBlock(width), _pointwise(width, joints + 1))
        self.offset_feature_layers = nn.LayerList(
            [nn.Sequential(AdaptiveBlock(PER_JOINT), AdaptiveBlock(PER_JOINT)) for _ in range(joints)]
        )
        self.offset_final_layer = nn.LayerList([_pointwise(PER_JOINT, 2) for _ in range(joints)])

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, features: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """Return heatmaps [N, J + 1, H, W] and offsets [N, 2 J, H, W], as `AdaptiveHead` does."""
        x = _at_one_size(features)
        heatmaps = self.head_heatmap(self.transition_heatmap(x))
        wide = self.transition_offset(x)
        offsets = [
            self.offset_final_layer[j](
                self.offset_feature_layers[j](wide[:, PER_JOINT * j : PER_JOINT * (j + 1)])
            )
            for j in range(self.joints)
        ]
        return [heatmaps, paddle.concat(offsets, axis=1)]


def _at_one_size(features: Sequence[paddle.Tensor]) -> paddle.Tensor:
    """Bring all maps to the first one's size, and stack their channels."""
    size = features[0].shape[2:]
    resized = [F.interpolate(each, size=size, mode="bilinear") for each in features[1:]]
    return paddle.concat([features[0], *resized], axis=1)


def _pointwise(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2D:
    weights = paddle.ParamAttr(initializer=Normal(std=STD))
    return nn.Conv2D(inputs, outputs, 1, weight_attr=weights, bias_attr=None if bias else False)


def _pointwise_norm(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_pointwise(inputs, outputs, bias=False), nn.BatchNorm2D(outputs), nn.ReLU())


def _doubling(inputs: int, outputs: int) -> nn.Sequential:
    """Return a transposed convolution that doubles height and width, with norm and ReLU."""
    weights = paddle.ParamAttr(initializer=Normal(std=STD))
    deconv = nn.Conv2DTranspose(inputs, outputs, 4, stride=2, padding=1, weight_attr=weights, bias_attr=False)
    return nn.Sequential(deconv, nn.BatchNorm2D(outputs), nn.ReLU())


def _scale_layer(channels: int, joints: int) -> nn.Sequential:
    """Return SWAHR's scale head: at the start it gives zeros, a scale of one."""
    zero = paddle.ParamAttr(initializer=Constant(0.0))
    depthwise = nn.Conv2D(joints, joints, 9, padding=4, groups=joints, weight_attr=zero)
    return nn.Sequential(_pointwise(channels, joints), nn.BatchNorm2D(joints), nn.ReLU(), depthwise)
