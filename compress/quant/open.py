"""Where no factor goes through, such as SiLU: a scale that absorbs factors, where it pays.

SiLU(z) / s is not SiLU of anything times a constant, so equalisation stops there (`compress.quant.equalise`).
What is exact is to divide the channels behind SiLU, by a `scale` of its own, and to multiply the weights that
read them. It costs about one instruction a number, so it is put only where it halves the noise that rounding
a tensor and its weights is predicted to leave in the outputs, and that is a part of the whole that counts.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from compress.graph.edit import rebuilt, unused_name
from compress.graph.ir import Graph, Node
from compress.quant.equalise import factor_classes, find_factors, noise_terms
from compress.quant.observe import Statistics

WORTH = 0.01  # of all noise that is left: what a scale must take away, at least


def open_worthwhile(
    graph: Graph, statistics: Statistics, gains: Mapping[str, np.ndarray]
) -> tuple[Graph, Statistics]:
    """Return a graph with scales of 1 before the convolutions that are worth it.

    Args:
        graph: BatchNorm folded.
        statistics: of `compress.quant.observe.channel_statistics`.
        gains: of `compress.quant.gains.noise_gains`, for the convolutions that are to be in INT8.

    Returns:
        The graph, with nothing added if nowhere is worth it, and statistics with those of the new tensors.
    """
    classes, _ = factor_classes(graph)
    closed = [name for name in _read(graph, gains) if not classes[name].any() and name != graph.input]
    opened, names = with_scales(graph, closed, gains)
    known = {**statistics, **{names[name]: statistics[name] for name in closed}}
    factors = find_factors(opened, known, gains)
    ones = {name: np.ones_like(each) for name, each in factors.items()}
    left, plain = (_noise(opened, known, gains, each) for each in (factors, ones))
    least = WORTH * sum(left.values())
    worth = []
    for name in closed:
        before, behind = plain[names[name]], left[names[name]]
        if before > 2 * behind and before - behind > least:
            worth.append(name)
    graph, names = with_scales(graph, worth, gains)
    return graph, {**statistics, **{names[name]: statistics[name] for name in worth}}


def with_hard_swish(graph: Graph) -> Graph:
    """Return a graph with x * clip(x / 6 + 1 / 2, 0, 1) for each SiLU of a feature map: not the same.

    It stands there as gate and product. As one operator Paddle-Lite's optimiser would put it into INT8
    convolutions, and the kernels of some of them (direct 3x3, depthwise) then forget to bring its bounds to
    the units of what they write.
    """
    nodes = []
    for node in graph.nodes:
        if node.kind != "silu" or len(graph.shapes[node.inputs[0]]) != 4:
            nodes.append(node)
            continue
        gate = unused_name(graph, f"{node.name}/gate")
        attrs = {"slope": 1 / 6, "offset": 0.5}
        nodes.append(Node("hard_sigmoid", gate, list(node.inputs), [gate], attrs))
        nodes.append(Node("multiply", node.name, [*node.inputs, gate], list(node.outputs)))
    return rebuilt(graph, nodes)


def with_scales(
    graph: Graph, tensors: Collection[str], readers: Collection[str]
) -> tuple[Graph, dict[str, str]]:
    """Put a scale of 1 between each of `tensors` and those of the convolutions `readers` that read it.

    Returns:
        The graph, and for each tensor the one that stands for it behind its scale.
    """
    names: dict[str, str] = {}
    added = []
    for tensor in tensors:
        names[tensor] = unused_name(graph, f"{tensor}/factors", names.values())
        ones = np.ones(graph.shapes[tensor][1], np.float32)
        params = {"scale": ones, "bias": np.zeros_like(ones)}
        added.append(Node("scale", names[tensor], [tensor], [names[tensor]], {"absorbs": True}, params))
    nodes = [
        replace(node, inputs=[names.get(name, name) for name in node.inputs])
        if node.name in readers
        else node
        for node in graph.nodes
    ]
    return rebuilt(graph, [*nodes, *added]), names


def _read(graph: Graph, readers: Collection[str]) -> list[str]:
    """Return the tensors that convolutions read in INT8, in the order of the graph."""
    nodes = [node for node in graph.nodes if node.kind == "conv2d" and node.name in readers]
    return list(dict.fromkeys(node.inputs[0] for node in nodes))


def _noise(
    graph: Graph, statistics: Statistics, gains: Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return the noise that is predicted from each tensor that convolutions read in INT8."""
    found: dict[str, float] = {}
    for tensor, term in noise_terms(graph, statistics, gains):
        found[tensor] = found.get(tensor, 0.0) + term(np.log(factors[tensor].astype(np.float64)))[0]
    return found
