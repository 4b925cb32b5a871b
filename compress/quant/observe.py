"""Watch what flows into the convolutions of a graph: the calibration of post-training quantisation."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import prepare, run
from compress.graph.threads import side_by_side
from compress.quant.ranges import BINS, Histogram
from tinypose.errors import UserError

Noted = TypeVar("Noted")
Batches = Callable[[], Iterable[np.ndarray]]
# Tensor -> the greatest |x| and the mean x^2 of each channel, float32 [C] both.
Statistics = dict[str, tuple[np.ndarray, np.ndarray]]


def channel_statistics(graph: Graph, batches: Batches) -> Statistics:
    """Return how far each channel of the tensors that convolutions read reaches, over the calibration set.

    Args:
        graph: the network.
        batches: yields float32 [N, 3, H, W].

    Raises:
        UserError: there is nothing to calibrate on, or a tensor is not finite.
    """
    tensors = {node.inputs[0] for node in graph.convolutions()}
    peaks = {name: np.zeros(graph.shapes[name][1], np.float32) for name in tensors}
    powers = {name: np.zeros(graph.shapes[name][1], np.float64) for name in tensors}
    people = 0

    def statistics(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        extremes = np.maximum(x.max((0, 2, 3)), -x.min((0, 2, 3)))
        return extremes, np.square(x).mean((2, 3)).sum(0, dtype=np.float64)

    for number, found in _watch(graph, batches, tensors, statistics):
        people += number
        for name, (extremes, power) in found.items():
            peaks[name] = np.maximum(peaks[name], extremes)
            powers[name] += power
    for name, peak in peaks.items():
        if not np.isfinite(peak).all():
            raise UserError(
                f"calibration: the tensor '{name}' reaches {peak.max()}; are these the right weights?"
            )
    if not any(peak.any() for peak in peaks.values()):
        raise UserError("calibration: no people to calibrate on, or every activation is zero")
    return {name: (peaks[name], (powers[name] / people).astype(np.float32)) for name in tensors}


def observe(graph: Graph, batches: Batches, statistics: Statistics) -> dict[str, Histogram]:
    """Collect a histogram of |x| for each tensor that a convolution reads.

    Args:
        graph: the network.
        batches: what `statistics` was found from.
        statistics: how far the tensors reach.
    """
    tops = {name: float(peak.max()) for name, (peak, _) in statistics.items()}
    histograms = {name: Histogram(top, np.zeros(BINS, np.int64)) for name, top in tops.items()}

    def count(name: str, x: np.ndarray) -> np.ndarray | int:
        if tops[name] == 0:
            return 0
        bins = (np.abs(x) * np.float32(BINS / tops[name])).astype(np.int32).ravel()
        return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    for _, found in _watch(graph, batches, set(tops), count):
        for name, counts in found.items():
            histograms[name].counts += counts
    return histograms


def _watch(
    graph: Graph, batches: Batches, tensors: set[str], note: Callable[[str, np.ndarray], Noted]
) -> Iterator[tuple[int, dict[str, Noted]]]:
    """Run every batch; yield how many people are in it and what `note` returns of each of `tensors`."""
    params = prepare(graph)

    def watch(images: np.ndarray) -> tuple[int, dict[str, Noted]]:
        found = {graph.input: note(graph.input, images)} if graph.input in tensors else {}

        def after(node: Node, outputs: list[paddle.Tensor]) -> None:
            for name, tensor in zip(node.outputs, outputs, strict=True):
                if name in tensors:
                    found[name] = note(name, tensor.numpy())

        run(graph, images, params=params, after=after)
        return len(images), found

    return side_by_side(watch, batches())
