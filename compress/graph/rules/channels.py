"""Carry channel orders symbolically, so that shuffles vanish into the weights around them.

The channels of every tensor are followed through splits, concatenations and shuffles, which compute nothing
(`compress.graph.rules.routes`). In which order what remains keeps its channels is free, as long as tensors
that are added or multiplied agree, and the network's input and outputs stay as they are: convolutions read
and write any order by permuting their weights. The orders are chosen so that little has to be moved
(`compress.graph.rules.layout`).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node
from compress.graph.ops import Shape, operator
from compress.graph.rules.layout import choose_orders, pieces
from compress.graph.rules.routes import Held, Routes, follow


def route_channels(
    graph: Graph, cost: Callable[[Graph], float], depths: tuple[int, ...] = (0, 1, 2)
) -> Graph:
    """Remove shuffles, permutations, and splits and concatenations that cancel or can be avoided.

    Args:
        graph: any graph.
        cost: a function of a graph; of the placements tried and `graph` the cheapest is taken.
        depths: how many movements ahead the orders look; each is tried.
    """
    routes = follow(graph)
    plans = [choose_orders(routes, depth, glue) for depth in depths for glue in (False, True)]
    return min([graph, *(placed(graph, routes, orders) for orders in plans)], key=cost)


def placed(graph: Graph, routes: Routes, orders: dict[int, np.ndarray]) -> Graph:
    """Return the graph in which the tensors of class g keep slot orders[g][p] at physical channel p."""
    ranks = {group: np.argsort(order) for group, order in orders.items()}
    parts = pieces(routes, ranks)
    added: list[Node] = []
    aliases: dict[str, str] = {}
    for number, ends in parts.cuts.items():
        name = routes.tensors[number].name
        spans = list(zip(ends, ends[1:], strict=False))
        sections = [int(stop - start) for start, stop in spans]
        outputs = [_part(name, *span) for span in spans]
        added.append(Node("split", f"{name}:split", [name], outputs, {"sections": sections}))
    for number, row in parts.of.items():
        name = routes.tensors[number].name
        names = [
            routes.tensors[piece.tensor].name
            if piece.whole
            else _part(routes.tensors[piece.tensor].name, piece.start, piece.stop)
            for piece in row
        ]
        if len(names) == 1:
            aliases[name] = names[0]
        else:
            added.append(Node("concat", name, names, [name]))

    def physical(held: Held) -> np.ndarray:
        tensor = routes.tensors[held[0]]
        return ranks[tensor.group][tensor.slots[held[1]]]

    steps = []
    for step in routes.steps:
        names = [routes.tensors[number].name for number, _ in step.inputs]
        shapes = [graph.shapes[name] for name in step.node.inputs]
        node = _permuted(step.node, shapes, physical(step.inputs[0]), physical(step.outputs[0]))
        steps.append(replace(node, inputs=names))
    whole = replace(graph, outputs=[routes.tensors[number].name for number in routes.outputs])
    return rebuilt(whole, steps + added, aliases)


def _part(name: str, start: int, stop: int) -> str:
    return f"{name}[{start}:{stop}]"


def _permuted(node: Node, shapes: list[Shape], read: np.ndarray, written: np.ndarray) -> Node:
    """Return `node` for physical channels: logical channel i comes at read[i] and goes to written[i]."""
    order = {"in": np.argsort(read), "out": np.argsort(written)}
    params = dict(node.params)
    for key, roles in operator(node).axes(node, shapes).items():
        for axis, role in enumerate(roles):
            if role is not None and key in params:
                params[key] = np.ascontiguousarray(np.take(params[key], order[role], axis=axis))
    return replace(node, params=params)
