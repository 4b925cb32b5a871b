"""What a graph costs: operators, bytes moved, multiply-adds, and an estimate for ARM.

The estimate is for Paddle-Lite's FP32 kernels on ARMv8, one thread (`compress.graph.kernels` and
`instructions`). It is there to compare placements, not to predict a time.
"""

import math
from collections import Counter
from dataclasses import dataclass

from compress.graph.instructions import FIXED
from compress.graph.ir import Graph, Node
from compress.graph.ops import operator
from compress.graph.ops.products import is_depthwise


@dataclass(frozen=True)
class Cost:
    """The cost of one node, a kind of nodes, or a graph, for one image."""

    operators: int = 0
    bytes: int = 0  # of float32 tensors and weights, read and written
    multiply_adds: int = 0
    instructions: float = 0.0  # estimated for ARM FP32

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.operators + other.operators,
            self.bytes + other.bytes,
            self.multiply_adds + other.multiply_adds,
            self.instructions + other.instructions,
        )


def graph_cost(graph: Graph) -> Cost:
    """Return the cost of the whole graph."""
    return sum(cost_by_kind(graph).values(), Cost())


def cost_by_kind(graph: Graph) -> dict[str, Cost]:
    """Return the cost of each kind of node; depthwise and pointwise convolutions count apart."""
    result: dict[str, Cost] = {}
    for node in graph.nodes:
        kind = cost_kind(node)
        result[kind] = result.get(kind, Cost()) + node_cost(graph, node)
    return result


def cost_rows(before: Graph, after: Graph) -> list[tuple[str, Cost, Cost]]:
    """Return (kind, cost before, cost after), the dearest kinds first and the total last."""
    old, new = cost_by_kind(before), cost_by_kind(after)
    kinds = sorted(old | new, key=lambda kind: -old.get(kind, Cost()).instructions)
    rows = [(kind, old.get(kind, Cost()), new.get(kind, Cost())) for kind in kinds]
    return [*rows, ("total", graph_cost(before), graph_cost(after))]


def cost_kind(node: Node) -> str:
    """Return the node's kind, with convolutions told apart by shape."""
    if node.kind != "conv2d":
        return node.kind
    if is_depthwise(node):
        return "depthwise conv2d"
    return "pointwise conv2d" if node.params["weight"].shape[2:] == (1, 1) else "conv2d"


def node_cost(graph: Graph, node: Node) -> Cost:
    """Return the cost of one node of `graph`."""
    inputs, outputs = ([graph.shapes[name] for name in names] for names in (node.inputs, node.outputs))
    read, written = (sum(math.prod(shape) for shape in shapes) for shapes in (inputs, outputs))
    weights = sum(array.size for array in node.params.values())
    operators = 3 if node.kind == "shuffle" else 1  # reshape, transpose, reshape
    moved = read + written + weights + (2 * written if node.kind == "shuffle" else 0)
    work = operator(node).instructions
    work = work(node, inputs, outputs) if callable(work) else work * written
    return Cost(operators, 4 * moved, multiply_adds(graph, node), operators * FIXED["fp32"] + work)


def multiply_adds(graph: Graph, node: Node) -> int:
    """Return how many multiply-adds a convolution or matrix product does; other nodes do none."""
    inputs, outputs = ([graph.shapes[name] for name in names] for names in (node.inputs, node.outputs))
    return operator(node).multiply_adds(node, inputs, outputs)


def kinds(graph: Graph) -> Counter[str]:
    """Return how many nodes of each kind there are."""
    return Counter(node.kind for node in graph.nodes)
