"""RTMPose's head: joints as tokens, one gated attention unit, two one-dimensional SimCC vectors a joint.

Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023; the unit is that of Hua
et al., "Transformer Quality in Linear Time", ICML 2022. Layers have the names of the published networks.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Constant, Normal, Uniform


def _linear(inputs: int, outputs: int) -> nn.Linear:
    start = paddle.ParamAttr(initializer=Normal(std=0.01))
    return nn.Linear(inputs, outputs, weight_attr=start, bias_attr=False)


class ScaleNorm(nn.Layer):
    """x / rms(x) * g over the last axis, with one g (Nguyen and Salazar 2019).

    Written by the mean of the squares, which does not grow with the length and has operators everywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.g = self.create_parameter([1], default_initializer=Constant(1.0))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a tensor of the same shape."""
        rms = paddle.pow(paddle.mean(paddle.square(x), axis=-1, keepdim=True), 0.5)
        return x / paddle.clip(rms, min=1e-5) * self.g


class Scale(nn.Layer):
    """A factor for each feature."""

    def __init__(self, features: int):
        super().__init__()
        self.scale = self.create_parameter([features], default_initializer=Constant(1.0))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return a tensor of the same shape."""
        return x * self.scale


class GatedAttention(nn.Layer):
    """Self-attention among tokens [N, K, features], gated by a linear function of each token.

    Args:
        features: of a token.
        expansion: how many times wider the gate is.
        shared: features of queries and keys, which come from one linear layer.
    """

    def __init__(self, features: int, expansion: int = 2, shared: int = 128):
        super().__init__()
        self.hidden, self.shared = features * expansion, shared
        self.ln = ScaleNorm()
        self.uv = _linear(features, 2 * self.hidden + shared)
        self.gamma = self.create_parameter([2, shared], default_initializer=Uniform(0.0, 1.0))
        self.beta = self.create_parameter([2, shared], default_initializer=Uniform(0.0, 1.0))
        self.o = _linear(self.hidden, features)
        self.res_scale = Scale(features)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return tokens of the same shape."""
        gate, value, base = F.silu(self.uv(self.ln(x))).split([self.hidden, self.hidden, self.shared], axis=2)
        query = base * self.gamma[0] + self.beta[0]
        key = base * self.gamma[1] + self.beta[1]
        attention = F.relu((query @ key.transpose([0, 2, 1])) / math.sqrt(self.shared)).square()
        return self.res_scale(x) + self.o(gate * (attention @ value))


class RTMCCHead(nn.Layer):
    """From a backbone's last map to SimCC logits.

    Args:
        channels: of the map.
        joints: how many.
        map_size: width and height of the map.
        bins: of x and of y, as `tinypose.codecs.simcc` counts them.
        features: of a joint's token.
        kernel: of the convolution that makes joints of channels, odd.
    """

    def __init__(
        self,
        channels: int,
        joints: int,
        map_size: tuple[int, int],
        bins: tuple[int, int],
        features: int = 256,
        kernel: int = 7,
    ):
        super().__init__()
        start = paddle.ParamAttr(initializer=Normal(std=0.001))
        self.final_layer = nn.Conv2D(channels, joints, kernel, padding=kernel // 2, weight_attr=start)
        self.places = map_size[0] * map_size[1]
        self.mlp = nn.Sequential(ScaleNorm(), _linear(self.places, features))
        self.gau = GatedAttention(features)
        self.cls_x, self.cls_y = _linear(features, bins[0]), _linear(features, bins[1])

    def forward(self, features: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Turn [N, channels, h, w] into logits [N, J, bins in x] and [N, J, bins in y]."""
        maps = self.final_layer(features)
        tokens = self.gau(self.mlp(maps.reshape([-1, maps.shape[1], self.places])))
        return self.cls_x(tokens), self.cls_y(tokens)
