"""Compute what an ARM `.nb` computes, instruction by instruction, on any machine.

Paddle-Lite's ARM kernels do not run here, and its x86 INT8 kernels give wrong numbers. This follows the
instructions of the file itself with the arithmetic of the ARM kernels (Paddle-Lite 2.13, read in
lite/backends/arm/math: type_trans.cc, gemm_prepacked_int8.cc, conv_depthwise, conv_block_utils.h):

- `calib` fp32_to_int8 and INT8 convolutions: see `compress.quant.arithmetic`, which `compress quant` measures
  with too;
- FP32 instructions: as they are;
- FP16: the inputs, parameters and results of each instruction are rounded to FP16, the sums inside are not,
  so that the device is a little further off.

It is for verification and for measuring accuracy, not for speed.
"""

from collections.abc import Callable, Iterator

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.vision.ops import deform_conv2d

from compress.quant.arithmetic import int8_convolution, to_int8
from lite_deploy.nb.file import LiteModel, Operator
from tinypose.network import Network

Tensors = dict[str, paddle.Tensor]


def interpreter(model: LiteModel) -> Network:
    """Return a model as a network.

    Raises:
        NotImplementedError: on running, an instruction that pose networks do not have; it is named.
    """

    def run(images: np.ndarray) -> list[np.ndarray]:
        outputs = {
            op.get("col"): tensors[op.inputs["X"][0]].numpy()
            for op, tensors in steps(model, images)
            if op.type == "fetch"
        }
        return [outputs[place] for place in sorted(outputs)]

    return run


def steps(model: LiteModel, images: np.ndarray) -> Iterator[tuple[Operator, Tensors]]:
    """Run a model; after each instruction, yield it with the tensors by name, those it read included.

    What no later instruction reads is let go, so that large networks do not fill the memory.
    """
    last = {name: op for op in model.operators for names in op.inputs.values() for name in names}
    # Parameters in FP16 travel as FP32, as all numbers in FP16 do here.
    half = {
        name: value.astype(np.float32) for name, value in model.params.items() if value.dtype == np.float16
    }
    tensors = {name: paddle.to_tensor(value) for name, value in (model.params | half).items()}
    with paddle.no_grad():
        for op in model.operators:
            if op.type == "feed":
                tensors[op.outputs["Out"][0]] = paddle.to_tensor(images)
            elif op.type != "fetch":
                _execute(op, tensors)
            yield op, tensors
            for name in {name for names in op.inputs.values() for name in names}:
                if last[name] is op:
                    tensors.pop(name, None)


def _execute(op: Operator, tensors: Tensors) -> None:
    """Run one instruction: read from and write to `tensors`."""
    inputs = {slot: [tensors[name] for name in names] for slot, names in op.inputs.items()}
    half = op.precision == "fp16" and op.type != "calib"
    if half:
        inputs = {slot: [_half(value) for value in values] for slot, values in inputs.items()}
    compute = _COMPUTE.get(op.type)
    if compute is None:
        raise NotImplementedError(f"instruction '{op.type}' of a .nb")
    results = compute(op, inputs)
    results = results if isinstance(results, list) else [results]
    slot = "Output" if "Output" in op.outputs else "Y" if "Y" in op.outputs else "Out"
    for name, value in zip(op.outputs[slot], results, strict=True):
        tensors[name] = _half(value) if half else value


def _half(value: paddle.Tensor) -> paddle.Tensor:
    return value.astype("float16").astype("float32") if value.dtype == paddle.float32 else value


def _calib(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    x, scale = inputs["Input"][0], np.float32(op.get("scale", 1.0))
    match op.kernel:
        case "fp32_to_int8":
            return to_int8(x, scale).astype("int8")
        case "int8_to_fp32":
            return x.astype("float32") * float(scale)
        case "fp32_to_fp16" | "fp16_to_fp32":
            return _half(x)
    raise NotImplementedError(f"conversion '{op.kernel}' of a .nb")


def _convolution(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    x, weight = inputs["Input"][0], inputs["Filter"][0]
    bias = inputs["Bias"][0].reshape([1, -1, 1, 1]) if inputs.get("Bias") else None
    padding = op.get("paddings")
    # As [top, bottom, left, right], or one number for both sides.
    padding = padding if len(padding) == 4 else [padding[0]] * 2 + [padding[1]] * 2
    places = {"stride": op.get("strides"), "padding": padding, "groups": op.get("groups")}
    if op.precision == "int8":
        return _int8_convolution(op, x, weight, inputs.get("Bias"), places)
    if op.type == "conv2d_transpose":
        output_padding = op.get("output_padding") or 0
        result = F.conv2d_transpose(x, weight, output_padding=output_padding, **places)
    else:
        result = F.conv2d(x, weight, dilation=op.get("dilations"), **places)
    result = result if bias is None else result + bias
    return _activation(op.get("act_type"), result, op) if op.get("with_act") else result


def _int8_convolution(
    op: Operator, x: paddle.Tensor, weight: paddle.Tensor, bias: list[paddle.Tensor] | None, places: dict
) -> paddle.Tensor:
    weight_step = np.asarray(op.get("Filter0_scale"), np.float32)
    input_step = np.float32(op.get("Input0_scale")[0])
    step = np.float32(op.get("Output0_scale")[0]) if op.kernel == "int8_out" else None
    act = op.get("act_type") if op.get("with_act") else None
    if act not in (None, "relu"):
        raise NotImplementedError(f"activation '{act}' of an INT8 convolution of a .nb")
    places = {**places, "dilation": op.get("dilations")}
    bias = bias[0].numpy().ravel() if bias else None
    result = int8_convolution(x, weight, bias, weight_step, input_step, places, act == "relu", step)
    return result if step is None else result.astype("int8")


def _activation(kind: str, x: paddle.Tensor, op: Operator) -> paddle.Tensor:
    match kind:
        case "relu":
            return F.relu(x)
        case "relu6":
            return paddle.clip(x, 0, op.get("alpha", op.get("fuse_brelu_threshold")))
        case "sigmoid":
            return F.sigmoid(x)
        case "hard_sigmoid":
            return paddle.clip(x * op.get("slope", 0.2) + op.get("offset", 0.5), 0, 1)
        case "hard_swish":
            names = ("threshold", "scale", "offset")
            limit, scale, offset = (op.get(n, op.get(f"hard_swish_{n}")) for n in names)
            return x * paddle.clip(x + offset, 0, limit) / scale
    raise NotImplementedError(f"activation '{kind}' of a .nb")


def _scale(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    slope, offset = op.get("scale"), op.get("bias")
    offset = offset if op.get("bias_after_scale") else offset * slope
    result = inputs["X"][0] * slope + offset
    return _activation(op.get("activation_type"), result, op) if op.get("activation_type") else result


def _batch_norm(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    names = ("Mean", "Variance", "Scale", "Bias")
    mean, variance, scale, bias = (inputs[name][0].reshape([1, -1, 1, 1]) for name in names)
    return (inputs["X"][0] - mean) * (scale / paddle.sqrt(variance + op.get("epsilon"))) + bias


def _two(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    """Add, multiply or divide; the second begins at `axis` of the first, or ends with it."""
    x, y = inputs["X"][0], inputs["Y"][0]
    if y.ndim < x.ndim:
        start = op.get("axis") if op.get("axis") >= 0 else x.ndim - y.ndim
        y = y.reshape([1] * start + list(y.shape) + [1] * (x.ndim - start - y.ndim))
    result = x * y if "mul" in op.type else x / y if "div" in op.type else x + y
    return _activation(op.get("act_type"), result, op) if op.get("act_type") else result


def _deform(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    x, offset, mask, weight = (inputs[slot][0] for slot in ("Input", "Offset", "Mask", "Filter"))
    places = (op.get(name) for name in ("strides", "paddings", "dilations"))
    bias = inputs["Bias"][0] if inputs.get("Bias") else None
    result = deform_conv2d(
        x, offset, weight, bias, *places, op.get("deformable_groups"), op.get("groups"), mask
    )
    return _activation(op.get("act_type"), result, op) if op.get("with_act") else result


def _fc(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    """Multiply by a matrix the last axis; of a `mul`, all behind the first `in_num_col_dims` as one row."""
    x, weight = inputs["Input"][0], inputs["W"][0]
    axes = op.get("in_num_col_dims") if op.get("op_type") == "mul" else x.ndim - 1
    result = x.reshape([*x.shape[:axes], -1]) @ weight
    result = result + inputs["Bias"][0].reshape([-1]) if inputs.get("Bias") else result
    return _activation(op.get("activation_type"), result, op) if op.get("activation_type") else result


def _filled(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    shape = list(op.get("shape"))
    shape[op.get("output_dim_idx")] = inputs["Input"][0].shape[op.get("input_dim_idx")]
    return paddle.full(shape, op.get("value"))


def _slice(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    return paddle.slice(inputs["Input"][0], *(list(op.get(name)) for name in ("axes", "starts", "ends")))


def _resize(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    size, mode = [op.get("out_h"), op.get("out_w")], op.get("interp_method")
    corners = op.get("align_corners") and mode != "nearest"
    return F.interpolate(inputs["X"][0], size=size, mode=mode, align_corners=corners)


def _pool(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    x = inputs["X"][0]
    if op.get("global_pooling"):
        return (
            x.mean([2, 3], keepdim=True) if op.get("pooling_type") == "avg" else x.max([2, 3], keepdim=True)
        )
    if op.get("adaptive"):
        return F.adaptive_avg_pool2d(x, op.get("ksize"))
    pool = F.avg_pool2d if op.get("pooling_type") == "avg" else F.max_pool2d
    return pool(x, op.get("ksize"), op.get("strides"), op.get("paddings"))


def _shuffle(op: Operator, inputs: dict[str, list[paddle.Tensor]]) -> paddle.Tensor:
    x, groups = inputs["X"][0], op.get("group")
    batch, channels, height, width = x.shape
    grouped = x.reshape([batch, groups, channels // groups, height, width])
    return grouped.transpose([0, 2, 1, 3, 4]).reshape(x.shape)


_COMPUTE: dict[str, Callable[[Operator, dict[str, list[paddle.Tensor]]], paddle.Tensor | list]] = {
    "calib": _calib,
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "conv2d_transpose": _convolution,
    "deformable_conv": _deform,
    "fill_constant_batch_size_like": _filled,
    "fc": _fc,
    "matmul_v2": lambda op, inputs: paddle.matmul(
        inputs["X"][0], inputs["Y"][0], op.get("trans_x"), op.get("trans_y")
    ),
    "scale": _scale,
    "swish": lambda op, inputs: inputs["X"][0] * F.sigmoid(op.get("beta") * inputs["X"][0]),
    "square": lambda op, inputs: paddle.square(inputs["X"][0]),
    "sqrt": lambda op, inputs: paddle.sqrt(inputs["X"][0]),
    "rsqrt": lambda op, inputs: paddle.rsqrt(inputs["X"][0]),
    "pow": lambda op, inputs: paddle.pow(inputs["X"][0], op.get("factor")),
    "clip": lambda op, inputs: paddle.clip(inputs["X"][0], op.get("min"), op.get("max")),
    "softmax": lambda op, inputs: F.softmax(inputs["X"][0], axis=op.get("axis")),
    "reduce_mean": lambda op, inputs: paddle.mean(inputs["X"][0], list(op.get("dim")), op.get("keep_dim")),
    "slice": _slice,
    "batch_norm": _batch_norm,
    "relu": lambda op, inputs: F.relu(inputs["X"][0]),
    "sigmoid": lambda op, inputs: F.sigmoid(inputs["X"][0]),
    "hard_sigmoid": lambda op, inputs: _activation("hard_sigmoid", inputs["X"][0], op),
    "hard_swish": lambda op, inputs: _activation("hard_swish", inputs["X"][0], op),
    "elementwise_add": _two,
    "elementwise_mul": _two,
    "elementwise_div": _two,
    "fusion_elementwise_add_activation": _two,
    "fusion_elementwise_mul_activation": _two,
    "concat": lambda op, inputs: paddle.concat(inputs["X"], op.get("axis")),
    "split": lambda op, inputs: paddle.split(
        inputs["X"][0], op.get("sections") or op.get("num"), op.get("axis")
    ),
    "shuffle_channel": _shuffle,
    "gather": lambda op, inputs: paddle.index_select(inputs["X"][0], inputs["Index"][0], op.get("axis")),
    "reshape2": lambda op, inputs: inputs["X"][0].reshape(op.get("shape")),
    "transpose2": lambda op, inputs: inputs["X"][0].transpose(op.get("axis")),
    "nearest_interp_v2": _resize,
    "bilinear_interp_v2": _resize,
    "pool2d": _pool,
}
