"""Which convolutions are worth being in INT8 on a core: the choice that takes the fewest instructions of all.

Whether a convolution is cheaper in INT8 depends on its shape and on its neighbours. A tensor that comes in
FP32 is brought to INT8 first, once for all who read it so; one that an INT8 convolution writes and none but
INT8 convolutions read stays in whole numbers. With one variable for each convolution (INT8 or not), one for
each tensor that has to be brought to INT8, and one for each that stays in whole numbers, the total is a sum
over variables and "if this, then that": a project selection problem (Picard, "Maximal Closure of a Graph",
Management Science 1976), which a minimum cut solves exactly.
"""

import math
from collections.abc import Collection

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from compress.graph.instructions import FIXED
from compress.graph.ir import Graph
from compress.graph.kernels import Kernel, conversion, convolution
from compress.graph.ops import OPERATORS
from compress.quant.simulate import quantisable, whole_tensors

_NEVER = 2**30  # instructions: more than any network takes


def worth_int8(graph: Graph, sdot: bool, kept: Collection[str] = ()) -> list[str]:
    """Return the convolutions to have in INT8 for the fewest instructions; in the order of the graph.

    With them the network takes no more than in FP32: to choose none is one of the choices.

    Args:
        graph: the network.
        sdot: whether the core has `sdot`.
        kept: convolutions that stay in FP32 whatever they cost.
    """
    nodes = {node.name: node for node in quantisable(graph) if node.name not in kept}
    problem = _Closure()
    for name in nodes:
        problem.add(name, _saved(graph, name, sdot, "wide"))
    producers, readers = graph.producers(), graph.readers()
    for tensor in dict.fromkeys(node.inputs[0] for node in nodes.values()):
        into = [node.name for node in readers[tensor]]
        chosen = [name for name in into if name in nodes]
        cost = conversion(int(np.prod(graph.shapes[tensor])))
        problem.add(f"{tensor} as INT8", -cost)
        for name in chosen:
            problem.need(name, f"{tensor} as INT8")
        writer = producers.get(tensor)
        whole = writer is not None and writer.name in nodes and tensor not in graph.outputs
        if whole and len(chosen) == len(into):
            more = _saved(graph, writer.name, sdot, "wide") - _saved(graph, writer.name, sdot, "whole")
            problem.add(f"{tensor} in whole numbers", max(0.0, cost - more))
            for name in (writer.name, *chosen):
                problem.need(f"{tensor} in whole numbers", name)
    best = problem.solve()
    chosen = [name for name in nodes if name in best]
    return chosen if int8_saving(graph, chosen, sdot) > 0 else []


def int8_saving(graph: Graph, chosen: Collection[str], sdot: bool) -> float:
    """Return how many instructions fewer a network takes than in FP32 with these convolutions in INT8."""
    whole = set(whole_tensors(graph, chosen))
    nodes = [node for node in graph.nodes if node.name in set(chosen)]
    kernels = {node.name: "whole" if node.outputs[0] in whole else "wide" for node in nodes}
    saved = sum(_saved(graph, name, sdot, kernel) for name, kernel in kernels.items())
    brought = {node.inputs[0] for node in nodes} - whole
    return saved - sum(conversion(int(np.prod(graph.shapes[tensor]))) for tensor in brought)


def _saved(graph: Graph, name: str, sdot: bool, kernel: Kernel) -> float:
    """Return how many instructions fewer a convolution takes with an INT8 kernel than in FP32."""
    node = next(node for node in graph.nodes if node.name == name)
    readers = [each for each in graph.nodes if node.outputs[0] in each.inputs]
    weight, strides = node.params["weight"].shape, math.prod(node.attrs["stride"])
    shape = weight, node.attrs["groups"], strides, graph.shapes[node.outputs[0]][2:]
    saved = convolution(*shape, "float", sdot) - convolution(*shape, kernel, sdot)
    if node.attrs["groups"] == 1 and [each.kind for each in readers] == ["hard_swish"]:
        # In FP32 the convolution does it on the way.
        gate, product = (OPERATORS[kind].instructions for kind in ("hard_sigmoid", "multiply"))
        saved -= 2 * FIXED["fp32"] + (gate + product) * math.prod(graph.shapes[node.outputs[0]])
    return saved


class _Closure:
    """Things to take or leave, each with a value, some of which need others; finds the best set."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.needs: list[tuple[str, str]] = []

    def add(self, name: str, value: float) -> None:
        """Add a thing, worth `value`, which is negative if it costs."""
        self.values[name] = round(value)

    def need(self, name: str, other: str) -> None:
        """Say that who takes the first must take the second."""
        self.needs.append((name, other))

    def solve(self) -> set[str]:
        """Return the set of the greatest value.

        What is worth something hangs on the source, what costs hangs on the sink; the cheapest cut between
        them leaves on the source's side what to take.
        """
        if not self.values:
            return set()
        places = {name: place for place, name in enumerate(self.values)}
        source, sink = len(places), len(places) + 1
        edges = [(places[name], places[other], _NEVER) for name, other in self.needs]
        for name, value in self.values.items():
            edges.append((source, places[name], value) if value > 0 else (places[name], sink, -value))
        rows, columns, capacities = np.array(edges, np.int32).T
        network = coo_matrix((capacities, (rows, columns)), shape=(sink + 1, sink + 1)).tocsr()
        left = network - maximum_flow(network, source, sink).flow
        left.data = np.maximum(left.data, 0)
        left.eliminate_zeros()
        reached = set(breadth_first_order(left, source, return_predecessors=False).tolist())
        return {name for name, place in places.items() if place in reached}
