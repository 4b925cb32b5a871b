"""Operators that multiply and add: convolutions, linear maps and products of matrices."""

import math

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.vision.ops import deform_conv2d

from compress.graph import instructions, kernels
from compress.graph.ir import Node
from compress.graph.ops.table import FIXED, SAME, Operator, Params, Places, Shape, Tensors, Ways, need

_ANY = Ways(("any",), "any")


def is_depthwise(node: Node) -> bool:
    """Say whether a convolution works on each channel alone, one in and one out."""
    if node.kind not in ("conv2d", "conv2d_transpose"):
        return False
    first, second = node.params["weight"].shape[:2]
    return first == node.attrs["groups"] and second == 1


def is_pointwise(node: Node) -> bool:
    """Say whether a node is a 1x1 convolution over all channels, pixel by pixel."""
    if node.kind != "conv2d":
        return False
    still = node.attrs["stride"] == [1, 1] and node.attrs["padding"] == [0, 0]
    return still and node.attrs["groups"] == 1 and node.params["weight"].shape[2:] == (1, 1)


def _check_bias(node: Node, outputs: int) -> None:
    bias = node.params.get("bias")
    if bias is not None:
        need(node, bias.shape == (outputs,), f"a bias of shape {bias.shape}")


def _slid(node: Node, size: tuple[int, ...]) -> list[int]:
    """Return the height and width over which a kernel slides."""
    sides = []
    keys = ("stride", "padding", "dilation")
    places = zip(size, node.params["weight"].shape[2:], *(node.attrs[key] for key in keys), strict=True)
    for side, kernel, stride, padding, dilation in places:
        sides.append((side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        need(node, sides[-1] > 0, f"{side} pixels")
    return sides


def _conv2d_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    batch, channels, *size = inputs[0]
    weight = node.params["weight"]
    fits = weight.ndim == 4 and channels == weight.shape[1] * node.attrs["groups"]
    need(node, fits, f"{channels} channels")
    _check_bias(node, weight.shape[0])
    return [(batch, weight.shape[0], *_slid(node, size))]


def _conv2d(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    places = (node.attrs[key] for key in ("stride", "padding", "dilation", "groups"))
    return F.conv2d(inputs[0], params["weight"], params.get("bias"), *places)


def _conv2d_transpose_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    batch, channels, *size = inputs[0]
    weight, attrs = node.params["weight"], node.attrs
    need(node, weight.ndim == 4 and channels == weight.shape[0], f"{channels} channels")
    outputs = weight.shape[1] * attrs["groups"]
    _check_bias(node, outputs)
    keys = ("stride", "padding", "output_padding")
    axes = zip(size, weight.shape[2:], *(attrs[key] for key in keys), strict=True)
    size = [(side - 1) * stride - 2 * pad + kernel + extra for side, kernel, stride, pad, extra in axes]
    return [(batch, outputs, *size)]


def _conv2d_transpose(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    places = (node.attrs[key] for key in ("stride", "padding", "output_padding"))
    groups = node.attrs["groups"]
    return F.conv2d_transpose(inputs[0], params["weight"], params.get("bias"), *places, groups=groups)


def _orders(node: Node, inputs: list[Shape]) -> Ways:
    if is_depthwise(node):
        return SAME
    return _ANY if node.attrs["groups"] == 1 else FIXED


def _axes(node: Node, inputs: list[Shape]) -> dict[str, tuple[str | None, ...]]:
    """Return the roles of the axes of a convolution's weight; those of groups stay where they are."""
    if is_depthwise(node):
        weight = ("out", None)
    elif node.attrs["groups"] > 1:
        return {}
    else:
        weight = ("in", "out") if node.kind == "conv2d_transpose" else ("out", "in")
    return {"weight": (*weight, None, None), "bias": ("out",)}


def _uses(node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    """Return the multiply-adds of a convolution, whose kernel is used once for each pixel of its output.

    That of a transposed one is used once for each pixel of its input.
    """
    pixels = inputs[0] if node.kind == "conv2d_transpose" else outputs[0]
    return node.params["weight"].size * pixels[0] * pixels[2] * pixels[3]


def _convolution_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    if node.kind == "conv2d_transpose":
        weight, strides = node.params["weight"].shape, math.prod(node.attrs["stride"])
        read, written = tuple(inputs[0][2:]), math.prod(outputs[0][1:])
        all_of_it = inputs[0][0] * kernels.transposed(weight, node.attrs["groups"], strides, read, written)
    else:
        batch, _, *size = outputs[0]
        weight, strides = node.params["weight"].shape, math.prod(node.attrs["stride"])
        all_of_it = batch * kernels.convolution(weight, node.attrs["groups"], strides, tuple(size))
    return all_of_it - instructions.FIXED["fp32"]


def _deform_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    (batch, channels, *size), weight = inputs[0], node.params["weight"]
    need(node, weight.ndim == 4 and channels == weight.shape[1], f"{channels} channels")
    need(node, len(inputs) in (2, 3), f"{len(inputs)} inputs; it reads x, offset and maybe mask")
    _check_bias(node, weight.shape[0])
    sides, points = _slid(node, size), math.prod(weight.shape[2:])
    for name, shape, numbers in zip(("offset", "mask"), inputs[1:], (2 * points, points), strict=False):
        need(node, shape == (batch, numbers, *sides), f"{name} of shape {shape}")
    return [(batch, weight.shape[0], *sides)]


def _deform(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    places = (node.attrs[key] for key in ("stride", "padding", "dilation"))
    mask = inputs[2] if len(inputs) == 3 else None
    x, offset = inputs[:2]
    return deform_conv2d(x, offset, params["weight"], params.get("bias"), *places, 1, 1, mask)


def _deform_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    weight, (batch, _, *sides) = node.params["weight"], outputs[0]
    depth, places = math.prod(weight.shape[1:]), batch * math.prod(sides)
    return instructions.sampling(depth, places) + instructions.product(weight.shape[0], depth, places)


def _linear_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    *places, last = inputs[0]
    weight = node.params["weight"]
    need(node, weight.ndim == 2 and weight.shape[0] == last, f"{last} numbers in a row")
    _check_bias(node, weight.shape[1])
    return [(*places, weight.shape[1])]


def _linear_orders(node: Node, inputs: list[Shape]) -> Ways:
    return _ANY if len(inputs[0]) == 2 else SAME


def _linear_factors(node: Node, inputs: list[Shape]) -> Ways:
    if len(inputs[0]) == 2:
        return _ANY
    return FIXED if "bias" in node.params else SAME


def _linear_axes(node: Node, inputs: list[Shape]) -> dict[str, tuple[str | None, ...]]:
    return {"weight": ("in", "out"), "bias": ("out",)} if len(inputs[0]) == 2 else {}


def _linear_multiply_adds(node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return math.prod(inputs[0]) * outputs[0][-1]


def _linear_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.product(math.prod(outputs[0][:-1]), inputs[0][-1], outputs[0][-1])


def _matmul_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    first, second = inputs
    if node.attrs["transpose_y"]:
        second = (*second[:-2], second[-1], second[-2])
    fits = len(first) == len(second) > 2 and first[:-2] == second[:-2] and first[-1] == second[-2]
    need(node, fits, f"{inputs[0]} times {inputs[1]}")
    return [(*first[:-1], second[-1])]


def _matmul_orders(node: Node, inputs: list[Shape]) -> Ways:
    # With four axes, channels are a batch of matrices; with three, the rows of the first.
    return SAME if len(inputs[0]) > 3 else Ways(("same", "fixed"), "same")


def _matmul_multiply_adds(node: Node, inputs: list[Shape], outputs: list[Shape]) -> int:
    return math.prod(outputs[0]) * inputs[0][-1]


def _matmul_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    *batch, rows, columns = outputs[0]
    return math.prod(batch) * instructions.product(rows, inputs[0][-1], columns)


def _by_kernel(node: Node, read: np.ndarray, written: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what belongs to the channel that each kernel of a convolution reads, and to that it writes.

    Args:
        node: its weight has the kernels, [O, I / groups, h, w], or [I, O / groups, h, w] if it is transposed.
        read: one value a channel of the input, [I].
        written: one value a channel of the output, [O].

    Returns:
        Two arrays of the first two axes of the weight.
    """
    groups, shape = node.attrs["groups"], node.params["weight"].shape[:2]
    if node.kind == "conv2d":
        inputs = np.repeat(read.reshape(groups, -1), len(written) // groups, axis=0)
        return inputs, np.broadcast_to(written[:, None], shape)
    outputs = np.repeat(written.reshape(groups, -1), len(read) // groups, axis=0)
    return np.broadcast_to(read[:, None], shape), outputs


def _conv_places(node: Node, inputs: list[Shape], read: np.ndarray, written: np.ndarray) -> Places:
    reads, writes = _by_kernel(node, read, written)
    return {"weight": (reads[:, :, None, None], writes[:, :, None, None]), "bias": (None, written)}


def _deform_places(node: Node, inputs: list[Shape], read: np.ndarray, written: np.ndarray) -> Places:
    return {"weight": (read[:, None, None], written[:, None, None, None]), "bias": (None, written)}


def _linear_places(node: Node, inputs: list[Shape], read: np.ndarray, written: np.ndarray) -> Places:
    if len(inputs[0]) > 2:
        return {}  # channels are rows, which pass through
    return {"weight": (read[:, None], written), "bias": (None, written)}


PRODUCTS = {
    "conv2d": Operator(
        "convolution [stride, padding, dilation: 2 ints each; groups; relu]; weight OIHW, maybe bias O",
        _conv2d_shape,
        _conv2d,
        orders=_orders,
        factors=_ANY,
        instructions=_convolution_instructions,
        params=("weight",),
        optional=("bias",),
        axes=_axes,
        places=_conv_places,
        multiply_adds=_uses,
    ),
    "conv2d_transpose": Operator(
        "[stride, padding, output_padding, groups, relu]; weight IOHW, maybe bias O",
        _conv2d_transpose_shape,
        _conv2d_transpose,
        orders=_orders,
        factors=_ANY,
        instructions=_convolution_instructions,
        params=("weight",),
        optional=("bias",),
        axes=_axes,
        places=_conv_places,
        multiply_adds=_uses,
    ),
    "deform_conv2d": Operator(
        "convolution of x at places moved by an offset [N, 2hw, H, W] (row, column of each kernel point), "
        "weighed by a mask [N, hw, H, W] if there is one [stride, padding, dilation]; weight OIHW, maybe "
        "bias O",
        _deform_shape,
        _deform,
        orders=Ways(("any", "fixed"), "any"),
        factors=Ways(("any", "fixed"), "any"),
        instructions=_deform_instructions,
        params=("weight",),
        optional=("bias",),
        axes=lambda node, inputs: {"weight": ("out", "in", None, None), "bias": ("out",)},
        places=_deform_places,
        multiply_adds=_uses,
    ),
    "linear": Operator(
        "the last axis multiplied by a matrix; weight IO, maybe bias O",
        _linear_shape,
        lambda node, inputs, params: F.linear(inputs[0], params["weight"], params.get("bias")),
        orders=_linear_orders,
        factors=_linear_factors,
        instructions=_linear_instructions,
        params=("weight",),
        optional=("bias",),
        axes=_linear_axes,
        places=_linear_places,
        multiply_adds=_linear_multiply_adds,
    ),
    "matmul": Operator(
        "product of matrices along the last two axes [transpose_y]",
        _matmul_shape,
        lambda node, inputs, params: paddle.matmul(*inputs, transpose_y=node.attrs["transpose_y"]),
        orders=_matmul_orders,
        factors=FIXED,
        instructions=_matmul_instructions,
        multiply_adds=_matmul_multiply_adds,
    ),
}
