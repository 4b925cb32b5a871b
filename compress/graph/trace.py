"""From a Paddle layer to a graph: run it once symbolically and read the operators off."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.shapes import infer_shapes

# Operators that only compute with numbers known beforehand, such as sizes.
_CONSTANTS = ("pd_op.full", "pd_op.full_int_array")


def trace(net: paddle.nn.Layer, input_shape: tuple[int, int, int, int] = (1, 3, 256, 192)) -> Graph:
    """Return the inference graph of `net` for one input size.

    The layer is copied and stays as it is. Convolutions and batch norms are named by their layers'
    names in the checkpoint (`backbone.stem.conv1.conv`), other nodes by kind and position. A layer
    that is called again gets `@2` and so on behind its name.

    Args:
        net: a layer whose forward takes one image tensor and returns a tensor or several.
        input_shape: (N, C, H, W) of that image, float32.

    Raises:
        NotImplementedError: the network uses an operator that graphs do not have; it is named.
    """
    copy = deepcopy(net)
    copy.eval()
    with paddle.pir_utils.DygraphPirGuard():
        spec = paddle.static.InputSpec(list(input_shape), "float32", name="image")
        program = paddle.jit.to_static(copy, input_spec=[spec], full_graph=True).forward.concrete_program
        reader = _Reader(copy)
        for operator in program.main_program.global_block().ops:
            reader.read(operator)
        outputs = [reader.tensor(value) for value in program.outputs]
    graph = Graph("image", outputs, _live(reader.nodes, outputs), {})
    graph.shapes = infer_shapes(graph, tuple(input_shape))
    return graph


class _Reader:
    """Reads Paddle's operators in order; collects nodes."""

    def __init__(self, net: paddle.nn.Layer) -> None:
        self.nodes: list[Node] = []
        self.used: dict[str, int] = {}  # how often a name was given
        self.names: dict[str, str] = {}  # value id -> tensor
        self.arrays: dict[str, np.ndarray] = {}  # value id -> parameter or constant
        self.owners: dict[str, str] = {}  # value id of a parameter -> layer
        self.lists: dict[str, list] = {}  # value id of a list of tensors -> its members or its node
        self.shuffles: dict[
            str, tuple[str, list[int], int]
        ] = {}  # value id inside a shuffle -> source, shape, step
        self.layers = {each.name: (name, each) for name, each in net.named_parameters()}
        self.layers |= {each.name: (name, each) for name, each in net.named_buffers()}

    def read(self, operator) -> None:
        name = operator.name()
        inputs = operator.operands_source()
        if name == "builtin.parameter":
            self._parameter(operator)
        elif name in _CONSTANTS:
            self.arrays[operator.result(0).id] = np.asarray(operator.attrs()["value"])
        elif name == "pd_op.data":
            self.names[operator.result(0).id] = "image"
        elif name == "builtin.combine":
            self.lists[operator.result(0).id] = inputs
        elif name == "builtin.split":
            for value, tensor in zip(operator.results(), self.lists[inputs[0].id], strict=True):
                self.names[value.id] = tensor
        elif name == "pd_op.reshape" and inputs[0].id in self.arrays:
            self.arrays[operator.result(0).id] = self.arrays[inputs[0].id].reshape(operator.result(0).shape)
            self.owners[operator.result(0).id] = self.owners.get(inputs[0].id, "")
        elif name in ("pd_op.reshape", "pd_op.transpose"):
            self._shuffle(operator)
        elif name in READERS:
            READERS[name](self, operator)
        else:
            raise NotImplementedError(f"the network uses operator '{name}', which graphs do not have")

    def tensor(self, value) -> str:
        """Return the name of the tensor that holds `value`."""
        if value.id not in self.names:
            raise NotImplementedError(
                f"an operator reads the result of '{value.get_defining_op().name()}' as an image; only "
                "reshape-transpose-reshape shuffles of channels may change the number of axes"
            )
        return self.names[value.id]

    def node(
        self, kind: str, operator, inputs: list[str], name: str | None = None, count: int = 1, **rest
    ) -> Node:
        """Append a node that writes the operator's first result, or `count` tensors."""
        name = name or f"{kind}_{len(self.nodes)}"
        self.used[name] = self.used.get(name, 0) + 1
        if self.used[name] > 1:
            name = f"{name}@{self.used[name]}"
        outputs = [name] if count == 1 else [f"{name}:{index}" for index in range(count)]
        node = Node(kind, name, inputs, outputs, rest.get("attrs", {}), rest.get("params", {}))
        self.nodes.append(node)
        if count == 1:
            self.names[operator.result(0).id] = name
        return node

    def array(self, value) -> np.ndarray:
        """Return a parameter or constant as float32."""
        return np.ascontiguousarray(self.arrays[value.id], dtype=np.float32)

    def _parameter(self, operator) -> None:
        full_name, parameter = self.layers[operator.attrs()["parameter_name"]]
        value = operator.result(0)
        self.arrays[value.id] = parameter.numpy()
        self.owners[value.id] = full_name.rpartition(".")[0]

    def _shuffle(self, operator) -> None:
        """Follow reshape [N, g, C/g, H, W], transpose [0, 2, 1, 3, 4], reshape [N, C, H, W]."""
        value, result = operator.operands_source()[0], operator.result(0)
        before, after = list(value.shape), list(result.shape)
        is_reshape = operator.name() == "pd_op.reshape"
        source, grouped, step = self.shuffles.get(value.id, (None, [], 0))
        if is_reshape and step == 0 and before == after:
            self.names[result.id] = self.tensor(value)
        elif is_reshape and step == 0 and len(after) == 5 and _splits_channels(before, after):
            self.shuffles[result.id] = (self.tensor(value), after, 1)
        elif not is_reshape and step == 1 and list(operator.attrs()["perm"]) == [0, 2, 1, 3, 4]:
            self.shuffles[result.id] = (source, grouped, 2)
        elif is_reshape and step == 2 and len(after) == 4 and _splits_channels(after, grouped):
            self.node("shuffle", operator, [source], attrs={"groups": grouped[1]})
        else:
            raise NotImplementedError(
                f"the network uses '{operator.name()}' from {before} to {after}, which is no part "
                "of a channel shuffle; graphs have no such operator"
            )


def _splits_channels(shape: list[int], into: list[int]) -> bool:
    return into[0] == shape[0] and into[1] * into[2] == shape[1] and into[3:] == shape[2:]


def _convolution(reader: _Reader, operator) -> None:
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
    reader.node(kind, operator, [reader.tensor(source)], reader.owners[weight.id], attrs=kept, params=params)


def _two(padding: list[int]) -> list[int]:
    """Return (vertical, horizontal) padding where each side is padded alike."""
    if len(padding) == 2:
        return list(padding)
    top, bottom, left, right = padding
    if top != bottom or left != right:
        raise NotImplementedError(f"padding that differs between opposite sides: {padding}")
    return [top, left]


def _batch_norm(reader: _Reader, operator) -> None:
    source, mean, variance, scale, bias = operator.operands_source()
    params = {"scale": scale, "bias": bias, "mean": mean, "variance": variance}
    params = {key: reader.array(value) for key, value in params.items()}
    attrs = {"epsilon": float(operator.attrs()["epsilon"])}
    reader.node(
        "batch_norm", operator, [reader.tensor(source)], reader.owners[scale.id], attrs=attrs, params=params
    )


def _arithmetic(reader: _Reader, operator) -> None:
    """Read x + y or x * y, where y may be a tensor, a bias of a convolution or constants per channel."""
    kind = operator.name().removeprefix("pd_op.")
    first, second = operator.operands_source()
    if first.id in reader.arrays:
        first, second = second, first
    if second.id not in reader.arrays:
        if np.prod(second.shape) > np.prod(first.shape):
            first, second = second, first
        attrs = {"relu": False} if kind == "add" else {}
        reader.node(kind, operator, [reader.tensor(first), reader.tensor(second)], attrs=attrs)
        return
    tensor, channels = reader.tensor(first), first.shape[1]
    array = reader.array(second)
    per_channel = array.ndim == 4 and array.size == channels == array.shape[1]
    if array.size != 1 and not per_channel:
        raise NotImplementedError(f"'{operator.name()}' with constants of shape {array.shape}")
    values = np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float32)
    last = reader.nodes[-1] if reader.nodes else None
    owned = last is not None and reader.owners.get(second.id) == last.name.partition("@")[0]
    if (
        kind == "add"
        and owned
        and "weight" in last.params
        and tensor == last.outputs[0]
        and "bias" not in last.params
    ):
        last.params["bias"] = values
        reader.names[operator.result(0).id] = tensor
    elif kind == "add":
        _scale_node(reader, operator, tensor, np.ones_like(values), values)
    else:
        _scale_node(reader, operator, tensor, values, np.zeros_like(values))


def _scale(reader: _Reader, operator) -> None:
    source, factor = operator.operands_source()
    attrs = operator.attrs()
    scale = np.full(source.shape[1], float(reader.arrays[factor.id]), np.float32)
    bias = np.full(source.shape[1], attrs["bias"], np.float32)
    if not attrs["bias_after_scale"]:
        bias = bias * scale
    _scale_node(reader, operator, reader.tensor(source), scale, bias)


def _scale_node(reader: _Reader, operator, tensor: str, scale: np.ndarray, bias: np.ndarray) -> None:
    reader.node("scale", operator, [tensor], params={"scale": scale, "bias": bias})


def _concat(reader: _Reader, operator) -> None:
    members, axis = operator.operands_source()
    _channels_only(operator, int(reader.arrays[axis.id]))
    reader.node("concat", operator, [reader.tensor(value) for value in reader.lists[members.id]])


def _split(reader: _Reader, operator) -> None:
    source, axis = operator.operands_source()[0], operator.operands_source()[-1]
    _channels_only(operator, int(reader.arrays[axis.id]))
    if operator.name() == "pd_op.split_with_num":
        count = operator.attrs()["num"]
        sections = [source.shape[1] // count] * count
    else:
        sections = [int(each) for each in reader.arrays[operator.operands_source()[1].id]]
        if -1 in sections:
            sections[sections.index(-1)] = source.shape[1] - sum(sections) - 1
    attrs = {"sections": sections}
    node = reader.node("split", operator, [reader.tensor(source)], count=len(sections), attrs=attrs)
    reader.lists[operator.result(0).id] = node.outputs


def _channels_only(operator, axis: int) -> None:
    if axis % 4 != 1:
        raise NotImplementedError(
            f"'{operator.name()}' along axis {axis}; graphs have it along channels only"
        )


def _resize(reader: _Reader, operator) -> None:
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
        reader.node("resize_nearest", operator, [reader.tensor(source)], attrs={"size": size})
        return
    if not attrs["align_corners"] and attrs["align_mode"] != 0:
        raise NotImplementedError("a bilinear resize with align_mode 1")
    kept = {"size": size, "align_corners": bool(attrs["align_corners"])}
    reader.node("resize_bilinear", operator, [reader.tensor(source)], attrs=kept)


def _pool(reader: _Reader, operator) -> None:
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
        reader.node("max_pool", operator, [reader.tensor(source)], attrs=kept)
        return
    tiles = (
        kernel == stride
        and padding == [0, 0]
        and all(a % b == 0 for a, b in zip(before, kernel, strict=True))
    )
    if attrs["pooling_type"] != "avg" or not (attrs["adaptive"] or tiles):
        raise NotImplementedError(f"a pooling that is neither plain max nor adaptive average: {attrs}")
    reader.node("average_pool", operator, [reader.tensor(source)], attrs={"size": after})


def _mean(reader: _Reader, operator) -> None:
    source, axes = operator.operands_source()
    axes = sorted(int(axis) % 4 for axis in reader.arrays[axes.id])
    if axes != [2, 3] or not operator.attrs()["keepdim"]:
        raise NotImplementedError(
            f"a mean over axes {axes}; graphs have it over height and width only, keepdim"
        )
    reader.node("average_pool", operator, [reader.tensor(source)], attrs={"size": [1, 1]})


def _dropout(reader: _Reader, operator) -> None:
    source, _, probability = operator.operands_source()
    if operator.attrs()["mode"] == "upscale_in_train":
        _identity(reader, operator)
        return
    kept = np.full(source.shape[1], 1 - float(reader.arrays[probability.id]), np.float32)
    _scale_node(reader, operator, reader.tensor(source), kept, np.zeros_like(kept))


def _identity(reader: _Reader, operator) -> None:
    reader.names[operator.result(0).id] = reader.tensor(operator.operands_source()[0])


def _plain(kind: str) -> Callable[[_Reader, object], None]:
    """Return a reader for an operator with one input and nothing to say."""

    def read(reader: _Reader, operator) -> None:
        reader.node(kind, operator, [reader.tensor(operator.operands_source()[0])])

    return read


def _hard_sigmoid(reader: _Reader, operator) -> None:
    attrs = {key: float(operator.attrs()[key]) for key in ("slope", "offset")}
    reader.node("hard_sigmoid", operator, [reader.tensor(operator.operands_source()[0])], attrs=attrs)


READERS = {
    "pd_op.conv2d": _convolution,
    "pd_op.depthwise_conv2d": _convolution,
    "pd_op.conv2d_transpose": _convolution,
    "pd_op.depthwise_conv2d_transpose": _convolution,
    "pd_op.batch_norm_": _batch_norm,
    "pd_op.batch_norm": _batch_norm,
    "pd_op.relu": _plain("relu"),
    "pd_op.relu_": _plain("relu"),
    "pd_op.sigmoid": _plain("sigmoid"),
    "pd_op.hardswish": _plain("hard_swish"),
    "pd_op.hardsigmoid": _hard_sigmoid,
    "pd_op.add": _arithmetic,
    "pd_op.add_": _arithmetic,
    "pd_op.multiply": _arithmetic,
    "pd_op.scale": _scale,
    "pd_op.scale_": _scale,
    "pd_op.concat": _concat,
    "pd_op.split": _split,
    "pd_op.split_with_num": _split,
    "pd_op.nearest_interp": _resize,
    "pd_op.bilinear_interp": _resize,
    "pd_op.pool2d": _pool,
    "pd_op.mean": _mean,
    "pd_op.dropout": _dropout,
    "pd_op.assign": _identity,
}


def _live(nodes: list[Node], outputs: list[str]) -> list[Node]:
    """Drop nodes whose results nobody reads."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]
