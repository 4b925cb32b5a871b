"""Carry channel orders symbolically, so that shuffles vanish into the weights around them.

Every channel of every tensor is followed through splits, concatenations and shuffles, which compute
nothing. What remains is a set of tensors that something computes or reads, and for each tensor that
is put together from others the list of where its channels come from. In which order a tensor keeps
its channels is free, as long as tensors that are added or multiplied agree, and the network's input
and outputs stay as they are: convolutions read and write any order by permuting their weights. The
orders are chosen so that little has to be moved (`compress.graph.rules.layout`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from compress.graph.edit import is_depthwise, rebuilt
from compress.graph.ir import Graph, Node
from compress.graph.rules.layout import choose_orders, pieces

Refs = tuple[np.ndarray, np.ndarray]  # for each logical channel: its tensor, its index there


@dataclass
class Tensor:
    """Something computed, or put together from others; `slots[k]` is the slot of index k in its class.

    Tensors of one class keep their channels in one order. `sources` says, for a tensor that is put
    together, where each index comes from.
    """

    name: str
    group: int
    slots: np.ndarray
    sources: Refs | None = None


@dataclass
class Step:
    """A node that computes: for each input its tensor and the index there of each logical channel."""

    node: Node
    inputs: list[tuple[int, np.ndarray]]
    outputs: list[int]


@dataclass
class Routes:
    """A graph with its channels followed: tensors, steps, and the orders that are not free.

    `pins[g]` lists for class g the slots from the first physical channel to the last.
    """

    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    pins: dict[int, np.ndarray] = field(default_factory=dict)


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


def follow(graph: Graph) -> Routes:
    """Follow the channels of `graph` from its input to its outputs."""
    return _Follower(graph).routes


class _Follower:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.routes = Routes()
        self.refs: dict[str, Refs] = {}  # of each tensor of the graph
        self.gathered: dict[tuple, int] = {}
        start = self.new_tensor(graph.input, graph.shapes[graph.input][1])
        self.routes.pins[start] = np.arange(graph.shapes[graph.input][1])
        for node in graph.nodes:
            self.visit(node)
        for name in graph.outputs:
            self.routes.outputs.append(self.pinned(name)[0])

    def visit(self, node: Node) -> None:
        if node.kind == "concat":
            parts = [self.refs[name] for name in node.inputs]
            owners, indices = (np.concatenate(each) for each in zip(*parts, strict=True))
            self.refs[node.outputs[0]] = (owners, indices)
        elif node.kind == "split":
            ends = np.cumsum(node.attrs["sections"])[:-1]
            parts = [np.split(each, ends) for each in self.refs[node.inputs[0]]]
            self.refs.update(zip(node.outputs, zip(*parts, strict=True), strict=True))
        elif node.kind in ("shuffle", "permute"):
            owners, indices = self.refs[node.inputs[0]]
            order = _order(node, len(owners))
            self.refs[node.outputs[0]] = (owners[order], indices[order])
        elif node.kind in ("conv2d", "conv2d_transpose") and not is_depthwise(node):
            whole = node.attrs["groups"] == 1
            source = self.gather(node.inputs[0]) if whole else self.pinned(node.inputs[0])
            self.add_step(node, [source], None)
            if not whole:  # outputs belong to groups; keep them where they are
                self.pinned(node.outputs[0])
        else:
            first = self.gather(node.inputs[0])
            others = [self.agreeing(name, first) for name in node.inputs[1:]]
            self.add_step(node, [first, *others], first)

    def new_tensor(self, name: str, channels: int, sources: Refs | None = None) -> int:
        number = len(self.routes.tensors)
        self.routes.tensors.append(Tensor(name, number, np.arange(channels), sources))
        self.refs.setdefault(name, (np.full(channels, number), np.arange(channels)))
        return number

    def add_step(self, node: Node, inputs: list, like: tuple[int, np.ndarray] | None) -> None:
        """Append a step; its output has an order of its own, or the order of the tensor `like`."""
        (name,) = node.outputs
        number = self.new_tensor(name, self.graph.shapes[name][1])
        if like is not None:
            source = self.routes.tensors[like[0]]
            self.routes.tensors[number].group = source.group
            self.routes.tensors[number].slots = source.slots.copy()
            self.refs[name] = (np.full(len(like[1]), number), like[1])
        self.routes.steps.append(Step(node, inputs, [number]))

    def gather(self, name: str) -> tuple[int, np.ndarray]:
        """Return one tensor that holds the channels of `name`, and where each is in it."""
        owners, indices = self.refs[name]
        tensor = self.routes.tensors[owners[0]]
        if np.all(owners == owners[0]) and np.array_equal(np.sort(indices), np.arange(len(tensor.slots))):
            return int(owners[0]), indices
        # Whoever needs the same set of channels, in whatever order, shares one tensor.
        order = np.lexsort((indices, owners))
        key = (tuple(owners[order]), tuple(indices[order]))
        if key not in self.gathered:
            self.gathered[key] = self.new_tensor(name, len(owners), (owners, indices))
        number = self.gathered[key]
        theirs = self.routes.tensors[number].sources
        where = np.empty(len(owners), int)
        where[order] = np.lexsort((theirs[1], theirs[0]))
        return number, where

    def agreeing(self, name: str, like: tuple[int, np.ndarray]) -> tuple[int, np.ndarray]:
        """Return a tensor that holds `name` in the order in which `like` holds its channels."""
        number, where = self.gather(name)
        if not self.tie(like, (number, where)):
            owner, order = like
            number, where = self.reordered(name, number, where[np.argsort(order)]), order
            self.set_class(number, self.routes.tensors[owner].group, self.routes.tensors[owner].slots.copy())
        return number, where

    def pinned(self, name: str) -> tuple[int, np.ndarray]:
        """Return a tensor that holds `name` physically in its logical order."""
        number, where = self.gather(name)
        tensor = self.routes.tensors[number]
        wanted = tensor.slots[where]
        pin = self.routes.pins.get(tensor.group)
        if pin is not None and not np.array_equal(pin, wanted):
            number, where = self.reordered(name, number, where), np.arange(len(where))
            tensor, wanted = self.routes.tensors[number], np.arange(len(where))
        self.routes.pins[tensor.group] = wanted
        return number, where

    def reordered(self, name: str, number: int, where: np.ndarray) -> int:
        """Make a tensor whose index k holds index where[k] of tensor `number`."""
        taken = {each.name for each in self.routes.tensors}
        name = next(each for each in (f"{name}:{n}" for n in range(len(taken))) if each not in taken)
        return self.new_tensor(name, len(where), (np.full(len(where), number), where))

    def tie(self, one: tuple[int, np.ndarray], two: tuple[int, np.ndarray]) -> bool:
        """Make two tensors keep their channels in one order; False if other ties forbid it."""
        tensors, pins = self.routes.tensors, self.routes.pins
        first, second = tensors[one[0]], tensors[two[0]]
        slots, others = first.slots[one[1]], second.slots[two[1]]
        if first.group == second.group:
            return np.array_equal(slots, others)
        into = np.empty(len(slots), int)
        into[others] = slots
        pin = pins.get(second.group)
        if pin is not None and first.group in pins and not np.array_equal(pins[first.group], into[pin]):
            return False
        if pin is not None:
            pins[first.group] = into[pin]
        old = second.group
        for number, tensor in enumerate(tensors):
            if tensor.group == old:
                self.set_class(number, first.group, into[tensor.slots])
        return True

    def set_class(self, number: int, group: int, slots: np.ndarray) -> None:
        self.routes.tensors[number].group = group
        self.routes.tensors[number].slots = slots


def _order(node: Node, channels: int) -> np.ndarray:
    if node.kind == "permute":
        return np.asarray(node.attrs["order"])
    return np.arange(channels).reshape(node.attrs["groups"], -1).T.reshape(-1)


def placed(graph: Graph, routes: Routes, orders: dict[int, np.ndarray]) -> Graph:
    """Return the graph in which the tensors of class g keep slot orders[g][p] at physical channel p."""
    ranks = {group: np.argsort(order) for group, order in orders.items()}
    parts = pieces(routes, ranks)
    moves: list[Node] = []
    aliases: dict[str, str] = {}
    for number, ends in parts.cuts.items():
        name = routes.tensors[number].name
        spans = list(zip(ends, ends[1:], strict=False))
        sections = [int(stop - start) for start, stop in spans]
        outputs = [_part(name, *span) for span in spans]
        moves.append(Node("split", f"{name}:split", [name], outputs, {"sections": sections}))
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
            moves.append(Node("concat", name, names, [name]))
    steps = []
    for step in routes.steps:
        read = [
            ranks[routes.tensors[number].group][routes.tensors[number].slots[where]]
            for number, where in step.inputs
        ]
        (output,) = (routes.tensors[number] for number in step.outputs)
        names = [routes.tensors[number].name for number, _ in step.inputs]
        steps.append(replace(_permuted(step.node, read[0], ranks[output.group][output.slots]), inputs=names))
    whole = replace(graph, outputs=[routes.tensors[number].name for number in routes.outputs])
    return rebuilt(whole, steps + moves, aliases)


def _part(name: str, start: int, stop: int) -> str:
    return f"{name}[{start}:{stop}]"


def _permuted(node: Node, inputs: np.ndarray, outputs: np.ndarray) -> Node:
    """Return `node` for physical channels: logical channel i comes at inputs[i] and goes to outputs[i]."""
    if not node.params:
        return node
    read, write = np.argsort(inputs), np.argsort(outputs)
    params = {}
    for key, array in node.params.items():
        if node.kind in ("conv2d", "conv2d_transpose") and not is_depthwise(node):
            if node.attrs["groups"] == 1 and key == "weight":
                rows, columns = (write, read) if node.kind == "conv2d" else (read, write)
                params[key] = np.ascontiguousarray(array[rows][:, columns])
            else:
                params[key] = array[write] if node.attrs["groups"] == 1 else array
        else:
            params[key] = array[read]
    return replace(node, params=params)
