"""What a graph costs: operators, bytes moved, multiply-adds, and an estimate for ARM.

The estimate is for Paddle-Lite's FP32 kernels on ARMv8, one thread, in instructions. Its factors
come from reading those kernels: a matrix product works on tiles of 8 channels by 12 pixels; split and
concatenation copy; a nearest resize converts coordinates pixel by pixel; a transpose computes an
index for each number. It is there to compare placements, not to predict a time.
"""

import math
from collections import Counter
from dataclasses import dataclass

from compress.graph.edit import is_depthwise
from compress.graph.ir import Graph, Node

OPERATOR = 7000  # instructions that an operator costs however small its tensors are
PIECE = 300  # instructions for each part of a split or concatenation
COPY = 0.6  # instructions to copy a number
PER_NUMBER = {  # instructions for each number written
    "add": 1.3,
    "multiply": 1.3,
    "relu": 0.9,
    "scale": 1.0,
    "batch_norm": 1.2,
    "sigmoid": 8.0,
    "hard_sigmoid": 2.0,
    "hard_swish": 3.0,
    "resize_nearest": 9.4,
    "resize_bilinear": 15.0,
    "max_pool": 4.0,
    "shuffle": 18.0,
    "permute": 18.0,
}


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
    read = sum(math.prod(graph.shapes[name]) for name in node.inputs)
    written = sum(math.prod(graph.shapes[name]) for name in node.outputs)
    weights = sum(array.size for array in node.params.values())
    macs = multiply_adds(graph, node)
    operators = 3 if node.kind == "shuffle" else 1  # reshape, transpose, reshape
    moved = read + written + weights + (2 * written if node.kind == "shuffle" else 0)
    return Cost(operators, 4 * moved, macs, operators * OPERATOR + _work(graph, node, read, written, macs))


def multiply_adds(graph: Graph, node: Node) -> int:
    """Return how many multiply-adds a convolution does; other nodes do none."""
    if node.kind not in ("conv2d", "conv2d_transpose"):
        return 0
    # A convolution uses its kernel once for each output pixel, a transposed one for each input pixel.
    shape = graph.shapes[(node.outputs if node.kind == "conv2d" else node.inputs)[0]]
    return node.params["weight"].size * shape[0] * shape[2] * shape[3]


def _work(graph: Graph, node: Node, read: int, written: int, macs: int) -> float:
    if node.kind in ("split", "concat"):
        return COPY * written + PIECE * max(len(node.inputs), len(node.outputs))
    if node.kind == "average_pool":
        return 1.5 * read + 4 * written
    if node.kind in PER_NUMBER:
        return PER_NUMBER[node.kind] * written
    if is_depthwise(node):
        return 0.75 * macs + 0.5 * written
    if cost_kind(node) == "pointwise conv2d":
        outputs, inputs = node.params["weight"].shape[:2]
        pixels = written // outputs
        tiles = math.ceil(outputs / 8) * math.ceil(pixels / 12)
        return tiles * (29 * inputs + 110) + 0.8 * inputs * pixels
    return 0.4 * macs + written


def kinds(graph: Graph) -> Counter[str]:
    """Return how many nodes of each kind there are."""
    return Counter(node.kind for node in graph.nodes)
