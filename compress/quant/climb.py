"""From FP32 to INT8: climb from plain INT8 only as far as the accuracy asked for needs.

The rungs, each measured as the device computes: ranges for every tensor; equalisation; the most
sensitive convolutions left in FP32; training with fake quantisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress.graph.ir import Graph
from compress.quant.accuracy import Accuracy, Baseline, measure_fp32, measure_int8
from compress.quant.data import batches_of
from compress.quant.equalise import apply_factors, apply_to_statistics, factor_classes, find_factors
from compress.quant.gains import noise_gains
from compress.quant.observe import Statistics, channel_statistics, observe
from compress.quant.open import open_worthwhile, with_hard_swish
from compress.quant.pact import train_quantised
from compress.quant.pay import worth_int8
from compress.quant.ranges import find_ranges
from compress.quant.scales import ConvScale, only
from compress.quant.search import search_ranges
from compress.quant.sensitivity import sensitivity
from compress.quant.simulate import find_scales, quantisable
from compress.quant.task import Task
from tinypose.console import err
from tinypose.errors import UserError

# How many convolutions `auto` tries to leave in FP32, one after the other.
KEEP_STEPS = (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128)
# People that gains and sensitivity are measured on, and ranges compared on; more change little and cost time.
SENSITIVITY_PEOPLE, SEARCH_PEOPLE = 8, 4


@dataclass(frozen=True)
class Rung:
    """One setting that was tried, and what was measured of it.

    Attributes:
        kept: convolutions that stay in FP32 because they harm the outputs; others do because they cost less.
        factors: that the network was equalised by; none: it was not.
        again: whether it can be made again from the weights, the ranges and the factors alone.
    """

    name: str
    graph: Graph
    scales: dict[str, ConvScale]
    kept: tuple[str, ...]
    accuracy: Accuracy
    factors: dict[str, np.ndarray] | None = None
    again: bool = True


@dataclass
class Climb:
    """The rungs so far, and the sensitivities that were measured on the way."""

    task: Task
    fp32: Baseline
    allowed: float | None
    rungs: list[Rung] = field(default_factory=list)
    approximated: float | None = None  # AP of FP32 with hard_swish for SiLU, where that is asked for
    errors: dict[str, float] = field(default_factory=dict)
    ap_alone: dict[str, float] = field(default_factory=dict)

    def reached(
        self,
        name: str,
        graph: Graph,
        scales: dict[str, ConvScale],
        kept: Sequence[str],
        factors: dict[str, np.ndarray] | None = None,
        again: bool = True,
    ) -> bool:
        """Measure a setting, say and note what came of it; return whether it loses no more than allowed."""
        accuracy = measure_int8(self.task, self.fp32, graph, scales, self.allowed)
        lost = f"{self.fp32.ap - accuracy.ap:.2f} of {self.fp32.ap:.2f} {self.task.measure.metric} lost"
        err.print(f"{name}: {len(scales)} convolutions in INT8, {lost}", markup=False)
        self.rungs.append(Rung(name, graph, scales, tuple(kept), accuracy, factors, again))
        return self._good(self.rungs[-1])

    def _good(self, rung: Rung) -> bool:
        return self.allowed is not None and self.fp32.ap - rung.accuracy.ap <= self.allowed

    @property
    def chosen(self) -> Rung:
        """The last rung, which is the first that was good enough; the best one if none was.

        Without an aim, the best of those that leave as much in FP32 as was asked for.
        """
        last = self.rungs[-1]
        if self._good(last):
            return last
        rungs = [rung for rung in self.rungs if self.allowed is not None or rung.kept == last.kept]
        return max(reversed(rungs), key=lambda rung: rung.accuracy.ap)


def quantise(task: Task, folder: Path, resume: bool = False) -> Climb:
    """Bring a network to INT8.

    Convolutions that are not cheaper in INT8 on the core of `quant.target` stay in FP32 throughout. With
    `quant.keep_fp32` a number, that many more stay in FP32, and the network is trained if `quant.method` says
    so. With `auto`, the climb ends at the first rung that loses at most `quant.max_drop` AP, on average over
    draws of the roundings (`compress.quant.accuracy`).

    Args:
        task: the network and its people.
        folder: keeps sensitivities as far as they are measured, and the run of a training.
        resume: go on with the training there.

    Raises:
        UserError: more convolutions are to be kept than there are, none is cheaper in INT8, or calibration
            fails.
    """
    settings, quantised = task.config.quant, in_int8(task)
    count = len(quantised)
    automatic = settings.keep_fp32 == "auto"
    if not automatic and not 0 <= settings.keep_fp32 <= count:
        raise UserError(f"quant.keep_fp32: {settings.keep_fp32}, and {count} convolutions would be in INT8")
    if not quantised:
        raise UserError(
            f"quant.target: {settings.target}: no convolution of this network is cheaper in INT8 there; "
            "export it in FP32, or give another --for"
        )
    few = some_batches(task, SENSITIVITY_PEOPLE)
    climb = Climb(task, measure_fp32(task, task.graph), settings.max_drop if automatic else None)
    graph = task.graph
    if settings.silu == "hard_swish":
        graph = with_hard_swish(graph)
        climb.approximated = measure_fp32(task, graph).ap
    statistics = channel_statistics(graph, batches_of(task.crops, task.config))
    gains = noise_gains(graph, few)
    gains = {name: gains[name] for name in quantised}
    scales = only(calibrated(task, graph, statistics, gains), quantised)
    if climb.reached(f"ranges ({settings.ranges})", graph, scales, []):
        return climb
    factors, again = None, True
    if settings.equalise and movable(graph, gains):
        factors = find_factors(graph, statistics, gains)
        graph, statistics, gains = equalised(graph, statistics, gains, factors)
        scales = only(calibrated(task, graph, statistics, gains), quantised)
        if climb.reached("equalised", graph, scales, [], factors):
            return climb
    if settings.equalise:
        opened, known = open_worthwhile(graph, statistics, gains)
        if number := len(opened.nodes) - len(graph.nodes):
            graph, statistics, gains = equalised(opened, known, gains)
            scales = only(calibrated(task, graph, statistics, gains), quantised)
            factors, again = None, False
            if climb.reached(f"equalised, by {number} scales too", graph, scales, [], again=again):
                return climb
    steps = [each for each in KEEP_STEPS if each <= min(settings.max_fp32, count)]
    steps = steps if automatic else [settings.keep_fp32]
    if any(steps):
        climb.errors = sensitivity(graph, scales, few, folder / "sensitivity.npz")
        names = list(climb.errors)
        if settings.sensitivity == "ap":
            climb.ap_alone = task.measure.alone(graph, scales, folder / "sensitivity_ap.npz")
            names = sorted(names, key=climb.ap_alone.get)  # of equal AP, the greater error first
        for number in steps:
            kept = names[:number]
            scales_left = only(scales, in_int8(task, kept))
            if climb.reached(f"{number} left in FP32", graph, scales_left, kept, factors, again):
                return climb
    method = ("lsq" if automatic else "ptq") if settings.method == "auto" else settings.method
    if method != "ptq":
        start = climb.chosen
        network = (start.graph, start.scales, task.graph)
        trained = train_quantised(*network, task.config, method, folder / "training", resume)
        climb.reached(f"trained ({method})", *trained, start.kept, again=False)
    return climb


def in_int8(task: Task, kept: Sequence[str] = ()) -> list[str]:
    """Return the convolutions to have in INT8 on the core of `quant.target`, without the `kept`.

    What reads the picture is not among them, unless all are asked for: it does 1 % of the work, and rounding
    the picture, or its weights, harms the outputs more than all else together.
    """
    graph, target = task.graph, task.config.quant.target
    if target == "any":
        return [node.name for node in quantisable(graph) if node.name not in kept]
    picture = [node.name for node in graph.nodes if graph.input in node.inputs]
    return worth_int8(graph, target == "sdot", [*picture, *kept])


def calibrated(
    task: Task, graph: Graph, statistics: Statistics, gains: dict[str, np.ndarray]
) -> dict[str, ConvScale]:
    """Return ranges for every convolution of `graph`, found as `quant.ranges` says."""
    settings = task.config.quant
    histograms = observe(graph, batches_of(task.crops, task.config), statistics)
    if settings.ranges == "search":
        few = some_batches(task, SEARCH_PEOPLE)
        return find_scales(graph, search_ranges(graph, histograms, gains, few, settings.percentile))
    return find_scales(graph, find_ranges(histograms, settings.ranges, settings.percentile))


def movable(graph: Graph, gains: dict[str, np.ndarray]) -> bool:
    """Say whether a factor could move into any of the convolutions that `gains` has."""
    classes, _ = factor_classes(graph)
    return any(classes[node.inputs[0]].any() for node in graph.convolutions() if node.name in gains)


def equalised(
    graph: Graph,
    statistics: Statistics,
    gains: dict[str, np.ndarray],
    factors: dict[str, np.ndarray] | None = None,
) -> tuple[Graph, Statistics, dict[str, np.ndarray]]:
    """Return a graph of the same function with factors moved from outlier channels into the weights.

    None given, they are the factors that suit the convolutions that `gains` has.
    """
    factors = find_factors(graph, statistics, gains) if factors is None else factors
    return apply_factors(graph, factors), *apply_to_statistics(graph, statistics, gains, factors)


def some_batches(task: Task, people: int) -> list[np.ndarray]:
    """Return about so many of the people to calibrate on, spread evenly, as the network reads them."""
    return list(batches_of(task.crops[:: max(1, len(task.crops) // people)], task.config)())
