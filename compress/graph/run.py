"""Run a graph with Paddle's functional operators, whole or in part, with hooks."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import paddle
import paddle.nn.functional as F

from compress.graph.ir import Graph, Node
from compress.graph.ops import operator

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
    results = operator(node).compute(node, inputs, params)
    results = results if isinstance(results, list) else [results]
    return [F.relu(each) for each in results] if node.attrs.get("relu") else results
