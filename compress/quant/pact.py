"""Quantisation-aware training of a graph: weights and activation ranges learn to live with rounding.

Ranges of activations are trained as in PACT (Choi et al., "PACT: Parameterized Clipping Activation for
Quantized Neural Networks", 2018), whose gradient comes from what is clipped, or as in LSQ (Esser et al.,
"Learned Step Size Quantization", ICLR 2020), whose gradient comes from what is rounded too. Gradients pass
through the rounding itself as if it were not there. BatchNorm is folded, so its statistics are frozen.

The factors between channels that equalisation finds (`compress.quant.equalise`) are trained with them, as the
learnable equivalent transformation of Shao et al., "OmniQuant" (ICLR 2024): small steps of the weights alone
would never bring together channels of which one reaches far beyond the others.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddle.autograd import PyLayer

from compress.graph.ir import Graph, Node
from compress.graph.layer import GraphNet
from compress.graph.ops import places
from compress.graph.run import Params, Tensors, compute_node, prepare, run
from compress.quant.equalise import apply_factors, factor_classes
from compress.quant.scales import LEVELS, ConvScale, Scales, weight_ranges
from compress.quant.simulate import Simulation, quantisable
from tinypose.codecs import Codec
from tinypose.config import Config
from tinypose.engine.loss import LOSSES
from tinypose.engine.train import batch_inputs, fit
from tinypose.models.weights import read_params

# Ranges are trained as logarithms, so that a step changes all of them by the same share; they may move
# faster than weights, which a step should hardly change.
RANGE_RATE = 100.0
FACTOR_RATE = 1500.0  # of the logarithms of factors between channels, which change nothing but the rounding


class FakeQuantNet(nn.Layer):
    """A graph with fake quantisation that can be trained: images [N, 3, H, W] -> outputs."""

    def __init__(self, graph: Graph, scales: Scales, method: str) -> None:
        super().__init__()
        self.graph, self.method = graph, method
        units = _units(graph, scales)
        self.net = GraphNet(_in_units(graph, units, np.divide))
        self._units = {
            name: {key: paddle.to_tensor(u) for key, u in each.items()} for name, each in units.items()
        }
        self.quantised = {node.name: node.inputs[0] for node in quantisable(graph) if node.name in scales}
        limits = {tensor: scales[name].input for name, tensor in self.quantised.items()}
        self.places = {tensor: f"log_range_{index}" for index, tensor in enumerate(sorted(limits))}
        for tensor, place in self.places.items():
            initial = nn.initializer.Constant(float(np.log(limits[tensor])))
            attr = paddle.ParamAttr(learning_rate=RANGE_RATE, initializer=initial)
            self.add_parameter(place, self.create_parameter([1], attr=attr))
        self.factors = ChannelFactors(graph)

    def forward(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """Return the outputs: with gradients, or in inference mode as the device computes them."""
        if not self.training:
            return [paddle.to_tensor(each) for each in Simulation(*self.result())(images.numpy())]
        params = {
            name: {key: value * self._units[name][key] for key, value in each.items()}
            for name, each in self.net.tensors().items()
        }
        params = self.factors(params)
        for name in self.quantised:
            params[name] = {**params[name], "weight": _rounded_weight(params[name]["weight"])}
        results = run(self.graph, {self.graph.input: images}, params=params, compute=self._compute)
        return [results[name] for name in self.graph.outputs]

    def _compute(self, node: Node, inputs: Tensors, params: dict[str, paddle.Tensor]) -> Tensors:
        tensor = self.quantised.get(node.name)
        if tensor is not None:
            limit = paddle.exp(getattr(self, self.places[tensor]))
            inputs = [FakeQuant.apply(inputs[0], limit, self.method == "lsq")]
        return compute_node(node, inputs, params)

    def result(self) -> tuple[Graph, dict[str, ConvScale]]:
        """Return the trained graph and its ranges, for the simulation and for export."""
        units = {name: {key: u.numpy() for key, u in each.items()} for name, each in self._units.items()}
        graph = _in_units(self.net.to_graph(), units, np.multiply)
        graph = apply_factors(graph, self.factors.result())
        nodes = {node.name: node for node in graph.convolutions()}
        limits = {tensor: float(np.exp(getattr(self, place).item())) for tensor, place in self.places.items()}
        scales = {
            name: ConvScale(limits[tensor], weight_ranges(nodes[name]))
            for name, tensor in self.quantised.items()
        }
        return graph, scales


class QuantObjective(nn.Layer):
    """The loss of a fake-quantised network against the annotated joints and its FP32 self."""

    def __init__(self, net: FakeQuantNet, teacher: Graph, share: float, codec: Codec) -> None:
        super().__init__()
        self.net, self.share, self.codec = net, share, codec
        self._teacher, self._teacher_params = teacher, prepare(teacher)

    def forward(self, images: paddle.Tensor, targets: list[paddle.Tensor]) -> paddle.Tensor:
        """Return the loss, a scalar, of images [N, 3, H, W] against the codec's targets."""
        outputs, loss = self.net(images), 0.0
        if self.share < 1:
            loss = (1 - self.share) * LOSSES[self.codec.name](outputs, targets, self.codec)
        if self.share > 0:
            with paddle.no_grad():
                expected = self._expected(images)
            for output, each in zip(outputs, expected, strict=True):
                loss = loss + self.share * ((output - each) ** 2).mean()
        return loss

    def _expected(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        results = run(self._teacher, {self._teacher.input: images}, params=self._teacher_params)
        return [results[name] for name in self._teacher.outputs]


class _Round(PyLayer):
    """Round to whole numbers; gradients pass as if it were not. (One operation, where sums take three.)"""

    @staticmethod
    def forward(context, x: paddle.Tensor) -> paddle.Tensor:
        return x.round()

    @staticmethod
    def backward(context, gradient: paddle.Tensor) -> paddle.Tensor:
        return gradient


class FakeQuant(PyLayer):
    """Clip x to [-limit, limit] and round it to 127 steps on either side of zero.

    What is clipped passes its gradient on to the limit, the rest to x. With `rounding` the limit has the
    gradient of the rounding error too, as in LSQ; without it, it is PACT.
    """

    @staticmethod
    def forward(context, x: paddle.Tensor, limit: paddle.Tensor, rounding: bool) -> paddle.Tensor:
        bound = limit.item()
        y = (x.clip(-bound, bound) * (LEVELS / bound)).round() * (bound / LEVELS)
        context.save_for_backward(x, y)
        context.bound, context.rounding, context.needed = bound, rounding, not x.stop_gradient
        return y

    @staticmethod
    def backward(context, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, paddle.Tensor]:
        x, y = context.saved_tensor()
        passed = gradient * (x.abs() <= context.bound).cast(gradient.dtype)
        # Of what is clipped, y changes as the limit; of the rest, as the rounding error (y - x) / limit.
        kept = x if context.rounding else y
        to_limit = (gradient * y - passed * kept).sum() / context.bound
        return passed if context.needed else None, to_limit.reshape([1])


class ChannelFactors(nn.Layer):
    """Trainable factors that channels are divided by where they are written; the function stays as it is."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._classes, count = factor_classes(graph)
        attr = paddle.ParamAttr(learning_rate=FACTOR_RATE, initializer=nn.initializer.Constant(0.0))
        self.logs = self.create_parameter([count], attr=attr)
        free = np.ones(count, np.float32)
        free[0] = 0
        self.register_buffer("free", paddle.to_tensor(free), persistable=False)
        self._places: dict[tuple[str, str], tuple[list[int], list[paddle.Tensor]]] = {}
        for node in graph.nodes:
            shapes = [graph.shapes[name] for name in node.inputs]
            read, written = (self._classes[names[0]] for names in (node.inputs, node.outputs))
            for key, (times, over) in places(node, shapes, read, written).items():
                arrays = [over] if times is None else np.broadcast_arrays(over, times)
                indices = [paddle.to_tensor(each.ravel()) for each in arrays]
                self._places[node.name, key] = (list(arrays[0].shape), indices)

    def forward(self, params: Params) -> Params:
        """Return the parameters with the factors moved into them."""
        logs = self.logs * self.free
        result = {name: dict(each) for name, each in params.items()}
        for (name, key), (shape, (written, *read)) in self._places.items():
            change = -paddle.gather(logs, written)
            for indices in read:
                change = change + paddle.gather(logs, indices)
            result[name][key] = result[name][key] * change.exp().reshape(shape)
        return result

    def result(self) -> dict[str, np.ndarray]:
        """Return for each tensor float32 [C], for `compress.quant.equalise.apply_factors`."""
        factors = np.exp((self.logs * self.free).numpy())
        return {name: factors[channels] for name, channels in self._classes.items()}


def train_quantised(
    graph: Graph,
    scales: Scales,
    teacher: Graph,
    config: Config,
    method: str,
    output: Path,
    resume: bool = False,
) -> tuple[Graph, dict[str, ConvScale]]:
    """Train a quantised graph on data.train, and keep the epoch that measured best on data.val.

    Args:
        graph: rewritten, in FP32.
        teacher: in FP32, whose outputs are learned: `graph`, or what it approximates.
        scales: where to start from; convolutions that it leaves out stay in FP32.
        config: `quant.teacher` and `quant.train` say how.
        method: pact or lsq: how ranges are trained.
        output: the run's folder.
        resume: go on with the run in `output`.

    Returns:
        The trained graph and its ranges.
    """
    net = FakeQuantNet(graph, scales, method)
    objective = QuantObjective(net, teacher, config.quant.teacher, config.output)
    trained = config.model_copy(update={"train": config.quant.train})
    fit(trained, output, net, objective, batch_inputs, resume=resume)
    params = read_params(output / "best.pdparams")
    net.set_state_dict({key: paddle.to_tensor(value) for key, value in params.items()})
    return net.result()


def _units(graph: Graph, scales: Scales) -> dict[str, dict[str, np.ndarray]]:
    """Return what each parameter is trained in units of: arrays that broadcast, by node and parameter.

    Folded BatchNorm leaves weights whose channels differ by factors of thousands. A step of Adam is about the
    rate in any parameter, so it would change some channels not at all and destroy others. In units of its
    channel's greatest weight, a step is the same share of INT8's range everywhere.
    """
    units: dict[str, dict[str, np.ndarray]] = {}
    for node in graph.nodes:
        units[node.name] = {key: np.float32(max(np.abs(a).max(), 1e-12)) for key, a in node.params.items()}
        if node.kind == "conv2d":
            weight = node.params["weight"]
            units[node.name]["weight"] = weight_ranges(node).reshape(-1, 1, 1, 1)
            if "bias" in node.params:  # about what the convolution's sums reach
                reach = scales[node.name].input / 16 if node.name in scales else 1.0
                sums = np.sqrt((weight**2).sum((1, 2, 3))) * reach
                units[node.name]["bias"] = np.where(sums > 0, sums, 1).astype(np.float32)
    return units


def _in_units(graph: Graph, units: dict[str, dict[str, np.ndarray]], change: np.ufunc) -> Graph:
    """Return `graph` with its parameters divided by their units, or multiplied."""
    nodes = [
        replace(
            node, params={key: change(array, units[node.name][key]) for key, array in node.params.items()}
        )
        for node in graph.nodes
    ]
    return replace(graph, nodes=nodes)


def _rounded_weight(weight: paddle.Tensor) -> paddle.Tensor:
    """Round each output channel to 127 steps of its greatest |w|; gradients pass as if it were not."""
    limits = weight.detach().abs().max([1, 2, 3], keepdim=True)
    step = paddle.where(limits > 0, limits, paddle.ones_like(limits)) / LEVELS
    return _Round.apply(weight / step) * step
