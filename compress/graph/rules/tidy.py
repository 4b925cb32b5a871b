"""Drop what does nothing: nodes that hand on their input, and reorderings that undo each other."""

import numpy as np

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node


def drop_identities(graph: Graph) -> Graph:
    """Remove nodes whose output is their input.

    Those are resizes and average pools to the size that is there, splits and concatenations of one
    part, shuffles and permutations that keep the order, scales by one, and ReLU behind ReLU.
    """
    writers = graph.producers()
    aliases = {}
    for node in graph.nodes:
        if _does_nothing(node, graph, writers):
            aliases[node.outputs[0]] = node.inputs[0]
    nodes = [node for node in graph.nodes if node.outputs[0] not in aliases]
    return rebuilt(graph, nodes, aliases)


def _does_nothing(node: Node, graph: Graph, writers: dict[str, Node]) -> bool:
    source = node.inputs[0]
    channels = graph.shapes[source][1]
    match node.kind:
        case "resize_nearest" | "resize_bilinear" | "average_pool":
            return tuple(node.attrs["size"]) == graph.shapes[source][2:]
        case "split":
            return len(node.outputs) == 1
        case "concat":
            return len(node.inputs) == 1
        case "shuffle":
            return node.attrs["groups"] in (1, channels)
        case "permute":
            return node.attrs["order"] == list(range(channels))
        case "scale":
            return bool(np.all(node.params["scale"] == 1) and np.all(node.params["bias"] == 0))
        case "relu":
            before = writers.get(source)
            return before is not None and (
                before.kind in ("relu", "sigmoid") or bool(before.attrs.get("relu"))
            )
    return False
