"""How each kind of node is written into a Paddle program: one table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from compress.graph.ir import Node
from compress.graph.ops import Shape
from compress.graph.ops.products import is_depthwise
from compress.graph.ops.table import axis_of
from compress.quant.scales import QuantisedConv
from lite_deploy.write.program import Program, ints

Writer = Callable[[Program, Node, list[str], list[str]], None]  # program, node, what it reads and writes

_POOL = {"global_pooling": False, "adaptive": False, "ceil_mode": False, "exclusive": True}
_POOL |= {"data_format": "NCHW", "padding_algorithm": "EXPLICIT"}


def writer(node: Node) -> Writer:
    """Return the function that writes a node.

    Raises:
        ValueError: programs have no such kind; the node and the kind are named.
    """
    if node.kind not in WRITERS:
        raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which cannot be exported")
    return WRITERS[node.kind]


def _one(kind: str, **attrs: Any) -> Writer:
    """Return a writer of an operator that reads X and writes Out."""

    def write(out: Program, node: Node, x: list[str], y: list[str]) -> None:
        out.operator(kind, {"X": x[0]}, {"Out": y[0]}, **attrs)

    return write


def _two(kind: str) -> Writer:
    """Return a writer of an operator that reads X and Y, with the ReLU that a sum may have behind it."""

    def write(out: Program, node: Node, x: list[str], y: list[str]) -> None:
        relu = bool(node.attrs.get("relu"))
        result = out.between(out.shapes[y[0]]) if relu else y[0]
        out.operator(kind, {"X": x[0], "Y": x[1]}, {"Out": result}, axis=-1)
        if relu:
            out.operator("relu", {"X": result}, {"Out": y[0]})

    return write


def _write_convolution(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    attrs, weight, bias = node.attrs, node.params["weight"], node.params.get("bias")
    depthwise = node.kind == "conv2d" and is_depthwise(node) and attrs["groups"] > 1
    places = ints(node, strides="stride", paddings="padding")
    if node.kind == "conv2d":
        places |= ints(node, dilations="dilation")
    else:
        places |= {"dilations": [1, 1]} | ints(node, output_padding="output_padding")
    quantised, source = out.quantised.get(node.name), x[0]
    if quantised is None:
        filters = out.param(weight)
    else:
        source = _fake_quantised(out, source, quantised.scale.input)
        filters = _fake_quantised_weight(out, quantised)
    # Convolution, bias, activation: each but the last writes to a tensor of its own.
    steps = ["convolution", *["bias"] * (bias is not None), *["relu"] * bool(attrs.get("relu"))]
    names = [out.between(out.shapes[y[0]]) for _ in steps[1:]] + y
    out.operator(
        "depthwise_conv2d" if depthwise else node.kind,
        {"Input": source, "Filter": filters},
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


def _fake_quantised(out: Program, x: str, threshold: float) -> str:
    """Round a tensor to 255 steps; the readers of a tensor share one rounding."""
    if x not in out.rounded:
        scale = out.param(np.asarray([threshold], np.float32))
        out.rounded[x] = out.between(out.shapes[x])
        out.operator(
            "fake_quantize_dequantize_moving_average_abs_max",
            {"X": x, "InScale": scale},
            {"Out": out.rounded[x], "OutScale": scale},
            bit_length=8,
            is_test=True,
            moving_rate=0.9,
            round_type=1,
        )
    return out.rounded[x]


def _fake_quantised_weight(out: Program, quantised: QuantisedConv) -> str:
    # Stored as the exact multiples that the device will hold: Paddle-Lite divides by the scale and rounds
    # without clipping, so that a weight beyond a clipped range would wrap around.
    limits = quantised.scale.weight
    steps = (limits / np.float32(127)).reshape(-1, 1, 1, 1)
    filters = out.param((quantised.weight * steps).astype(np.float32))
    rounded = out.variable(out.label(), quantised.weight.shape, param=True)
    out.block.vars[-1].persistable = False
    out.operator(
        "fake_channel_wise_quantize_dequantize_abs_max",
        {"X": filters},
        {"Out": rounded, "OutScale": out.param(limits)},
        bit_length=8,
        quant_axis=0,
        round_type=1,
    )
    return rounded


def _write_deform(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    """Write a deformable convolution, always with a mask: Paddle-Lite has no kernel without one."""
    shape, bias = out.shapes[y[0]], node.params.get("bias")
    mask = x[2] if len(x) == 3 else None
    if mask is None:
        size = [-1, int(np.prod(node.params["weight"].shape[2:])), *shape[2:]]
        mask = out.between(tuple(size))
        like = {"input_dim_idx": 0, "output_dim_idx": 0, "dtype": 5, "force_cpu": False}  # 5: float32
        ones = {"shape": size, "value": 1.0, "str_value": "1"}
        out.operator("fill_constant_batch_size_like", {"Input": x[1]}, {"Out": mask}, **ones, **like)
    result = y[0] if bias is None else out.between(shape)
    out.operator(
        "deformable_conv",
        {"Input": x[0], "Offset": x[1], "Mask": mask, "Filter": out.param(node.params["weight"])},
        {"Output": result},
        groups=1,
        deformable_groups=1,
        im2col_step=1,
        **ints(node, strides="stride", paddings="padding", dilations="dilation"),
    )
    if bias is not None:
        # With as many axes as the tensor: Paddle Inference loses sight of `axis` when it fuses sum and ReLU.
        inputs = {"X": result, "Y": out.param(bias.reshape(1, -1, 1, 1))}
        out.operator("elementwise_add", inputs, {"Out": y[0]}, axis=-1)


def _write_linear(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    bias = node.params.get("bias")
    result = y[0] if bias is None else out.between(out.shapes[y[0]])
    factors = {"X": x[0], "Y": out.param(node.params["weight"])}
    out.operator("matmul_v2", factors, {"Out": result}, trans_x=False, trans_y=False)
    if bias is not None:
        out.operator("elementwise_add", {"X": result, "Y": out.param(bias)}, {"Out": y[0]}, axis=-1)


def _write_matmul(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    turned = bool(node.attrs["transpose_y"])
    out.operator("matmul_v2", {"X": x[0], "Y": x[1]}, {"Out": y[0]}, trans_x=False, trans_y=turned)


def _write_batch_norm(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    """Write a batch norm; `scale` is one with mean 0 and variance 1."""
    params = {name: node.params[name] for name in ("scale", "bias")}
    count = params["scale"].shape
    params["mean"] = node.params.get("mean", np.zeros(count, np.float32))
    params["variance"] = node.params.get("variance", np.ones(count, np.float32))
    names = {name: out.param(value) for name, value in params.items()}
    saved = [out.variable(out.label(), (-1, *count)) for _ in range(2)]
    out.operator(
        "batch_norm",
        {"X": x[0], "Scale": names["scale"], "Bias": names["bias"]}
        | {"Mean": names["mean"], "Variance": names["variance"]},
        {"Y": y[0], "MeanOut": names["mean"], "VarianceOut": names["variance"]}
        | {"SavedMean": saved[0], "SavedVariance": saved[1]},
        epsilon=float(node.attrs.get("epsilon", 0.0)),
        momentum=0.9,
        is_test=True,
        use_global_stats=True,
        trainable_statistics=False,
        data_layout="NCHW",
    )


def _write_scale(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    """Write x * scale + bias: feature maps as a batch norm, others as product and sum."""
    if len(out.shapes[x[0]]) == 4 and node.kind == "scale":
        _write_batch_norm(out, node, x, y)
        return
    scale, bias = node.params["scale"], node.params["bias"]
    if np.all(scale == scale[0]) and np.all(bias == bias[0]):
        attrs = {"scale": float(scale[0]), "bias": float(bias[0]), "bias_after_scale": True}
        out.operator("scale", {"X": x[0]}, {"Out": y[0]}, **attrs)
        return
    steps = [("elementwise_mul", scale)] * bool(np.any(scale != 1))
    steps += [("elementwise_add", bias)] * bool(np.any(bias != 0))
    names = [x[0], *(out.between(out.shapes[y[0]]) for _ in steps[1:]), y[0]]
    axis = 1 if node.kind == "scale" else -1
    if node.kind != "scale":  # row by row: Paddle-Lite takes 20 times as long where it has to repeat them
        shape = (1, *out.shapes[x[0]][1:])
        steps = [(kind, np.ascontiguousarray(np.broadcast_to(values, shape))) for kind, values in steps]
    for (kind, values), before, after in zip(steps, names[:-1], names[1:], strict=True):
        out.operator(kind, {"X": before, "Y": out.param(values)}, {"Out": after}, axis=axis)


def _write_power(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    exponent = float(node.attrs["exponent"])
    # Each with a kernel of its own; `pow` goes through logarithms, which negative numbers do not have.
    kind = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt"}.get(exponent)
    if kind is not None:
        out.operator(kind, {"X": x[0]}, {"Out": y[0]})
    else:
        out.operator("pow", {"X": x[0]}, {"Out": y[0]}, factor=exponent)


def _write_mean(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    """Write a mean axis by axis, the last first: Paddle-Lite knows few sets of several axes."""
    *earlier, first = node.attrs["axes"]
    source, shape, keep = x[0], list(out.shapes[x[0]]), bool(node.attrs["keep"])
    for axis in (first, *reversed(earlier)):
        shape = shape[:axis] + [1] * keep + shape[axis + 1 :]
        result = y[0] if axis == node.attrs["axes"][0] else out.between(tuple(shape))
        attrs = {"dim": [axis], "keep_dim": keep, "reduce_all": False}
        out.operator("reduce_mean", {"X": source}, {"Out": result}, **attrs)
        source = result


def _write_clip(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    bounds = {key: float(node.attrs[key]) for key in ("min", "max")}
    out.operator("clip", {"X": x[0]}, {"Out": y[0]}, **bounds)


def _write_softmax(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    out.operator("softmax", {"X": x[0]}, {"Out": y[0]}, axis=int(node.attrs["axis"]))


def _write_hard_sigmoid(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    line = {key: float(node.attrs[key]) for key in ("slope", "offset")}
    out.operator("hard_sigmoid", {"X": x[0]}, {"Out": y[0]}, **line)


def _write_concat(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    out.operator("concat", {"X": x}, {"Out": y[0]}, axis=axis_of(node, len(out.shapes[x[0]])))


def _write_split(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    axis = axis_of(node, len(out.shapes[x[0]]))
    out.operator("split", {"X": x[0]}, {"Out": y}, axis=axis, num=0, sections=list(node.attrs["sections"]))


def _write_slice(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    out.operator(
        "slice",
        {"Input": x[0]},
        {"Out": y[0]},
        axes=[axis_of(node, len(out.shapes[x[0]]))],
        starts=[node.attrs["start"]],
        ends=[node.attrs["stop"]],
        infer_flags=[1],
        decrease_axis=[],
    )


def _write_shuffle(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    groups, (_, channels, height, width) = node.attrs["groups"], out.shapes[x[0]]
    grouped = [-1, groups, channels // groups, height, width]
    swapped = [-1, channels // groups, groups, height, width]
    a, b = out.between(tuple(grouped)), out.between(tuple(swapped))
    _view(out, "reshape2", x[0], a, shape=grouped)
    # Paddle-Lite's lite_shuffle_channel_fuse_pass looks for a transposition that also notes its input's
    # shape, as Paddle 2 wrote it; Paddle 3 leaves that output away.
    _view(out, "transpose2", a, b, noted=out.fuse_shuffles, axis=[0, 2, 1, 3, 4])
    _view(out, "reshape2", b, y[0], shape=[-1, channels, height, width])


def _view(out: Program, kind: str, x: str, y: str, noted: bool = True, **attrs: Any) -> None:
    """Write a reshape or a transposition, which notes the shape before it."""
    outputs = {"Out": y}
    if noted:
        outputs["XShape"] = out.variable(out.label(), (0, *out.shapes[x]))
    out.operator(kind, {"X": x}, outputs, **attrs)


def _write_permute(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    order = out.param(np.asarray(node.attrs["order"], np.int32))
    out.operator("gather", {"X": x[0], "Index": order}, {"Out": y[0]}, axis=1)


def _write_reshape(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    _view(out, "reshape2", x[0], y[0], shape=[-1, *node.attrs["shape"]])


def _write_transpose(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    _view(out, "transpose2", x[0], y[0], axis=list(node.attrs["axes"]))


def _write_resize(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    kind, shape = node.kind.removeprefix("resize_"), out.shapes[x[0]]
    if node.kind == "resize_nearest" and out.copy_rows and _row_copies(shape, node.attrs["size"]):
        _write_row_copies(out, node, x[0], y[0])
        return
    height, width = node.attrs["size"]
    attrs = {"scale": np.zeros(0, np.float32)} if out.portable else {}
    out.operator(
        f"{kind}_interp_v2",
        {"X": x[0]},
        {"Out": y[0]},
        out_d=-1,
        out_h=int(height),
        out_w=int(width),
        align_corners=bool(node.attrs.get("align_corners", False)),
        align_mode=0,
        interp_method=kind,
        data_layout="NCHW",
        **attrs,
    )


def _row_copies(shape: Shape, size: list[int]) -> int:
    """Return how often each row is repeated in an enlargement to `size`; 0 if it is better resized.

    Small tensors do not pay for more operators.
    """
    _, channels, height, width = shape
    exact = size[0] % height == 0 and size[0] > height and size[1] % width == 0
    return size[0] // height if exact and channels * size[0] * size[1] >= 4096 else 0


def _write_row_copies(out: Program, node: Node, x: str, y: str) -> None:
    """Enlarge the width alone, put copies of each row beside each other, and call them rows of their own."""
    _, channels, height, _ = out.shapes[x]
    rows, wide = node.attrs["size"]
    copies = rows // height
    widened = out.between((-1, channels, height, wide))
    _write_resize(out, replace(node, attrs={**node.attrs, "size": [height, wide]}), [x], [widened])
    beside = out.between((-1, channels, height, copies * wide))
    out.operator("concat", {"X": [widened] * copies}, {"Out": beside}, axis=3)
    _view(out, "reshape2", beside, y, shape=[-1, channels, rows, wide])


def _write_average_pool(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    # Windows of one size are plain pooling, which runtimes do faster than the adaptive kind.
    size, (_, _, height, width) = list(node.attrs["size"]), out.shapes[x[0]]
    even = height % size[0] == 0 and width % size[1] == 0
    window = [height // size[0], width // size[1]] if even else size
    attrs = _POOL | {"adaptive": not even, "global_pooling": size == [1, 1]}
    places = {"ksize": window, "strides": window if even else [1, 1], "paddings": [0, 0]}
    out.operator("pool2d", {"X": x[0]}, {"Out": y[0]}, pooling_type="avg", **places, **attrs)


def _write_max_pool(out: Program, node: Node, x: list[str], y: list[str]) -> None:
    window = ints(node, ksize="kernel", strides="stride", paddings="padding")
    out.operator("pool2d", {"X": x[0]}, {"Out": y[0]}, pooling_type="max", **window, **_POOL)


WRITERS: dict[str, Writer] = {
    "conv2d": _write_convolution,
    "conv2d_transpose": _write_convolution,
    "deform_conv2d": _write_deform,
    "linear": _write_linear,
    "matmul": _write_matmul,
    "batch_norm": _write_batch_norm,
    "scale": _write_scale,
    "scale_last": _write_scale,
    "relu": _one("relu"),
    "sigmoid": _one("sigmoid"),
    "hard_sigmoid": _write_hard_sigmoid,
    "hard_swish": _one("hard_swish", threshold=6.0, scale=6.0, offset=3.0),
    # `silu` has no FP16 kernel on ARM, and `swish` without `beta` ends the optimiser.
    "silu": _one("swish", beta=1.0),
    "power": _write_power,
    "clip": _write_clip,
    "softmax": _write_softmax,
    "mean": _write_mean,
    "add": _two("elementwise_add"),
    "multiply": _two("elementwise_mul"),
    "divide": _two("elementwise_div"),
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
