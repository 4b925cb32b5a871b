"""Which models can be made and run where, and why the others cannot.

Each refusal is a measured one: the wrong combinations build, load and run without a word, and give numbers
that have nothing to do with the network.
"""

import platform
from collections.abc import Sequence
from pathlib import Path

from lite_deploy.nb.file import LiteModel
from tinypose.artifact.record import ModelRecord
from tinypose.errors import UserError

# What `lite-deploy export` makes: name of the model -> target and precision.
MODELS = {
    "arm_fp32": ("arm", "fp32"),
    "arm_fp16": ("arm", "fp16"),
    "arm_int8": ("arm", "int8"),
    "x86_fp32": ("x86", "fp32"),
}

_REASONS = {
    "x86_int8": "Paddle-Lite's INT8 kernels for x86 give unrelated numbers (error 0.83, peak 0.88) "
    "and crash on small networks; INT8 is for ARM; `lite-deploy eval --model arm_int8` computes as ARM does",
    "x86_fp16": "Paddle-Lite has no FP16 kernels for x86; use x86_fp32",
    "arm_int8_fp16": "INT8 together with FP16 arithmetic gives garbage or NaN on ARM, without a word; "
    "make arm_int8 and arm_fp16 and choose by the device",
}

# Operators that every library of Paddle-Lite 2.13 has: neither they nor their ARM or host kernels for FP32,
# FP16 and INT8 are marked 'extra' in its sources. All others are only in libraries built 'with_extra'. An
# activation of a convolution or a sum is part of its kernel.
_BASIC = """
affine_channel batch_norm bilinear_interp bilinear_interp_v2 box_coder calib calib_inplace cast concat
conv2d conv2d_transpose depthwise_conv2d dropout elementwise_add elementwise_div elementwise_max
elementwise_min elementwise_mul elementwise_pow elementwise_sub expand fc feed fetch fill_constant
flatten flatten2 fusion_elementwise_add_activation fusion_elementwise_div_activation
fusion_elementwise_max_activation fusion_elementwise_min_activation fusion_elementwise_mul_activation
fusion_elementwise_sub_activation grid_sampler instance_norm leaky_relu linear_interp linear_interp_v2
matmul mul nearest_interp nearest_interp_v2 pool2d prelu reduce_mean relu relu6 reshape reshape2 scale
sigmoid silu slice softmax split squeeze squeeze2 stack tanh transpose transpose2 unbind unsqueeze
unsqueeze2
"""
# The name of an operator that only those libraries register, and no other file of the sources mentions.
_EXTRA_MARK = b"polygon_box_transform"


def needs_extra(model: LiteModel) -> list[str]:
    """Return the operators of a `.nb` for which an ARM library must be built `with_extra`, by name."""
    return sorted({op.type for op in model.operators if model.target() == "arm"} - set(_BASIC.split()))


def check_libraries(models: Sequence[ModelRecord], files: Sequence[Path]) -> None:
    """Raise UserError if an ARM model needs operators that a library does not have: it would crash there.

    Args:
        models: as their folder describes them.
        files: what a runner brings along; Paddle-Lite's light API for ARM among them is looked into.
    """
    for library in (each for each in files if each.name == "libpaddle_light_api_shared.so"):
        for model in (each for each in models if each.extra):
            if _EXTRA_MARK not in library.read_bytes():
                raise UserError(
                    f"model '{model.name}': needs {', '.join(model.extra)}, which {library} has not: it was "
                    "built without 'with_extra'; take a release of Paddle-Lite with that in its name"
                )


def check_model(name: str) -> tuple[str, str]:
    """Return target and precision of a model that can be made.

    Raises:
        UserError: the combination is known to be wrong, with the reason, or unknown.
    """
    if name in MODELS:
        return MODELS[name]
    both = {"int8", "fp16"} <= set(name.split("_"))
    if reason := _REASONS.get("arm_int8_fp16" if both else name):
        raise UserError(f"model '{name}': {reason}")
    known = ", ".join(MODELS)
    raise UserError(f"model '{name}': no such target and precision; expected one of: {known}")


def check_build(target: str, precision: str, quantised: bool) -> None:
    """Raise UserError if a program, quantised or not, must not be built for `target` and `precision`."""
    name = f"{target}_{precision}"
    if quantised and precision == "fp16":
        raise UserError(f"{name} from a quantised program: {_REASONS['arm_int8_fp16']}")
    if quantised and target == "x86":
        raise UserError(f"{name} from a quantised program: {_REASONS['x86_int8']}")
    check_model(name)
    if quantised and precision == "fp32":
        raise UserError(
            f"{name} from a quantised program: it would be INT8; write the program without ranges"
        )
    if not quantised and precision == "int8":
        raise UserError(f"{name}: the program has no quantised convolution; run `compress quant` first")


def check_run(model: LiteModel, where: str, machine: str | None = None, fp16: bool | None = None) -> None:
    """Raise UserError if a `.nb` must not be run on a machine.

    Args:
        model: what was read from the file.
        where: the file, for the message.
        machine: as `uname -m` gives it; none: this one.
        fp16: whether an ARM machine has half-precision arithmetic (ARMv8.2, `asimdhp` in /proc/cpuinfo);
            none: unknown, which is taken as no.
    """
    machine = machine or platform.machine()
    arm = machine.lower() in ("aarch64", "arm64", "armv8l", "armv7l", "armv7", "arm")
    precision, target = model.precision(), model.target()
    if not arm and precision == "int8":
        raise UserError(f"{where} on {machine}: {_REASONS['x86_int8']}")
    if {op.precision for op in model.operators} >= {"int8", "fp16"}:
        raise UserError(f"{where}: {_REASONS['arm_int8_fp16']}")
    if arm and precision == "fp16" and not fp16:
        raise UserError(
            f"{where} on {machine}: FP16 needs ARMv8.2 with half-precision arithmetic ('asimdhp' among the "
            "features in /proc/cpuinfo), which this machine does not show; it would end with an illegal "
            "instruction; use arm_fp32 or arm_int8"
        )
    if target not in ("host", "arm" if arm else "x86"):
        other = "x86_fp32.nb" if not arm else "one of the arm_*.nb"
        raise UserError(f"{where} is built for {target} and this is {machine}; use {other}")
