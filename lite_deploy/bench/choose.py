"""Which of a folder's models to take on a device, and why.

By what was measured there, if it was; else by the instructions that were counted on an emulated core of its
kind; else by an estimate. FP16 needs ARMv8.2's half-precision arithmetic (an illegal instruction elsewhere).
INT8 is estimated as the engine computes it there, with `sdot` or without: without it, all of TinyPose in INT8
takes more instructions than FP32 (docs/benchmark.md), what `compress quant --for no-sdot` chose takes fewer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lite_deploy.bench.machine import Machine
from lite_deploy.bench.plan import Fit
from lite_deploy.nb.read import read_nb

# The kinds of cores that Paddle-Lite 2.13 takes for ones with `sdot`, by the number in /proc/cpuinfo. It uses
# the instruction only if every core of the machine is one of them. Arm's own Cortex-A76 (0xd0b) is not among
# them: the engine looks for another number. Some SoCs it knows by name instead, which nobody can tell here.
ENGINE_KNOWS_SDOT = {
    "Cortex-A55",
    "Cortex-A77",
    "Cortex-A78",
    "Cortex-A510",
    "Cortex-A710",
    "Cortex-X1",
    "Cortex-X2",
    "Kryo 3xx Silver",
    "Kryo 4xx Gold",
    "Kryo 4xx Silver",
}


@dataclass(frozen=True)
class Choice:
    """A model, its cost (milliseconds or instructions), and what speaks for or against it."""

    model: str
    cost: float
    why: str


def engine_uses_sdot(machine: Machine) -> bool:
    """Say whether Paddle-Lite's INT8 kernels use `sdot` on a machine."""
    kinds = {core.kind for core in machine.cores}
    return "dotprod" in machine.instructions and bool(kinds) and kinds <= ENGINE_KNOWS_SDOT


def by_times(medians: Mapping[str, float]) -> list[Choice]:
    """Order models by what was measured on the device, milliseconds from picture to joints, fastest first."""
    ordered = sorted(medians.items(), key=lambda item: item[1])
    return [Choice(model, value, f"{value:.2f} ms measured here") for model, value in ordered]


def by_instructions(
    fits: Sequence[Fit],
    machine: Machine,
    folder: Path,
    size: tuple[int, int],
    counted: Mapping[str, int] | None = None,
) -> list[Choice]:
    """Order a folder's Paddle-Lite models by instructions, fewest first.

    Args:
        fits: of `lite_deploy.bench.plan.fits` for the machine; those that do not run are left out.
        machine: an ARM one.
        folder: where the models are.
        size: height and width of the network's input.
        counted: by model, on an emulated core of the machine's kind; what is missing is estimated.
    """
    from lite_deploy.nb.estimate import estimate

    counted = counted or {}
    sdot = engine_uses_sdot(machine)
    choices = []
    for fit in fits:
        model = fit.model
        if not fit.runs or model.engine != "paddle-lite" or model.target != "arm":
            continue
        if model.name in counted:
            number = counted[model.name]
            choices.append(Choice(model.name, number, f"{number / 1e6:.1f} M instructions, counted"))
        else:
            number = estimate(read_nb(folder / model.files[0].file), size, sdot)
            why = f"{number / 1e6:.1f} M instructions, estimated"
            if model.precision == "int8" and not sdot:
                why += "; the engine does not use sdot on these cores"
            choices.append(Choice(model.name, number, why))
    return sorted(choices, key=lambda each: each.cost)
