"""The blocks that the pose networks share. Feature maps are float32 [N, C, H, W]."""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Normal


class ConvNorm(nn.Layer):
    """A convolution that keeps the size (or divides it by `stride`), batch norm and an activation.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: height and width of the kernel, odd.
        stride: step of the kernel.
        groups: groups of channels; `inputs` makes the convolution depthwise.
        act: "relu", "sigmoid" or None.
        norm: without batch norm the convolution has a bias.
        std: standard deviation of the normal distribution that the kernel starts from.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        act: str | None = None,
        norm: bool = True,
        std: float = 0.001,
    ):
        super().__init__()
        self.act = act
        self.conv = nn.Conv2D(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            weight_attr=paddle.ParamAttr(initializer=Normal(std=std)),
            bias_attr=False if norm else None,
        )
        self.norm = nn.BatchNorm2D(outputs) if norm else nn.Identity()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        x = self.norm(self.conv(x))
        if self.act == "relu":
            return F.relu(x)
        if self.act == "sigmoid":
            return F.sigmoid(x)
        return x


def depthwise_separable(inputs: int, outputs: int, stride: int) -> list[nn.Layer]:
    """Return depthwise 3x3, norm, pointwise 1x1, norm: the layers of a `nn.Sequential`."""
    return [
        nn.Conv2D(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias_attr=False),
        nn.BatchNorm2D(inputs),
        nn.Conv2D(inputs, outputs, 1, bias_attr=False),
        nn.BatchNorm2D(outputs),
    ]


def channel_shuffle(x: paddle.Tensor, groups: int = 2) -> paddle.Tensor:
    """Interleave the channels of `groups` groups (Zhang et al. 2018, ShuffleNet).

    Channel `g * C/groups + k` becomes channel `k * groups + g`. Written as reshape and transpose,
    which every exporter knows.
    """
    _, channels, height, width = x.shape
    x = x.reshape([-1, groups, channels // groups, height, width])
    return x.transpose([0, 2, 1, 3, 4]).reshape([-1, channels, height, width])


def resize_nearest(x: paddle.Tensor, like: paddle.Tensor) -> paddle.Tensor:
    """Bring `x` to the height and width of `like`, each pixel repeated."""
    return F.interpolate(x, size=like.shape[2:], mode="nearest")
