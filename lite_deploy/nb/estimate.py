"""How many instructions a `.nb` takes on ARM: an estimate by counting, for one thread and one image.

The counts are those of `compress.graph.instructions` and of the table of operators, for the instructions that
are in the file, at the precision that each has.
"""

import math

import numpy as np
import paddle

from compress.graph import instructions
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
    "transpose2": "transpose",
    "shuffle_channel": "shuffle",
    "gather": "permute",
    "clip": "clip",
}
POWERS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5}


def estimate(model: LiteModel, size: tuple[int, int]) -> float:
    """Return the instructions of one inference, one thread, with `sdot` where it is INT8.

    Args:
        model: a `.nb` for ARM, as this project writes it.
        size: height and width of the input.
    """
    precision = model.precision()
    types: dict[str, str] = {}
    total = 0.0
    for op, tensors in steps(model, np.zeros((1, 3, *size), np.float32)):
        read = [name for names in op.inputs.values() for name in names if name not in model.params]
        written = _type(op, [types[name] for name in read if name in types])
        types |= {name: written for names in op.outputs.values() for name in names}
        if op.type not in ("feed", "fetch"):
            inputs = [tensors[name] for name in read]
            total += instructions.FIXED[precision] + _work(op, tensors, model, inputs, written)
    return total


def _type(op: Operator, read: list[str]) -> str:
    """Return the type of what an instruction writes."""
    if op.type == "calib":
        return op.kernel.split("_to_")[1]
    if op.precision == "any":
        return read[0] if read else "fp32"
    return "fp32" if op.precision == "int8" and op.kernel != "int8_out" else op.precision


def _work(
    op: Operator, tensors: dict[str, paddle.Tensor], model: LiteModel, read: list[paddle.Tensor], written: str
) -> float:
    slot = next(slot for slot in ("Output", "Y", "Out") if slot in op.outputs)
    results = [tensors[name] for name in op.outputs[slot]]
    count = sum(int(each.size) for each in results)
    half = 0.5 if written == "fp16" else 1.0
    match op.type:
        case "conv2d" | "depthwise_conv2d" | "conv2d_transpose" | "depthwise_conv2d_transpose":
            weight, transposed = model.params[op.inputs["Filter"][0]].shape, "transpose" in op.type
            pixels = math.prod((read if transposed else results)[0].shape[2:])
            how = {"precision": op.precision, "to_int8": op.kernel == "int8_out"}
            return instructions.convolution(weight, op.get("groups"), pixels, count, transposed, **how)
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
            return (2.0 if "int8" in op.kernel else 0.55) * count
        case "pool2d" | "reduce_mean":
            return instructions.pooling(half * sum(int(each.size) for each in read), count)
        case "scale":  # one factor for all numbers
            return 1.5 * half * count
        case "square" | "sqrt" | "rsqrt" | "pow":
            return instructions.power(POWERS.get(op.type, op.get("factor"))) * count
    if op.type in VECTORS:
        return OPERATORS[VECTORS[op.type]].instructions * half * count
    if op.type in SCALARS:
        return OPERATORS[SCALARS[op.type]].instructions * count
    raise NotImplementedError(f"what instruction '{op.type}' of a .nb costs")
