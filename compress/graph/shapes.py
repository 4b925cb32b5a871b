"""What shape every tensor of a graph has, and whether a graph is sound."""

import numpy as np

from compress.graph.ir import Graph, Node
from compress.graph.ops import Shape, operator


def infer_shapes(graph: Graph, input_shape: Shape) -> dict[str, Shape]:
    """Return the shape of every tensor, batch first, from the input's shape and the nodes.

    Raises:
        ValueError: a node reads a tensor that is not there yet, or its inputs, attributes and
            parameters do not fit; the node is named.
    """
    shapes = {graph.input: tuple(input_shape)}
    for node in graph.nodes:
        missing = [name for name in node.inputs if name not in shapes]
        if missing:
            raise ValueError(f"node '{node.name}' reads '{missing[0]}', which nothing before it writes")
        try:
            results = output_shapes(node, [shapes[name] for name in node.inputs])
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"node '{node.name}' ({node.kind}) is malformed: {error!r}") from None
        if len(results) != len(node.outputs):
            raise ValueError(f"node '{node.name}' names {len(node.outputs)} outputs and has {len(results)}")
        for name, shape in zip(node.outputs, results, strict=True):
            if name in shapes:
                raise ValueError(f"node '{node.name}' writes '{name}', which is written already")
            shapes[name] = shape
    return shapes


def check(graph: Graph) -> None:
    """Raise ValueError unless the graph is sound: names unique, shapes consistent, outputs there."""
    names = [node.name for node in graph.nodes]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two nodes are named '{twice}'")
    if graph.input not in graph.shapes:
        raise ValueError(f"the input '{graph.input}' has no shape")
    shapes = infer_shapes(graph, graph.shapes[graph.input])
    for name in graph.outputs:
        if name not in shapes:
            raise ValueError(f"the output '{name}' is written by no node")
    if shapes != {name: tuple(shape) for name, shape in graph.shapes.items()}:
        wrong = sorted(set(shapes.items()) ^ {(name, tuple(s)) for name, s in graph.shapes.items()})
        raise ValueError(f"the shapes noted in the graph are not those of its nodes: {wrong[:4]}")


def output_shapes(node: Node, inputs: list[Shape]) -> list[Shape]:
    """Return the shapes that `node` writes when it reads `inputs`."""
    _check_params(node)
    return operator(node).shapes(node, inputs)


def _check_params(node: Node) -> None:
    required, optional = set(operator(node).params), set(operator(node).optional)
    if not required <= set(node.params) <= required | optional:
        raise ValueError(f"node '{node.name}' ({node.kind}) has parameters {sorted(node.params)}")
    for name, array in node.params.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise ValueError(f"parameter '{name}' of node '{node.name}' is no float32 array")
