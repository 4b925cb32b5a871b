"""How many processor instructions operators take on ARM, for graphs and for the `.nb` made of them.

Convolutions are in `compress.graph.kernels`; what each number of other operators costs stands in the table of
operators (`compress.graph.ops`). The work of Paddle-Lite's kernels for ARMv8 is counted as their loops do it
(read in its sources: a matrix product works on tiles of 8 channels by 12 pixels, 16 in FP16; split and
concatenation copy; a nearest resize converts coordinates pixel by pixel; a transposition computes an index
for each number), one thread, one image. What an operator costs however small its tensors are was solved from
TinyPose without rewriting, counted on the real runtime under an emulator: million instructions

| | 128x96 | 256x192 |
|---|---|---|
| FP32 | 59.7 | 221.3 |
| FP16 | 50.2 | 174.5 |
"""

import math
from collections.abc import Sequence

FIXED = {"fp32": 9_170, "fp16": 11_120}  # for each operator
_PIECE = 300  # for each part of a split or concatenation
_RUN = 25  # for each run of numbers that one of them copies at once
ALONG_THE_END = 32.0  # for each number that is added to or multiplied by one of the last axis
COPY = 0.6  # for each number; half of it in FP16, where eight numbers are worked on at once


def moving(parts: int, runs: int, numbers: float) -> float:
    """Return what a split or concatenation takes: `parts`, each copied in so many `runs`."""
    return COPY * numbers + parts * (_PIECE + _RUN * runs)


def pooling(read: float, written: float) -> float:
    """Return what an average pooling or a mean takes; numbers read and written."""
    return 1.5 * read + 4 * written


def max_pooling(written: Sequence[int], kernel: Sequence[int], stride: Sequence[int], half: bool) -> float:
    """Return what a maximum over windows takes.

    Args:
        written: shape of the result.
        kernel: height and width of the window.
        stride: down and across.
        half: whether it is in FP16, where only 3x3 has a kernel of its own.
    """
    rows, width = math.prod(written[:-1]), written[-1]
    taps = math.prod(kernel)
    if math.prod(stride) > 1:
        return 4.0 * max(1.0, taps / 9) * rows * width * (0.5 if half else 1.0)
    if list(kernel) == [3, 3]:
        return (230 if half else 200 + 15 * width) * rows
    return 11.7 * taps * rows * width if half else 38 * taps * rows * min(1.0, width / 6)


def transposing(axes: Sequence[int]) -> float:
    """Return what an order of axes takes for each number: that of a matrix is turned in blocks."""
    return 3.4 if list(axes) == [0, 2, 1] else 18.0


def product(rows: int, depth: int, columns: int, precision: str = "fp32") -> float:
    """Return what a product of matrices [rows, depth] and [depth, columns] takes, in fp32 or fp16."""
    if precision == "fp16":
        tiles = math.ceil(rows / 8) * math.ceil(columns / 16)
        return tiles * (19.5 * depth + 90) + 0.5 * depth * columns
    tiles = math.ceil(rows / 8) * math.ceil(columns / 12)
    return tiles * (29 * depth + 110) + 0.8 * depth * columns


def sampling(depth: int, places: int) -> float:
    """Return what a deformable convolution takes to collect what it multiplies: four corners a number."""
    return 30.0 * depth * places


def power(exponent: float) -> float:
    """Return what a power takes for each number; but for a few, it goes through logarithms."""
    return {2.0: 0.9, 0.5: 2.0, -0.5: 3.0}.get(exponent, 30.0)
