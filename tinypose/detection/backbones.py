"""The backbones of PicoDet-S: ESNet and LCNet, both at width 0.75.

Layers are named as PaddleDetection names them, so that its checkpoints load key for key.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from tinypose.models.layers import channel_shuffle

# Channels of the feature maps at strides 8, 16 and 32, of either backbone.
STAGE_CHANNELS = (96, 192, 384)


class ConvNormSwish(nn.Layer):
    """Convolution without bias, batch norm, and hard swish unless `act` is off.

    `names` are what the published checkpoint calls the two layers.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
        names: tuple[str, str] = ("conv", "bn"),
    ):
        super().__init__()
        convolution = nn.Conv2D(
            inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias_attr=False
        )
        self.add_sublayer(names[0], convolution)
        self.add_sublayer(names[1], nn.BatchNorm2D(outputs))
        self.act = act

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        for layer in self.children():
            x = layer(x)
        return F.hardswish(x) if self.act else x


class SqueezeExcite(nn.Layer):
    """Channel attention (Hu et al. 2018) with a hard sigmoid and a reduction of 4."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels // 4, 1)
        self.conv2 = nn.Conv2D(channels // 4, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        gate = F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.conv2(gate))


class DepthwiseSeparable(nn.Layer):
    """Depthwise, then pointwise convolution: the block of LCNet, and of its neck."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, attention: bool = False):
        super().__init__()
        self.dw_conv = ConvNormSwish(inputs, inputs, kernel, stride, groups=inputs)
        if attention:
            self.se = SqueezeExcite(inputs)
        self.pw_conv = ConvNormSwish(inputs, outputs, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.dw_conv(x)
        if hasattr(self, "se"):
            x = self.se(x)
        return self.pw_conv(x)


class LCNet(nn.Layer):
    """PP-LCNet (Cui et al. 2021) at width 0.75: a chain of depthwise separable convolutions."""

    def __init__(self):
        super().__init__()
        block = DepthwiseSeparable
        self.conv1 = ConvNormSwish(3, 16, 3, stride=2)
        self.blocks2 = nn.Sequential(block(16, 24, 3))
        self.blocks3 = nn.Sequential(block(24, 48, 3, stride=2), block(48, 48, 3))
        self.blocks4 = nn.Sequential(block(48, 96, 3, stride=2), block(96, 96, 3))
        self.blocks5 = nn.Sequential(block(96, 192, 3, stride=2), *(block(192, 192, 5) for _ in range(5)))
        self.blocks6 = nn.Sequential(
            block(192, 384, 5, stride=2, attention=True), block(384, 384, 5, attention=True)
        )

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        x = self.blocks3(self.blocks2(self.conv1(image)))
        eighth = self.blocks4(x)
        sixteenth = self.blocks5(eighth)
        return [eighth, sixteenth, self.blocks6(sixteenth)]


def _es_conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, depthwise: bool = False, act: bool = True
) -> ConvNormSwish:
    groups = inputs if depthwise else 1
    return ConvNormSwish(inputs, outputs, kernel, stride, groups, act, names=("_conv", "_batch_norm"))


class ESBlock(nn.Layer):
    """ESNet's block at stride 1: half of the channels pass, half are convolved, then shuffled."""

    def __init__(self, channels: int, middle: int):
        super().__init__()
        self._conv_pw = _es_conv(channels // 2, middle // 2, 1)
        self._conv_dw = _es_conv(middle // 2, middle // 2, 3, depthwise=True, act=False)
        self._se = SqueezeExcite(middle)
        self._conv_linear = _es_conv(middle, channels // 2, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        kept, x = paddle.split(x, 2, axis=1)
        x = self._conv_pw(x)
        x = self._se(paddle.concat([x, self._conv_dw(x)], axis=1))
        return channel_shuffle(paddle.concat([kept, self._conv_linear(x)], axis=1))


class ESDownBlock(nn.Layer):
    """ESNet's block at stride 2: two convolved branches, mixed by a depthwise separable convolution."""

    def __init__(self, inputs: int, middle: int, outputs: int):
        super().__init__()
        self._conv_dw_1 = _es_conv(inputs, inputs, 3, stride=2, depthwise=True, act=False)
        self._conv_linear_1 = _es_conv(inputs, outputs // 2, 1)
        self._conv_pw_2 = _es_conv(inputs, middle // 2, 1)
        self._conv_dw_2 = _es_conv(middle // 2, middle // 2, 3, stride=2, depthwise=True, act=False)
        self._se = SqueezeExcite(middle // 2)
        self._conv_linear_2 = _es_conv(middle // 2, outputs // 2, 1)
        self._conv_dw_mv1 = _es_conv(outputs, outputs, 3, depthwise=True)
        self._conv_pw_mv1 = _es_conv(outputs, outputs, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        first = self._conv_linear_1(self._conv_dw_1(x))
        second = self._conv_linear_2(self._se(self._conv_dw_2(self._conv_pw_2(x))))
        return self._conv_pw_mv1(self._conv_dw_mv1(paddle.concat([first, second], axis=1)))


class ESNet(nn.Layer):
    """Enhanced ShuffleNet (Yu et al. 2021, the PicoDet paper) at width 0.75, channels as searched."""

    # The channels inside each block of the stages at strides 8, 16 and 32.
    MIDDLE = ((88, 48, 48), (96, 120, 96, 120, 96, 96, 96), (192, 192, 192))

    def __init__(self):
        super().__init__()
        self._conv1 = _es_conv(3, 24, 3, stride=2)
        self.stages = []
        inputs = 24
        for number, (outputs, middles) in enumerate(zip(STAGE_CHANNELS, self.MIDDLE, strict=True), start=2):
            names = [f"{number}_{i}" for i in range(1, len(middles) + 1)]
            self.add_sublayer(names[0], ESDownBlock(inputs, middles[0], outputs))
            for name, middle in zip(names[1:], middles[1:], strict=True):
                self.add_sublayer(name, ESBlock(outputs, middle))
            self.stages.append(names)
            inputs = outputs

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        x = F.max_pool2d(self._conv1(image), kernel_size=3, stride=2, padding=1)
        features = []
        for names in self.stages:
            for name in names:
                x = getattr(self, name)(x)
            features.append(x)
        return features
