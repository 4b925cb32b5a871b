"""CSPNeXt, the backbone of RTMPose (Lyu et al., "RTMDet", 2022; Jiang et al., "RTMPose", 2023).

Layers have the names of the published PyTorch networks, so that their weights load by name.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import KaimingUniform

# Output channels at width 1, and blocks at depth 1, of the four stages.
CHANNELS = (128, 256, 512, 1024)
BLOCKS = (3, 6, 6, 3)
# Factors of the number of blocks and of the channels.
VARIANTS = {"t": (0.167, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75)}


class Unit(nn.Layer):
    """Convolution without bias, batch norm, SiLU.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: height and width of the kernel, odd.
        stride: step of the kernel.
        groups: groups of channels; `inputs` makes it depthwise.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        start = paddle.ParamAttr(initializer=KaimingUniform(negative_slope=5**0.5, nonlinearity="leaky_relu"))
        self.conv = nn.Conv2D(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, weight_attr=start, bias_attr=False
        )
        self.bn = nn.BatchNorm2D(outputs, momentum=0.9, epsilon=1e-5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        return F.silu(self.bn(self.conv(x)))


class SeparableUnit(nn.Layer):
    """A depthwise unit and a pointwise one, each with batch norm and SiLU; channels stay."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.depthwise_conv = Unit(channels, channels, kernel, groups=channels)
        self.pointwise_conv = Unit(channels, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a map of the same shape."""
        return self.pointwise_conv(self.depthwise_conv(x))


class Block(nn.Layer):
    """A 3x3 unit and a separable 5x5 unit, added to what came in where `identity`."""

    def __init__(self, channels: int, identity: bool):
        super().__init__()
        self.identity = identity
        self.conv1 = Unit(channels, channels, 3)
        self.conv2 = SeparableUnit(channels, 5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a map of the same shape."""
        y = self.conv2(self.conv1(x))
        return x + y if self.identity else y


class ChannelAttention(nn.Layer):
    """Weigh channels by a hard sigmoid of a linear function of their means."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc = nn.Conv2D(channels, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a map of the same shape."""
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)), slope=1 / 6, offset=0.5)


class CSPLayer(nn.Layer):
    """Two halves of the channels, one through the blocks, joined and weighed."""

    def __init__(self, channels: int, blocks: int, identity: bool):
        super().__init__()
        half = channels // 2
        self.main_conv = Unit(channels, half, 1)
        self.short_conv = Unit(channels, half, 1)
        self.final_conv = Unit(channels, channels, 1)
        self.blocks = nn.Sequential(*(Block(half, identity) for _ in range(blocks)))
        self.attention = ChannelAttention(channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a map of the same shape."""
        joined = paddle.concat([self.blocks(self.main_conv(x)), self.short_conv(x)], axis=1)
        return self.final_conv(self.attention(joined))


class SPP(nn.Layer):
    """Spatial pyramid pooling: maxima over 5, 9 and 13 pixels beside the map itself (He et al. 2014)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = Unit(channels, channels // 2, 1)
        self.conv2 = Unit(channels * 2, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a map of the same shape."""
        maps = [self.conv1(x)]
        for _ in range(3):  # each 5x5 maximum of the last one: 5, 9 and 13 pixels wide, bit for bit
            maps.append(F.max_pool2d(maps[-1], 5, stride=1, padding=2))
        return self.conv2(paddle.concat(maps, axis=1))


class CSPNeXt(nn.Layer):
    """From float32 images [N, 3, H, W] to one map [N, channels, H / 32, W / 32].

    Args:
        variant: one of `VARIANTS`: tiny, small, medium.
    """

    def __init__(self, variant: str):
        super().__init__()
        depth, width = VARIANTS[variant]
        channels = [int(each * width) for each in CHANNELS]
        first = int(64 * width)
        self.stem = nn.Sequential(
            Unit(3, first // 2, 3, 2), Unit(first // 2, first // 2, 3), Unit(first // 2, first, 3)
        )
        inputs = [first, *channels]
        for number, (outputs, blocks) in enumerate(zip(channels, BLOCKS, strict=True)):
            last = number == len(channels) - 1
            layers: list[nn.Layer] = [Unit(inputs[number], outputs, 3, 2)]
            layers += [SPP(outputs)] if last else []
            layers.append(CSPLayer(outputs, max(round(blocks * depth), 1), identity=not last))
            self.add_sublayer(f"stage{number + 1}", nn.Sequential(*layers))
        self.channels = channels[-1]

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the names of the layers that make each stage, in the order in which they run."""
        return {name: [name] for name in ("stem", "stage1", "stage2", "stage3", "stage4")}

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        """Turn float32 images [N, 3, H, W] into [N, channels, H / 32, W / 32]; H and W multiples of 32."""
        x = self.stem(image)
        for number in range(1, 5):
            x = getattr(self, f"stage{number}")(x)
        return x
