"""Products in the form that takes the fewest instructions: the same numbers, to float32 rounding."""

import math
from dataclasses import replace

import numpy as np

from compress.graph import instructions
from compress.graph.cost import node_cost
from compress.graph.edit import rebuilt, unused_name
from compress.graph.ir import Graph, Node
from compress.graph.kernels import convolution, transposed

POINTWISE = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": False}


def spread_instead_of_collect(graph: Graph) -> Graph:
    """Let wide kernels that give few channels be transposed convolutions, with the kernel turned about.

    A convolution first copies what lies under its kernel: h w numbers for each channel that it reads. A
    transposed one multiplies first, and adds up h w numbers for each channel that it writes. Without strides
    the two are the same function. RTMPose's last convolution, 7x7 from 384 channels to 17, takes a third
    so; and in FP16, where Paddle-Lite sums in FP16, sums of 384 are exacter than sums of 18816.
    """
    # Paddle-Lite's optimiser puts `hard_swish` into the convolution before; if transposed, it fails.
    kept = {name for node in graph.nodes if node.kind == "hard_swish" for name in node.inputs}
    nodes = [
        _spread(node) if kept.isdisjoint(node.outputs) and _cheaper_spread(graph, node) else node
        for node in graph.nodes
    ]
    return rebuilt(graph, nodes)


def _cheaper_spread(graph: Graph, node: Node) -> bool:
    if node.kind != "conv2d" or node.attrs["groups"] > 1:
        return False
    kernel = node.params["weight"].shape[2:]
    ends = [side - 1 - padding for side, padding in zip(kernel, node.attrs["padding"], strict=True)]
    if node.attrs["stride"] != [1, 1] or node.attrs["dilation"] != [1, 1] or min(ends) < 0:
        return False
    weight, written = node.params["weight"].shape, graph.shapes[node.outputs[0]]
    read = graph.shapes[node.inputs[0]][2:]
    turned = (weight[1], weight[0], *weight[2:])
    after = transposed(turned, 1, 1, read, math.prod(written[1:]))
    # A transposed convolution is never in INT8, so it has to be cheaper than that too.
    return all(after < convolution(weight, 1, 1, written[2:], kernel) for kernel in ("float", "wide"))


def _spread(node: Node) -> Node:
    weight = node.params["weight"]
    turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
    ends = [side - 1 - pad for side, pad in zip(weight.shape[2:], node.attrs["padding"], strict=True)]
    attrs = {key: value for key, value in node.attrs.items() if key != "dilation"}
    attrs |= {"padding": ends, "output_padding": [0, 0]}
    return replace(node, kind="conv2d_transpose", attrs=attrs, params={**node.params, "weight": turned})


def rows_as_pixels(graph: Graph) -> Graph:
    """Let linear maps of rows be pointwise convolutions, with each row as a pixel, where that is cheaper.

    Paddle-Lite brings a convolution's weights into the order of its kernel once, those of a product at every
    inference; and its convolutions have INT8 kernels that give FP32, so these maps may be in INT8.
    """
    nodes: list[Node] = []
    pixels: dict[str, str] = {}  # rows -> the same as pixels, for all who read them
    for node in graph.nodes:
        if node.kind != "linear" or not _cheaper_as_pixels(graph, node):
            nodes.append(node)
            continue
        (rows,), (result,) = node.inputs, node.outputs
        (_, count, read), written = graph.shapes[rows], graph.shapes[result][2]
        if rows not in pixels:
            turned, pixels[rows] = (unused_name(graph, f"{rows}/{word}") for word in ("turned", "pixels"))
            nodes.append(Node("transpose", turned, [rows], [turned], {"axes": [0, 2, 1]}))
            nodes.append(_shaped(turned, pixels[rows], [read, 1, count]))
        multiplied, flat = (unused_name(graph, f"{result}/{word}") for word in ("multiplied", "flat"))
        weight = np.ascontiguousarray(node.params["weight"].T[:, :, None, None])
        params = {**node.params, "weight": weight}
        nodes.append(Node("conv2d", node.name, [pixels[rows]], [multiplied], dict(POINTWISE), params))
        nodes.append(_shaped(multiplied, flat, [written, count]))
        back = unused_name(graph, f"{node.name}/rows")
        nodes.append(Node("transpose", back, [flat], [result], {"axes": [0, 2, 1]}))
    return rebuilt(graph, nodes)


def _cheaper_as_pixels(graph: Graph, node: Node) -> bool:
    shape = graph.shapes[node.inputs[0]]
    if len(shape) != 3:
        return False
    inputs, outputs = node.params["weight"].shape
    product = convolution((outputs, inputs, 1, 1), 1, 1, (1, shape[1]))
    turning = instructions.transposing([0, 2, 1]) * shape[1] * (inputs + outputs)
    return product + turning + 4 * instructions.FIXED["fp32"] < node_cost(graph, node).instructions


def _shaped(before: str, after: str, shape: list[int]) -> Node:
    return Node("reshape", after, [before], [after], {"shape": shape})
