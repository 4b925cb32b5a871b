"""Operators that work number by number, or along one axis."""

import math

import numpy as np
import paddle
import paddle.nn.functional as F

from compress.graph import instructions
from compress.graph.ir import Node
from compress.graph.ops.table import (
    FIRST,
    FIXED,
    SAME,
    Operator,
    Params,
    Places,
    Shape,
    Tensors,
    Ways,
    axis_of,
    first_shape,
    need,
)


def _column(value: paddle.Tensor, ndim: int) -> paddle.Tensor:
    """Let numbers of each channel broadcast over a tensor."""
    return value.reshape([1, -1, *[1] * (ndim - 2)])


def _per_channel(node: Node, inputs: list[Shape]) -> list[Shape]:
    fits = all(each.shape == (inputs[0][1],) for each in node.params.values())
    need(node, fits, f"{inputs[0][1]} channels")
    return [inputs[0]]


def _all_out(node: Node, inputs: list[Shape]) -> dict[str, tuple[str | None, ...]]:
    return dict.fromkeys(node.params, ("out",))


def _batch_norm(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    statistics = (params["mean"], params["variance"], params["scale"], params["bias"])
    return F.batch_norm(inputs[0], *statistics, epsilon=node.attrs["epsilon"], use_global_stats=True)


def _scale(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    scale, bias = (_column(params[key], inputs[0].ndim) for key in ("scale", "bias"))
    return inputs[0] * scale + bias


def _scale_factors(node: Node, inputs: list[Shape]) -> Ways:
    """Return how it stands to factors: they go through it, unless it was put there to absorb them."""
    return Ways(("any",), "any") if node.attrs.get("absorbs") else SAME


def _scale_places(node: Node, inputs: list[Shape], read: np.ndarray, written: np.ndarray) -> Places:
    if node.attrs.get("absorbs"):
        return {"scale": (read, written), "bias": (None, written)}
    return {"bias": (None, written)}


def _scale_last_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    last = inputs[0][-1]
    need(node, len(inputs[0]) > 2, f"{len(inputs[0])} axes; along channels it is a 'scale'")
    need(node, all(each.shape == (last,) for each in node.params.values()), f"{last} numbers in a row")
    return [inputs[0]]


def _broadcast(node: Node, inputs: list[Shape]) -> list[Shape]:
    first, second = inputs
    fits = len(first) == len(second) and all(b in (1, a) for a, b in zip(first[1:], second[1:], strict=True))
    need(node, fits and first[0] == second[0], f"a second input of shape {second}")
    return [first]


def _orders_of_two(node: Node, inputs: list[Shape]) -> Ways:
    return SAME if inputs[0][1] == inputs[1][1] else FIRST  # a single channel has no order


def _mean_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    axes, shape = node.attrs["axes"], inputs[0]
    need(node, bool(axes) and sorted(set(axes)) == list(axes), f"axes {axes}")
    need(node, axes[0] > 0 and axes[-1] < len(shape), f"axes {axes} of {len(shape)}; axis 0 is the batch")
    if node.attrs["keep"]:
        return [tuple(1 if axis in axes else side for axis, side in enumerate(shape))]
    kept = tuple(side for axis, side in enumerate(shape) if axis not in axes)
    need(node, len(kept) > 1, f"axes {axes}, which leave nothing but the batch")
    return [kept]


def _mean_ways(node: Node, inputs: list[Shape]) -> Ways:
    return SAME if 1 not in node.attrs["axes"] else FIXED


def _mean(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    return paddle.mean(inputs[0], axis=node.attrs["axes"], keepdim=node.attrs["keep"])


def _mean_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.pooling(math.prod(inputs[0]), math.prod(outputs[0]))


def _power(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    exponent = node.attrs["exponent"]
    match exponent:
        case 2.0:
            return paddle.square(inputs[0])
        case 0.5:
            return paddle.sqrt(inputs[0])
        case -0.5:
            return paddle.rsqrt(inputs[0])
    return paddle.pow(inputs[0], exponent)


def _power_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.power(node.attrs["exponent"]) * math.prod(outputs[0])


def _clip_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    lowest, highest = (node.attrs[key] for key in ("min", "max"))
    need(node, bool(np.isfinite([lowest, highest]).all()) and lowest <= highest, f"{lowest} to {highest}")
    return [inputs[0]]


def _softmax_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    axis_of(node, len(inputs[0]))
    return [inputs[0]]


POINTWISE = {
    "batch_norm": Operator(
        "inference batch norm [epsilon]; scale, bias, mean, variance",
        _per_channel,
        _batch_norm,
        orders=SAME,
        factors=FIXED,
        instructions=1.2,
        params=("scale", "bias", "mean", "variance"),
        axes=_all_out,
    ),
    "scale": Operator(
        "x * scale + bias, a number of each per channel [absorbs: was put there for factors]; scale, bias",
        _per_channel,
        _scale,
        orders=SAME,
        factors=_scale_factors,
        instructions=1.0,
        params=("scale", "bias"),
        axes=_all_out,
        places=_scale_places,
    ),
    "scale_last": Operator(
        "x * scale + bias, a number of each for each place along the last axis; scale, bias",
        _scale_last_shape,
        lambda node, inputs, params: inputs[0] * params["scale"] + params["bias"],
        orders=SAME,
        factors=lambda node, inputs: FIXED if np.any(node.params["bias"] != 0) else SAME,
        instructions=2.0,
        params=("scale", "bias"),
    ),
    "relu": Operator(
        "max(x, 0)",
        first_shape,
        lambda node, inputs, params: F.relu(inputs[0]),
        orders=SAME,
        factors=SAME,
        instructions=0.9,
    ),
    "sigmoid": Operator(
        "logistic function",
        first_shape,
        lambda node, inputs, params: F.sigmoid(inputs[0]),
        orders=SAME,
        factors=FIXED,
        instructions=8.0,
    ),
    "hard_sigmoid": Operator(
        "clip(slope * x + offset, 0, 1) [slope, offset]",
        first_shape,
        lambda node, inputs, params: F.hardsigmoid(inputs[0], node.attrs["slope"], node.attrs["offset"]),
        orders=SAME,
        factors=FIXED,
        instructions=2.0,
    ),
    "hard_swish": Operator(
        "x * clip(x + 3, 0, 6) / 6",
        first_shape,
        lambda node, inputs, params: F.hardswish(inputs[0]),
        orders=SAME,
        factors=FIXED,
        instructions=3.0,
    ),
    "silu": Operator(
        "x * sigmoid(x)",
        first_shape,
        lambda node, inputs, params: F.silu(inputs[0]),
        orders=SAME,
        factors=FIXED,
        instructions=14.5,  # counted, of `swish` in FP32; 6.6 in FP16
    ),
    "power": Operator(
        "x to the power of a number; x >= 0 unless that is whole [exponent]",
        first_shape,
        _power,
        orders=SAME,
        factors=FIXED,
        instructions=_power_instructions,
    ),
    "clip": Operator(
        "x within bounds [min, max]",
        _clip_shape,
        lambda node, inputs, params: paddle.clip(inputs[0], node.attrs["min"], node.attrs["max"]),
        orders=SAME,
        factors=FIXED,
        instructions=1.0,
    ),
    "softmax": Operator(
        "exp(x) / sum of exp(x) along an axis [axis]",
        _softmax_shape,
        lambda node, inputs, params: F.softmax(inputs[0], axis=node.attrs["axis"]),
        orders=SAME,  # along channels, too: their order does not matter to the sum
        factors=FIXED,
        instructions=12.0,
    ),
    "mean": Operator(
        "mean over axes, kept with one place each, or left out [axes: list of ints; keep]",
        _mean_shape,
        _mean,
        orders=_mean_ways,
        factors=_mean_ways,
        instructions=_mean_instructions,
    ),
    "add": Operator(
        "sum of two tensors; the second may have one place where the first has more [relu]",
        _broadcast,
        lambda node, inputs, params: inputs[0] + inputs[1],
        orders=_orders_of_two,
        factors=SAME,
        instructions=1.3,
    ),
    "multiply": Operator(
        "product of two tensors; the second may have one place where the first has more",
        _broadcast,
        lambda node, inputs, params: inputs[0] * inputs[1],
        orders=_orders_of_two,
        factors=FIRST,
        instructions=1.3,
    ),
    "divide": Operator(
        "quotient of two tensors; the second may have one place where the first has more",
        _broadcast,
        lambda node, inputs, params: inputs[0] / inputs[1],
        orders=_orders_of_two,
        factors=FIRST,
        instructions=2.5,
    ),
}
