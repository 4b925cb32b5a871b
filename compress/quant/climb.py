"""From FP32 to INT8: climb from plain INT8 only as far as the accuracy asked for needs.

The rungs, each measured as the device computes: ranges for every tensor; equalisation; the most
sensitive convolutions left in FP32; training with fake quantisation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress.graph.ir import Graph
from compress.quant.data import batches_of
from compress.quant.equalise import apply_factors, channel_statistics, find_factors
from compress.quant.gains import noise_gains
from compress.quant.observe import observe
from compress.quant.pact import train_quantised
from compress.quant.scales import ConvScale, without
from compress.quant.sensitivity import sensitivity
from compress.quant.simulate import Simulation, find_scales, quantisable
from tinypose.config import Config
from tinypose.errors import UserError

Measure = Callable[[Callable[[np.ndarray], np.ndarray]], float]

# How many convolutions `auto` tries to leave in FP32, one after the other.
KEEP_STEPS = (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128)
# People that the sensitivity is measured on; more change its order little and cost time.
SENSITIVITY_PEOPLE = 8


@dataclass(frozen=True)
class Rung:
    """One setting that was tried, and its AP in percent."""

    name: str
    graph: Graph
    scales: dict[str, ConvScale]
    kept: tuple[str, ...]
    ap: float


@dataclass
class Climb:
    """The rungs so far, and the sensitivities that were measured on the way."""

    measure: Measure
    fp32_ap: float
    allowed: float | None
    rungs: list[Rung] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)

    def reached(self, name: str, graph: Graph, scales: dict[str, ConvScale], kept: list[str]) -> bool:
        """Measure a setting and note it; return whether it loses no more than is allowed."""
        ap = self.measure(Simulation(graph, scales))
        self.rungs.append(Rung(name, graph, scales, tuple(kept), ap))
        return self.allowed is not None and self.fp32_ap - ap <= self.allowed

    @property
    def chosen(self) -> Rung:
        """The last rung, which is the first that was good enough; the best one if none was."""
        last = self.rungs[-1]
        if self.allowed is None or self.fp32_ap - last.ap <= self.allowed:
            return last
        return max(self.rungs, key=lambda rung: rung.ap)


def quantise(
    graph: Graph, crops: np.ndarray, config: Config, measure: Measure, folder: Path, resume: bool = False
) -> Climb:
    """Bring a graph to INT8.

    With `quant.keep_fp32` a number, that many convolutions stay in FP32, and the network is trained if
    `quant.method` says so. With `auto`, the climb ends at the first rung that loses at most
    `quant.max_drop` AP.

    Args:
        graph: rewritten, BatchNorm folded.
        crops: uint8 RGB [N, H, W, 3], people to calibrate on.
        config: sections `input` and `quant`, and `data` for training.
        measure: AP in percent of a callable from images to heatmaps, on the validation set.
        folder: where a training writes its run.
        resume: go on with the training there.

    Raises:
        UserError: more convolutions are to be kept than there are, or calibration fails.
    """
    settings, count = config.quant, len(quantisable(graph))
    automatic = settings.keep_fp32 == "auto"
    if not automatic and not 0 <= settings.keep_fp32 <= count:
        raise UserError(f"quant.keep_fp32: {settings.keep_fp32}, and the network has {count} convolutions")
    batches = batches_of(crops, config)
    few = batches_of(crops[:: max(1, len(crops) // SENSITIVITY_PEOPLE)], config)

    def calibrated(each: Graph) -> dict[str, ConvScale]:
        return find_scales(each, observe(each, batches), settings.ranges, settings.percentile)

    fp32_ap = measure(Simulation(graph, {}))
    climb = Climb(measure, fp32_ap, settings.max_drop if automatic else None)
    scales = calibrated(graph)
    if climb.reached(f"{settings.ranges} ranges", graph, scales, []):
        return climb
    if settings.equalise:
        factors = find_factors(graph, channel_statistics(graph, batches), noise_gains(graph, few()))
        graph = apply_factors(graph, factors)
        scales = calibrated(graph)
        if climb.reached("equalised", graph, scales, []):
            return climb
    kept: list[str] = []
    steps = [each for each in KEEP_STEPS if each < count] if automatic else [settings.keep_fp32]
    if any(steps):
        climb.errors = sensitivity(graph, scales, few())
        names = list(climb.errors)
        for number in steps:
            kept = names[:number]
            if climb.reached(f"{number} left in FP32", graph, without(scales, kept), kept):
                return climb
    if settings.method != "ptq":
        start = climb.chosen
        trained = train_quantised(start.graph, start.scales, config, folder / "training", resume)
        climb.reached(f"trained ({settings.method})", *trained, list(start.kept))
    return climb
