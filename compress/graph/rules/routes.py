"""Follow every channel of every tensor through a graph, as far as nothing is computed.

What remains is a set of tensors that something computes or reads, and for each tensor that is put together
from others the list of where its channels come from. In which order a tensor keeps its channels is free, as
far as the operators that read and write it say (`compress.graph.ops`).
"""

from dataclasses import dataclass, field

import numpy as np

from compress.graph.ir import Graph, Node
from compress.graph.ops import Refs, moves, orders

Held = tuple[int, np.ndarray]  # a tensor, and the index in it of each logical channel


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
    """A node that computes: for each input and output its tensor and the index of each logical channel."""

    node: Node
    inputs: list[Held]
    outputs: list[Held]


@dataclass
class Routes:
    """A graph with its channels followed: tensors, steps, and the orders that are not free.

    `pins[g]` lists for class g the slots from the first physical channel to the last.
    """

    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    pins: dict[int, np.ndarray] = field(default_factory=dict)


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
        shapes = [self.graph.shapes[name] for name in node.inputs]
        moved = moves(node, shapes)
        if moved is not None:
            self.move(node, moved)
            return
        ways = orders(node, shapes)
        sources: list[Held] = []
        like: Held | None = None
        for index, name in enumerate(node.inputs):
            way = ways.of(index)
            if way == "fixed":
                sources.append(self.pinned(name))
            elif way == "same" and like is not None:
                sources.append(self.agreeing(name, like))
            else:
                sources.append(self.gather(name))
                like = sources[-1] if way == "same" else like
        self.add_step(node, sources, like)
        if ways.output == "fixed":
            for name in node.outputs:
                self.pinned(name)

    def move(self, node: Node, moved: list[Refs]) -> None:
        """Note where the channels of what `node` writes come from; `moved` says it by its inputs."""
        parts = [self.refs[name] for name in node.inputs]
        owners, indices = (np.concatenate(each) for each in zip(*parts, strict=True))
        starts = np.cumsum([0, *(len(part[0]) for part in parts)])
        for name, (source, index) in zip(node.outputs, moved, strict=True):
            taken = starts[source] + index
            self.refs[name] = (owners[taken], indices[taken])

    def new_tensor(self, name: str, channels: int, sources: Refs | None = None) -> int:
        number = len(self.routes.tensors)
        self.routes.tensors.append(Tensor(name, number, np.arange(channels), sources))
        self.refs.setdefault(name, (np.full(channels, number), np.arange(channels)))
        return number

    def add_step(self, node: Node, inputs: list[Held], like: Held | None) -> None:
        """Append a step; its outputs have orders of their own, or the order of the tensor `like`."""
        outputs = []
        for name in node.outputs:
            number = self.new_tensor(name, self.graph.shapes[name][1])
            where = np.arange(self.graph.shapes[name][1])
            if like is not None:
                source, where = self.routes.tensors[like[0]], like[1]
                self.set_class(number, source.group, source.slots.copy())
                self.refs[name] = (np.full(len(where), number), where)
            outputs.append((number, where))
        self.routes.steps.append(Step(node, inputs, outputs))

    def gather(self, name: str) -> Held:
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

    def agreeing(self, name: str, like: Held) -> Held:
        """Return a tensor that holds `name` in the order in which `like` holds its channels."""
        number, where = self.gather(name)
        if not self.tie(like, (number, where)):
            owner, order = like
            number, where = self.reordered(name, number, where[np.argsort(order)]), order
            self.set_class(number, self.routes.tensors[owner].group, self.routes.tensors[owner].slots.copy())
        return number, where

    def pinned(self, name: str) -> Held:
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

    def tie(self, one: Held, two: Held) -> bool:
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
