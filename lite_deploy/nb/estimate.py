"""How many instructions a `.nb` takes on ARM: an estimate by counting, for one thread and one image.

Each kernel's work is counted as its loops do it (read in Paddle-Lite's sources: a matrix product works on
tiles of 8 channels by 12 pixels, 16 in FP16; INT8 multiplies four numbers at once with `sdot`; a transpose
computes an index for each number). Two factors for each precision, what an instruction costs however small
its tensors are and how much longer convolutions take than counted, are solved from TinyPose without
rewriting at 128x96 and 256x192, whose instructions were counted on the real runtime under an emulator:

| | 128x96 | 256x192 |
|---|---|---|
| FP32 | 59.7 million | 221.3 million |
| FP16 | 50.2 | 174.5 |
| INT8, sdot | 55.6 | 193.7 |

It then gives 42.6 million for FP32 128x96 with the shuffles left out, where 42.7 were counted.
"""

import math

import numpy as np
import paddle

from lite_deploy.nb.file import LiteModel, Operator
from lite_deploy.nb.interpret import steps

FIXED = {"fp32": 9_170, "fp16": 11_120, "int8": 13_370}  # for each instruction of a `.nb`
CONVOLUTION = {"fp32": 0.94, "fp16": 1.03, "int8": 1.18}  # of what is counted below
PIECE = 300  # for each part of a split or concatenation
RUN = 25  # for each run of numbers that one of them copies at once
COPY = 0.6  # for each number, as all below; half of it in FP16 where eight numbers are worked on at once
VECTORS = {
    "elementwise_add": 1.3,
    "fusion_elementwise_add_activation": 1.3,
    "elementwise_mul": 1.3,
    "fusion_elementwise_mul_activation": 1.3,
    "batch_norm": 1.2,
    "scale": 1.5,
    "relu": 0.9,
    "hard_sigmoid": 2.0,
    "hard_swish": 3.0,
    "sigmoid": 8.0,
}
SCALARS = {
    "nearest_interp_v2": 9.4,
    "bilinear_interp_v2": 15.0,
    "transpose2": 18.0,
    "shuffle_channel": 18.0,
    "gather": 18.0,
}


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
            total += FIXED[precision] + _work(op, tensors, model, [tensors[name] for name in read], written)
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
    if "conv2d" in op.type:
        weight = model.params[op.inputs["Filter"][0]].shape
        pixels = (read if op.type == "conv2d_transpose" else results)[0].shape[2:]
        return CONVOLUTION[op.precision] * _convolution(op, weight, math.prod(pixels), count)
    if op.type in ("split", "concat"):
        parts = max(len(read), len(results))
        runs = math.prod((read if op.type == "split" else results)[0].shape[: op.get("axis")])
        return COPY * half * count + parts * (PIECE + RUN * runs)
    if op.type == "reshape2":
        return 0.0 if op.get("inplace") else COPY * half * count
    if op.type == "calib":
        return (2.0 if "int8" in op.kernel else 0.55) * count
    if op.type == "pool2d":
        return 1.5 * half * sum(int(each.size) for each in read) + 4 * count
    return VECTORS[op.type] * half * count if op.type in VECTORS else SCALARS[op.type] * count


def _convolution(op: Operator, weight: tuple[int, ...], pixels: int, count: int) -> float:
    """Return the instructions of the loops; `count` numbers are written."""
    macs = math.prod(weight) * pixels
    if weight[1] == 1 and op.get("groups") > 1:
        each, end = {"fp32": (0.75, 0.5), "fp16": (0.4, 0.3), "int8": (0.6, 1.2)}[op.precision]
        return each * macs + end * count
    if op.type != "conv2d" or weight[2:] != (1, 1):
        each, end = {"fp32": (0.4, 1), "fp16": (0.2, 1), "int8": (0.2, 2)}[op.precision]
        return each * macs + end * count
    rows, inputs = math.ceil(weight[0] / 8), weight[1]
    if op.precision == "fp16":
        return rows * math.ceil(pixels / 16) * (19.5 * inputs + 90) + 0.5 * inputs * pixels
    tiles = rows * math.ceil(pixels / 12)
    if op.precision == "int8":
        end = 260 if op.kernel == "int8_out" else 200
        return tiles * (29 * math.ceil(inputs / 4) + end) + 0.5 * inputs * pixels
    return tiles * (29 * inputs + 110) + 0.8 * inputs * pixels
