"""INT8 as the phone computes it, in float arithmetic: fake quantisation of a graph.

A quantised convolution reads x and w as whole numbers of -127 .. 127 times a scale:

    x_q = clip(round(127 x / range_x), -127, 127)        one range a tensor
    w_q = clip(round(127 w / range_w), -127, 127)        one range an output channel

and its sums of products fit 32 bits, so that it equals, to float rounding, the float convolution of
x_q range_x / 127 with w_q range_w / 127, which is what runs here. Ties round away from zero, as the
ARM kernels do. What is no convolution stays FP32.
"""

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import Params, prepare, run
from compress.quant.ranges import Histogram, find_range
from compress.quant.scales import LEVELS, ConvScale, Scales, round_weight, weight_ranges


def quantisable(graph: Graph) -> list[Node]:
    """Return the convolutions that Paddle-Lite can run in INT8 (transposed ones stay in FP32)."""
    return [node for node in graph.convolutions() if node.kind == "conv2d"]


def find_scales(
    graph: Graph, histograms: dict[str, Histogram], method: str, percent: float = 99.99
) -> dict[str, ConvScale]:
    """Return ranges for every convolution: activations per tensor by `method`, weights per output channel.

    A tensor that is always zero gets the range 1, so that no division is by zero.
    """
    inputs = {
        name: find_range(histogram, method, percent) if histogram.top > 0 else 1.0
        for name, histogram in histograms.items()
    }
    return {node.name: ConvScale(inputs[node.inputs[0]], weight_ranges(node)) for node in quantisable(graph)}


def fake_quant(x: paddle.Tensor, limit: float | paddle.Tensor) -> paddle.Tensor:
    """Return `x` rounded to 127 steps on either side of zero and clipped at `limit` (broadcast)."""
    scaled = (x * (LEVELS / limit)).clip(-LEVELS, LEVELS)
    return paddle.trunc(scaled + 0.5 * paddle.sign(scaled)) * (limit / LEVELS)


class Simulation:
    """A graph with some of its convolutions in INT8.

    Called with images float32 [N, 3, H, W] it returns heatmaps float32 [N, J, h, w], so that
    `tinypose.engine.evaluate` measures it like any network.
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
        for name, scale in scales.items():
            known = self._rounded.get(name)
            if known is None or not np.array_equal(known[0], scale.weight):
                weight = round_weight(self._nodes[name].params["weight"], scale.weight)
                known = self._rounded[name] = (scale.weight, paddle.to_tensor(weight))
            self.params[name] = {**self._float_params[name], "weight": known[1]}

    def before(self, node: Node, inputs: list[paddle.Tensor]) -> list[paddle.Tensor] | None:
        """Quantise what a quantised convolution reads: a hook for `compress.graph.run.run`."""
        scale = self.scales.get(node.name)
        return [fake_quant(inputs[0], scale.input)] if scale else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the first output of the graph for `images`."""
        with paddle.no_grad():
            results = run(self.graph, images, params=self.params, before=self.before)
        return results[self.graph.outputs[0]].numpy()
