"""How accurate an INT8 network is, and how sure that is.

AP of a small set moves by points when single roundings fall otherwise, so one number says little. Two things
are drawn: roundings, by moving each range a little, as other people to calibrate on would; and people, by
resampling the pictures (bootstrap, Efron 1979). Beside AP stands the error of the outputs, which moves less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from compress.graph.ir import Graph
from compress.quant.scales import ConvScale, Scales
from compress.quant.simulate import Simulation
from compress.quant.task import Task
from tinypose.codecs import Outputs
from tinypose.metrics.resample import Parts
from tinypose.network import Network

MOVED = 0.01  # by how much of itself a range is moved, at most, for another draw of the roundings
FEWEST, MOST = 3, 6  # draws: more than the fewest only while it is not clear which side of the bound AP is on
RESAMPLES = 200
KEPT_PEOPLE = 512  # whose FP32 outputs are kept to compare with


@dataclass(frozen=True)
class Baseline:
    """The FP32 network, measured: AP in percent, what was right, and its outputs batch by batch."""

    ap: float
    parts: Parts
    outputs: list[Outputs]


@dataclass(frozen=True)
class Accuracy:
    """What an INT8 network was measured at.

    Attributes:
        aps: AP in percent, the first of the network as it is, the others with roundings drawn anew.
        error: relative squared error of the outputs, sum (y_q - y)^2 / sum y^2, over all draws.
        lost: AP lost, by draws and by resampled people, least first.
    """

    aps: tuple[float, ...]
    error: float
    lost: tuple[float, ...]

    @property
    def ap(self) -> float:
        """Return the mean over the draws."""
        return float(np.mean(self.aps))

    @property
    def spread(self) -> float:
        """Return the standard deviation over the draws."""
        return float(np.std(self.aps, ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """Return between which bounds the AP lost lies in 90 % of the resamples."""
        return float(np.quantile(self.lost, 0.05)), float(np.quantile(self.lost, 0.95))

    def sure(self, allowed: float) -> float:
        """Return in which share of the resamples no more than `allowed` AP are lost."""
        return float(np.mean(np.asarray(self.lost) <= allowed))


def measure_fp32(task: Task, graph: Graph) -> Baseline:
    """Measure a network in FP32."""
    outputs: list[Outputs] = []
    network = Simulation(graph, {})

    def kept(images: np.ndarray) -> Outputs:
        found = network(images)
        if sum(len(each[0]) for each in outputs) < KEPT_PEOPLE:
            outputs.append(found)
        return found

    parts = task.measure.parts(kept)
    return Baseline(parts.of(range(parts.count)), parts, outputs)


def measure_int8(task: Task, fp32: Baseline, graph: Graph, scales: Scales, allowed: float | None) -> Accuracy:
    """Measure a network with some convolutions in INT8, several times with roundings drawn anew.

    Args:
        task: whom to measure on.
        fp32: of the same network.
        graph: the network.
        scales: of the convolutions in INT8.
        allowed: AP that may be lost; draws go on, up to `MOST`, until the interval of their mean (90 %, by
            Student's t) is on one side of it. None: there is no bound.
    """
    generator, network = np.random.default_rng(0), Simulation(graph, scales)
    draws: list[Parts] = []
    aps: list[float] = []
    sums = np.zeros(2)
    while len(draws) < FEWEST or (len(draws) < MOST and not clear(aps, fp32.ap, allowed)):
        if draws:
            network.set_scales(moved(graph, scales, generator))
        draws.append(task.measure.parts(compared(network, fp32.outputs, sums)))
        aps.append(draws[-1].of(range(draws[-1].count)))
    error = float(sums[0] / max(sums[1], 1e-12))
    return Accuracy(tuple(aps), error, resampled(fp32.parts, draws, generator))


def moved(graph: Graph, scales: Scales, generator: np.random.Generator) -> dict[str, ConvScale]:
    """Return the ranges of tensors moved by up to `MOVED`; all who read a tensor keep one range."""
    tensors = {node.name: node.inputs[0] for node in graph.nodes if node.name in scales}
    factors = {tensor: generator.uniform(1 - MOVED, 1 + MOVED) for tensor in dict.fromkeys(tensors.values())}
    return {
        name: replace(scale, input=scale.input * factors[tensors[name]]) for name, scale in scales.items()
    }


def clear(aps: Sequence[float], fp32_ap: float, allowed: float | None) -> bool:
    """Say whether the mean of the draws is clearly on one side of what is allowed, or nobody asks."""
    if allowed is None:
        return True
    reach = stats.t.ppf(0.95, len(aps) - 1) * np.std(aps, ddof=1) / np.sqrt(len(aps))
    return bool(abs(fp32_ap - np.mean(aps) - allowed) > reach)


def compared(network: Network, expected: Sequence[Outputs], sums: np.ndarray) -> Network:
    """Return `network`, adding the squares of its error, and of what was expected, to `sums`."""
    batches = iter(expected)

    def run(images: np.ndarray) -> Outputs:
        found = network(images)
        for output, true in zip(found, next(batches, []), strict=False):
            sums[:] += (
                np.square(output - true, dtype=np.float64).sum(),
                np.square(true, dtype=np.float64).sum(),
            )
        return found

    return run


def resampled(fp32: Parts, draws: Sequence[Parts], generator: np.random.Generator) -> tuple[float, ...]:
    """Return what is lost by resampled parts, each time by another draw of the roundings; least first."""
    lost = []
    for number in range(RESAMPLES):
        places = generator.integers(0, fp32.count, fp32.count)
        lost.append(fp32.of(places) - draws[number % len(draws)].of(places))
    return tuple(sorted(lost))
