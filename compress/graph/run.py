"""Run a graph with Paddle's functional operators, whole or in part, with hooks."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import paddle
import paddle.nn.functional as F

from compress.graph.ir import Graph, Node

Tensors = list[paddle.Tensor]
Params = dict[str, dict[str, paddle.Tensor]]
Hook = Callable[[Node, Tensors], Tensors | None]
Compute = Callable[[Node, Tensors, dict[str, paddle.Tensor]], Tensors]


def prepare(graph: Graph) -> Params:
    """Return the parameters as tensors, by node and parameter name: converted once for many runs."""
    return {
        node.name: {key: paddle.to_tensor(array) for key, array in node.params.items()}
        for node in graph.nodes
        if node.params
    }


def run(
    graph: Graph,
    x: np.ndarray | paddle.Tensor | Mapping[str, paddle.Tensor],
    *,
    params: Params | None = None,
    keep: Iterable[str] = (),
    start: int = 0,
    stop: int | None = None,
    compute: Compute | None = None,
    after: Hook | None = None,
) -> dict[str, paddle.Tensor]:
    """Run nodes `start` to `stop` and return tensors by name.

    A tensor is freed when its last reader has run. To share a prefix between many runs, take what
    is live at a node once, then start there again and again:

        live = run(graph, image, stop=index)
        heatmaps = run(graph, live, start=index)[graph.outputs[0]]

    Args:
        graph: what to run.
        x: the image, float32 [N, C, H, W] with any N; or tensors by name, all that `live` lists
            for `start`.
        params: `prepare(graph)` or stand-ins of the same shapes (trainable or fake-quantised); none
            converts the graph's own.
        keep: tensors to return beside those below.
        start: index of the first node to run.
        stop: index of the node to stop before; none runs to the end.
        compute: called with a node, its inputs and its parameters in place of `compute_node`.
        after: called with a node and its outputs after it ran; may return other outputs.

    Returns:
        Without `stop` the graph's outputs, with it the tensors that are live there; and `keep`, as
        far as they were computed or given.
    """
    stop = len(graph.nodes) if stop is None else stop
    nodes = graph.nodes[start:stop]
    params = prepare(Graph(graph.input, graph.outputs, nodes, {})) if params is None else params
    tensors = dict(x) if isinstance(x, Mapping) else {graph.input: paddle.to_tensor(x)}
    wanted = live(graph, stop) | set(keep)
    last = {name: index for index, node in enumerate(nodes) for name in node.inputs}
    for index, node in enumerate(nodes):
        inputs = [tensors[name] for name in node.inputs]
        outputs = (compute or compute_node)(node, inputs, params.get(node.name, {}))
        if after is not None:
            outputs = after(node, outputs) or outputs
        tensors.update(zip(node.outputs, outputs, strict=True))
        for name in {*node.inputs, *node.outputs}:
            if name not in wanted and last.get(name, -1) <= index:
                tensors.pop(name, None)
    return {name: tensor for name, tensor in tensors.items() if name in wanted}


def live(graph: Graph, index: int) -> set[str]:
    """Return the tensors that exist before node `index` runs and are read from there on, or are outputs."""
    written = {graph.input}.union(*(node.outputs for node in graph.nodes[:index]))
    read = set(graph.outputs).union(*(node.inputs for node in graph.nodes[index:]))
    return written & read


def run_numpy(graph: Graph, image: np.ndarray) -> list[np.ndarray]:
    """Run the whole graph on float32 [N, C, H, W] without gradients; return its outputs as arrays."""
    with paddle.no_grad():
        results = run(graph, image)
    return [results[name].numpy() for name in graph.outputs]


def compute_node(node: Node, inputs: Tensors, params: dict[str, paddle.Tensor]) -> Tensors:
    """Return the outputs of one node."""
    attrs, x = node.attrs, inputs[0]
    match node.kind:
        case "conv2d":
            places = (attrs["stride"], attrs["padding"], attrs["dilation"], attrs["groups"])
            result = F.conv2d(x, params["weight"], params.get("bias"), *places)
        case "conv2d_transpose":
            places = (attrs["stride"], attrs["padding"], attrs["output_padding"])
            result = F.conv2d_transpose(
                x, params["weight"], params.get("bias"), *places, groups=attrs["groups"]
            )
        case "batch_norm":
            statistics = (params["mean"], params["variance"], params["scale"], params["bias"])
            result = F.batch_norm(x, *statistics, epsilon=attrs["epsilon"], use_global_stats=True)
        case "scale":
            result = x * params["scale"].reshape([1, -1, 1, 1]) + params["bias"].reshape([1, -1, 1, 1])
        case "add":
            result = x + inputs[1]
        case "multiply":
            result = x * inputs[1]
        case "concat":
            result = paddle.concat(inputs, axis=1)
        case "split":
            return paddle.split(x, attrs["sections"], axis=1)
        case "shuffle":
            batch, channels, height, width = x.shape
            grouped = x.reshape([batch, attrs["groups"], channels // attrs["groups"], height, width])
            result = grouped.transpose([0, 2, 1, 3, 4]).reshape(x.shape)
        case "permute":
            result = paddle.index_select(x, paddle.to_tensor(attrs["order"]), axis=1)
        case "resize_nearest":
            result = F.interpolate(x, size=attrs["size"], mode="nearest")
        case "resize_bilinear":
            result = F.interpolate(x, attrs["size"], mode="bilinear", align_corners=attrs["align_corners"])
        case "average_pool":
            result = F.adaptive_avg_pool2d(x, attrs["size"])
        case "max_pool":
            result = F.max_pool2d(x, attrs["kernel"], attrs["stride"], attrs["padding"])
        case "relu" | "sigmoid":
            result = getattr(F, node.kind)(x)
        case "hard_sigmoid":
            result = F.hardsigmoid(x, attrs["slope"], attrs["offset"])
        case "hard_swish":
            result = F.hardswish(x)
        case _:
            raise ValueError(f"node '{node.name}' is of kind '{node.kind}', which graphs do not have")
    return [F.relu(result) if attrs.get("relu") else result]
