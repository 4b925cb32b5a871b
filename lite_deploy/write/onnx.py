"""Write a graph as ONNX: operators of opset 18, the batch free; INT8 with QuantizeLinear and its inverse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compress.graph.ir import Graph, Node
from compress.quant.scales import ConvScale, check_scales, quantise_weight
from tinypose.files import write_whole


def write_onnx(graph: Graph, path: str | Path, scales: Mapping[str, ConvScale] | None = None) -> None:
    """Write `graph` with input `image`, float32 [N, C, H, W] with N free, and output `heatmaps`.

    Args:
        graph: what to write.
        path: the `.onnx`, written whole or not at all.
        scales: by the name of a convolution, its ranges: these are quantised with the numbers that ARM's
            INT8 kernels use (symmetric, 127 steps each way); none, FP32 throughout.

    Raises:
        UserError: `scales` does not fit the graph.
    """
    scales = dict(scales or {})
    check_scales(graph, scales)
    out = _Model()
    out.tensors[graph.input] = "image"
    labels = ["heatmaps"] if len(graph.outputs) == 1 else [f"output{i}" for i in range(len(graph.outputs))]
    out.tensors |= dict(zip(graph.outputs, labels, strict=True))
    for node in graph.nodes:
        for name in node.outputs:
            out.tensors.setdefault(name, name)
        _write_node(out, node, graph.shapes, scales.get(node.name))
    inputs = [_described("image", graph.shapes[graph.input])]
    outputs = [_described(out.tensors[name], graph.shapes[name]) for name in graph.outputs]
    body = helper.make_graph(out.nodes, "pose", inputs, outputs, out.params)
    # IR version 8 goes with opset 18 and is read by every onnxruntime since 1.14.
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.producer_name = "edge-pose"
    onnx.checker.check_model(model)
    with write_whole(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _described(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape[1:]])


@dataclass
class _Model:
    """A model under way: `tensors` says what each of the graph's tensors is called in it."""

    nodes: list = field(default_factory=list)
    params: list = field(default_factory=list)
    tensors: dict[str, str] = field(default_factory=dict)
    quantised: dict[str, str] = field(default_factory=dict)

    def param(self, name: str, value: np.ndarray) -> str:
        self.params.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], outputs: str | list[str], **attrs) -> None:
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attrs))


_PLAIN = {"relu": "Relu", "sigmoid": "Sigmoid", "hard_swish": "HardSwish", "multiply": "Mul"}


def _write_node(
    out: _Model, node: Node, shapes: Mapping[str, tuple[int, ...]], scale: ConvScale | None
) -> None:
    """Append the operators of one node."""
    x = [out.tensors[name] for name in node.inputs]
    y = [out.tensors[name] for name in node.outputs]
    attrs, shape, name = node.attrs, shapes[node.inputs[0]], node.name
    relu = bool(attrs.get("relu"))
    target = f"{y[0]}.linear" if relu else y[0]
    match node.kind:
        case "conv2d" | "conv2d_transpose":
            _write_convolution(out, node, x[0], target, scale)
        case "batch_norm":
            params = [
                out.param(f"{name}.{key}", node.params[key]) for key in ("scale", "bias", "mean", "variance")
            ]
            out.add("BatchNormalization", [x[0], *params], target, epsilon=attrs["epsilon"])
        case "scale":
            columns = {key: value.reshape(1, -1, 1, 1) for key, value in node.params.items()}
            out.add("Mul", [x[0], out.param(f"{name}.scale", columns["scale"])], f"{target}.scaled")
            out.add("Add", [f"{target}.scaled", out.param(f"{name}.bias", columns["bias"])], target)
        case "relu" | "sigmoid" | "hard_swish" | "multiply":
            out.add(_PLAIN[node.kind], x, target)
        case "add":
            out.add("Add", x, target)
        case "hard_sigmoid":
            out.add("HardSigmoid", x, target, alpha=float(attrs["slope"]), beta=float(attrs["offset"]))
        case "concat":
            out.add("Concat", x, target, axis=1)
        case "split":
            out.add(
                "Split",
                [x[0], out.param(f"{name}.sections", np.asarray(attrs["sections"], np.int64))],
                y,
                axis=1,
            )
        case "shuffle":
            groups, (_, channels, height, width) = attrs["groups"], shape
            grouped = np.asarray([0, groups, channels // groups, height, width], np.int64)
            out.add("Reshape", [x[0], out.param(f"{name}.shape5", grouped)], f"{target}.grouped")
            out.add("Transpose", [f"{target}.grouped"], f"{target}.swapped", perm=[0, 2, 1, 3, 4])
            flat = np.asarray([0, channels, height, width], np.int64)
            out.add("Reshape", [f"{target}.swapped", out.param(f"{name}.shape4", flat)], target)
        case "permute":
            out.add(
                "Gather",
                [x[0], out.param(f"{name}.order", np.asarray(attrs["order"], np.int64))],
                target,
                axis=1,
            )
        case "resize_nearest" | "resize_bilinear":
            _write_resize(out, node, x[0], target)
        case "average_pool":
            _write_average_pool(out, node, shape, x[0], target)
        case "max_pool":
            window = {
                "kernel_shape": attrs["kernel"],
                "strides": attrs["stride"],
                "pads": attrs["padding"] * 2,
            }
            out.add("MaxPool", x, target, **window)
        case _:
            raise ValueError(f"node '{name}' is of kind '{node.kind}', which cannot be exported")
    if relu:
        out.add("Relu", [target], y[0])


def _write_convolution(out: _Model, node: Node, x: str, y: str, scale: ConvScale | None) -> None:
    attrs, weight, bias = node.attrs, node.params["weight"], node.params.get("bias")
    inputs = [x]
    if scale is None:
        inputs.append(out.param(f"{node.name}.weight", weight))
        if bias is not None:
            inputs.append(out.param(f"{node.name}.bias", bias))
    else:
        step, steps = np.float32(scale.input / 127), scale.weight / np.float32(127)
        inputs = [_quantised(out, x, step)]
        integers = quantise_weight(weight, scale.weight)
        inputs.append(_dequantised(out, f"{node.name}.weight", integers, steps))
        if bias is not None:
            # In the unit of the accumulator, which is how onnxruntime's INT8 kernels take it.
            limits = np.iinfo(np.int32)
            integers = np.clip(np.round(bias.astype(np.float64) / (step * steps)), limits.min, limits.max)
            inputs.append(_dequantised(out, f"{node.name}.bias", integers.astype(np.int32), step * steps))
    places = {"kernel_shape": weight.shape[2:], "strides": attrs["stride"], "pads": [*attrs["padding"]] * 2}
    if node.kind == "conv2d":
        out.add("Conv", inputs, y, group=attrs["groups"], dilations=attrs["dilation"], **places)
    else:
        places["output_padding"] = attrs["output_padding"]
        out.add("ConvTranspose", inputs, y, group=attrs["groups"], **places)


def _quantised(out: _Model, x: str, step: np.float32) -> str:
    """Round a tensor to 255 steps; its readers share one rounding."""
    if x not in out.quantised:
        constants = [
            out.param(f"{x}.step", np.asarray(step, np.float32)),
            out.param(f"{x}.zero", np.asarray(0, np.int8)),
        ]
        out.add("QuantizeLinear", [x, *constants], f"{x}.int8")
        out.add("DequantizeLinear", [f"{x}.int8", *constants], f"{x}.rounded")
        out.quantised[x] = f"{x}.rounded"
    return out.quantised[x]


def _dequantised(out: _Model, name: str, integers: np.ndarray, steps: np.ndarray) -> str:
    constants = [
        out.param(f"{name}.integers", integers),
        out.param(f"{name}.steps", steps.astype(np.float32)),
        out.param(f"{name}.zeros", np.zeros(len(steps), integers.dtype)),
    ]
    out.add("DequantizeLinear", constants, name, axis=0)
    return name


def _write_resize(out: _Model, node: Node, x: str, y: str) -> None:
    sizes = out.param(f"{node.name}.size", np.asarray(node.attrs["size"], np.int64))
    if node.kind == "resize_nearest":
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    else:
        corners = "align_corners" if node.attrs.get("align_corners") else "half_pixel"
        how = {"mode": "linear", "coordinate_transformation_mode": corners}
    out.add("Resize", [x, "", "", sizes], y, axes=[2, 3], **how)


def _write_average_pool(out: _Model, node: Node, shape: tuple[int, ...], x: str, y: str) -> None:
    size = node.attrs["size"]
    if list(size) == [1, 1]:
        out.add("GlobalAveragePool", [x], y)
    elif shape[2] % size[0] == 0 and shape[3] % size[1] == 0:
        window = [shape[2] // size[0], shape[3] // size[1]]
        out.add("AveragePool", [x], y, kernel_shape=window, strides=window)
    else:  # ONNX has no adaptive pooling; as a linear map of rows, then of columns, it is exact
        rows = out.param(f"{node.name}.rows", _pooling_matrix(shape[2], size[0]))
        columns = out.param(f"{node.name}.columns", _pooling_matrix(shape[3], size[1]).T)
        out.add("MatMul", [rows, x], f"{y}.squeezed")
        out.add("MatMul", [f"{y}.squeezed", columns], y)


def _pooling_matrix(inputs: int, outputs: int) -> np.ndarray:
    """Return float32 [outputs, inputs]: the windows of adaptive average pooling along one axis."""
    matrix = np.zeros((outputs, inputs), np.float32)
    for index in range(outputs):
        start, stop = index * inputs // outputs, -(-(index + 1) * inputs // outputs)
        matrix[index, start:stop] = 1 / (stop - start)
    return matrix
