"""DLA-34 with deformable up-sampling, the backbone and neck of FairMOT.

Yu et al., "Deep Layer Aggregation", CVPR 2018; Zhou et al., "Objects as Points", 2019. Layers have the
names of PaddleDetection's, so that its weights load.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Assign, Constant
from paddle.vision.ops import DeformConv2D

WIDTH = 64  # channels of the feature map, of the published network


def level_channels(width: int) -> list[int]:
    """Return the channels of levels 0 to 5 of a network whose feature map has `width`."""
    return [width // 4, width // 2, width, 2 * width, 4 * width, 8 * width]


class DLAConv(nn.Layer):
    """A convolution without bias that keeps the size (or divides it by `stride`), and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2D(inputs, outputs, kernel, stride, kernel // 2, bias_attr=False)
        self.norm = nn.BatchNorm2D(outputs, epsilon=1e-5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        return self.norm(self.conv(x))


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions around a residual, which may be given."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = DLAConv(inputs, outputs, 3, stride)
        self.conv2 = DLAConv(outputs, outputs, 3)

    def forward(self, x: paddle.Tensor, residual: paddle.Tensor | None = None) -> paddle.Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        return F.relu(self.conv2(F.relu(self.conv1(x))) + (x if residual is None else residual))


class Root(nn.Layer):
    """Joins what the branches of a tree found."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = DLAConv(inputs, outputs, 1)

    def forward(self, maps: list[paddle.Tensor]) -> paddle.Tensor:
        """Return [N, outputs, h, w] of maps of one size."""
        return F.relu(self.conv(paddle.concat(maps, axis=1)))


class Tree(nn.Layer):
    """Blocks whose outputs are joined hierarchically.

    Args:
        depth: 1, two blocks and a root; 2, two trees of depth 1.
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 1 or 2.
        level_root: whether the root sees what came in, too.
        children: channels of the maps that are handed to the root from outside.
    """

    def __init__(
        self,
        depth: int,
        inputs: int,
        outputs: int,
        stride: int = 1,
        level_root: bool = False,
        children: int = 0,
    ):
        super().__init__()
        self.depth, self.stride, self.level_root = depth, stride, level_root
        joined = children + (inputs if level_root else 0)
        if depth == 1:
            self.tree1 = BasicBlock(inputs, outputs, stride)
            self.tree2 = BasicBlock(outputs, outputs, 1)
            self.root = Root(2 * outputs + joined, outputs)
        else:
            self.tree1 = Tree(1, inputs, outputs, stride)
            self.tree2 = Tree(1, outputs, outputs, children=outputs + joined)
        # A tree of depth 2 has it in the published file too, and does not use it.
        self.project = DLAConv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: paddle.Tensor, children: tuple[paddle.Tensor, ...] = ()) -> paddle.Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        bottom = F.max_pool2d(x, self.stride, self.stride) if self.stride > 1 else x
        if self.level_root:
            children = (*children, bottom)
        if self.depth == 2:
            first = self.tree1(x)
            return self.tree2(first, (*children, first))
        first = self.tree1(x, bottom if self.project is None else self.project(bottom))
        return self.root([self.tree2(first), first, *children])


class DLA34(nn.Layer):
    """From images to maps at 1/4, 1/8, 1/16 and 1/32; `width` is a multiple of 4."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        first, second, *levels = level_channels(width)
        self.base_layer = nn.Sequential(DLAConv(3, first, 7), nn.ReLU())
        self.level0 = nn.Sequential(DLAConv(first, first, 3), nn.ReLU())
        self.level1 = nn.Sequential(DLAConv(first, second, 3, 2), nn.ReLU())
        self.level2 = Tree(1, second, levels[0], 2)
        self.level3 = Tree(2, levels[0], levels[1], 2, level_root=True)
        self.level4 = Tree(2, levels[1], levels[2], 2, level_root=True)
        self.level5 = Tree(1, levels[2], levels[3], 2, level_root=True)

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        """Turn float32 [N, 3, H, W] into maps of width times 1, 2, 4 and 8 channels.

        H and W are multiples of 32.
        """
        x = self.level1(self.level0(self.base_layer(image)))
        maps = []
        for level in (self.level2, self.level3, self.level4, self.level5):
            x = level(x)
            maps.append(x)
        return maps


class DeformableConv(nn.Layer):
    """A 3x3 convolution whose nine places and their weights come from the map itself.

    Zhu et al., "Deformable ConvNets v2", CVPR 2019.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        zero = paddle.ParamAttr(initializer=Constant(0.0))
        self.conv_offset = nn.Conv2D(inputs, 27, 3, padding=1, weight_attr=zero, bias_attr=zero)
        self.conv_dcn = DeformConv2D(inputs, outputs, 3, padding=1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return [N, outputs, H, W]."""
        offset, mask = self.conv_offset(x).split([18, 9], axis=1)
        return self.conv_dcn(x, offset, F.sigmoid(mask))


class _DeformableNorm(nn.Layer):
    """A deformable convolution and batch norm."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = DeformableConv(inputs, outputs)
        self.norm = nn.BatchNorm2D(outputs, epsilon=1e-5)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.norm(self.conv(x))


def _conv(inputs: int, outputs: int, deformable: bool) -> nn.Sequential:
    layer = _DeformableNorm(inputs, outputs) if deformable else DLAConv(inputs, outputs, 3)
    return nn.Sequential(layer, nn.ReLU())


def _upsample(channels: int, factor: int) -> nn.Conv2DTranspose:
    """Return a depthwise transposed convolution that starts as bilinear enlarging."""
    size = 2 * factor
    line = 1 - np.abs(np.arange(size) / factor - (size - 1) / (2 * factor))
    start = Assign(np.tile(np.outer(line, line), (channels, 1, 1, 1)).astype(np.float32))
    weight = paddle.ParamAttr(initializer=start)
    return nn.Conv2DTranspose(
        channels, channels, size, factor, factor // 2, groups=channels, weight_attr=weight, bias_attr=False
    )


class IDAUp(nn.Layer):
    """Iterative deep aggregation: bring maps to the size of the first, each joined with the one before.

    Args:
        inputs: channels of the maps.
        outputs: channels that all are brought to.
        factors: how much smaller each map is than the first.
        deformable: convolutions that choose their places, as published, or plain ones.
    """

    def __init__(self, inputs: list[int], outputs: int, factors: list[int], deformable: bool = True):
        super().__init__()
        for i in range(1, len(inputs)):
            self.add_sublayer(f"proj_{i}", _conv(inputs[i], outputs, deformable))
            self.add_sublayer(f"up_{i}", _upsample(outputs, factors[i]))
            self.add_sublayer(f"node_{i}", _conv(outputs, outputs, deformable))

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Return the maps, all but the first joined."""
        maps = list(maps)
        for i in range(1, len(maps)):
            up = getattr(self, f"up_{i}")(getattr(self, f"proj_{i}")(maps[i]))
            maps[i] = getattr(self, f"node_{i}")(up + maps[i - 1])
        return maps


class DLAUp(nn.Layer):
    """Joins ever more of the maps, from the smallest on."""

    def __init__(self, channels: list[int], deformable: bool = True):
        super().__init__()
        channels = list(channels)
        self.steps = len(channels) - 1
        for step in range(self.steps):
            first = self.steps - 1 - step
            part = channels[first:]
            factors = [1] + [2] * (len(part) - 1)
            self.add_sublayer(f"ida_{step}", IDAUp(part, channels[first], factors, deformable))
            channels[first + 1 :] = [channels[first]] * (len(part) - 1)

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Return the largest joined map first, the smallest map as it came last."""
        maps, collected = list(maps), [maps[-1]]
        for step in range(self.steps):
            first = self.steps - 1 - step
            maps[first:] = getattr(self, f"ida_{step}")(maps[first:])
            collected.insert(0, maps[-1])
        return collected


class DLANeck(nn.Layer):
    """From the backbone's four maps to one of `width` channels at 1/4."""

    def __init__(self, width: int = WIDTH, deformable: bool = True):
        super().__init__()
        levels = level_channels(width)[2:]
        self.dla_up = DLAUp(levels, deformable)
        self.ida_up = IDAUp(levels[:3], width, [1, 2, 4], deformable)
        self.channels = width

    def forward(self, maps: list[paddle.Tensor]) -> paddle.Tensor:
        """Return float32 [N, width, H / 4, W / 4]."""
        return self.ida_up(self.dla_up(maps)[:3])[-1]
