"""Small helpers for rules, which turn one graph into another and leave the first as it was."""

from collections.abc import Iterable
from dataclasses import replace

from compress.graph.ir import Graph, Node
from compress.graph.shapes import infer_shapes


def rebuilt(graph: Graph, nodes: Iterable[Node], aliases: dict[str, str] | None = None) -> Graph:
    """Return `graph` with other nodes: in an order in which they run, without those nobody needs.

    Args:
        graph: gives the input and the outputs.
        nodes: in any order.
        aliases: tensors that are now another one; whoever reads the first reads the second, chains
            are followed.
    """
    names = aliases or {}
    outputs = [resolved(name, names) for name in graph.outputs]
    renamed = [replace(node, inputs=[resolved(name, names) for name in node.inputs]) for node in nodes]
    ordered = _ordered(_needed(renamed, outputs), graph.input)
    result = Graph(graph.input, outputs, ordered, {})
    result.shapes = infer_shapes(result, graph.shapes[graph.input])
    return result


def resolved(name: str, aliases: dict[str, str]) -> str:
    """Follow `aliases` from `name` to its end."""
    while name in aliases:
        name = aliases[name]
    return name


def single_reader(graph: Graph, readers: dict[str, list[Node]], name: str) -> Node | None:
    """Return the only node that reads tensor `name`; None if there are more or it is an output."""
    found = readers.get(name, [])
    return found[0] if len(found) == 1 and name not in graph.outputs else None


def unused_name(graph: Graph, wanted: str, taken: Iterable[str] = ()) -> str:
    """Return `wanted`, or `wanted~2` and so on, whichever is no node or tensor yet."""
    known = {node.name for node in graph.nodes} | set(graph.shapes) | set(taken)
    name, count = wanted, 1
    while name in known:
        count += 1
        name = f"{wanted}~{count}"
    return name


def _needed(nodes: list[Node], outputs: list[str]) -> list[Node]:
    writers = {name: node for node in nodes for name in node.outputs}
    needed: set[int] = set()
    pending = list(outputs)
    while pending:
        node = writers.get(pending.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            pending.extend(node.inputs)
    return [node for node in nodes if id(node) in needed]


def _ordered(nodes: list[Node], start: str) -> list[Node]:
    """Sort nodes so that each reads what is there, keeping the given order where possible."""
    writers = {name: node for node in nodes for name in node.outputs}
    ordered: list[Node] = []
    done: set[int] = set()
    for node in nodes:
        stack = [node]
        while stack:
            current = stack[-1]
            waiting = [
                writers[name]
                for name in current.inputs
                if name != start and name in writers and id(writers[name]) not in done
            ]
            if id(current) not in done and waiting:
                if len(stack) > len(nodes):
                    raise ValueError(f"node '{node.name}' needs its own output")
                stack.append(waiting[0])
                continue
            stack.pop()
            if id(current) not in done:
                done.add(id(current))
                ordered.append(current)
    return ordered
