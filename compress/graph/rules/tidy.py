"""Drop what does nothing: nodes that hand on their input, masks of ones, transpositions for a product."""

from dataclasses import replace

import numpy as np

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node

_NOT_NEGATIVE = ("relu", "sigmoid", "hard_sigmoid", "softmax")


def drop_identities(graph: Graph) -> Graph:
    """Remove nodes whose output is their input.

    Those are resizes and average pools to the size that is there, splits and concatenations of one
    part, slices of the whole, shuffles, permutations and transpositions that keep the order, reshapes to the
    shape that is there, scales by one, and ReLU behind ReLU.
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
        case "slice":
            return graph.shapes[source] == graph.shapes[node.outputs[0]]
        case "reshape":
            return tuple(node.attrs["shape"]) == graph.shapes[source][1:]
        case "transpose":
            return node.attrs["axes"] == sorted(node.attrs["axes"])
        case "scale" | "scale_last":
            return bool(np.all(node.params["scale"] == 1) and np.all(node.params["bias"] == 0))
        case "relu":
            before = writers.get(source)
            return before is not None and (before.kind in _NOT_NEGATIVE or bool(before.attrs.get("relu")))
    return False


def drop_masks_of_ones(graph: Graph) -> Graph:
    """Let deformable convolutions do without a mask that is 1 throughout, written as x * 0 + 1."""
    writers = graph.producers()
    nodes = []
    for node in graph.nodes:
        mask = writers.get(node.inputs[2]) if node.kind == "deform_conv2d" and len(node.inputs) == 3 else None
        if mask is not None and mask.kind == "scale":
            ones = np.all(mask.params["scale"] == 0) and np.all(mask.params["bias"] == 1)
            node = replace(node, inputs=node.inputs[:2]) if ones else node
        nodes.append(node)
    return rebuilt(graph, nodes)


def fuse_transposition(graph: Graph) -> Graph:
    """Let a product read its second matrix as it is where it was transposed just for it."""
    writers = graph.producers()
    nodes = []
    for node in graph.nodes:
        before = writers.get(node.inputs[-1]) if node.kind == "matmul" else None
        if before is not None and before.kind == "transpose":
            *batch, rows, columns = range(len(before.attrs["axes"]))
            if before.attrs["axes"] == [*batch, columns, rows]:
                attrs = {"transpose_y": not node.attrs["transpose_y"]}
                node = replace(node, inputs=[node.inputs[0], before.inputs[0]], attrs=attrs)
        nodes.append(node)
    return rebuilt(graph, nodes)
