"""Post-training quantisation: climb from plain INT8 only as far as the accuracy asked for needs.

The rungs, each measured as the device computes: ranges for every tensor; equalisation; the most
sensitive convolutions left in FP32.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from compress.graph.ir import Graph
from compress.quant.data import batches_of
from compress.quant.equalise import apply_factors, channel_statistics, find_factors
from compress.quant.gains import noise_gains
from compress.quant.observe import observe
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
    """One setting that was tried: what it is, convolutions in INT8 and left in FP32, and its AP."""

    name: str
    quantised: int
    kept: int
    ap: float


@dataclass
class Quantised:
    """A network, the ranges of its convolutions in INT8, and how they were found."""

    graph: Graph
    scales: dict[str, ConvScale]
    kept: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    rungs: list[Rung] = field(default_factory=list)
    fp32_ap: float = 0.0

    @property
    def ap(self) -> float:
        """AP of the last rung, in percent."""
        return self.rungs[-1].ap

    @property
    def drop(self) -> float:
        """AP lost against FP32, in points."""
        return self.fp32_ap - self.ap


def quantise(graph: Graph, crops: np.ndarray, config: Config, measure: Measure) -> Quantised:
    """Bring a graph to INT8.

    With `quant.keep_fp32` a number, that many convolutions stay in FP32. With `auto`, the climb ends at
    the first rung that loses at most `quant.max_drop` AP.

    Args:
        graph: rewritten, BatchNorm folded.
        crops: uint8 RGB [N, H, W, 3], people to calibrate on.
        config: sections `input` and `quant`.
        measure: AP in percent of a callable from images to heatmaps, on the validation set.

    Returns:
        The last rung's setting; the caller compares its `drop` with what was asked for.

    Raises:
        UserError: more convolutions are to be kept than there are, or calibration fails.
    """
    settings, count = config.quant, len(quantisable(graph))
    if settings.keep_fp32 != "auto" and not 0 <= settings.keep_fp32 <= count:
        raise UserError(f"quant.keep_fp32: {settings.keep_fp32}, and the network has {count} convolutions")
    batches = batches_of(crops, config)
    few = batches_of(crops[:: max(1, len(crops) // SENSITIVITY_PEOPLE)], config)

    def calibrated(each: Graph) -> dict[str, ConvScale]:
        return find_scales(each, observe(each, batches), settings.ranges, settings.percentile)

    plain = Simulation(graph, {})
    result = Quantised(graph, calibrated(graph), fp32_ap=measure(plain))
    _try(result, f"{settings.ranges} ranges", [], measure)
    if _enough(result, config):
        return result
    if settings.equalise:
        factors = find_factors(graph, channel_statistics(graph, batches), noise_gains(graph, few()))
        result.graph = apply_factors(graph, factors)
        result.scales = calibrated(result.graph)
        _try(result, "equalised", [], measure)
        if _enough(result, config):
            return result
    result.errors = sensitivity(result.graph, result.scales, few())
    keep_most_sensitive(result, config, measure)
    return result


def keep_most_sensitive(result: Quantised, config: Config, measure: Measure) -> None:
    """Leave convolutions in FP32, the most sensitive first: as many as asked for, or as are needed."""
    asked, names = config.quant.keep_fp32, list(result.errors)
    steps = [asked] if asked != "auto" else [count for count in KEEP_STEPS if count < len(names)]
    scales = result.scales
    for count in filter(None, steps):
        result.scales = without(scales, names[:count])
        result.kept = names[:count]
        _try(result, f"{count} left in FP32", result.kept, measure)
        if _enough(result, config):
            return


def _try(result: Quantised, name: str, kept: list[str], measure: Measure) -> None:
    ap = measure(Simulation(result.graph, result.scales))
    result.rungs.append(Rung(name, len(result.scales), len(kept), ap))


def _enough(result: Quantised, config: Config) -> bool:
    return config.quant.keep_fp32 == "auto" and result.drop <= config.quant.max_drop
