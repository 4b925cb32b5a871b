"""Cross-layer equalisation: move scale from outlier channels into the weights around them.

A tensor whose channels reach 30, but for a few that reach 1,100, leaves most channels one or two of
INT8's 127 steps. Dividing a channel by s where it is written and multiplying it by s where it is read
leaves the network's function as it is, because ReLU, sums, resizing and the moving of channels all
commute with a positive factor (Nagel et al., Data-Free Quantization Through Weight Equalization and
Bias Correction, ICCV 2019). They do so by pairs of layers; here the factors of the whole graph are
found at once, by minimising the quantisation noise that they predict at the heatmaps.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from compress.graph import ops
from compress.graph.ir import Graph, Node
from compress.quant.observe import Statistics
from compress.quant.scales import LEVELS

NoiseTerm = Callable[[np.ndarray], tuple[float, np.ndarray]]

# A factor outside of e^-7 .. e^7 would strain FP16, and no network needs it.
_LIMIT = 7.0


def factor_classes(graph: Graph) -> tuple[dict[str, np.ndarray], int]:
    """Find which channels must share a factor.

    Returns:
        For each tensor int64 [C], the class of each channel; and how many classes there are. Class 0
        is that of the channels that must keep the factor 1: the graph's input and outputs, and what
        goes through a function that no factor commutes with.
    """
    first, count = {}, 1
    for name, shape in graph.shapes.items():
        first[name] = np.arange(count, count + shape[1])
        count += shape[1]
    fixed = np.zeros(1, np.int64)
    ties: list[tuple[np.ndarray, np.ndarray]] = []

    def tie(left: np.ndarray, right: np.ndarray) -> None:
        ties.append(np.broadcast_arrays(left, right))

    for name in (graph.input, *graph.outputs):
        tie(first[name], fixed)
    for node in graph.nodes:
        shapes = [graph.shapes[name] for name in node.inputs]
        inputs = [first[name] for name in node.inputs]
        outputs = [first[name] for name in node.outputs]
        moved = ops.moves(node, shapes)
        if moved is not None:
            starts = np.cumsum([0, *(len(each) for each in inputs)])
            for output, (source, index) in zip(outputs, moved, strict=True):
                tie(np.concatenate(inputs)[starts[source] + index], output)
            continue
        ways = ops.factors(node, shapes)
        found = [(channels, ways.of(index)) for index, channels in enumerate(inputs)]
        found += [(channels, ways.output) for channels in outputs]
        for channels, way in found:
            if way != "any":  # whose parameters absorb the factors
                tie(channels, fixed if way == "fixed" else outputs[0])
    left = np.concatenate([pair[0] for pair in ties])
    right = np.concatenate([pair[1] for pair in ties])
    tied = coo_matrix((np.ones(len(left), bool), (left, right)), shape=(count, count))
    classes, label = connected_components(tied, directed=False)
    label = np.where(label == label[0], 0, np.where(label == 0, label[0], label))
    return {name: label[channels].astype(np.int64) for name, channels in first.items()}, classes


def find_factors(
    graph: Graph, statistics: Statistics, gains: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Find the factors that leave the least quantisation noise at the heatmaps.

    The noise in channel o of a convolution's output, in units that the factors do not change, is that of
    rounding its input, one step for the whole tensor, and that of rounding its weights, one step an output
    channel:

        n_o = (step_x^2 sum (w_o s)^2  +  step_w,o^2 sum_c mean(x_c^2) / s_c^2) / 12

    with step_x = max_c (peak_c / s_c) / 127 and step_w,o = max |w_o s| / 127. Weighted by how much of it
    arrives at the heatmaps, and summed over the quantised convolutions, it is minimised over the logarithms
    of the factors by L-BFGS.

    Args:
        graph: BatchNorm folded.
        statistics: of `compress.quant.observe.channel_statistics`.
        gains: of `compress.quant.gains.noise_gains`, for the convolutions that are to be in INT8; the others
            make no noise.

    Returns:
        For each tensor float32 [C]: what its channels are divided by.
    """
    classes, count = factor_classes(graph)
    terms = [(classes[tensor], term) for tensor, term in noise_terms(graph, statistics, gains)]

    def total(logs: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = 0.0, np.zeros(count)
        for channels, term in terms:
            noise, slope = term(logs[channels])
            value += noise
            np.add.at(gradient, channels, slope)
        gradient[0] = 0
        return value, gradient

    bounds = [(0, 0)] + [(-_LIMIT, _LIMIT)] * (count - 1)
    solution = minimize(
        total, np.zeros(count), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}
    )
    found = np.exp(solution.x).astype(np.float32)
    return {name: found[channels] for name, channels in classes.items()}


def noise_terms(
    graph: Graph, statistics: Statistics, gains: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, NoiseTerm]]:
    """Yield what each convolution in INT8 reads, and a function from its log factors to noise and slope."""
    for node in graph.convolutions():
        if node.kind == "conv2d" and node.name in gains:
            tensor = node.inputs[0]
            yield tensor, _noise_term(node, *statistics[tensor], gains[node.name])


def apply_factors(graph: Graph, factors: dict[str, np.ndarray]) -> Graph:
    """Return a graph of the same function in which each tensor's channels are divided by `factors`."""
    nodes = []
    for node in graph.nodes:
        shapes = [graph.shapes[name] for name in node.inputs]
        params = dict(node.params)
        found = ops.places(node, shapes, factors[node.inputs[0]], factors[node.outputs[0]])
        for key, (times, over) in found.items():
            params[key] = (params[key] * (1 if times is None else times) / over).astype(np.float32)
        nodes.append(replace(node, params=params))
    return replace(graph, nodes=nodes)


def apply_to_statistics(
    graph: Graph, statistics: Statistics, gains: dict[str, np.ndarray], factors: dict[str, np.ndarray]
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Return the statistics and gains of the graph that `apply_factors` returns, without running it."""
    divided = {
        name: (peak / factors[name], power / factors[name] ** 2) for name, (peak, power) in statistics.items()
    }
    written = {node.name: factors[node.outputs[0]] for node in graph.convolutions()}
    return divided, {name: gain * written[name].astype(np.float64) ** 2 for name, gain in gains.items()}


def _noise_term(node: Node, peak: np.ndarray, power: np.ndarray, gain: np.ndarray) -> NoiseTerm:
    """Return a function from log factors [C] of a convolution's input to its noise and the gradient."""
    gain = gain / (12 * LEVELS**2)
    weight, groups = node.params["weight"].astype(np.float64), node.attrs["groups"]
    outputs, inputs = weight.shape[:2]
    first = np.arange(outputs) // (outputs // groups) * inputs
    members = first[:, None] + np.arange(inputs)  # [O, I/groups]: the input channel of each kernel
    square = np.zeros(len(peak))
    np.add.at(square, members, gain[:, None] * (weight**2).sum((2, 3)))
    log_weight = np.log(np.abs(weight).max((2, 3)) + 1e-12)
    log_peak = np.log(peak.astype(np.float64) + 1e-12)

    def term(logs: np.ndarray) -> tuple[float, np.ndarray]:
        log_range, share = _smooth_max(log_peak - logs)
        rounding_x = np.exp(2 * log_range)
        spread = square * np.exp(2 * logs)
        by_input = rounding_x * spread.sum()
        gradient = 2 * rounding_x * spread - 2 * by_input * share

        log_rows, shares = _smooth_max(log_weight + logs[members])
        rounding_w = gain * np.exp(2 * log_rows)
        powers = (power * np.exp(-2 * logs))[members]
        by_weight = rounding_w * powers.sum(1)
        np.add.at(gradient, members, 2 * by_weight[:, None] * shares - 2 * rounding_w[:, None] * powers)
        return by_input + by_weight.sum(), gradient

    return term


def _smooth_max(logs: np.ndarray, temperature: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum along the last axis, a little smoothed, and its gradient."""
    top = logs.max(-1, keepdims=True)
    weights = np.exp((logs - top) / temperature)
    total = weights.sum(-1, keepdims=True)
    return (top + temperature * np.log(total))[..., 0], weights / total
