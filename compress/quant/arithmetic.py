"""What the ARM kernels of an INT8 network compute, number by number (Paddle-Lite 2.13, backends/arm/math).

Whole numbers travel as float32 or float64 here, which hold them exactly; so the results are those of the
device to the last bit, not merely about the same.

The order in which a factor is put together is not that of the kernels' source (kernels/arm/conv_*.cc): the
runtime is compiled with -ffast-math, and compilers take constants out of loops. It was read in the machine
code of a library made by GCC 12, and checked by what that library computes (docs/export.md).
"""

import numpy as np
import paddle
import paddle.nn.functional as F

from compress.quant.scales import LEVELS

# Added before cutting off what is behind the point; 0.5 itself would round 0.49999997 up.
_BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))


def round_away(x: paddle.Tensor) -> paddle.Tensor:
    """Round float32 to whole numbers, ties away from zero (`fcvtas`), and keep them within -127 .. 127."""
    return paddle.copysign(paddle.floor(x.abs() + _BELOW_HALF).clip(max=LEVELS), x)


def fake_quant(x: paddle.Tensor, limit: float | paddle.Tensor) -> paddle.Tensor:
    """Return `x` rounded to 127 steps on either side of zero and clipped at `limit` (broadcast)."""
    return round_away(x * (LEVELS / limit)) * (limit / LEVELS)


def to_int8(x: paddle.Tensor, step: np.float32) -> paddle.Tensor:
    """Return float32 `x` in units of `step`, as whole numbers -127 .. 127 (type_trans.cc).

    The kernel multiplies by the reciprocal, which FP32 rounds once more than a division.
    """
    return round_away(x * float(np.float32(1) / step))


def int8_convolution(
    x: paddle.Tensor,
    weight: paddle.Tensor,
    bias: np.ndarray | None,
    weight_step: np.ndarray,
    input_step: np.float32,
    places: dict,
    relu: bool,
    output_step: np.float32 | None = None,
) -> paddle.Tensor:
    """Convolve whole numbers, and return float32, or whole numbers again.

    The products are summed without loss in 32 bits; the sum is multiplied by a factor of its channel and the
    bias added in one fused operation (`fmla`), which rounds once (gemm_prepacked_int8.cc).

    Args:
        x: whole numbers -127 .. 127, float [N, I, H, W].
        weight: whole numbers -127 .. 127, float [O, I / groups, h, w].
        bias: float32 [O], or none.
        weight_step: float32 [O], of the weights of each output channel.
        input_step: of `x`.
        places: stride, padding, dilation and groups, as `paddle.nn.functional.conv2d` takes them.
        relu: whether a ReLU follows.
        output_step: of the result, if it is to be in whole numbers of it. None: the result is float32.

    Returns:
        float32 [N, O, H', W'].
    """
    factor, bias = _factors(weight_step, input_step, output_step, bias, _is_depthwise(weight, places))
    # Sums below 2^24 are exact in float32, in any order.
    exact = "float32" if np.prod(weight.shape[1:]) * LEVELS**2 < 2**24 else "float64"
    sums = F.conv2d(x.astype(exact), weight.astype(exact), **places)
    result = _scaled(sums.astype("float64"), factor, bias).astype("float32")
    result = F.relu(result) if relu else result
    return result if output_step is None else round_away(result)


def _is_depthwise(weight: paddle.Tensor, places: dict) -> bool:
    """Say whether a convolution has a kernel of its own (conv_compute.cc); the others are matrix products."""
    single = weight.shape[1] == 1 and weight.shape[0] == places["groups"]
    return single and tuple(weight.shape[2:]) in ((3, 3), (5, 5)) and list(places["dilation"]) == [1, 1]


def _factors(
    weight_step: np.ndarray,
    input_step: np.float32,
    output_step: np.float32 | None,
    bias: np.ndarray | None,
    depthwise: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what a sum of products is multiplied by, float32 [O], and what is added, float32 [O] or none."""
    if output_step is None:
        return weight_step * input_step, bias
    if depthwise:
        inverse = np.float32(1) / output_step
        return weight_step * (input_step * inverse), None if bias is None else bias * inverse
    return weight_step * (input_step / output_step), None if bias is None else bias / output_step


def _scaled(x: paddle.Tensor, factor: np.ndarray, bias: np.ndarray | None) -> paddle.Tensor:
    """Multiply channels of float64 [N, C, H, W] by `factor` [C], exactly (31 bits times 24), and add `bias`.

    Written as BatchNorm of mean 0 and variance 1, because broadcasting over channels is ten times slower.
    """
    zeros, ones = (fill([x.shape[1]], dtype="float64") for fill in (paddle.zeros, paddle.ones))
    factor = paddle.to_tensor(factor.astype(np.float64))
    bias = zeros if bias is None else paddle.to_tensor(bias.astype(np.float64))
    return F.batch_norm(x, zeros, ones, factor, bias, epsilon=0.0, use_global_stats=True)
