"""What Paddle-Lite's FP16 and INT8 kernels compute wrongly, written so that they are right."""

import math
from collections.abc import Collection
from dataclasses import replace

from compress.graph.edit import rebuilt, unused_name
from compress.graph.ir import Graph, Node
from compress.graph.ops.products import is_depthwise

# Rows and columns of weights that Paddle-Lite's `gemv_fp16` works on at a time.
ROWS, COLUMNS = 8, 16
_PART = 4  # channels of the second part; no multiple of ROWS
NARROW = 16  # columns up to which Paddle-Lite pools 2x2 maxima by another kernel
_POOL = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0]}


def split_gates(graph: Graph) -> Graph:
    """Write in two parts what Paddle-Lite's FP16 kernel for one pixel would read past its weights for.

    A convolution whose output is one pixel (the gate of squeeze-and-excitation) is a product of a matrix and
    a vector there. The kernel takes 16 columns at a time, with the vector filled up by zeros, but not the
    matrix: if the rows are no multiple of that, the last row goes on into what lies behind the weights, and
    zero times a NaN found there is NaN. Only where the number of rows is no multiple of 8 is the last of them
    copied and filled up. So such a convolution becomes two of fewer rows, and a concatenation.

    Raises:
        NotImplementedError: such a convolution has several groups, which no network here has.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        if not reads_past_weights(graph, node):
            nodes.append(node)
            continue
        if node.attrs["groups"] > 1:
            raise NotImplementedError(f"'{node.name}' in FP16: a pooled convolution of several groups")
        first = node.params["weight"].shape[0] - _PART
        names = [unused_name(graph, f"{node.name}.{part}") for part in ("first", "last")]
        for name, rows in zip(names, (slice(None, first), slice(first, None)), strict=True):
            params = {key: array[rows] for key, array in node.params.items()}
            nodes.append(replace(node, name=name, outputs=[name], params=params))
        joined = unused_name(graph, f"{node.name}.joined")
        nodes.append(Node("concat", joined, names, list(node.outputs), {"axis": 1}))
    return rebuilt(graph, nodes)


def pad_max_pools(graph: Graph) -> Graph:
    """Let 2x2 max pooling with stride 2 have a border on one side, which it does not reach, for FP16.

    Paddle-Lite's FP16 kernel for it (`pooling2x2s2p0_max_fp16`, of maps wider than 16) makes eight outputs
    at a time and, in the lower row, takes the first eight columns where it ought to take the second. With a
    border another kernel is taken, which is right; on a side of even length no window reaches it.

    Raises:
        NotImplementedError: both sides are odd, which no map of a network here is.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        *_, height, width = graph.shapes[node.inputs[0]]
        plain = node.kind == "max_pool" and [node.attrs[key] for key in _POOL] == list(_POOL.values())
        if plain and width > NARROW:
            if height % 2 and width % 2:
                raise NotImplementedError(
                    f"'{node.name}' in FP16: 2x2 max pooling of {height}x{width} pixels"
                )
            border = [0, 1, 0, 0] if width % 2 else [0, 0, 0, 1]
            node = replace(node, attrs={**node.attrs, "padding": border})
        nodes.append(node)
    return rebuilt(graph, nodes)


def split_hard_swish(graph: Graph, quantised: Collection[str]) -> Graph:
    """Write hard_swish behind convolutions in INT8 as gate and product: x * clip(x / 6 + 1 / 2, 0, 1).

    As one operator Paddle-Lite's optimiser would put it into the convolution, and the INT8 kernels of some
    (direct 3x3, depthwise) then forget to bring its bounds to the units of what they write.

    Args:
        graph: the network.
        quantised: the convolutions in INT8.
    """
    writers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        writer = writers.get(node.inputs[0])
        if node.kind == "hard_swish" and writer is not None and writer.name in quantised:
            gate = unused_name(graph, f"{node.name}/gate")
            attrs = {"slope": 1 / 6, "offset": 0.5}
            nodes.append(Node("hard_sigmoid", gate, list(node.inputs), [gate], attrs))
            node = Node("multiply", node.name, [*node.inputs, gate], list(node.outputs))
        nodes.append(node)
    return rebuilt(graph, nodes)


def reads_past_weights(graph: Graph, node: Node) -> bool:
    """Say whether Paddle-Lite's FP16 kernel for this node reads numbers behind its weights."""
    if node.kind != "conv2d" or is_depthwise(node) or graph.shapes[node.outputs[0]][2:] != (1, 1):
        return False
    outputs, *depth = node.params["weight"].shape
    return outputs // node.attrs["groups"] % ROWS == 0 and math.prod(depth) % COLUMNS != 0
