"""INT8 as the phone computes it: some convolutions of a graph in whole numbers, the rest in FP32.

A quantised convolution reads x and w as whole numbers of -127 .. 127 times a step:

    x_q = round(x / step_x)      one step a tensor, range / 127
    w_q = round(w / step_w)      one step an output channel

and writes FP32, or, where all that read its result are quantised convolutions too, whole numbers of their
step at once, as Paddle-Lite's optimiser arranges it. What is no convolution is FP32. The arithmetic is that
of the ARM kernels to the last bit (`compress.quant.arithmetic`).
"""

from collections.abc import Collection, Mapping

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Params, Tensors, compute_node, prepare, run
from compress.graph.threads import side_by_side
from compress.quant.arithmetic import int8_convolution, to_int8
from compress.quant.scales import LEVELS, ConvScale, Scales, quantise_weight, weight_ranges

PART = 8  # images that one thread computes at a time


def quantisable(graph: Graph) -> list[Node]:
    """Return the convolutions that Paddle-Lite can run in INT8 (transposed ones stay in FP32)."""
    return [node for node in graph.convolutions() if node.kind == "conv2d"]


def find_scales(graph: Graph, limits: Mapping[str, float]) -> dict[str, ConvScale]:
    """Return ranges for every convolution: of its input from `limits`, of its weights by output channel."""
    return {node.name: ConvScale(limits[node.inputs[0]], weight_ranges(node)) for node in quantisable(graph)}


def whole_tensors(graph: Graph, quantised: Collection[str]) -> dict[str, str]:
    """Return what quantised convolutions write in whole numbers, each with its first reader.

    That is what only quantised convolutions read.
    """
    readers, quantised = graph.readers(), set(quantised)
    return {
        node.outputs[0]: readers[node.outputs[0]][0].name
        for node in graph.nodes
        if node.name in quantised
        and node.outputs[0] not in graph.outputs
        and all(reader.name in quantised for reader in readers[node.outputs[0]])
    }


def written_as_int8(graph: Graph, scales: Scales) -> dict[str, np.float32]:
    """Return tensor -> step for what quantised convolutions write in whole numbers."""
    whole = whole_tensors(graph, scales)
    return {tensor: step_of(scales[reader].input) for tensor, reader in whole.items()}


def step_of(limit: float | np.ndarray) -> np.ndarray:
    """Return float32 `limit` / 127, as the optimiser computes it."""
    return np.float32(limit) / np.float32(LEVELS)


class Simulation:
    """A graph with some of its convolutions in INT8.

    It is a `tinypose.network.Network`, so that `tinypose.engine.evaluate` measures it like any other.
    """

    def __init__(self, graph: Graph, scales: Scales) -> None:
        self.graph = graph
        self._nodes = {node.name: node for node in quantisable(graph)}
        self._float_params = prepare(graph)
        self._rounded: dict[str, tuple[np.ndarray, paddle.Tensor]] = {}
        self.set_scales(scales)

    def set_scales(self, scales: Scales) -> None:
        """Quantise the convolutions that `scales` names, and no others."""
        self.scales = dict(scales)
        self.params: Params = dict(self._float_params)
        self._whole = written_as_int8(self.graph, scales)
        for name, scale in scales.items():
            known = self._rounded.get(name)
            if known is None or not np.array_equal(known[0], scale.weight):
                weight = quantise_weight(self._nodes[name].params["weight"], scale.weight)
                known = self._rounded[name] = (scale.weight, paddle.to_tensor(weight.astype(np.float32)))
            self.params[name] = {"weight": known[1]}

    def compute(self, node: Node, inputs: Tensors, params: dict[str, paddle.Tensor]) -> Tensors:
        """Compute one node: for `compress.graph.run.run`, with `self.params`."""
        scale = self.scales.get(node.name)
        if scale is None:
            return compute_node(node, inputs, params)
        step = step_of(scale.input)
        x = inputs[0] if node.inputs[0] in self._whole else to_int8(inputs[0], step)
        places = {key: node.attrs[key] for key in ("stride", "padding", "dilation", "groups")}
        relu, written = bool(node.attrs.get("relu")), self._whole.get(node.outputs[0])
        weight, bias, weight_step = params["weight"], node.params.get("bias"), step_of(scale.weight)
        return [int8_convolution(x, weight, bias, weight_step, step, places, relu, written)]

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of the graph for images float32 [N, 3, H, W]."""
        parts = np.split(images, range(PART, len(images), PART))
        outputs = side_by_side(self._outputs, parts)
        return [np.concatenate(each) for each in zip(*outputs, strict=True)]

    def _outputs(self, images: np.ndarray) -> list[np.ndarray]:
        results = run(self.graph, images, params=self.params, compute=self.compute)
        return [results[name].numpy() for name in self.graph.outputs]
