"""PoseResNet (Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018).

A ResNet down to 1/32 of the input's size and three transposed convolutions back up to 1/4. The ResNet
is Paddle's own, so that its ImageNet weights fit by their names (`train.backbone`).
"""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Normal
from paddle.vision.models import ResNet
from paddle.vision.models.resnet import BottleneckBlock

WIDTH = 256  # channels of the head


class PoseResNet(ResNet):
    """The network up to the feature map that heatmaps are made of.

    Args:
        depth: 50, 101 or 152.
    """

    stages = {
        "stem": ["conv1", "bn1", "relu", "maxpool"],
        "layer1": ["layer1"],
        "layer2": ["layer2"],
        "layer3": ["layer3"],
        "layer4": ["layer4"],
        "head": ["deconv_layers"],
    }

    def __init__(self, depth: int):
        super().__init__(BottleneckBlock, depth, num_classes=0, with_pool=False)
        self.channels = WIDTH
        inputs = [512 * BottleneckBlock.expansion, WIDTH, WIDTH]
        self.deconv_layers = nn.Sequential(*(Upsampling(channels, WIDTH) for channels in inputs))

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        """Turn images [N, 3, H, W] into features [N, channels, H / 4, W / 4]."""
        return self.deconv_layers(super().forward(image))


class Upsampling(nn.Layer):
    """A transposed convolution that doubles height and width, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2DTranspose(
            inputs,
            outputs,
            4,
            stride=2,
            padding=1,
            weight_attr=paddle.ParamAttr(initializer=Normal(std=0.001)),
            bias_attr=False,
        )
        self.norm = nn.BatchNorm2D(outputs)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Turn [N, inputs, H, W] into [N, outputs, 2 H, 2 W]."""
        return F.relu(self.norm(self.conv(x)))
