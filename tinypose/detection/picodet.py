"""PicoDet-S (Yu et al. 2021): the person detector in front of the pose network.

Two forms were published: `esnet`, the legacy one (ESNet, CSP-PAN), and `lcnet` (LCNet, LC-PAN, a head
that aligns classification with localisation). Layers are named as PaddleDetection names them, so that
its checkpoints load key for key. Here the network ends at raw numbers, one tensor a pyramid level:
turning them into boxes is plain numpy (`tinypose.codecs.picodet`), the same for every runtime.
"""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import nn

from tinypose.detection.backbones import STAGE_CHANNELS, ConvNormSwish, DepthwiseSeparable, ESNet, LCNet
from tinypose.models.layers import resize_nearest

STRIDES = (8, 16, 32, 64)
BINS = 8  # of the distribution over the distance from an anchor to one side of its box
CHANNELS = 96  # of the pyramid


class SeparableConv(nn.Layer):
    """Depthwise 5x5, then pointwise convolution, with the names the pyramid gives them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, final_act: bool = True):
        super().__init__()
        self.dwconv = nn.Conv2D(inputs, outputs, 5, stride, padding=2, groups=outputs, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(outputs)
        self.pwconv = nn.Conv2D(outputs, outputs, 1, bias_attr=False)
        self.bn2 = nn.BatchNorm2D(outputs)
        self.final_act = final_act

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.bn2(self.pwconv(F.hardswish(self.bn1(self.dwconv(x)))))
        return F.hardswish(x) if self.final_act else x


class Bottleneck(nn.Layer):
    """A pointwise and a separable convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = ConvNormSwish(channels, channels, 1)
        self.conv2 = SeparableConv(channels, channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv2(self.conv1(x))


class CSPLayer(nn.Layer):
    """Cross-stage partial layer: half of the channels go through a bottleneck."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.main_conv = ConvNormSwish(inputs, outputs // 2, 1)
        self.short_conv = ConvNormSwish(inputs, outputs // 2, 1)
        self.final_conv = ConvNormSwish(outputs, outputs, 1)
        self.blocks = nn.Sequential(Bottleneck(outputs // 2))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.final_conv(paddle.concat([self.blocks(self.main_conv(x)), self.short_conv(x)], axis=1))


class Lateral(nn.Layer):
    """Pointwise convolutions that bring every stage of the backbone to the pyramid's channels."""

    def __init__(self):
        super().__init__()
        self.convs = nn.LayerList([ConvNormSwish(channels, CHANNELS, 1) for channels in STAGE_CHANNELS])

    def forward(self, features: list[paddle.Tensor]) -> list[paddle.Tensor]:
        return [layer(features[level]) for level, layer in enumerate(self.convs)]


class PAN(nn.Layer):
    """Path aggregation network over three levels, and a fourth one above them.

    `merge` makes the block that merges two concatenated levels: `CSPLayer` makes it CSP-PAN.
    """

    def __init__(self, merge: Callable[[int, int], nn.Layer]):
        super().__init__()
        self.conv_t = Lateral()
        self.first_top_conv = SeparableConv(CHANNELS, CHANNELS, stride=2)
        self.second_top_conv = SeparableConv(CHANNELS, CHANNELS, stride=2)
        self.top_down_blocks = nn.LayerList([merge(2 * CHANNELS, CHANNELS) for _ in range(2)])
        self.downsamples = nn.LayerList([SeparableConv(CHANNELS, CHANNELS, stride=2) for _ in range(2)])
        self.bottom_up_blocks = nn.LayerList([merge(2 * CHANNELS, CHANNELS) for _ in range(2)])

    def forward(self, features: list[paddle.Tensor]) -> list[paddle.Tensor]:
        low, middle, high = self.conv_t(features)
        merged_middle = self.top_down_blocks[0](paddle.concat([resize_nearest(high, middle), middle], axis=1))
        first = self.top_down_blocks[1](paddle.concat([resize_nearest(merged_middle, low), low], axis=1))
        second = self.bottom_up_blocks[0](paddle.concat([self.downsamples[0](first), merged_middle], axis=1))
        third = self.bottom_up_blocks[1](paddle.concat([self.downsamples[1](second), high], axis=1))
        return [first, second, third, self.first_top_conv(high) + self.second_top_conv(third)]


def _lc_merge(inputs: int, outputs: int) -> nn.Sequential:
    """Return the merging block of LC-PAN."""
    return nn.Sequential(DepthwiseSeparable(inputs, inputs, 5), DepthwiseSeparable(inputs, outputs, 5))


class TaskAttention(nn.Layer):
    """What the `lcnet` head predicts from: features gated by their own average."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Conv2D(CHANNELS, CHANNELS, 1)
        self.conv = ConvNormSwish(CHANNELS, CHANNELS, 1, names=("conv", "norm"))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv(x * F.sigmoid(self.fc(F.adaptive_avg_pool2d(x, 1))))


class HeadFeatures(nn.Layer):
    """Two depthwise separable convolutions a level, and attention in the `lcnet` form."""

    def __init__(self, attention: bool):
        super().__init__()
        names = ("conv", "norm")
        if attention:
            self.se = nn.LayerList([TaskAttention() for _ in STRIDES])
        for level in range(len(STRIDES)):
            depthwise = [ConvNormSwish(CHANNELS, CHANNELS, 5, groups=CHANNELS, names=names) for _ in range(2)]
            pointwise = [ConvNormSwish(CHANNELS, CHANNELS, 1, names=names) for _ in range(2)]
            self.add_sublayer(f"cls_conv_dw{level}", nn.LayerList(depthwise))
            self.add_sublayer(f"cls_conv_pw{level}", nn.LayerList(pointwise))

    def forward(self, x: paddle.Tensor, level: int) -> paddle.Tensor:
        depthwise, pointwise = getattr(self, f"cls_conv_dw{level}"), getattr(self, f"cls_conv_pw{level}")
        for i in range(len(depthwise)):  # what exports the network cannot read zip
            x = pointwise[i](depthwise[i](x))
        return x


class _Scale(nn.Layer):
    """A parameter that published checkpoints carry and that no output depends on."""

    def __init__(self):
        super().__init__()
        self.scale_reg = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))


class _Integral(nn.Layer):
    """The distance, in strides, that each bin of a distribution stands for: 0 to 7."""

    def __init__(self):
        super().__init__()
        self.register_buffer("project", paddle.arange(BINS, dtype="float32"))


class PicoHead(nn.Layer):
    """Per level [N, classes + 32, h, w]: class logits, and four distributions of 8 bins.

    The `lcnet` form has one channel more, the alignment logit; all of it is raw, before any sigmoid.
    """

    def __init__(self, classes: int, aligned: bool):
        super().__init__()
        self.conv_feat = HeadFeatures(attention=aligned)
        self.aligned = aligned
        for level in range(3, 3 + len(STRIDES)):
            self.add_sublayer(f"p{level}_feat", _Scale())
        self.distribution_project = _Integral()
        if aligned:
            self.head_cls_list = nn.LayerList([nn.Conv2D(CHANNELS, classes, 1) for _ in STRIDES])
            self.head_reg_list = nn.LayerList([nn.Conv2D(CHANNELS, 4 * BINS, 1) for _ in STRIDES])
            self.cls_align = nn.LayerList([SeparableConv(CHANNELS, 1, final_act=False) for _ in STRIDES])
            for level in range(len(STRIDES)):  # published files hold these under two names
                self.add_sublayer(f"head_cls{level}", self.head_cls_list[level])
                self.add_sublayer(f"head_reg{level}", self.head_reg_list[level])
        else:
            for level in range(len(STRIDES)):
                self.add_sublayer(f"head_cls{level}", nn.Conv2D(CHANNELS, classes + 4 * BINS, 1))

    def forward(self, features: list[paddle.Tensor]) -> list[paddle.Tensor]:
        outputs = []
        for level, x in enumerate(features):
            x = self.conv_feat(x, level)
            classify = getattr(self, f"head_cls{level}")
            if self.aligned:
                attended = self.conv_feat.se[level](x)
                parts = [classify(attended), self.head_reg_list[level](attended), self.cls_align[level](x)]
                outputs.append(paddle.concat(parts, axis=1))
            else:
                outputs.append(classify(x))
        return outputs


class PicoDet(nn.Layer):
    """PicoDet-S.

    Args:
        form: `esnet` (legacy) or `lcnet`.
        classes: 80 for COCO, 1 for the pedestrian variants.
    """

    def __init__(self, form: str, classes: int):
        super().__init__()
        legacy = form == "esnet"
        self.backbone = ESNet() if legacy else LCNet()
        self.neck = PAN(CSPLayer if legacy else _lc_merge)
        self.head = PicoHead(classes, aligned=not legacy)

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the names of the layers that make each stage."""
        return {name: [name] for name in ("backbone", "neck", "head")}

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        """Map float32 [N, 3, H, W], RGB normalised, to four raw maps at strides 8, 16, 32 and 64."""
        return self.head(self.neck(self.backbone(image)))
