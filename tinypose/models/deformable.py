"""Deformable 3x3 convolutions whose sampling points follow a matrix at each pixel.

A small convolution predicts a 2x2 matrix A at every pixel. The nine points r of a 3x3 kernel, rows and
columns in {-1, 0, 1}, are moved from p + d r to p + d r + A r - r, d the dilation (Jaderberg et al. 2015,
"Spatial Transformer Networks", at a pixel; Geng et al. 2021, "Bottom-Up Human Pose Estimation Via
Disentangled Keypoint Regression"). So with a dilation the matrix replaces one unit of the grid only.
"""

from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Constant, Uniform
from paddle.vision.ops import deform_conv2d

from tinypose.models.between_pixels import Read

POINTS = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)], np.float32)
MATRIX = 4  # channels of a matrix at a pixel: [[a0, a1], [a2, a3]], acting on (row, column)


class SteeredConv(nn.Layer):
    """A 3x3 convolution that samples where a matrix, and perhaps a shift, at each pixel says.

    Args:
        channels: in and out.
        shifted: `steer` has two more channels, a shift (row, column) of all nine points.
    """

    def __init__(self, channels: int, shifted: bool = False):
        super().__init__()
        bound = (9 * channels) ** -0.5
        self.weight = self.create_parameter(
            [channels, channels, 3, 3], default_initializer=Uniform(-bound, bound)
        )
        # Offsets are linear in `steer`: a constant 1x1 convolution, which every exporter knows.
        basis = np.zeros((len(POINTS), 2, MATRIX + 2), np.float32)
        for axis in range(2):
            basis[:, axis, 2 * axis : 2 * axis + 2] = POINTS
            basis[:, axis, MATRIX + axis] = 1
        basis = basis[..., : MATRIX + 2 * shifted]
        self.register_buffer("basis", paddle.to_tensor(basis.reshape(18, -1, 1, 1)), persistable=False)
        self.register_buffer("rest", paddle.to_tensor(-POINTS.reshape(18)), persistable=False)

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, x: paddle.Tensor, steer: paddle.Tensor, dilation: int = 1) -> paddle.Tensor:
        """Keep the shape [N, C, H, W]; `steer` [N, 4 or 6, H, W] is the matrix by rows, then the shift."""
        offset = self.offset(steer)
        if self.training and not paddle.is_compiled_with_cuda():
            return self.sampled(x, offset, dilation)
        # Without a mask Paddle writes an operator that Paddle-Lite does not know; ones change nothing.
        ones = paddle.scale(offset[:, : len(POINTS)], scale=0.0, bias=1.0)
        return deform_conv2d(x, offset, self.weight, padding=dilation, dilation=dilation, mask=ones)

    def sampled(self, x: paddle.Tensor, offset: paddle.Tensor, dilation: int) -> paddle.Tensor:
        """Do as `deform_conv2d` does, whose gradient takes three times as long on a CPU.

        Without a static graph it takes half of that again.
        """
        count, channels, height, width = x.shape
        points = paddle.to_tensor(dilation * POINTS).reshape([1, len(POINTS), 2, 1, 1])
        moved = points + offset.reshape([count, len(POINTS), 2, height, width])
        row = moved[:, :, 0] + paddle.arange(height, dtype="float32").reshape([1, 1, -1, 1])
        column = moved[:, :, 1] + paddle.arange(width, dtype="float32").reshape([1, 1, 1, -1])
        if paddle.in_dynamic_mode():
            order = [0, 2, 3, 1]  # the nine points of a pixel beside each other
            samples = Read.apply(x, row.transpose(order), column.transpose(order))
            kernels = self.weight.transpose([2, 3, 1, 0]).reshape([-1, channels])
            rows = paddle.matmul(samples.reshape([count, height * width, -1]), kernels)
            return rows.transpose([0, 2, 1]).reshape([count, channels, height, width])
        # `grid_sample` counts from -1 to 1, from the first pixel's centre to the last one's.
        grid = paddle.stack([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1], axis=-1)
        grid = grid.reshape([count, len(POINTS) * height, width, 2])
        samples = F.grid_sample(x, grid, align_corners=True).reshape([count, channels * len(POINTS), -1])
        kernels = self.weight.reshape([channels, -1])
        return paddle.matmul(kernels, samples).reshape([count, channels, height, width])

    def offset(self, steer: paddle.Tensor) -> paddle.Tensor:
        """Return how far each point moves, [N, 18, H, W]: (row, column) of the first, of the second..."""
        return F.conv2d(steer, self.basis, self.rest)


class TransformerBlock(nn.Layer):
    """A residual block of two steered convolutions, once or for several dilations that share the kernels.

    Args:
        channels: in and out.
        dilations: of the branches. Each has biases and norms of its own.
    """

    def __init__(self, channels: int, dilations: Sequence[int] = (1,)):
        super().__init__()
        self.dilations = tuple(dilations)
        self.matrix1 = _still_conv(channels, MATRIX, bias=False)
        self.conv1 = SteeredConv(channels)
        self.matrix2 = _still_conv(channels, MATRIX, bias=False)
        self.conv2 = SteeredConv(channels)
        self.branches = nn.LayerList([_Branch(channels) for _ in self.dilations])

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """Turn [N, C, H, W] into one map of that shape for each dilation."""
        maps = []
        for branch, dilation in zip(self.branches, self.dilations, strict=True):
            # Both matrices come from the block's input.
            first, second = self.matrix1(x) + branch.bias1, self.matrix2(x) + branch.bias2
            y = F.relu(branch.norm1(self.conv1(x, first, dilation)))
            maps.append(F.relu(branch.norm2(self.conv2(y, second, dilation)) + x))
        return maps


class _Branch(nn.Layer):
    """What the dilations of a block do not share."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias1 = self.create_parameter([1, MATRIX, 1, 1], is_bias=True)
        self.norm1 = nn.BatchNorm2D(channels)
        self.bias2 = self.create_parameter([1, MATRIX, 1, 1], is_bias=True)
        self.norm2 = nn.BatchNorm2D(channels)


class AdaptiveBlock(nn.Layer):
    """DEKR's residual block: one convolution steered by a matrix and a shift (Geng et al. 2021)."""

    def __init__(self, channels: int):
        super().__init__()
        self.transform_matrix_conv = _still_conv(channels, MATRIX)
        self.translation_conv = _still_conv(channels, 2)
        self.adapt_conv = SteeredConv(channels, shifted=True)
        self.bn = nn.BatchNorm2D(channels)

    @paddle.jit.not_to_static  # traced as it stands
    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Keep the shape [N, C, H, W]."""
        steer = paddle.concat([self.transform_matrix_conv(x), self.translation_conv(x)], axis=1)
        return F.relu(self.bn(self.adapt_conv(x, steer)) + x)


def _still_conv(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2D:
    """Return a 3x3 convolution that gives zeros until it has learnt."""
    zero = paddle.ParamAttr(initializer=Constant(0.0))
    return nn.Conv2D(inputs, outputs, 3, padding=1, weight_attr=zero, bias_attr=None if bias else False)
