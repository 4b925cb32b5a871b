"""Which models can be made and run where, and why the others cannot.

Each refusal is a measured one: the wrong combinations build, load and run without a word, and give numbers
that have nothing to do with the network.
"""

import platform

from lite_deploy.nb.file import LiteModel
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
