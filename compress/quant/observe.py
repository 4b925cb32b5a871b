"""Watch what flows into the convolutions of a graph: the calibration of post-training quantisation."""

from collections.abc import Callable, Iterable

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Hook, prepare, run
from compress.quant.ranges import BINS, Histogram
from tinypose.errors import UserError

Batches = Callable[[], Iterable[np.ndarray]]


def observe(graph: Graph, batches: Batches) -> dict[str, Histogram]:
    """Collect a histogram of |x| for each tensor that a convolution reads.

    Two passes: the first finds how far each tensor reaches, the second fills the bins.

    Args:
        graph: the network.
        batches: called twice; yields float32 [N, 3, H, W] each time the same.

    Raises:
        UserError: there is nothing to calibrate on, or a tensor is not finite.
    """
    tensors = {node.inputs[0] for node in graph.convolutions()}
    tops = dict.fromkeys(tensors, 0.0)

    def note_top(name: str, tensor: paddle.Tensor) -> None:
        tops[name] = max(tops[name], float(tensor.abs().max()))

    _watch(graph, batches, tensors, note_top)
    for name, top in tops.items():
        if not np.isfinite(top):
            raise UserError(f"calibration: the tensor '{name}' reaches {top}; are these the right weights?")
    if not any(tops.values()):
        raise UserError("calibration: no people to calibrate on, or every activation is zero")
    histograms = {name: Histogram(top, np.zeros(BINS, np.int64)) for name, top in tops.items()}

    def count(name: str, tensor: paddle.Tensor) -> None:
        histogram = histograms[name]
        if histogram.top > 0:
            bins = (tensor.abs() * (BINS / histogram.top)).cast("int32").numpy().ravel()
            histogram.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    _watch(graph, batches, tensors, count)
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
