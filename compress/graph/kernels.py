"""What a convolution costs on ARM in FP32, FP16 and INT8, in instructions: one thread, one image.

The forms are those of Paddle-Lite's loops (2.13, backends/arm/math): a matrix product works on tiles of 8
channels by 12 pixels, in INT8 without `sdot` of 4 by 16; `sdot` multiplies four numbers at once. The factors
were fitted by least squares to the instructions of each operator of both TinyPose networks, counted on the
real runtime under an emulator as Cortex-A78 (with `sdot`) and A73 (without), and for the rest (3x3 and larger
kernels over all channels, 5x5 by channel, transposed ones) to RTMPose-t at both sizes and to graphs made of
such. Pointwise convolutions are met to 1 % on average (INT8: 2 %), those by channel to 5 %, the others to
about 8 %, but transposed ones in strides, of FP16 and by channel, are counted by their loops. Whole networks,
in million instructions:

| | 128x96: counted (estimated) | 256x192 |
|---|---|---|
| TinyPose, FP32 | 39.2 (39.2) | 138.5 (138.2) |
| all in INT8, with `sdot` | 33.9 (34.0) | 107.9 (107.0) |
| without | 44.9 (44.9) | 148.0 (147.2) |
| RTMPose-t, FP32 | 38.4 (38.6) | 132.9 (134.3) |
| in INT8 where it pays, with `sdot` | 24.5 (25.0) | 81.7 (83.5) |
| HRNet-w32, FP32 | 377.7 (371.7) | |
| in FP16 | 211.0 (207.4) | |
"""

import math
from collections.abc import Sequence
from typing import Literal

# float: FP32 throughout; half: FP16; wide: INT8 that writes FP32; whole: INT8 that writes INT8.
Kernel = Literal["float", "half", "wide", "whole"]


def convolution(
    weight: Sequence[int],
    groups: int,
    strides: int,
    written: tuple[int, int],
    kernel: Kernel = "float",
    sdot: bool = True,
) -> float:
    """Return all the instructions of a `conv2d`.

    Args:
        weight: shape, [O, I / groups, h, w].
        groups: of channels.
        strides: down times across.
        written: height and width of its output.
        kernel: what it computes in, and writes.
        sdot: whether the core multiplies INT8 four at once (ARMv8.2 `asimddp`).
    """
    outputs, depth, rows, columns = weight
    taps, pixels = rows * columns, math.prod(written)
    if depth == 1 and groups == outputs:
        return _by_channel(outputs, *written, taps, strides, kernel)
    if taps == 1:
        product = _product(outputs // groups, depth, pixels, kernel, sdot)
        return groups * (product if strides == 1 else product + 1.3 * depth * pixels)
    if taps == 9 and groups == 1 and (kernel in ("float", "half") or not sdot):
        whole = kernel in ("wide", "whole")
        if strides == 1 and not whole and not (kernel == "half" and min(outputs, depth) <= 8):
            return _winograd(outputs, depth, *written, kernel)
        macs = math.prod(weight) * pixels
        if whole:
            return 0.14 * macs + 10_000 if strides == 1 else 0.44 * macs + 30_000
        if strides == 1 or outputs * depth < 4 * strides * pixels:  # directly
            factor, each = (0.337, 1.9) if kernel == "float" else (0.156, 2.69)
            return factor * macs + each * outputs * pixels
    # As a product, for which the pixels under the kernel are copied into a matrix first.
    product = _product(outputs // groups, depth * taps, pixels, kernel, sdot)
    return groups * (product + depth * taps * _copied(taps, strides, groups, *written, depth, kernel))


def transposed(
    weight: Sequence[int],
    groups: int,
    strides: int,
    read: tuple[int, int],
    written: int,
    kernel: Kernel = "float",
) -> float:
    """Return the instructions of a transposed convolution, which is never in INT8.

    Args:
        weight: shape, [I, O / groups, h, w].
        groups: of channels.
        strides: down times across.
        read: height and width of its input.
        written: numbers.
        kernel: what it computes in.
    """
    pixels = math.prod(read)
    if strides > 1 or groups > 1:
        macs = math.prod(weight) * pixels
        if kernel == "half":
            return 0.21 * macs + 1.03 * written + 11_120
        return 0.38 * macs + 0.94 * written + 9_170
    depth, outputs = weight[0], math.prod(weight[1:])  # a product, whose columns are then added up
    each = 14.0 if kernel == "half" else 10.5
    return _product(outputs, depth, pixels, kernel, False) + each * outputs * pixels


def conversion(count: int) -> float:
    """Return the instructions that it takes to bring so many FP32 numbers to INT8."""
    return 1.69 * count + 1_870


def _winograd(outputs: int, depth: int, height: int, width: int, kernel: Kernel) -> float:
    """Return the instructions of a 3x3 convolution by Winograd's method, on tiles that suit the map."""
    side = 2 if height * width < 128 else 4 if height * width < 288 else 6
    tiles = math.ceil(height / side) * math.ceil(width / side)
    block, factor, each = (
        (8, 0.165, {2: 38, 4: 131, 6: 300}) if kernel == "half" else (4, 0.34, {2: 93, 4: 236, 6: 412})
    )
    channels = [math.ceil(count / block) * block for count in (outputs, depth)]
    return factor * (side + 2) ** 2 * tiles * math.prod(channels) + each[side] * tiles * sum(channels)


def _copied(
    taps: int, strides: int, groups: int, height: int, width: int, depth: int, kernel: Kernel
) -> float:
    """Return what it takes to copy one row of the matrix that a convolution multiplies; its pixels."""
    pixels = height * width
    if kernel == "float":
        return 38 * height + 1.3 * pixels
    if kernel == "half":
        return (45 if strides == 1 else 85) * height
    if taps == 9 and strides == 1 and groups == 1 and depth % 4 == 0 and width % 8 == 0:
        return -0.24 * pixels  # copied and packed at once
    return 55 * height + 0.4 * pixels


def _product(outputs: int, depth: int, pixels: int, kernel: Kernel, sdot: bool) -> float:
    """Return the instructions of a product [outputs, depth] x [depth, pixels]."""
    if pixels == 1 and (sdot or kernel in ("float", "half")):
        factor, fixed = {"float": (0.45, 6_500), "half": (0.3, 5_600)}.get(kernel, (0.19, 6_300))
        return factor * outputs * depth + fixed
    across, quarters = math.ceil(pixels / 12), math.ceil(depth / 4)
    if kernel == "float":  # what is left over is done by fours
        across = pixels // 12 + 0.28 * math.ceil(pixels % 12 / 4)
    tiles = math.ceil(outputs / 8) * across
    if kernel == "half":
        tiles = math.ceil(outputs / 8) * math.ceil(pixels / 16)
        return 1.03 * (tiles * (19.5 * depth + 90) + 0.5 * depth * pixels) + 11_120
    if kernel == "float":
        return tiles * (28.6 * depth + 71) + 0.31 * depth * pixels + 87 * across + 9_100
    if sdot and kernel == "wide":
        return tiles * (30.0 * quarters + 211) + 0.69 * depth * pixels + 147 * across + 8_700
    if sdot:
        return tiles * (31.1 * quarters + 326) + 0.86 * depth * pixels + 141 * across + 7_100
    strips = math.ceil(outputs / 4)
    tiles = strips * math.ceil(pixels / 16)
    if kernel == "wide":
        each = 46.2 * quarters + 21.6 * math.ceil(depth / 8) + 178
        return tiles * each + 0.64 * depth * pixels + 234 * strips + 6_300
    return tiles * (56.7 * quarters + 277) + 0.49 * depth * pixels + 329 * strips + 4_200


def _by_channel(channels: int, height: int, width: int, taps: int, strides: int, kernel: Kernel) -> float:
    lines, count = channels * height, channels * height * width
    if kernel == "half":
        return (0.41 * taps + 0.31) * count + 11_120
    if kernel == "float":
        if taps == 9:
            each, line = (4.3, 22) if strides == 1 else (4.8, 36)
            return each * count + line * lines + 79 * channels + 3_600
        if taps == 25:
            return (10.9 * count + 50 * lines) if strides == 1 else (8.8 * count + 196 * lines)
        return 0.9 * taps * count
    if taps == 9 and strides == 1:
        return 6.7 * lines * 16 * math.ceil(width / 16) + 281 * channels
    if taps == 9:
        return 4.3 * count + 43 * lines + 658 * channels + 4_600
    if taps == 25:
        each, line = (11.0, 23) if strides == 1 else (12.8, 39)
        return each * count + line * lines - (1.2 * count if kernel == "wide" else 0)
    return 0.9 * taps * count
