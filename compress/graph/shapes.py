"""What shape every tensor of a graph has, and whether a graph is sound."""

import numpy as np

from compress.graph.ir import KINDS, Graph, Node

Shape = tuple[int, ...]

_PARAMS = {  # required, optional
    "conv2d": ({"weight"}, {"bias"}),
    "conv2d_transpose": ({"weight"}, {"bias"}),
    "batch_norm": ({"scale", "bias", "mean", "variance"}, set()),
    "scale": ({"scale", "bias"}, set()),
}


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
    batch, channels, *size = inputs[0]
    attrs, weight = node.attrs, node.params.get("weight")
    if node.kind == "conv2d":
        _need(
            node, weight.ndim == 4 and channels == weight.shape[1] * attrs["groups"], f"{channels} channels"
        )
        size = [_slid(node, *each) for each in zip(size, weight.shape[2:], _per_axis(attrs), strict=True)]
        return [(batch, weight.shape[0], *size)]
    if node.kind == "conv2d_transpose":
        _need(node, weight.ndim == 4 and channels == weight.shape[0], f"{channels} channels")
        axes = zip(
            size, weight.shape[2:], attrs["stride"], attrs["padding"], attrs["output_padding"], strict=True
        )
        size = [(side - 1) * stride - 2 * pad + kernel + extra for side, kernel, stride, pad, extra in axes]
        return [(batch, weight.shape[1] * attrs["groups"], *size)]
    if node.kind in ("batch_norm", "scale"):
        _need(node, all(p.shape == (channels,) for p in node.params.values()), f"{channels} channels")
    if node.kind in ("add", "multiply"):
        other = inputs[1]
        _need(node, other in (inputs[0], (batch, channels, 1, 1)), f"a second input of shape {other}")
    if node.kind == "concat":
        _need(node, all(s[0] == batch and list(s[2:]) == size for s in inputs), f"inputs of shapes {inputs}")
        return [(batch, sum(shape[1] for shape in inputs), *size)]
    if node.kind == "split":
        _need(node, sum(attrs["sections"]) == channels and min(attrs["sections"]) > 0, f"{channels} channels")
        return [(batch, section, *size) for section in attrs["sections"]]
    if node.kind == "shuffle":
        _need(node, channels % attrs["groups"] == 0, f"{channels} channels")
    if node.kind == "permute":
        _need(node, sorted(attrs["order"]) == list(range(channels)), f"{channels} channels")
    if node.kind in ("resize_nearest", "resize_bilinear", "average_pool"):
        _need(node, len(attrs["size"]) == 2 and min(attrs["size"]) > 0, f"size {attrs['size']}")
        return [(batch, channels, *attrs["size"])]
    if node.kind == "max_pool":
        axes = zip(size, attrs["kernel"], attrs["stride"], attrs["padding"], strict=True)
        return [
            (batch, channels, *((side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in axes))
        ]
    return [inputs[0]]


def _per_axis(attrs: dict) -> list[tuple[int, int, int]]:
    return list(zip(attrs["stride"], attrs["padding"], attrs["dilation"], strict=True))


def _slid(node: Node, side: int, kernel: int, per_axis: tuple[int, int, int]) -> int:
    stride, padding, dilation = per_axis
    result = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    _need(node, result > 0, f"{side} pixels")
    return result


def _check_params(node: Node) -> None:
    if node.kind not in KINDS:
        raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which graphs do not have")
    required, optional = _PARAMS.get(node.kind, (set(), set()))
    if not required <= set(node.params) <= required | optional:
        raise ValueError(f"node '{node.name}' ({node.kind}) has parameters {sorted(node.params)}")
    for name, array in node.params.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise ValueError(f"parameter '{name}' of node '{node.name}' is no float32 array")
    weight, bias = node.params.get("weight"), node.params.get("bias")
    if weight is not None and bias is not None:
        outputs = weight.shape[0] if node.kind == "conv2d" else weight.shape[1] * node.attrs["groups"]
        _need(node, bias.shape == (outputs,), f"a bias of shape {bias.shape}")


def _need(node: Node, fits: bool, found: str) -> None:
    if not fits:
        raise ValueError(f"node '{node.name}' ({node.kind}) does not fit {found}")
