"""How sums, products, powers, means and norms are read, which may have constants on one side."""

import math
from collections.abc import Callable

import numpy as np
from paddle.pir import Operation, Value

from compress.graph.trace.reader import Reader

_LIMIT = float(np.finfo(np.float32).max)  # stands for no limit


def plus(reader: Reader, operator: Operation) -> None:
    """Read x + y or x - y, where y may be a tensor, a bias of the layer before it, or constants."""
    first, second = operator.operands_source()
    minus = operator.name() == "pd_op.subtract"
    if first.id in reader.arrays:
        tensor = reader.tensor(second)
        tensor = scaled(reader, tensor, second.shape, np.float32(-1), np.float32(0)) if minus else tensor
        reader.write(operator, scaled(reader, tensor, second.shape, np.float32(1), reader.array(first)))
        return
    if second.id in reader.arrays:
        tensor, values = reader.tensor(first), reader.array(second)
        if not minus and _becomes_bias(reader, tensor, second, values):
            reader.write(operator, tensor)
        else:
            reader.write(
                operator, scaled(reader, tensor, first.shape, np.float32(1), -values if minus else values)
            )
        return
    one, other = reader.tensor(first), reader.tensor(second)
    if minus:
        other = scaled(reader, other, second.shape, np.float32(-1), np.float32(0))
    inputs = [other, one] if math.prod(second.shape) > math.prod(first.shape) else [one, other]
    reader.write(operator, reader.node("add", inputs, attrs={"relu": False}))


def _becomes_bias(reader: Reader, tensor: str, value: Value, values: np.ndarray) -> bool:
    """Give the node before it its bias, if that is what is added; say whether it was."""
    last = reader.nodes[-1] if reader.nodes else None
    owned = last is not None and reader.owners.get(value.id) == last.name.partition("@")[0]
    if not owned or "weight" not in last.params or "bias" in last.params or tensor != last.outputs[0]:
        return False
    channels = {"linear": -1, "conv2d_transpose": 1}.get(last.kind, 0)
    groups = last.attrs["groups"] if last.kind == "conv2d_transpose" else 1
    if values.size != last.params["weight"].shape[channels] * groups:
        return False
    if last.kind != "linear" and values.ndim != 4:
        return False
    last.params["bias"] = np.ascontiguousarray(values.reshape(-1))
    return True


def product(reader: Reader, operator: Operation) -> None:
    """Read x * y, where y may be a tensor or constants."""
    first, second = operator.operands_source()
    if first.id in reader.arrays:
        first, second = second, first
    if second.id in reader.arrays:
        tensor, values = reader.tensor(first), reader.array(second)
        reader.write(operator, scaled(reader, tensor, first.shape, values, np.float32(0)))
        return
    if first.id == second.id:
        _raised(reader, operator, 2.0)
        return
    if math.prod(second.shape) > math.prod(first.shape):
        first, second = second, first
    reader.write(operator, reader.node("multiply", [reader.tensor(first), reader.tensor(second)]))


def quotient(reader: Reader, operator: Operation) -> None:
    """Read x / y, where one may be constants."""
    first, second = operator.operands_source()
    if second.id in reader.arrays:
        factor = np.float32(1) / reader.array(second)
        reader.write(operator, scaled(reader, reader.tensor(first), first.shape, factor, np.float32(0)))
    elif first.id in reader.arrays or math.prod(second.shape) > math.prod(first.shape):
        inverse = reader.node("power", [reader.tensor(second)], attrs={"exponent": -1.0})
        if first.id in reader.arrays:
            inverse = scaled(reader, inverse, second.shape, reader.array(first), np.float32(0))
        else:
            inverse = reader.node("multiply", [inverse, reader.tensor(first)])
        reader.write(operator, inverse)
    else:
        reader.write(operator, reader.node("divide", [reader.tensor(first), reader.tensor(second)]))


def scale(reader: Reader, operator: Operation) -> None:
    source, factor = operator.operands_source()
    attrs = operator.attrs()
    scale, bias = np.float32(reader.arrays[factor.id]), np.float32(attrs["bias"])
    if not attrs["bias_after_scale"]:
        bias = bias * scale
    reader.write(operator, scaled(reader, reader.tensor(source), source.shape, scale, bias))


def scaled(reader: Reader, tensor: str, shape: list[int], scale: np.ndarray, bias: np.ndarray) -> str:
    """Append x * scale + bias for constants along channels or along the last axis; `shape` is that of x."""
    shape = list(shape)
    axes = {_varying(shape, np.asarray(array)) for array in (scale, bias)} - {None}
    if len(axes) > 1 or not axes <= {1, len(shape) - 1}:
        raise NotImplementedError(f"constants that vary along axes {sorted(axes)} of a tensor {shape}")
    axis = axes.pop() if axes else 1
    params = {}
    for key, array in (("scale", scale), ("bias", bias)):
        array = np.asarray(array, np.float32)
        flat = array.reshape(-1) if _varying(shape, array) is not None else array.reshape(-1)[:1]
        params[key] = np.ascontiguousarray(np.broadcast_to(flat, (shape[axis],)))
    return reader.node("scale" if axis == 1 else "scale_last", [tensor], params=params)


def _varying(shape: list[int], array: np.ndarray) -> int | None:
    """Return the axis along which constants that broadcast over a tensor differ; None if they do not."""
    aligned = [1] * (len(shape) - array.ndim) + list(array.shape)
    axes = [axis for axis, side in enumerate(aligned) if side > 1]
    broadcast = len(aligned) == len(shape) and all(aligned[axis] == shape[axis] for axis in axes)
    equal = bool(np.all(array == array.reshape(-1)[0]))
    if not broadcast or (len(axes) > 1 and not equal):
        raise NotImplementedError(f"constants of shape {list(array.shape)} for a tensor {shape}")
    return None if equal else axes[0]


def power(exponent: float) -> Callable[[Reader, Operation], None]:
    return lambda reader, operator: _raised(reader, operator, exponent)


def _raised(reader: Reader, operator: Operation, exponent: float) -> None:
    inputs = [reader.tensor(operator.operands_source()[0])]
    reader.write(operator, reader.node("power", inputs, attrs={"exponent": float(exponent)}))


def pow_(reader: Reader, operator: Operation) -> None:
    """Read a power whose exponent is an attribute or a constant."""
    if operator.name() == "pd_op.pow":
        _raised(reader, operator, operator.attrs()["y"])
        return
    exponent = operator.operands_source()[1]
    if exponent.id not in reader.arrays or reader.arrays[exponent.id].size != 1:
        raise NotImplementedError("a power whose exponent is a tensor")
    _raised(reader, operator, reader.arrays[exponent.id].item())


def clip(reader: Reader, operator: Operation) -> None:
    source, *limits = operator.operands_source()
    lowest, highest = (float(np.clip(reader.arrays[each.id].item(), -_LIMIT, _LIMIT)) for each in limits)
    attrs = {"min": lowest, "max": highest}
    reader.write(operator, reader.node("clip", [reader.tensor(source)], attrs=attrs))


def bounded(reader: Reader, operator: Operation) -> None:
    """Read a maximum or minimum with one constant."""
    first, second = operator.operands_source()
    if first.id in reader.arrays:
        first, second = second, first
    if second.id not in reader.arrays or reader.arrays[second.id].size != 1:
        raise NotImplementedError(f"'{operator.name()}' of two tensors")
    bound = float(reader.arrays[second.id].item())
    bounds = {"min": bound, "max": _LIMIT} if "maximum" in operator.name() else {"min": -_LIMIT, "max": bound}
    reader.write(operator, reader.node("clip", [reader.tensor(first)], attrs=bounds))


def relu6(reader: Reader, operator: Operation) -> None:
    inputs = [reader.tensor(operator.operands_source()[0])]
    reader.write(operator, reader.node("clip", inputs, attrs={"min": 0.0, "max": 6.0}))


def layer_norm(reader: Reader, operator: Operation) -> None:
    """Read a norm over the last axis as its parts."""
    source, scale, bias = operator.operands_source()
    last = len(source.shape) - 1
    if operator.attrs()["begin_norm_axis"] != last:
        raise NotImplementedError("a layer norm over more than the last axis")
    x, over = reader.tensor(source), {"axes": [last], "keep": True}
    mean = reader.node("mean", [x], attrs=over)
    negative = scaled(reader, mean, [*source.shape[:-1], 1], np.float32(-1), np.float32(0))
    centred = reader.node("add", [x, negative], attrs={"relu": False})
    square = reader.node("power", [centred], attrs={"exponent": 2.0})
    variance = reader.node("mean", [square], attrs=over)
    epsilon = np.float32(operator.attrs()["epsilon"])
    shifted = scaled(reader, variance, [*source.shape[:-1], 1], np.float32(1), epsilon)
    factor = reader.node("power", [shifted], attrs={"exponent": -0.5})
    result = reader.node("multiply", [centred, factor])
    if scale.initialized() or bias.initialized():
        ones, zeros = np.ones(source.shape[last], np.float32), np.zeros(source.shape[last], np.float32)
        scale = reader.array(scale) if scale.initialized() else ones
        bias = reader.array(bias) if bias.initialized() else zeros
        result = reader.node("scale_last", [result], params={"scale": scale, "bias": bias})
    reader.write(operator, result)


def norm(reader: Reader, operator: Operation) -> None:
    """Read the Euclidean length along an axis: the root of the mean square, times the root of the count."""
    source, attrs = operator.operands_source()[0], operator.attrs()
    if attrs["porder"] != 2.0 or attrs["asvector"]:
        raise NotImplementedError(f"a norm of order {attrs['porder']}")
    axis = attrs["axis"] % len(source.shape)
    square = reader.node("power", [reader.tensor(source)], attrs={"exponent": 2.0})
    mean = reader.node("mean", [square], attrs={"axes": [axis], "keep": bool(attrs["keepdim"])})
    total = scaled(reader, mean, operator.result(0).shape, np.float32(source.shape[axis]), np.float32(0))
    reader.write(operator, reader.node("power", [total], attrs={"exponent": 0.5}))


def mean(reader: Reader, operator: Operation) -> None:
    reader.write(operator, _mean_node(reader, operator))


def total(reader: Reader, operator: Operation) -> None:
    """Read a sum over axes as their mean, times their count."""
    source, result = operator.operands_source()[0], operator.result(0)
    count = np.float32(math.prod(source.shape) / math.prod(result.shape))
    reader.write(operator, scaled(reader, _mean_node(reader, operator), result.shape, count, np.float32(0)))


def _mean_node(reader: Reader, operator: Operation) -> str:
    source, axes = operator.operands_source()
    ndim, keep = len(source.shape), bool(operator.attrs()["keepdim"])
    axes = sorted(axis % ndim for axis in reader.numbers(axes)) or list(range(ndim))
    x = reader.tensor(source)
    if ndim == 4 and axes == [2, 3]:
        pooled = reader.node("average_pool", [x], attrs={"size": [1, 1]})
        return pooled if keep else reader.node("reshape", [pooled], attrs={"shape": [source.shape[1]]})
    if axes[0] == 0:
        raise NotImplementedError(f"'{operator.name()}' over axes {axes}; axis 0 is the batch")
    return reader.node("mean", [x], attrs={"axes": axes, "keep": keep})
