"""Choose each tensor's range among those that the methods find, by the error at the outputs."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Compute, Tensors, compute_node, prepare, run
from compress.graph.threads import side_by_side
from compress.quant.arithmetic import fake_quant
from compress.quant.ranges import METHODS, Histogram, find_range, find_ranges
from compress.quant.simulate import quantisable
from tinypose.console import track

# A tensor, where its first reader is, what is live there, and the outputs of FP32.
Work = tuple[str, int, dict[str, paddle.Tensor], list[np.ndarray]]
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
        gains: of `compress.quant.gains.noise_gains`, for the convolutions that are to be in INT8.
        batches: float32 [N, 3, H, W] each.
        percent: for the percentile.
        progress: what the progress bar says; empty for none.
    """
    ranges = find_ranges(histograms, "abs_max")
    candidates = {
        name: _distinct([find_range(histograms[name], method, percent) for method in METHODS])
        for name in _noisiest(graph, ranges, gains)
    }
    places = _places(graph, candidates, gains)
    errors = {name: np.zeros(len(limits)) for name, limits in candidates.items()}
    params = prepare(graph)
    batches = list(batches)

    def before_readers() -> Iterator[Work]:
        for images in batches:
            start, now = 0, {graph.input: paddle.to_tensor(images)}
            with paddle.no_grad():
                found = run(graph, now, params=params)
            expected = [found[name].numpy() for name in graph.outputs]
            for name, (place, _) in places.items():
                with paddle.no_grad():
                    now = run(graph, now, params=params, start=start, stop=place)
                start = place
                yield name, place, now, expected

    def squares(work: Work) -> tuple[str, np.ndarray]:
        name, place, now, expected = work
        copies = len(candidates[name])
        limits = paddle.to_tensor(np.repeat(np.float32(candidates[name]), len(expected[0])))
        rounded = _rounding(places[name][1], limits.reshape([-1, 1, 1, 1]))
        many = {key: paddle.concat([value] * copies) for key, value in now.items()}
        found = run(graph, many, params=params, start=place, compute=rounded)
        return name, sum(
            np.square(found[output].numpy().reshape(copies, -1) - each.ravel()).sum(1)
            for output, each in zip(graph.outputs, expected, strict=True)
        )

    results = side_by_side(squares, before_readers())
    for name, found in track(results, progress, len(batches) * len(places)) if progress else results:
        errors[name] += found
    return ranges | {name: candidates[name][int(np.argmin(error))] for name, error in errors.items()}


def _places(
    graph: Graph, tensors: Collection[str], quantised: Collection[str]
) -> dict[str, tuple[int, set[str]]]:
    """Return where the first of a tensor's quantised readers is, and all their names; in that order."""
    places: dict[str, tuple[int, set[str]]] = {}
    for index, node in enumerate(graph.nodes):
        if node.kind == "conv2d" and node.name in quantised and node.inputs[0] in tensors:
            places.setdefault(node.inputs[0], (index, set()))[1].add(node.name)
    return places


def _noisiest(graph: Graph, ranges: Mapping[str, float], gains: Mapping[str, np.ndarray]) -> list[str]:
    """Return the tensors whose rounding is predicted to leave the most noise at the heatmaps."""
    nodes = [node for node in quantisable(graph) if node.name in gains]
    noise = dict.fromkeys((node.inputs[0] for node in nodes), 0.0)
    for node in nodes:
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
