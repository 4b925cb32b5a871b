"""Operators that move numbers about: parts, orders, shapes, sizes."""

import math
from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F

from compress.graph import instructions
from compress.graph.ir import Node
from compress.graph.ops.table import (
    FIXED,
    SAME,
    Operator,
    Params,
    Refs,
    Shape,
    Tensors,
    Ways,
    axis_of,
    need,
)


def _pieces(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    """Return what it takes to copy parts; each number in front of the axis is a run of its own."""
    runs = math.prod(inputs[0][: axis_of(node, len(inputs[0]))])
    numbers = sum(math.prod(shape) for shape in outputs)
    return instructions.moving(max(len(inputs), len(outputs)), runs, numbers)


def _concat_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    axis = axis_of(node, len(inputs[0]))
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}
    need(node, len(others) == 1 and len({*map(len, inputs)}) == 1, f"inputs of shapes {inputs}")
    return [(*inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1 :])]


def _concat_moves(node: Node, inputs: list[Shape]) -> list[Refs] | None:
    if axis_of(node, len(inputs[0])) != 1:
        return None
    owners = [np.full(shape[1], number) for number, shape in enumerate(inputs)]
    return [(np.concatenate(owners), np.concatenate([np.arange(shape[1]) for shape in inputs]))]


def _split_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    shape, sections = inputs[0], node.attrs["sections"]
    axis = axis_of(node, len(shape))
    what = "channels" if axis == 1 else "places"
    need(node, sum(sections) == shape[axis] and min(sections) > 0, f"{shape[axis]} {what}")
    return [(*shape[:axis], section, *shape[axis + 1 :]) for section in sections]


def _split_moves(node: Node, inputs: list[Shape]) -> list[Refs] | None:
    if axis_of(node, len(inputs[0])) != 1:
        return None
    ends = np.cumsum(node.attrs["sections"])[:-1]
    return [(np.zeros_like(part), part) for part in np.split(np.arange(inputs[0][1]), ends)]


def _slice_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    shape, (start, stop) = inputs[0], (node.attrs["start"], node.attrs["stop"])
    axis = axis_of(node, len(shape))
    need(node, 0 <= start < stop <= shape[axis], f"{shape[axis]} places from {start} to {stop}")
    return [(*shape[:axis], stop - start, *shape[axis + 1 :])]


def _slice_moves(node: Node, inputs: list[Shape]) -> list[Refs] | None:
    if axis_of(node, len(inputs[0])) != 1:
        return None
    kept = np.arange(node.attrs["start"], node.attrs["stop"])
    return [(np.zeros_like(kept), kept)]


def _slice(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    bounds = ([node.attrs[key]] for key in ("start", "stop"))
    return paddle.slice(inputs[0], [axis_of(node, inputs[0].ndim)], *bounds)


def _shuffle_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    need(node, inputs[0][1] % node.attrs["groups"] == 0, f"{inputs[0][1]} channels")
    return [inputs[0]]


def _shuffle_moves(node: Node, inputs: list[Shape]) -> list[Refs]:
    order = np.arange(inputs[0][1]).reshape(node.attrs["groups"], -1).T.reshape(-1)
    return [(np.zeros_like(order), order)]


def _shuffle(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    x, groups = inputs[0], node.attrs["groups"]
    batch, channels, *size = x.shape
    grouped = x.reshape([batch, groups, channels // groups, *size])
    return grouped.transpose([0, 2, 1, *range(3, grouped.ndim)]).reshape(x.shape)


def _permute_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    need(node, sorted(node.attrs["order"]) == list(range(inputs[0][1])), f"{inputs[0][1]} channels")
    return [inputs[0]]


def _permute_moves(node: Node, inputs: list[Shape]) -> list[Refs]:
    order = np.asarray(node.attrs["order"])
    return [(np.zeros_like(order), order)]


def _reshape_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    batch, *sides = inputs[0]
    shape = node.attrs["shape"]
    fits = bool(shape) and min(shape) > 0 and math.prod(shape) == math.prod(sides)
    need(node, fits, f"{sides} as {shape}")
    return [(batch, *shape)]


def _transpose_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    axes = node.attrs["axes"]
    fits = sorted(axes) == list(range(len(inputs[0]))) and axes[0] == 0
    need(node, fits, f"axes {axes} of {len(inputs[0])}; axis 0 is the batch and stays")
    return [tuple(inputs[0][axis] for axis in axes)]


def _transpose_ways(node: Node, inputs: list[Shape]) -> Ways:
    return SAME if node.attrs["axes"][1] == 1 else FIXED


def _resized_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    size = node.attrs["size"]
    need(node, len(size) == 2 and min(size) > 0 and len(inputs[0]) == 4, f"{inputs[0]} at size {size}")
    return [(*inputs[0][:2], *size)]


def _resize_bilinear(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    corners = node.attrs["align_corners"]
    return F.interpolate(inputs[0], node.attrs["size"], mode="bilinear", align_corners=corners)


def _average_pool_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.pooling(math.prod(inputs[0]), math.prod(outputs[0]))


def _max_pool_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    attrs, (batch, channels, *size) = node.attrs, inputs[0]
    axes = list(zip(size, attrs["kernel"], attrs["stride"], both_ends(attrs["padding"]), strict=True))
    sides = [(side + sum(ends) - kernel) // step + 1 for side, kernel, step, ends in axes]
    fits = all(side > 0 for side in sides) and all(2 * max(ends) <= kernel for _, kernel, _, ends in axes)
    need(node, fits, f"{size} pixels, kernel {attrs['kernel']}, padding {attrs['padding']}")
    return [(batch, channels, *sides)]


def both_ends(padding: Sequence[int]) -> list[tuple[int, int]]:
    """Return the borders of a max pooling, at top and bottom, left and right: of its 2 or 4 numbers."""
    if len(padding) == 2:
        return [(each, each) for each in padding]
    return [tuple(padding[:2]), tuple(padding[2:])]


def _max_pool(node: Node, inputs: Tensors, params: Params) -> paddle.Tensor:
    return F.max_pool2d(inputs[0], *(node.attrs[key] for key in ("kernel", "stride", "padding")))


def _max_pool_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.max_pooling(outputs[0], node.attrs["kernel"], node.attrs["stride"], False)


def _transpose_instructions(node: Node, inputs: list[Shape], outputs: list[Shape]) -> float:
    return instructions.transposing(node.attrs["axes"]) * math.prod(outputs[0])


MOVING = {
    "concat": Operator(
        "parts put together along channels, or along an axis [axis]",
        _concat_shape,
        lambda node, inputs, params: paddle.concat(inputs, axis=axis_of(node, inputs[0].ndim)),
        orders=SAME,
        factors=SAME,
        instructions=_pieces,
        moves=_concat_moves,
    ),
    "split": Operator(
        "cut along channels, or along an axis [sections: list of ints; axis]",
        _split_shape,
        lambda node, inputs, params: paddle.split(
            inputs[0], node.attrs["sections"], axis=axis_of(node, inputs[0].ndim)
        ),
        orders=SAME,
        factors=SAME,
        instructions=_pieces,
        moves=_split_moves,
    ),
    "slice": Operator(
        "one part along channels, or along an axis [start, stop; axis]",
        _slice_shape,
        _slice,
        orders=SAME,
        factors=SAME,
        instructions=_pieces,
        moves=_slice_moves,
    ),
    "shuffle": Operator(
        "channels [groups, C/groups] transposed to [C/groups, groups] [groups]",
        _shuffle_shape,
        _shuffle,
        orders=FIXED,
        factors=SAME,
        instructions=18.0,
        moves=_shuffle_moves,
    ),
    "permute": Operator(
        "output channel i is input channel order[i] [order: list of ints]",
        _permute_shape,
        lambda node, inputs, params: paddle.index_select(
            inputs[0], paddle.to_tensor(node.attrs["order"]), axis=1
        ),
        orders=FIXED,
        factors=SAME,
        instructions=18.0,
        moves=_permute_moves,
    ),
    "reshape": Operator(
        "the same numbers in a row, as another shape [shape: list of ints, without the batch]",
        _reshape_shape,
        lambda node, inputs, params: inputs[0].reshape([inputs[0].shape[0], *node.attrs["shape"]]),
        orders=FIXED,
        factors=FIXED,
        instructions=instructions.COPY,
    ),
    "transpose": Operator(
        "output axis i is input axis axes[i] [axes: list of ints, the first 0]",
        _transpose_shape,
        lambda node, inputs, params: inputs[0].transpose(node.attrs["axes"]),
        orders=_transpose_ways,
        factors=_transpose_ways,
        instructions=_transpose_instructions,
    ),
    "resize_nearest": Operator(
        "[size: 2 ints, height and width]",
        _resized_shape,
        lambda node, inputs, params: F.interpolate(inputs[0], size=node.attrs["size"], mode="nearest"),
        orders=SAME,
        factors=SAME,
        instructions=10.2,
    ),
    "resize_bilinear": Operator(
        "[size: 2 ints; align_corners], half-pixel centres without align_corners",
        _resized_shape,
        _resize_bilinear,
        orders=SAME,
        factors=SAME,
        instructions=21.8,
    ),
    "average_pool": Operator(
        "[size: 2 ints of the output] adaptive average pooling",
        _resized_shape,
        lambda node, inputs, params: F.adaptive_avg_pool2d(inputs[0], node.attrs["size"]),
        orders=SAME,
        factors=SAME,
        instructions=_average_pool_instructions,
    ),
    "max_pool": Operator(
        "[kernel, stride: 2 ints each; padding: 2, or 4: top, bottom, left, right]",
        _max_pool_shape,
        _max_pool,
        orders=SAME,
        factors=SAME,
        instructions=_max_pool_instructions,
    ),
}
