"""How each of Paddle's operators is read into a graph: one table."""

from collections.abc import Callable

import numpy as np
from paddle.pir import Operation

from compress.graph.trace import arithmetic
from compress.graph.trace.reader import Reader

_VIEWS = ("reshape", "transpose", "flatten", "squeeze", "unsqueeze")


def read(reader: Reader, operator: Operation) -> None:
    """Read one operator: append its nodes, or note its constants.

    Raises:
        NotImplementedError: graphs have no such operator; it is named.
    """
    name = operator.name()
    inputs = operator.operands_source()
    if name == "builtin.parameter":
        reader.parameter(operator)
    elif name in ("pd_op.full", "pd_op.full_int_array"):
        reader.arrays[operator.result(0).id] = np.asarray(operator.attrs()["value"])
    elif name == "pd_op.full_like":
        value = float(reader.arrays[inputs[1].id])
        reader.arrays[operator.result(0).id] = np.full(operator.result(0).shape, value, np.float32)
    elif name == "pd_op.assign_value_":
        values = np.asarray(operator.attrs()["values"]).reshape(operator.result(0).shape)
        reader.arrays[operator.result(0).id] = values
    elif name == "pd_op.data":
        reader.write(operator, "image")
    elif name == "builtin.combine":
        reader.lists[operator.result(0).id] = inputs
    elif name == "builtin.split":
        for value, tensor in zip(operator.results(), reader.lists[inputs[0].id], strict=True):
            reader.name(value, tensor)
    elif inputs and inputs[0].id in reader.arrays and name.removeprefix("pd_op.") in (*_VIEWS, "slice"):
        _constant(reader, operator)
    elif name in READERS:
        READERS[name](reader, operator)
    else:
        raise NotImplementedError(f"the network uses operator '{name}', which graphs do not have")


def _constant(reader: Reader, operator: Operation) -> None:
    """Note what a view or a part of a constant is."""
    value, result = operator.operands_source()[0], operator.result(0)
    array = reader.arrays[value.id]
    if operator.name() == "pd_op.transpose":
        array = array.transpose(operator.attrs()["perm"])
    elif operator.name() == "pd_op.slice":
        for axis, start, stop in _bounds(reader, operator):
            array = np.take(array, np.arange(start, stop), axis=axis)
    reader.arrays[result.id] = array.reshape(result.shape)
    reader.owners[result.id] = reader.owners.get(value.id, "")


def _convolution(reader: Reader, operator: Operation) -> None:
    source, weight = operator.operands_source()[:2]
    attrs = operator.attrs()
    if attrs["padding_algorithm"] != "EXPLICIT" or attrs["data_format"] != "NCHW":
        raise NotImplementedError(
            f"a convolution with padding '{attrs['padding_algorithm']}' and {attrs['data_format']}"
        )
    kept = {
        "stride": list(attrs["strides"]),
        "padding": _two(attrs["paddings"]),
        "dilation": list(attrs["dilations"]),
        "groups": int(attrs["groups"]),
        "relu": False,
    }
    kind = "conv2d_transpose" if "transpose" in operator.name() else "conv2d"
    if kind == "conv2d_transpose":
        if kept.pop("dilation") != [1, 1]:
            raise NotImplementedError("a transposed convolution with dilation")
        kept["output_padding"] = list(attrs["output_padding"]) or [0, 0]
    params = {"weight": reader.array(weight)}
    name = reader.owners[weight.id]
    reader.write(operator, reader.node(kind, [reader.tensor(source)], name, attrs=kept, params=params))


def _deformable(reader: Reader, operator: Operation) -> None:
    x, offset, weight, mask = operator.operands_source()
    attrs = operator.attrs()
    if attrs["groups"] != 1 or attrs["deformable_groups"] != 1:
        raise NotImplementedError("a deformable convolution with groups")
    kept = {"stride": list(attrs["strides"]), "padding": _two(attrs["paddings"])}
    kept["dilation"] = list(attrs["dilations"])
    inputs = [reader.tensor(x), reader.tensor(offset)]
    if mask.initialized() and not (mask.id in reader.arrays and np.all(reader.arrays[mask.id] == 1)):
        inputs.append(reader.tensor(mask))
    name, params = reader.owners[weight.id], {"weight": reader.array(weight)}
    reader.write(operator, reader.node("deform_conv2d", inputs, name, attrs=kept, params=params))


def _two(padding: list[int]) -> list[int]:
    """Return (vertical, horizontal) padding where each side is padded alike."""
    if len(padding) == 2:
        return list(padding)
    top, bottom, left, right = padding
    if top != bottom or left != right:
        raise NotImplementedError(f"padding that differs between opposite sides: {padding}")
    return [top, left]


def _batch_norm(reader: Reader, operator: Operation) -> None:
    source, mean, variance, scale, bias = operator.operands_source()
    params = {"scale": scale, "bias": bias, "mean": mean, "variance": variance}
    params = {key: reader.array(value) for key, value in params.items()}
    attrs = {"epsilon": float(operator.attrs()["epsilon"])}
    inputs, name = [reader.tensor(source)], reader.owners[scale.id]
    reader.write(operator, reader.node("batch_norm", inputs, name, attrs=attrs, params=params))


def _softmax(reader: Reader, operator: Operation) -> None:
    source = operator.operands_source()[0]
    attrs = {"axis": operator.attrs()["axis"] % len(source.shape)}
    reader.write(operator, reader.node("softmax", [reader.tensor(source)], attrs=attrs))


def _matmul(reader: Reader, operator: Operation) -> None:
    first, second = operator.operands_source()
    attrs = operator.attrs()
    turned = {key: bool(attrs.get(key, False)) for key in ("transpose_x", "transpose_y")}
    x = reader.tensor(first)
    if turned["transpose_x"]:
        *batch, rows, columns = range(len(first.shape))
        x = reader.node("transpose", [x], attrs={"axes": [*batch, columns, rows]})
    if second.id not in reader.arrays:
        kept = {"transpose_y": turned["transpose_y"]}
        reader.write(operator, reader.node("matmul", [x, reader.tensor(second)], attrs=kept))
        return
    weight = reader.array(second)
    if weight.ndim != 2:
        raise NotImplementedError(f"a product with constants of shape {list(weight.shape)}")
    params = {"weight": np.ascontiguousarray(weight.T) if turned["transpose_y"] else weight}
    reader.write(operator, reader.node("linear", [x], reader.owners.get(second.id) or None, params=params))


def _concat(reader: Reader, operator: Operation) -> None:
    members, axis = operator.operands_source()
    attrs = _along(operator, reader.arrays[axis.id], len(operator.result(0).shape))
    parts = [reader.tensor(value) for value in reader.lists[members.id]]
    reader.write(operator, reader.node("concat", parts, attrs=attrs))


def _stack(reader: Reader, operator: Operation) -> None:
    members, shape = operator.operands_source()[0], list(operator.result(0).shape)
    attrs = _along(operator, operator.attrs()["axis"], len(shape))
    axis = attrs.get("axis", 1)
    single = [*shape[1:axis], 1, *shape[axis + 1 :]]
    parts = [reader.tensor(value) for value in reader.lists[members.id]]
    parts = [reader.node("reshape", [part], attrs={"shape": single}) for part in parts]
    reader.write(operator, reader.node("concat", parts, attrs=attrs))


def _split(reader: Reader, operator: Operation) -> None:
    source, axis = operator.operands_source()[0], operator.operands_source()[-1]
    attrs = _along(operator, reader.arrays[axis.id], len(source.shape))
    length = source.shape[attrs.get("axis", 1)]
    if operator.name() == "pd_op.split_with_num":
        count = operator.attrs()["num"]
        sections = [length // count] * count
    else:
        sections = reader.numbers(operator.operands_source()[1])
        if -1 in sections:
            sections[sections.index(-1)] = length - sum(sections) - 1
    tensor, attrs = reader.tensor(source), {"sections": sections, **attrs}
    parts = reader.node("split", [tensor], count=len(sections), attrs=attrs)
    reader.lists[operator.result(0).id] = [parts] if len(sections) == 1 else parts


def _along(operator: Operation, axis: int | np.ndarray, ndim: int) -> dict[str, int]:
    """Return the attribute of what works along an axis: none where those are the channels."""
    axis = int(axis) % ndim
    if axis == 0:
        raise NotImplementedError(f"'{operator.name()}' along axis 0, which is the batch")
    return {} if axis == 1 else {"axis": axis}


def _slice(reader: Reader, operator: Operation) -> None:
    source, result = operator.operands_source()[0], operator.result(0)
    tensor = reader.tensor(source)
    for axis, start, stop in _bounds(reader, operator):
        if (start, stop) != (0, source.shape[axis]):
            attrs = {"start": start, "stop": stop, **_along(operator, axis, len(source.shape))}
            tensor = reader.node("slice", [tensor], attrs=attrs)
    dropped = operator.attrs()["decrease_axis"]
    if 0 in dropped:
        raise NotImplementedError(f"'{operator.name()}' of the batch")
    if dropped:
        tensor = reader.node("reshape", [tensor], attrs={"shape": list(result.shape[1:])})
    reader.write(operator, tensor)


def _bounds(reader: Reader, operator: Operation) -> list[tuple[int, int, int]]:
    """Return (axis, start, stop) of a slice, counted from the front."""
    source, starts, stops = operator.operands_source()
    bounds = []
    axes = operator.attrs()["axes"]
    for axis, start, stop in zip(axes, reader.numbers(starts), reader.numbers(stops), strict=True):
        length = source.shape[axis]
        bounds.append((axis, *(min(max(n + length if n < 0 else n, 0), length) for n in (start, stop))))
    return bounds


def _view(reader: Reader, operator: Operation) -> None:
    """Read a reshape or a transposition, or a channel shuffle of three of them.

    That is reshape to [N, g, C/g, H, W], transpose [0, 2, 1, 3, 4], reshape to [N, C, H, W]. What may be the
    beginning of one waits until something else reads it.
    """
    value, result = operator.operands_source()[0], operator.result(0)
    before, after = list(value.shape), list(result.shape)
    _, source, grouped, step = reader.pending.get(value.id, (None, None, [], 0))
    if operator.name() == "pd_op.transpose":
        if step == 1 and list(operator.attrs()["perm"]) == [0, 2, 1, 3, 4]:
            reader.pending[result.id] = (operator, source, grouped, 2)
            return
    elif step == 0 and len(before) == 4 and len(after) == 5 and _splits_channels(before, after):
        reader.pending[result.id] = (operator, reader.tensor(value), after, 1)
        return
    elif step == 2 and len(after) == 4 and _splits_channels(after, grouped):
        reader.write(operator, reader.node("shuffle", [source], attrs={"groups": grouped[1]}))
        return
    reader.view(operator)


def _splits_channels(shape: list[int], into: list[int]) -> bool:
    return into[0] == shape[0] and into[1] * into[2] == shape[1] and into[3:] == shape[2:]


def _resize(reader: Reader, operator: Operation) -> None:
    source, attrs = operator.operands_source()[0], operator.attrs()
    size, before = list(operator.result(0).shape[2:]), list(source.shape[2:])
    if (
        attrs["out_h"] <= 0
        and [side * scale for side, scale in zip(before, attrs["scale"], strict=True)] != size
    ):
        raise NotImplementedError(f"a resize from {before} by {attrs['scale']}, which is not a whole size")
    if operator.name() == "pd_op.nearest_interp":
        if attrs["align_corners"]:
            raise NotImplementedError("a nearest resize with align_corners")
        reader.write(operator, reader.node("resize_nearest", [reader.tensor(source)], attrs={"size": size}))
        return
    if not attrs["align_corners"] and attrs["align_mode"] != 0:
        raise NotImplementedError("a bilinear resize with align_mode 1")
    kept = {"size": size, "align_corners": bool(attrs["align_corners"])}
    reader.write(operator, reader.node("resize_bilinear", [reader.tensor(source)], attrs=kept))


def _pool(reader: Reader, operator: Operation) -> None:
    source, kernel = operator.operands_source()
    attrs = operator.attrs()
    kernel = [int(each) for each in reader.arrays[kernel.id]]
    before, after = list(source.shape[2:]), list(operator.result(0).shape[2:])
    stride, padding = list(attrs["strides"]), _two(attrs["paddings"])
    if attrs["global_pooling"]:
        kernel, stride, padding = before, before, [0, 0]
    if attrs["pooling_type"] == "max" and not attrs["adaptive"]:
        if attrs["ceil_mode"]:
            raise NotImplementedError("a max pooling with ceil_mode")
        kept = {"kernel": kernel, "stride": stride, "padding": padding}
        reader.write(operator, reader.node("max_pool", [reader.tensor(source)], attrs=kept))
        return
    tiles = (
        kernel == stride
        and padding == [0, 0]
        and all(a % b == 0 for a, b in zip(before, kernel, strict=True))
    )
    if attrs["pooling_type"] != "avg" or not (attrs["adaptive"] or tiles):
        raise NotImplementedError(f"a pooling that is neither plain max nor adaptive average: {attrs}")
    reader.write(operator, reader.node("average_pool", [reader.tensor(source)], attrs={"size": after}))


def _dropout(reader: Reader, operator: Operation) -> None:
    source, _, probability = operator.operands_source()
    if operator.attrs()["mode"] == "upscale_in_train":
        _identity(reader, operator)
        return
    kept = np.float32(1 - float(reader.arrays[probability.id]))
    scaled = arithmetic.scaled(reader, reader.tensor(source), source.shape, kept, np.float32(0))
    reader.write(operator, scaled)


def _identity(reader: Reader, operator: Operation) -> None:
    reader.write(operator, reader.tensor(operator.operands_source()[0]))


def _plain(kind: str) -> Callable[[Reader, Operation], None]:
    """Return a reader for an operator with one input and nothing to say."""

    def read_one(reader: Reader, operator: Operation) -> None:
        reader.write(operator, reader.node(kind, [reader.tensor(operator.operands_source()[0])]))

    return read_one


def _hard_sigmoid(reader: Reader, operator: Operation) -> None:
    attrs = {key: float(operator.attrs()[key]) for key in ("slope", "offset")}
    inputs = [reader.tensor(operator.operands_source()[0])]
    reader.write(operator, reader.node("hard_sigmoid", inputs, attrs=attrs))


READERS: dict[str, Callable[[Reader, Operation], None]] = {
    "pd_op.conv2d": _convolution,
    "pd_op.depthwise_conv2d": _convolution,
    "pd_op.conv2d_transpose": _convolution,
    "pd_op.depthwise_conv2d_transpose": _convolution,
    "pd_op.deformable_conv": _deformable,
    "pd_op.matmul": _matmul,
    "pd_op.bmm": _matmul,
    "pd_op.batch_norm_": _batch_norm,
    "pd_op.batch_norm": _batch_norm,
    "pd_op.layer_norm": arithmetic.layer_norm,
    "pd_op.p_norm": arithmetic.norm,
    "pd_op.relu": _plain("relu"),
    "pd_op.relu_": _plain("relu"),
    "pd_op.relu6": arithmetic.relu6,
    "pd_op.sigmoid": _plain("sigmoid"),
    "pd_op.silu": _plain("silu"),
    "pd_op.swish": _plain("silu"),
    "pd_op.hardswish": _plain("hard_swish"),
    "pd_op.hardsigmoid": _hard_sigmoid,
    "pd_op.softmax": _softmax,
    "pd_op.clip": arithmetic.clip,
    "pd_op.maximum": arithmetic.bounded,
    "pd_op.minimum": arithmetic.bounded,
    "pd_op.square": arithmetic.power(2.0),
    "pd_op.sqrt": arithmetic.power(0.5),
    "pd_op.rsqrt": arithmetic.power(-0.5),
    "pd_op.reciprocal": arithmetic.power(-1.0),
    "pd_op.pow": arithmetic.pow_,
    "pd_op.elementwise_pow": arithmetic.pow_,
    "pd_op.add": arithmetic.plus,
    "pd_op.add_": arithmetic.plus,
    "pd_op.subtract": arithmetic.plus,
    "pd_op.multiply": arithmetic.product,
    "pd_op.divide": arithmetic.quotient,
    "pd_op.scale": arithmetic.scale,
    "pd_op.scale_": arithmetic.scale,
    "pd_op.concat": _concat,
    "pd_op.stack": _stack,
    "pd_op.split": _split,
    "pd_op.split_with_num": _split,
    "pd_op.slice": _slice,
    "pd_op.reshape": _view,
    "pd_op.transpose": _view,
    "pd_op.flatten": _view,
    "pd_op.squeeze": _view,
    "pd_op.unsqueeze": _view,
    "pd_op.nearest_interp": _resize,
    "pd_op.bilinear_interp": _resize,
    "pd_op.pool2d": _pool,
    "pd_op.mean": arithmetic.mean,
    "pd_op.sum": arithmetic.total,
    "pd_op.dropout": _dropout,
    "pd_op.assign": _identity,
}
