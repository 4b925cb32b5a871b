"""Write a graph as a Paddle inference model: `.pdmodel` (ProgramDesc) and `.pdiparams`.

The program is made operator by operator, not by tracing a layer, so that nothing stands in it but what
computes: names of one or two letters, no stack traces, no roles, biases that Paddle-Lite can fuse. Every
byte of a program goes through the optimiser into the `.nb`.

A quantised convolution is written as PaddleSlim's QAT writes it (`onnx_format=False`), which is what
Paddle-Lite's `lite_quant_dequant_fuse_pass` turns into INT8 kernels: its input passes through
`fake_quantize_dequantize_moving_average_abs_max` and its weight through
`fake_channel_wise_quantize_dequantize_abs_max`, each with the stored abs-max as scale.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from paddle.base.proto import framework_pb2 as proto

from compress.graph.ir import Graph, Node
from compress.quant.scales import ConvScale, check_scales, quantise_weight
from tinypose.files import write_whole

VERSION = 3003001  # of Paddle, as its own writer of 3.3.1 puts it; 2.x and Paddle-Lite read it
_DTYPES = {"float32": proto.VarType.FP32, "int32": proto.VarType.INT32, "int64": proto.VarType.INT64}


def write_program(
    graph: Graph,
    folder: str | Path,
    scales: Mapping[str, ConvScale] | None = None,
    stem: str = "model",
    fuse_shuffles: bool = True,
    copy_rows: bool = False,
) -> None:
    """Write `folder/model.pdmodel` and `folder/model.pdiparams`.

    The input is called `image`, float32 [N, C, H, W] with N free; a single output is called `heatmaps`.

    Args:
        graph: what to write.
        folder: made if it is not there.
        scales: by the name of a convolution, its ranges: these run in INT8; none, FP32 throughout.
        stem: the files' name.
        fuse_shuffles: write channel shuffles so that Paddle-Lite makes one instruction of each; without,
            they are written as Paddle's own export writes them, which stays three.
        copy_rows: write enlargements by whole factors as one of the width and copies of the rows.
            Paddle-Lite's nearest resize converts coordinates number by number, about 9.5 instructions each;
            so only one of two, or four, is made that way, and the others are copied.

    Raises:
        UserError: `scales` does not fit the graph.
    """
    desc, params = build_program(graph, scales, fuse_shuffles, copy_rows)
    with write_whole(Path(folder) / f"{stem}.pdmodel") as temporary:
        temporary.write_bytes(desc.SerializeToString())
    with write_whole(Path(folder) / f"{stem}.pdiparams") as temporary:
        temporary.write_bytes(b"".join(_tensor_stream(params[name]) for name in sorted(params)))


def build_program(
    graph: Graph,
    scales: Mapping[str, ConvScale] | None = None,
    fuse_shuffles: bool = True,
    copy_rows: bool = False,
) -> tuple[proto.ProgramDesc, dict[str, np.ndarray]]:
    """Return the program and its parameters by name; see `write_program`."""
    scales = dict(scales or {})
    check_scales(graph, scales)
    out = _Program(fuse_shuffles=fuse_shuffles, copy_rows=copy_rows)
    out.tensors[graph.input] = out.variable("image", graph.shapes[graph.input])
    for index, name in enumerate(graph.outputs):
        label = "heatmaps" if len(graph.outputs) == 1 else f"output{index}"
        out.tensors[name] = out.variable(label, graph.shapes[name])
    for name, kind in (("feed", proto.VarType.FEED_MINIBATCH), ("fetch", proto.VarType.FETCH_LIST)):
        variable = out.block.vars.add(name=name, persistable=True)
        variable.type.type = kind
    out.operator("feed", {"X": "feed"}, {"Out": out.tensors[graph.input]}, col=0)
    for node in graph.nodes:
        for name in node.outputs:
            if name not in out.tensors:
                out.tensors[name] = out.variable(out.label(), graph.shapes[name])
        _write_node(out, node, graph.shapes, scales.get(node.name))
    for index, name in enumerate(graph.outputs):
        out.operator("fetch", {"X": out.tensors[name]}, {"Out": "fetch"}, col=index)
    out.desc.version.version = VERSION
    return out.desc, out.params


@dataclass
class _Program:
    """A program under way: `tensors` says what each of the graph's tensors is called in it."""

    desc: proto.ProgramDesc = field(default_factory=proto.ProgramDesc)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    quantised: dict[str, str] = field(default_factory=dict)
    count: int = 0
    fuse_shuffles: bool = True
    copy_rows: bool = False

    @property
    def block(self) -> proto.BlockDesc:
        return self.desc.blocks[0] if self.desc.blocks else self.desc.blocks.add(idx=0, parent_idx=-1)

    def label(self) -> str:
        """Return the next of a, b, ... z, aa, ab, ..."""
        number, text = self.count, ""
        self.count += 1
        while True:
            text = chr(ord("a") + number % 26) + text
            number = number // 26 - 1
            if number < 0:
                return text

    def variable(self, name: str, shape: tuple[int, ...], dtype: str = "float32", param: bool = False) -> str:
        variable = self.block.vars.add(name=name, persistable=param)
        variable.type.type = proto.VarType.DENSE_TENSOR
        tensor = variable.type.dense_tensor.tensor
        tensor.data_type = _DTYPES[dtype]
        tensor.dims.extend(shape if param else (-1, *shape[1:]))
        return name

    def param(self, value: np.ndarray) -> str:
        name = self.variable(self.label(), value.shape, value.dtype.name, param=True)
        self.params[name] = np.ascontiguousarray(value)
        return name

    def operator(self, kind: str, inputs: dict, outputs: dict, **attrs: Any) -> None:
        op = self.block.ops.add(type=kind)
        for slots, places in ((inputs, op.inputs), (outputs, op.outputs)):
            for parameter, names in slots.items():
                places.add(parameter=parameter, arguments=[names] if isinstance(names, str) else names)
        for name, value in attrs.items():
            _set_attr(op.attrs.add(name=name), value)


def _set_attr(attr: proto.OpDesc.Attr, value: bool | int | float | str | list) -> None:
    if isinstance(value, bool):
        attr.type, attr.b = proto.BOOLEAN, value
    elif isinstance(value, int):
        attr.type, attr.i = proto.INT, value
    elif isinstance(value, float):
        attr.type, attr.f = proto.FLOAT, value
    elif isinstance(value, str):
        attr.type, attr.s = proto.STRING, value
    else:
        attr.type = proto.INTS
        attr.ints.extend(value)


def _write_node(
    out: _Program, node: Node, shapes: Mapping[str, tuple[int, ...]], scale: ConvScale | None
) -> None:
    """Append the operators of one node."""
    inputs = [out.tensors[name] for name in node.inputs]
    results = [out.tensors[name] for name in node.outputs]
    attrs, shape = node.attrs, shapes[node.inputs[0]]
    x, y = {"X": inputs[0]}, {"Out": results[0]}
    match node.kind:
        case "conv2d" | "conv2d_transpose":
            _write_convolution(out, node, inputs[0], results[0], shapes[node.outputs[0]], scale)
        case "batch_norm" | "scale":
            _write_batch_norm(out, node, inputs[0], results[0])
        case "relu" | "sigmoid":
            out.operator(node.kind, x, y)
        case "hard_sigmoid":
            out.operator("hard_sigmoid", x, y, slope=float(attrs["slope"]), offset=float(attrs["offset"]))
        case "hard_swish":
            out.operator("hard_swish", x, y, threshold=6.0, scale=6.0, offset=3.0)
        case "add":
            added = out.variable(out.label(), shapes[node.outputs[0]]) if attrs.get("relu") else results[0]
            out.operator("elementwise_add", {"X": inputs[0], "Y": inputs[1]}, {"Out": added}, axis=-1)
            if attrs.get("relu"):
                out.operator("relu", {"X": added}, y)
        case "multiply":
            out.operator("elementwise_mul", {"X": inputs[0], "Y": inputs[1]}, y, axis=-1)
        case "concat":
            out.operator("concat", {"X": inputs}, y, axis=1)
        case "split":
            out.operator("split", x, {"Out": results}, axis=1, num=0, sections=list(attrs["sections"]))
        case "shuffle":
            _write_shuffle(out, attrs["groups"], shape, inputs[0], results[0])
        case "permute":
            order = out.param(np.asarray(attrs["order"], np.int32))
            out.operator("gather", {"X": inputs[0], "Index": order}, y, axis=1)
        case "resize_nearest" if out.copy_rows and _row_copies(shape, attrs["size"]):
            _write_row_copies(out, node, shape, inputs[0], results[0])
        case "resize_nearest" | "resize_bilinear":
            _write_resize(out, node, inputs[0], results[0])
        case "average_pool":
            _write_average_pool(out, attrs["size"], shape, inputs[0], results[0])
        case "max_pool":
            window = {"ksize": attrs["kernel"], "strides": attrs["stride"], "paddings": attrs["padding"]}
            out.operator("pool2d", x, y, pooling_type="max", **_ints(window), **_POOL)
        case _:
            raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which cannot be exported")


_POOL = {"global_pooling": False, "adaptive": False, "ceil_mode": False, "exclusive": True}
_POOL |= {"data_format": "NCHW", "padding_algorithm": "EXPLICIT"}


def _ints(attrs: Mapping[str, Any]) -> dict[str, list[int]]:
    return {name: [int(each) for each in value] for name, value in attrs.items()}


def _write_convolution(
    out: _Program, node: Node, x: str, y: str, shape: tuple[int, ...], scale: ConvScale | None
) -> None:
    attrs, weight, bias = node.attrs, node.params["weight"], node.params.get("bias")
    depthwise = node.kind == "conv2d" and weight.shape[1] == 1 and attrs["groups"] == weight.shape[0] > 1
    places = _ints({"strides": attrs["stride"], "paddings": attrs["padding"]})
    places["dilations"] = _ints({"dilations": attrs.get("dilation", (1, 1))})["dilations"]
    if node.kind == "conv2d_transpose":
        places["output_padding"] = _ints({"o": attrs["output_padding"]})["o"]
    if scale is None:
        filters = out.param(weight)
    else:
        x = _fake_quantised(out, x, scale.input)
        filters = _fake_quantised_weight(out, weight, scale)
    # Convolution, bias, activation: each but the last writes to a tensor of its own.
    steps = ["convolution", *["bias"] * (bias is not None), *["relu"] * bool(attrs.get("relu"))]
    names = [out.variable(out.label(), shape) for _ in steps[1:]] + [y]
    out.operator(
        "depthwise_conv2d" if depthwise else node.kind,
        {"Input": x, "Filter": filters},
        {"Output": names[0]},
        groups=int(attrs["groups"]),
        data_format="NCHW",
        padding_algorithm="EXPLICIT",
        **places,
    )
    for step, before, after in zip(steps[1:], names, names[1:], strict=False):
        if step == "bias":  # one number a channel along axis 1: the form that Paddle-Lite fuses
            inputs = {"X": before, "Y": out.param(bias)}
            out.operator("elementwise_add", inputs, {"Out": after}, axis=1)
        else:
            out.operator("relu", {"X": before}, {"Out": after})


def _fake_quantised(out: _Program, x: str, threshold: float) -> str:
    """Round a tensor to 255 steps; the readers of a tensor share one rounding."""
    if x not in out.quantised:
        scale = out.param(np.asarray([threshold], np.float32))
        shape = next(tuple(v.type.dense_tensor.tensor.dims) for v in out.block.vars if v.name == x)
        out.quantised[x] = out.variable(out.label(), shape)
        out.operator(
            "fake_quantize_dequantize_moving_average_abs_max",
            {"X": x, "InScale": scale},
            {"Out": out.quantised[x], "OutScale": scale},
            bit_length=8,
            is_test=True,
            moving_rate=0.9,
            round_type=1,
        )
    return out.quantised[x]


def _fake_quantised_weight(out: _Program, weight: np.ndarray, scale: ConvScale) -> str:
    # Stored as the exact multiples that the device will hold: Paddle-Lite divides by the scale and rounds
    # without clipping, so that a weight beyond a clipped range would wrap around.
    steps = (scale.weight / np.float32(127)).reshape(-1, 1, 1, 1)
    filters = out.param((quantise_weight(weight, scale.weight) * steps).astype(np.float32))
    rounded = out.variable(out.label(), weight.shape, param=True)
    out.block.vars[-1].persistable = False
    out.operator(
        "fake_channel_wise_quantize_dequantize_abs_max",
        {"X": filters},
        {"Out": rounded, "OutScale": out.param(scale.weight)},
        bit_length=8,
        quant_axis=0,
        round_type=1,
    )
    return rounded


def _write_batch_norm(out: _Program, node: Node, x: str, y: str) -> None:
    """Write a batch norm; `scale` is one with mean 0 and variance 1."""
    params = {name: node.params[name] for name in ("scale", "bias")}
    count = params["scale"].shape
    params["mean"] = node.params.get("mean", np.zeros(count, np.float32))
    params["variance"] = node.params.get("variance", np.ones(count, np.float32))
    names = {name: out.param(value) for name, value in params.items()}
    saved = [out.variable(out.label(), (-1, *count)) for _ in range(2)]
    out.operator(
        "batch_norm",
        {"X": x, "Scale": names["scale"], "Bias": names["bias"]}
        | {"Mean": names["mean"], "Variance": names["variance"]},
        {"Y": y, "MeanOut": names["mean"], "VarianceOut": names["variance"]}
        | {"SavedMean": saved[0], "SavedVariance": saved[1]},
        epsilon=float(node.attrs.get("epsilon", 0.0)),
        momentum=0.9,
        is_test=True,
        use_global_stats=True,
        trainable_statistics=False,
        data_layout="NCHW",
    )


def _write_shuffle(out: _Program, groups: int, shape: tuple[int, ...], x: str, y: str) -> None:
    _, channels, height, width = shape
    grouped = [-1, groups, channels // groups, height, width]
    swapped = [-1, channels // groups, groups, height, width]
    a, b = out.variable(out.label(), tuple(grouped)), out.variable(out.label(), tuple(swapped))
    steps = [
        ("reshape2", x, a, shape, {"shape": grouped}),
        ("transpose2", a, b, grouped, {"axis": [0, 2, 1, 3, 4]}),
    ]
    steps.append(("reshape2", b, y, swapped, {"shape": [-1, channels, height, width]}))
    for kind, source, result, before, attrs in steps:
        outputs = {"Out": result}
        # Paddle-Lite's lite_shuffle_channel_fuse_pass looks for a transposition that also notes its input's
        # shape, as Paddle 2 wrote it; Paddle 3 leaves that output away.
        if kind == "reshape2" or out.fuse_shuffles:
            outputs["XShape"] = out.variable(out.label(), (0, *before))
        out.operator(kind, {"X": source}, outputs, **attrs)


def _write_resize(out: _Program, node: Node, x: str, y: str) -> None:
    kind = node.kind.removeprefix("resize_")
    height, width = node.attrs["size"]
    out.operator(
        f"{kind}_interp_v2",
        {"X": x},
        {"Out": y},
        out_d=-1,
        out_h=int(height),
        out_w=int(width),
        align_corners=bool(node.attrs.get("align_corners", False)),
        align_mode=0,
        interp_method=kind,
        data_layout="NCHW",
    )


def _row_copies(shape: tuple[int, ...], size: list[int]) -> int:
    """Return how often each row is repeated in an enlargement to `size`; 0 if it is better resized.

    Small tensors do not pay for more operators.
    """
    _, channels, height, width = shape
    exact = size[0] % height == 0 and size[0] > height and size[1] % width == 0
    return size[0] // height if exact and channels * size[0] * size[1] >= 4096 else 0


def _write_row_copies(out: _Program, node: Node, shape: tuple[int, ...], x: str, y: str) -> None:
    """Enlarge the width alone, put copies of each row beside each other, and call them rows of their own."""
    _, channels, height, _ = shape
    rows, wide = node.attrs["size"]
    copies = rows // height
    widened = out.variable(out.label(), (-1, channels, height, wide))
    _write_resize(out, replace(node, attrs={**node.attrs, "size": [height, wide]}), x, widened)
    beside = out.variable(out.label(), (-1, channels, height, copies * wide))
    out.operator("concat", {"X": [widened] * copies}, {"Out": beside}, axis=3)
    noted = out.variable(out.label(), (0, -1, channels, height, copies * wide))
    outputs = {"Out": y, "XShape": noted}
    out.operator("reshape2", {"X": beside}, outputs, shape=[-1, channels, rows, wide])


def _write_average_pool(out: _Program, size: list[int], shape: tuple[int, ...], x: str, y: str) -> None:
    # Windows of one size are plain pooling, which runtimes do faster than the adaptive kind.
    even = shape[2] % size[0] == 0 and shape[3] % size[1] == 0
    window = [shape[2] // size[0], shape[3] // size[1]] if even else list(size)
    attrs = _POOL | {"adaptive": not even, "global_pooling": list(size) == [1, 1]}
    places = _ints({"ksize": window, "strides": window if even else [1, 1], "paddings": [0, 0]})
    out.operator("pool2d", {"X": x}, {"Out": y}, pooling_type="avg", **places, **attrs)


def _tensor_stream(value: np.ndarray) -> bytes:
    """Return a parameter as Paddle stores it: version, no levels of detail, description, numbers."""
    desc = proto.VarType.TensorDesc(data_type=_DTYPES[value.dtype.name], dims=value.shape).SerializeToString()
    return struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc + value.tobytes()
