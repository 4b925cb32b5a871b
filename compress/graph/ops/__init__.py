"""The table of operators: what each kind of node computes, and what may be done with it.

Everything that is done with a graph asks this table: shapes, running, costs, the rules that rewrite it and
the factors that INT8 wants. How a kind is written to a file stands beside the writer of that format
(`lite_deploy.write`). A kind without an entry raises, by name.
"""

import numpy as np

from compress.graph.ir import Node
from compress.graph.ops.moving import MOVING
from compress.graph.ops.pointwise import POINTWISE
from compress.graph.ops.products import PRODUCTS
from compress.graph.ops.table import Operator, Places, Refs, Shape, Ways

OPERATORS: dict[str, Operator] = {**PRODUCTS, **POINTWISE, **MOVING}


def operator(node: Node) -> Operator:
    """Return the entry of a node's kind.

    Raises:
        ValueError: there is none; the node and the kind are named.
    """
    found = OPERATORS.get(node.kind)
    if found is None:
        raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which graphs do not have")
    return found


def orders(node: Node, inputs: list[Shape]) -> Ways:
    """Return what `node` lets the order of channels do when it reads tensors of shapes `inputs`."""
    ways = operator(node).orders
    return ways if isinstance(ways, Ways) else ways(node, inputs)


def factors(node: Node, inputs: list[Shape]) -> Ways:
    """Return what `node` lets positive factors of channels do when it reads tensors of shapes `inputs`."""
    ways = operator(node).factors
    return ways if isinstance(ways, Ways) else ways(node, inputs)


def moves(node: Node, inputs: list[Shape]) -> list[Refs] | None:
    """Return where each output's channels come from; None unless it is channels that `node` moves."""
    found = operator(node).moves
    return None if found is None else found(node, inputs)


def places(node: Node, inputs: list[Shape], read: np.ndarray, written: np.ndarray) -> Places:
    """Return what multiplies and divides the parameters that `node` has; see `Operator.places`."""
    found = operator(node).places(node, inputs, read, written)
    return {key: value for key, value in found.items() if key in node.params}
