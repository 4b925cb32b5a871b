"""From a Paddle layer to a graph: run it once symbolically and read the operators off."""

from copy import deepcopy

import paddle

from compress.graph.ir import Graph, Node
from compress.graph.shapes import infer_shapes
from compress.graph.trace.operators import read
from compress.graph.trace.reader import Reader


def trace(net: paddle.nn.Layer, input_shape: tuple[int, int, int, int] = (1, 3, 256, 192)) -> Graph:
    """Return the inference graph of `net` for one input size.

    The layer is copied and stays as it is. Convolutions, linear maps and batch norms are named by their
    layers' names in the checkpoint (`backbone.stem.conv1.conv`), other nodes by kind and position. A layer
    that is called again gets `@2` and so on behind its name.

    Args:
        net: a layer whose forward takes one image tensor and returns a tensor or several.
        input_shape: (N, C, H, W) of that image, float32.

    Raises:
        NotImplementedError: the network uses an operator that graphs do not have; it is named.
    """
    copy = deepcopy(net)
    copy.eval()
    with paddle.pir_utils.DygraphPirGuard():
        spec = paddle.static.InputSpec(list(input_shape), "float32", name="image")
        program = paddle.jit.to_static(copy, input_spec=[spec], full_graph=True).forward.concrete_program
        reader = Reader(copy)
        for operator in program.main_program.global_block().ops:
            read(reader, operator)
        outputs = [reader.tensor(value) for value in paddle.utils.flatten(program.outputs)]
    graph = Graph("image", outputs, _live(reader.nodes, outputs), {})
    graph.shapes = infer_shapes(graph, tuple(input_shape))
    return graph


def _live(nodes: list[Node], outputs: list[str]) -> list[Node]:
    """Drop nodes whose results nobody reads."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]
