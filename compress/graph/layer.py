"""A graph as a trainable Paddle layer, and back."""

from dataclasses import replace

import paddle

from compress.graph.ir import Graph
from compress.graph.run import Params, run

_BUFFERS = ("mean", "variance")


class GraphNet(paddle.nn.Layer):
    """Runs a graph with trainable parameters, named `nodes.NODE.PARAMETER` in the state dict.

    Batch norm always works with its stored mean and variance, which are buffers and not trained.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._places: list[tuple[str, str, paddle.nn.Layer]] = []
        for node in graph.nodes:
            if not node.params:
                continue
            holder: paddle.nn.Layer = self
            for part in ("nodes", *node.name.split(".")):
                if part not in holder._sub_layers:
                    holder.add_sublayer(part, paddle.nn.Layer())
                holder = holder._sub_layers[part]
            for key, array in node.params.items():
                if key in _BUFFERS:
                    holder.register_buffer(key, paddle.to_tensor(array))
                else:
                    initial = paddle.nn.initializer.Assign(array)
                    holder.add_parameter(
                        key, holder.create_parameter(array.shape, default_initializer=initial)
                    )
                self._places.append((node.name, key, holder))

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        """Return the outputs."""
        results = run(self.graph, image, params=self.tensors())
        return [results[name] for name in self.graph.outputs]

    def tensors(self) -> Params:
        """Return the live parameters and buffers by node and parameter name."""
        result: Params = {}
        for node, key, holder in self._places:
            result.setdefault(node, {})[key] = getattr(holder, key)
        return result

    def to_graph(self) -> Graph:
        """Return a graph of the same structure that holds the present parameter values."""
        values = self.tensors()
        nodes = [
            replace(node, params={key: values[node.name][key].numpy() for key in node.params})
            for node in self.graph.nodes
        ]
        return replace(self.graph, nodes=nodes)
