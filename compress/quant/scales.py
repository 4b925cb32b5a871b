"""The ranges of quantised convolutions, and what they must satisfy to run in INT8."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from compress.graph.ir import Graph, Node
from tinypose.errors import UserError

LEVELS = 127  # symmetric: -127 .. 127, as Paddle-Lite's kernels use


@dataclass(frozen=True)
class ConvScale:
    """Ranges of one convolution, both symmetric: the value that INT8's 127 stands for.

    Attributes:
        input: of the input tensor, above 0.
        weight: float32 [O], of the weights that make each output channel, above 0.
    """

    input: float
    weight: np.ndarray


@dataclass(frozen=True)
class QuantisedConv:
    """A convolution as it is written to a file in INT8.

    Attributes:
        scale: its ranges.
        weight: int8 [O, I / groups, kH, kW], in units of its channel's range / 127.
    """

    scale: ConvScale
    weight: np.ndarray


Scales = Mapping[str, ConvScale]
Quantised = Mapping[str, QuantisedConv]


def weight_ranges(node: Node) -> np.ndarray:
    """Return float32 [O]: the greatest |w| of each output channel; 1 for a channel of zeros."""
    ranges = np.abs(node.params["weight"]).max(axis=(1, 2, 3))
    return np.where(ranges > 0, ranges, 1).astype(np.float32)


def quantise_weight(weight: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return int8 [O, I, kH, kW], `weight` in units of its channel's limit / 127, clipped to -127..127.

    Rounds half away from zero, as Paddle-Lite's optimiser does.
    """
    steps = (limits / np.float32(LEVELS)).reshape(-1, *[1] * (weight.ndim - 1))
    scaled = weight / steps
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    return np.clip(rounded, -LEVELS, LEVELS).astype(np.int8)


def quantise(graph: Graph, scales: Scales) -> dict[str, QuantisedConv]:
    """Return the convolutions of a graph that `scales` names, with weights in whole numbers.

    Raises:
        UserError: a range does not belong to a convolution of the graph, or cannot be used.
    """
    check_scales(graph, scales)
    nodes = {node.name: node for node in graph.convolutions()}
    return {
        name: QuantisedConv(scale, quantise_weight(nodes[name].params["weight"], scale.weight))
        for name, scale in scales.items()
    }


def only(scales: Scales, names: Iterable[str]) -> dict[str, ConvScale]:
    """Return `scales` of these convolutions; the others stay in FP32."""
    taken = set(names)
    return {name: scale for name, scale in scales.items() if name in taken}


def check_scales(graph: Graph, scales: Scales) -> None:
    """Raise UserError unless every range belongs to a convolution of the graph and can be used."""
    nodes = {node.name: node for node in graph.nodes}
    ranges: dict[str, tuple[float, str]] = {}
    for name, scale in scales.items():
        node = nodes.get(name)
        if node is None:
            raise UserError(f"ranges: the network has no convolution '{name}'; quantise this network again")
        if node.kind != "conv2d":
            raise UserError(f"ranges: '{name}' is a {node.kind}; only conv2d runs in INT8, leave it in FP32")
        count = node.params["weight"].shape[0]
        if scale.weight.shape != (count,) or scale.weight.dtype != np.float32:
            raise UserError(
                f"ranges: '{name}': expected {count} float32 weight ranges, one an output channel, "
                f"found {scale.weight.dtype} {list(scale.weight.shape)}"
            )
        if not (np.isfinite(scale.input) and scale.input > 0) or not (
            np.all(np.isfinite(scale.weight)) and np.all(scale.weight > 0)
        ):
            raise UserError(f"ranges: '{name}': every range must be finite and above 0")
        tensor = node.inputs[0]
        other, first = ranges.setdefault(tensor, (scale.input, name))
        if other != scale.input:
            # Paddle-Lite writes a tensor as INT8 once, with the range of its first reader.
            raise UserError(
                f"ranges: '{first}' and '{name}' read the same tensor with ranges {other:g} and "
                f"{scale.input:g}; give both one range"
            )
