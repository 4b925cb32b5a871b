"""Heads: from a backbone's feature maps to what a codec decodes, by the codec's name."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import paddle
from paddle import nn
from paddle.nn.initializer import Normal

from tinypose.codecs import Codec
from tinypose.models.bottom_up_heads import AdaptiveHead, DekrHead, HigherHead
from tinypose.models.rtmcc import RTMCCHead


class Head(NamedTuple):
    """How a head is made.

    Attributes:
        key: the name of its layer in checkpoints, the published one.
        build: (the backbone's `channels`, joints, codec, width and height of the input) -> a layer that turns
            what the backbone gives into an output, or a list of them.
        branches: of how many of the backbone's resolutions it takes features.
    """

    key: str
    build: Callable[[Any, int, Codec, tuple[int, int]], nn.Layer]
    branches: int = 1


def heatmap_head(channels: int, joints: int) -> nn.Conv2D:
    """Return the 1x1 convolution from features [N, channels, h, w] to heatmaps [N, J, h, w]."""
    return nn.Conv2D(channels, joints, 1, weight_attr=paddle.ParamAttr(initializer=Normal(std=0.001)))


def simcc_head(channels: int, joints: int, codec: Codec, size: tuple[int, int]) -> RTMCCHead:
    """Return RTMPose's head for a map at 1/32 of the input."""
    return RTMCCHead(channels, joints, (size[0] // 32, size[1] // 32), codec.bins(size))


def offset_head(channels: Sequence[int], joints: int, codec: Codec) -> nn.Layer:
    """Return the adaptive network's or DEKR's head on HRNet's four maps."""
    if codec.kind == "dekr":
        return DekrHead(channels, joints)
    return AdaptiveHead(channels, joints, codec.higher, codec.regression)


HEADS = {
    "heatmap": Head("final_conv", lambda channels, joints, codec, size: heatmap_head(channels, joints)),
    "simcc": Head("head", simcc_head),
    "tags": Head(
        "hrhrnet_head", lambda channels, joints, codec, size: HigherHead(channels, joints, codec.scale_aware)
    ),
    "offsets": Head(
        "offset_head", lambda channels, joints, codec, size: offset_head(channels, joints, codec), 4
    ),
}
