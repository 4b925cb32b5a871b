"""Which of a folder's models to take on a device, and why.

By what was measured there, if it was; else by the instructions that were counted on an emulated core of its
kind; else by an estimate. FP16 needs ARMv8.2's half-precision arithmetic (an illegal instruction elsewhere).
INT8 is worth its rounding only where the engine multiplies with `sdot`: without, TinyPose takes more
instructions in INT8 than in FP32 (docs/benchmark.md).
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
    """A model, its cost (milliseconds or instructions; none: unknown), and what speaks for or against it."""

    model: str
    cost: float | None
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
    """Order a folder's Paddle-Lite models by instructions, fewest first, those of unknown cost last.

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
        elif model.precision == "int8" and not sdot:
            why = (
                "the engine does not use sdot on these cores, and INT8 without it was never cheaper than FP32"
            )
            choices.append(Choice(model.name, None, why))
        else:
            number = estimate(read_nb(folder / model.files[0].file), size)
            choices.append(Choice(model.name, number, f"{number / 1e6:.1f} M instructions, estimated"))
    return sorted(choices, key=lambda each: (each.cost is None, each.cost or 0.0))
