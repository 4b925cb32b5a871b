"""How many instructions a `.nb` takes on ARM: an estimate by counting, for one thread and one image.

The counts are those of `compress.graph.kernels`, `compress.graph.instructions` and of the table of operators,
for the instructions that are in the file, at the precision that each has.
"""

import math

import numpy as np
import paddle

from compress.graph import instructions, kernels
from compress.graph.ops import OPERATORS
from lite_deploy.nb.file import LiteModel, Operator
from lite_deploy.nb.interpret import steps

# What kind of node an instruction is that costs so much for each number written. In FP16 those of the first
# table work on eight numbers at once, the others number by number as in FP32.
VECTORS = {
    "elementwise_add": "add",
    "fusion_elementwise_add_activation": "add",
    "elementwise_mul": "multiply",
    "fusion_elementwise_mul_activation": "multiply",
    "elementwise_div": "divide",
    "batch_norm": "batch_norm",
    "relu": "relu",
    "hard_sigmoid": "hard_sigmoid",
    "hard_swish": "hard_swish",
    "sigmoid": "sigmoid",
    "swish": "silu",
    "softmax": "softmax",
}
SCALARS = {
    "nearest_interp_v2": "resize_nearest",
    "bilinear_interp_v2": "resize_bilinear",
    "shuffle_channel": "shuffle",
    "gather": "permute",
    "clip": "clip",
}
POWERS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5}


def estimate(model: LiteModel, size: tuple[int, int], sdot: bool = True) -> float:
    """Return the instructions of one inference, one thread.

    Args:
        model: a `.nb` for ARM, as this project writes it.
        size: height and width of the input.
        sdot: whether INT8 is multiplied with it.
    """
    fixed = instructions.FIXED["fp16" if model.precision() == "fp16" else "fp32"]
    types: dict[str, str] = {}
    total = 0.0
    for op, tensors in steps(model, np.zeros((1, 3, *size), np.float32)):
        read = [name for names in op.inputs.values() for name in names if name not in model.params]
        written = _type(op, [types[name] for name in read if name in types])
        types |= {name: written for names in op.outputs.values() for name in names}
        if op.type not in ("feed", "fetch"):
            inputs = [tensors[name] for name in read]
            count = _convolution(op, tensors, model, inputs, sdot)
            total += fixed + _work(op, tensors, model, inputs, written) if count is None else count
    return total


def _type(op: Operator, read: list[str]) -> str:
    """Return the type of what an instruction writes."""
    if op.type == "calib":
        return op.kernel.split("_to_")[1]
    if op.precision == "any":
        return read[0] if read else "fp32"
    return "fp32" if op.precision == "int8" and op.kernel != "int8_out" else op.precision


def _convolution(
    op: Operator, tensors: dict[str, paddle.Tensor], model: LiteModel, read: list[paddle.Tensor], sdot: bool
) -> float | None:
    """Return all the instructions of a convolution or a conversion to INT8; None: it is something else."""
    if op.type == "calib" and op.kernel == "fp32_to_int8":
        return kernels.conversion(int(read[0].size))
    if op.type not in ("conv2d", "depthwise_conv2d", "conv2d_transpose", "depthwise_conv2d_transpose"):
        return None
    weight, result = model.params[op.inputs["Filter"][0]].shape, tensors[op.outputs["Output"][0]]
    half = op.precision == "fp16"
    if "transpose" in op.type:
        places = op.get("groups"), math.prod(op.get("strides")), tuple(read[0].shape[2:]), int(result.size)
        return kernels.transposed(weight, *places, "half" if half else "float")
    kernel = "half" if half else "float"
    if op.precision == "int8":
        kernel = "whole" if op.kernel == "int8_out" else "wide"
    shape = weight, op.get("groups"), math.prod(op.get("strides")), tuple(result.shape[2:])
    return kernels.convolution(*shape, kernel, sdot)


def _work(
    op: Operator, tensors: dict[str, paddle.Tensor], model: LiteModel, read: list[paddle.Tensor], written: str
) -> float:
    slot = next(slot for slot in ("Output", "Y", "Out") if slot in op.outputs)
    results = [tensors[name] for name in op.outputs[slot]]
    count = sum(int(each.size) for each in results)
    half = 0.5 if written == "fp16" else 1.0
    match op.type:
        case "deformable_conv":
            outputs, *depth = model.params[op.inputs["Filter"][0]].shape
            depth, places = math.prod(depth), math.prod(results[0].shape[2:])
            return instructions.sampling(depth, places) + instructions.product(outputs, depth, places)
        case "matmul_v2" | "fc":
            *_, columns = results[0].shape
            depth = tensors[op.inputs["X" if op.type == "matmul_v2" else "Input"][0]].shape[-1]
            return instructions.product(count // columns, depth, columns, op.precision)
        case "split" | "concat" | "slice":
            axis = op.get("axes")[0] if op.type == "slice" else op.get("axis")
            runs = math.prod((results if op.type == "concat" else read)[0].shape[:axis])
            return instructions.moving(max(len(read), len(results)), runs, half * count)
        case "reshape2" | "fill_constant_batch_size_like":
            return 0.0 if op.get("inplace") else instructions.COPY * half * count
        case "calib":
            return (2.0 if "int8" in op.kernel else 0.55) * count  # back from INT8; between FP32 and FP16
        case "pool2d" if op.get("pooling_type") == "max":
            kernel, stride = list(op.get("ksize")), list(op.get("strides"))
            return instructions.max_pooling(tuple(results[0].shape), kernel, stride, half == 0.5)
        case "pool2d" | "reduce_mean":
            return instructions.pooling(half * sum(int(each.size) for each in read), count)
        case "transpose2":
            return instructions.transposing(op.get("axis")) * count
        case "scale":  # one factor for all numbers
            return 1.5 * half * count
        case "square" | "sqrt" | "rsqrt" | "pow":
            return instructions.power(POWERS.get(op.type, op.get("factor"))) * count
    if op.type.startswith("elementwise") and _repeats_rows(op, tensors):
        return instructions.ALONG_THE_END * count
    if op.type in VECTORS:
        return OPERATORS[VECTORS[op.type]].instructions * half * count
    if op.type in SCALARS:
        return OPERATORS[SCALARS[op.type]].instructions * count
    raise NotImplementedError(f"what instruction '{op.type}' of a .nb costs")


def _repeats_rows(op: Operator, tensors: dict[str, paddle.Tensor]) -> bool:
    """Say whether a sum or product takes its second from the last axes only."""
    x, y = (tensors[op.inputs[slot][0]] for slot in ("X", "Y"))
    return op.get("axis") == -1 and y.ndim < x.ndim
