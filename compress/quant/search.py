"""Choose each tensor's range among those that the methods find, by the error at the heatmaps."""

from collections.abc import Iterable, Mapping

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Compute, Tensors, compute_node, prepare, run
from compress.quant.arithmetic import fake_quant
from compress.quant.ranges import METHODS, Histogram, find_range, find_ranges
from compress.quant.simulate import quantisable
from tinypose.console import track

# Ranges within this share of each other are not worth a run each.
ALIKE = 0.02
# So many tensors make nearly all of the noise; of the others nothing is clipped.
SEARCHED = 32


def search_ranges(
    graph: Graph,
    histograms: Mapping[str, Histogram],
    gains: Mapping[str, np.ndarray],
    batches: Iterable[np.ndarray],
    percent: float,
    progress: str = "choosing ranges",
) -> dict[str, float]:
    """Return a range for each tensor that convolutions read in INT8.

    Searched are the tensors whose rounding, with nothing clipped, is predicted to leave the most noise at the
    heatmaps. Each method (`compress.quant.ranges`) names a candidate. The tensor alone is rounded with each
    of them, for the convolutions that read it and for nobody else, and the rest of the network run: the
    candidate whose heatmaps differ least from those of FP32 wins. All candidates run side by side, as one
    batch.

    Args:
        graph: the network.
        histograms: of `compress.quant.observe.observe`.
        gains: of `compress.quant.gains.noise_gains`.
        batches: float32 [N, 3, H, W] each.
        percent: for the percentile.
        progress: what the progress bar says; empty for none.
    """
    ranges = find_ranges(histograms, "abs_max")
    open_ones = {
        name: _distinct([find_range(histograms[name], method, percent) for method in METHODS])
        for name in _noisiest(graph, ranges, gains)
    }
    errors = {name: np.zeros(len(limits)) for name, limits in open_ones.items()}
    readers: dict[str, set[str]] = {name: set() for name in open_ones}
    first: dict[int, str] = {}
    for node in quantisable(graph):
        name = node.inputs[0]
        if name in readers:
            if not readers[name]:
                first[graph.nodes.index(node)] = name
            readers[name].add(node.name)
    params = prepare(graph)
    batches = list(batches)
    steps = [(images, index) for images in batches for index in range(len(graph.nodes))]
    with paddle.no_grad():
        for images, index in track(steps, progress) if progress else steps:
            if index == 0:
                now = {graph.input: paddle.to_tensor(images)}
                expected = run(graph, now, params=params)[graph.outputs[0]]
            if index in first:
                name = first[index]
                limits = paddle.to_tensor(np.repeat(np.float32(open_ones[name]), len(images)))
                rounded = _rounding(readers[name], limits.reshape([-1, 1, 1, 1]))
                copies = len(errors[name])
                many = {key: paddle.concat([value] * copies) for key, value in now.items()}
                found = run(graph, many, params=params, start=index, compute=rounded)[graph.outputs[0]]
                squares = ((found - paddle.concat([expected] * copies)) ** 2).sum([1, 2, 3])
                errors[name] += squares.numpy().reshape(copies, -1).sum(1)
            now = run(graph, now, params=params, start=index, stop=index + 1)
    return ranges | {name: open_ones[name][int(np.argmin(error))] for name, error in errors.items()}


def _noisiest(graph: Graph, ranges: Mapping[str, float], gains: Mapping[str, np.ndarray]) -> list[str]:
    """Return the tensors whose rounding is predicted to leave the most noise at the heatmaps."""
    noise = dict.fromkeys(ranges, 0.0)
    for node in quantisable(graph):
        squares = (node.params["weight"].astype(np.float64) ** 2).sum((1, 2, 3))
        noise[node.inputs[0]] += float(gains[node.name] @ squares) * ranges[node.inputs[0]] ** 2
    return sorted(noise, key=noise.get, reverse=True)[:SEARCHED]


def _rounding(readers: set[str], limits: paddle.Tensor) -> Compute:
    def compute(node: Node, inputs: Tensors, params: dict[str, paddle.Tensor]) -> Tensors:
        if node.name in readers:
            inputs = [fake_quant(inputs[0], limits)]
        return compute_node(node, inputs, params)

    return compute


def _distinct(limits: list[float]) -> list[float]:
    """Return the limits, greatest first, without those that are about another one."""
    kept: list[float] = []
    for limit in sorted(limits, reverse=True):
        if not kept or limit < kept[-1] * (1 - ALIKE):
            kept.append(limit)
    return kept
