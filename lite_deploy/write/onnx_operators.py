"""How each kind of node is written as ONNX operators of opset 18: one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import helper, numpy_helper

from compress.graph.ir import Node
from compress.graph.ops import Shape
from compress.graph.ops.moving import both_ends
from compress.graph.ops.table import axis_of
from compress.quant.scales import Quantised


@dataclass
class Model:
    """A model under way.

    Attributes:
        nodes: its operators.
        params: its parameters.
        tensors: what each of the graph's tensors is called in it.
        shapes: of the graph's tensors.
        rounded: what the rounded form of a tensor is called.
        quantised: the convolutions that are to run in INT8.
    """

    nodes: list = field(default_factory=list)
    params: list = field(default_factory=list)
    tensors: dict[str, str] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    rounded: dict[str, str] = field(default_factory=dict)
    quantised: Quantised = field(default_factory=dict)

    def param(self, name: str, value: np.ndarray) -> str:
        """Add a parameter and return its name."""
        self.params.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Add int64 constants, such as a shape, and return their name."""
        return self.param(name, np.asarray(values, np.int64))

    def add(self, kind: str, inputs: list[str], outputs: str | list[str], **attrs) -> None:
        """Append an operator."""
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attrs))


Writer = Callable[[Model, Node, list[str], list[str]], None]  # model, node, what it reads and writes


def writer(node: Node) -> Writer:
    """Return the function that writes a node.

    Raises:
        ValueError: there is none for its kind; the node and the kind are named.
    """
    if node.kind not in WRITERS:
        raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which cannot be exported")
    return WRITERS[node.kind]


def _plain(kind: str) -> Writer:
    """Return a writer of one operator of that kind, with the ReLU that a sum may have behind it."""

    def write(out: Model, node: Node, x: list[str], y: list[str]) -> None:
        target = _target(node, y)
        out.add(kind, x, target)
        _relu(out, node, y)

    return write


def _target(node: Node, y: list[str]) -> str:
    """Return what a node's own operators write: its output, or what goes through a ReLU to it."""
    return f"{y[0]}.linear" if node.attrs.get("relu") else y[0]


def _relu(out: Model, node: Node, y: list[str]) -> None:
    if node.attrs.get("relu"):
        out.add("Relu", [_target(node, y)], y[0])


def _write_convolution(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    attrs, weight, bias = node.attrs, node.params["weight"], node.params.get("bias")
    quantised, inputs = out.quantised.get(node.name), list(x)
    if quantised is None:
        inputs.append(out.param(f"{node.name}.weight", weight))
        if bias is not None:
            inputs.append(out.param(f"{node.name}.bias", bias))
    else:
        scale = quantised.scale
        step, steps = np.float32(scale.input / 127), scale.weight / np.float32(127)
        inputs = [_quantised(out, x[0], step)]
        inputs.append(_dequantised(out, f"{node.name}.weight", quantised.weight, steps))
        if bias is not None:
            # In the unit of the accumulator, which is how onnxruntime's INT8 kernels take it.
            limits = np.iinfo(np.int32)
            integers = np.clip(np.round(bias.astype(np.float64) / (step * steps)), limits.min, limits.max)
            inputs.append(_dequantised(out, f"{node.name}.bias", integers.astype(np.int32), step * steps))
    places = {"kernel_shape": weight.shape[2:], "strides": attrs["stride"], "pads": [*attrs["padding"]] * 2}
    if node.kind == "conv2d":
        kind, places["dilations"] = "Conv", attrs["dilation"]
    else:
        kind, places["output_padding"] = "ConvTranspose", attrs["output_padding"]
    out.add(kind, inputs, _target(node, y), group=attrs["groups"], **places)
    _relu(out, node, y)


def _quantised(out: Model, x: str, step: np.float32) -> str:
    """Round a tensor to 255 steps; its readers share one rounding."""
    if x not in out.rounded:
        constants = [
            out.param(f"{x}.step", np.asarray(step, np.float32)),
            out.param(f"{x}.zero", np.asarray(0, np.int8)),
        ]
        out.add("QuantizeLinear", [x, *constants], f"{x}.int8")
        out.add("DequantizeLinear", [f"{x}.int8", *constants], f"{x}.rounded")
        out.rounded[x] = f"{x}.rounded"
    return out.rounded[x]


def _dequantised(out: Model, name: str, integers: np.ndarray, steps: np.ndarray) -> str:
    constants = [
        out.param(f"{name}.integers", integers),
        out.param(f"{name}.steps", steps.astype(np.float32)),
        out.param(f"{name}.zeros", np.zeros(len(steps), integers.dtype)),
    ]
    out.add("DequantizeLinear", constants, name, axis=0)
    return name


def _write_deform(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    """Write a deformable convolution as sampling at all kernel points, and a 1x1 convolution of the samples.

    ONNX has DeformConv since opset 19, but onnxruntime 1.23 cannot run it on a CPU; GridSample it can.
    """
    weight, name = node.params["weight"], y[0]
    _, channels, height, width = out.shapes[node.inputs[0]]
    _, _, rows, columns = out.shapes[node.outputs[0]]
    points = weight.shape[2] * weight.shape[3]
    # The offsets [N, 2 points, rows, columns] as pairs of (row, column) for all points, rows and columns.
    pairs = out.ints(f"{name}.pairs", 0, points, 2, rows * columns)
    out.add("Reshape", [x[1], pairs], f"{name}.paired")
    out.add("Transpose", [f"{name}.paired"], f"{name}.turned", perm=[0, 1, 3, 2])
    out.add("Gather", [f"{name}.turned", out.ints(f"{name}.xy", 1, 0)], f"{name}.moved", axis=3)
    # GridSample counts from -1, the left edge of the first pixel, to 1, the right edge of the last.
    size = np.asarray([width, height], np.float64)
    grid = (2 * _sampled_places(node, rows, columns) + 1) / size - 1
    grid = out.param(f"{name}.grid", grid.astype(np.float32)[None])
    out.add(
        "Mul", [f"{name}.moved", out.param(f"{name}.unit", (2 / size).astype(np.float32))], f"{name}.shift"
    )
    out.add("Add", [f"{name}.shift", grid], f"{name}.places")
    how = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 0}
    out.add(
        "GridSample", [x[0], f"{name}.places"], f"{name}.sampled", **how
    )  # [N, C, points, rows * columns]
    samples = f"{name}.sampled"
    if len(x) == 3:
        each = out.ints(f"{name}.each", 0, 1, points, rows * columns)
        out.add("Reshape", [x[2], each], f"{name}.mask")
        out.add("Mul", [samples, f"{name}.mask"], f"{name}.weighed")
        samples = f"{name}.weighed"
    stacked = out.ints(f"{name}.stacked", 0, channels * points, rows, columns)
    out.add("Reshape", [samples, stacked], f"{name}.columns")
    params = [out.param(f"{node.name}.weight", weight.reshape(len(weight), -1, 1, 1))]
    if "bias" in node.params:
        params.append(out.param(f"{node.name}.bias", node.params["bias"]))
    out.add("Conv", [f"{name}.columns", *params], name, kernel_shape=[1, 1])


def _sampled_places(node: Node, rows: int, columns: int) -> np.ndarray:
    """Return where a convolution reads without offsets: float64 [points, rows * columns, (x, y)], pixels."""
    keys = ("stride", "padding", "dilation")
    axes = []
    for side, kernel, stride, padding, dilation in zip(
        (rows, columns), node.params["weight"].shape[2:], *(node.attrs[key] for key in keys), strict=True
    ):
        axes.append(np.arange(kernel)[:, None] * dilation + np.arange(side) * stride - padding)
    vertical, horizontal = axes  # [kernel, side] each
    shape = (vertical.shape[0], horizontal.shape[0], rows, columns)
    y = np.broadcast_to(vertical[:, None, :, None], shape)
    x = np.broadcast_to(horizontal[None, :, None, :], shape)
    return np.stack([x, y], -1).reshape(-1, rows * columns, 2).astype(np.float64)


def _write_linear(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    factors, bias = [x[0], out.param(f"{node.name}.weight", node.params["weight"])], node.params.get("bias")
    if bias is None:
        out.add("MatMul", factors, y[0])
    else:
        out.add("MatMul", factors, f"{y[0]}.product")
        out.add("Add", [f"{y[0]}.product", out.param(f"{node.name}.bias", bias)], y[0])


def _write_matmul(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    second = x[1]
    if node.attrs["transpose_y"]:
        *batch, rows, columns = range(len(out.shapes[node.inputs[1]]))
        second = f"{y[0]}.turned"
        out.add("Transpose", [x[1]], second, perm=[*batch, columns, rows])
    out.add("MatMul", [x[0], second], y[0])


def _write_batch_norm(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    keys = ("scale", "bias", "mean", "variance")
    params = [out.param(f"{node.name}.{key}", node.params[key]) for key in keys]
    out.add("BatchNormalization", [x[0], *params], y[0], epsilon=node.attrs["epsilon"])


def _write_scale(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    shape = [1, -1, *[1] * (len(out.shapes[node.inputs[0]]) - 2)] if node.kind == "scale" else [-1]
    scale, bias = (
        out.param(f"{node.name}.{key}", node.params[key].reshape(shape)) for key in ("scale", "bias")
    )
    out.add("Mul", [x[0], scale], f"{y[0]}.scaled")
    out.add("Add", [f"{y[0]}.scaled", bias], y[0])


def _write_hard_sigmoid(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    line = {"alpha": float(node.attrs["slope"]), "beta": float(node.attrs["offset"])}
    out.add("HardSigmoid", x, y[0], **line)


def _write_silu(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Sigmoid", x, f"{y[0]}.gate")
    out.add("Mul", [x[0], f"{y[0]}.gate"], y[0])


def _write_power(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    match float(node.attrs["exponent"]):
        case 2.0:
            out.add("Mul", [x[0], x[0]], y[0])
        case 0.5:
            out.add("Sqrt", x, y[0])
        case -0.5:
            out.add("Sqrt", x, f"{y[0]}.root")
            out.add("Reciprocal", [f"{y[0]}.root"], y[0])
        case exponent:
            out.add("Pow", [x[0], out.param(f"{node.name}.exponent", np.float32(exponent).reshape(()))], y[0])


def _write_clip(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    bounds = [
        out.param(f"{node.name}.{key}", np.float32(node.attrs[key]).reshape(())) for key in ("min", "max")
    ]
    out.add("Clip", [x[0], *bounds], y[0])


def _write_softmax(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Softmax", x, y[0], axis=node.attrs["axis"])


def _write_mean(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    axes = out.ints(f"{node.name}.axes", *node.attrs["axes"])
    out.add("ReduceMean", [x[0], axes], y[0], keepdims=int(node.attrs["keep"]))


def _write_concat(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Concat", x, y[0], axis=axis_of(node, len(out.shapes[node.inputs[0]])))


def _write_split(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    sections = out.ints(f"{node.name}.sections", *node.attrs["sections"])
    out.add("Split", [x[0], sections], y, axis=axis_of(node, len(out.shapes[node.inputs[0]])))


def _write_slice(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    start, stop = (out.ints(f"{node.name}.{key}", node.attrs[key]) for key in ("start", "stop"))
    axes = out.ints(f"{node.name}.axes", axis_of(node, len(out.shapes[node.inputs[0]])))
    out.add("Slice", [x[0], start, stop, axes], y[0])


def _write_shuffle(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    groups, (_, channels, height, width) = node.attrs["groups"], out.shapes[node.inputs[0]]
    grouped = out.ints(f"{node.name}.shape5", 0, groups, channels // groups, height, width)
    out.add("Reshape", [x[0], grouped], f"{y[0]}.grouped")
    out.add("Transpose", [f"{y[0]}.grouped"], f"{y[0]}.swapped", perm=[0, 2, 1, 3, 4])
    flat = out.ints(f"{node.name}.shape4", 0, channels, height, width)
    out.add("Reshape", [f"{y[0]}.swapped", flat], y[0])


def _write_permute(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Gather", [x[0], out.ints(f"{node.name}.order", *node.attrs["order"])], y[0], axis=1)


def _write_reshape(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Reshape", [x[0], out.ints(f"{node.name}.shape", 0, *node.attrs["shape"])], y[0])


def _write_transpose(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    out.add("Transpose", x, y[0], perm=node.attrs["axes"])


def _write_resize(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    """Write a resize by scales: sizes would fix the batch, or need `axes`, which ncnn does not take."""
    before = out.shapes[node.inputs[0]][2:]
    scales = [1.0, 1.0, *(_factor(a, b) for a, b in zip(before, node.attrs["size"], strict=True))]
    scales = out.param(f"{node.name}.scales", np.asarray(scales, np.float32))
    if node.kind == "resize_nearest":
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    else:
        corners = "align_corners" if node.attrs.get("align_corners") else "half_pixel"
        how = {"mode": "linear", "coordinate_transformation_mode": corners}
    out.add("Resize", [x[0], "", scales], y[0], **how)


def _factor(before: int, after: int) -> np.float32:
    """Return the factor from one size to another; a reader rounds their product down, so never below."""
    factor = np.float32(after / before)
    return factor if int(before * factor) >= after else np.nextafter(factor, np.float32(np.inf))


def _write_average_pool(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    size, (_, _, height, width) = node.attrs["size"], out.shapes[node.inputs[0]]
    if list(size) == [1, 1]:
        out.add("GlobalAveragePool", x, y[0])
    elif height % size[0] == 0 and width % size[1] == 0:
        window = [height // size[0], width // size[1]]
        out.add("AveragePool", x, y[0], kernel_shape=window, strides=window)
    else:  # ONNX has no adaptive pooling; as a linear map of rows, then of columns, it is exact
        rows = out.param(f"{node.name}.rows", _pooling_matrix(height, size[0]))
        columns = out.param(f"{node.name}.columns", _pooling_matrix(width, size[1]).T)
        out.add("MatMul", [rows, x[0]], f"{y[0]}.squeezed")
        out.add("MatMul", [f"{y[0]}.squeezed", columns], y[0])


def _pooling_matrix(inputs: int, outputs: int) -> np.ndarray:
    """Return float32 [outputs, inputs]: the windows of adaptive average pooling along one axis."""
    matrix = np.zeros((outputs, inputs), np.float32)
    for index in range(outputs):
        start, stop = index * inputs // outputs, -(-(index + 1) * inputs // outputs)
        matrix[index, start:stop] = 1 / (stop - start)
    return matrix


def _write_max_pool(out: Model, node: Node, x: list[str], y: list[str]) -> None:
    attrs = node.attrs
    pads = [border[end] for end in (0, 1) for border in both_ends(attrs["padding"])]
    window = {"kernel_shape": attrs["kernel"], "strides": attrs["stride"], "pads": pads}
    out.add("MaxPool", x, y[0], **window)


WRITERS: dict[str, Writer] = {
    "conv2d": _write_convolution,
    "conv2d_transpose": _write_convolution,
    "deform_conv2d": _write_deform,
    "linear": _write_linear,
    "matmul": _write_matmul,
    "batch_norm": _write_batch_norm,
    "scale": _write_scale,
    "scale_last": _write_scale,
    "relu": _plain("Relu"),
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": _write_hard_sigmoid,
    "hard_swish": _plain("HardSwish"),
    "silu": _write_silu,
    "power": _write_power,
    "clip": _write_clip,
    "softmax": _write_softmax,
    "mean": _write_mean,
    "add": _plain("Add"),
    "multiply": _plain("Mul"),
    "divide": _plain("Div"),
    "concat": _write_concat,
    "split": _write_split,
    "slice": _write_slice,
    "shuffle": _write_shuffle,
    "permute": _write_permute,
    "reshape": _write_reshape,
    "transpose": _write_transpose,
    "resize_nearest": _write_resize,
    "resize_bilinear": _write_resize,
    "average_pool": _write_average_pool,
    "max_pool": _write_max_pool,
}
