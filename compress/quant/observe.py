"""Watch what flows into the convolutions of a graph: the calibration of post-training quantisation."""

from collections.abc import Callable, Iterable

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Hook, prepare, run
from compress.quant.ranges import BINS, Histogram
from tinypose.errors import UserError

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
    people = np.zeros(1, np.int64)

    def note(name: str, x: paddle.Tensor) -> None:
        peaks[name] = np.maximum(peaks[name], x.abs().max([0, 2, 3]).numpy())
        powers[name] += (x**2).mean([2, 3]).sum(0).numpy()
        people[0] += len(x) if name == graph.input else 0

    _watch(graph, batches, tensors | {graph.input}, note)
    for name, peak in peaks.items():
        if not np.isfinite(peak).all():
            raise UserError(
                f"calibration: the tensor '{name}' reaches {peak.max()}; are these the right weights?"
            )
    if not any(peak.any() for peak in peaks.values()):
        raise UserError("calibration: no people to calibrate on, or every activation is zero")
    return {name: (peaks[name], (powers[name] / people[0]).astype(np.float32)) for name in tensors}


def observe(graph: Graph, batches: Batches, statistics: Statistics) -> dict[str, Histogram]:
    """Collect a histogram of |x| for each tensor that a convolution reads.

    Args:
        graph: the network.
        batches: what `statistics` was found from.
        statistics: how far the tensors reach.
    """
    tops = {name: float(peak.max()) for name, (peak, _) in statistics.items()}
    histograms = {name: Histogram(top, np.zeros(BINS, np.int64)) for name, top in tops.items()}

    def count(name: str, tensor: paddle.Tensor) -> None:
        histogram = histograms[name]
        if histogram.top > 0:
            bins = (tensor.abs() * (BINS / histogram.top)).cast("int32").numpy().ravel()
            histogram.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    _watch(graph, batches, set(tops), count)
    return histograms


def _watch(
    graph: Graph, batches: Batches, tensors: set[str], note: Callable[[str, paddle.Tensor], None]
) -> None:
    """Run every batch and show `note` each of `tensors` once."""
    params = prepare(graph)
    with paddle.no_grad():
        for images in batches():
            if graph.input in tensors:
                note(graph.input, paddle.to_tensor(images))
            run(graph, images, params=params, after=_shower(tensors, note))


def _shower(tensors: set[str], note: Callable[[str, paddle.Tensor], None]) -> Hook:
    def after(node: Node, outputs: list[paddle.Tensor]) -> None:
        for name, tensor in zip(node.outputs, outputs, strict=True):
            if name in tensors:
                note(name, tensor)

    return after
