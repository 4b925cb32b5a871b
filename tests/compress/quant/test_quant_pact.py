"""Training with fake quantisation: gradients against their papers, and that it wins accuracy back."""

import numpy as np
import paddle
import pytest

from compress.graph.ir import Graph, Node
from compress.graph.run import run_numpy
from compress.quant.pact import FakeQuant, FakeQuantNet, QuantObjective
from compress.quant.simulate import Simulation
from tinypose.codecs.heatmap import HeatmapCodec


def small_graph() -> Graph:
    rng = np.random.default_rng(5)

    def conv(name, read, write, weight, groups=1, relu=True):
        pad = weight.shape[-1] // 2
        attrs = {"stride": [1, 1], "padding": [pad, pad], "dilation": [1, 1], "groups": groups, "relu": relu}
        weight = weight.astype(np.float32)
        return Node(
            "conv2d", name, [read], [write], attrs, {"weight": weight, "bias": weight[:, 0, 0, 0] * 0.1}
        )

    loud = np.ones((1, 8, 1, 1))
    loud[0, 3] = 40  # one channel that takes the whole range
    first = rng.normal(0, 0.4, (8, 3, 3, 3)) * loud.reshape(8, 1, 1, 1)
    nodes = [
        conv("first", "image", "a", first),
        conv("depth", "a", "b", rng.normal(0, 0.4, (8, 1, 3, 3)), groups=8),
        conv("last", "b", "heatmaps", rng.normal(0, 0.4, (5, 8, 1, 1)) / loud, relu=False),
    ]
    shapes = {"image": (1, 3, 12, 8), "a": (1, 8, 12, 8), "b": (1, 8, 12, 8), "heatmaps": (1, 5, 12, 8)}
    return Graph("image", ["heatmaps"], nodes, shapes)


def images(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 12, 8)).astype(np.float32)


def gradients(rounding, values, limit):
    x = paddle.to_tensor(np.array(values, np.float32), stop_gradient=False)
    a = paddle.to_tensor(np.array([limit], np.float32), stop_gradient=False)
    FakeQuant.apply(x, a, rounding).sum().backward()
    return x.grad.numpy(), float(a.grad)


def test_pact_gradients():
    by_x, by_limit = gradients(False, [-5.0, -0.3, 0.4, 7.0, 9.0], 2.0)
    assert by_x.tolist() == [0, 1, 1, 0, 0]
    assert by_limit == 1  # -1 below and +1 for each of two above


def test_lsq_gradients():
    limit, values = 2.0, [-5.0, -0.3, 0.4, 7.0]
    by_x, by_limit = gradients(True, values, limit)
    assert by_x == pytest.approx([0, 1, 1, 0])
    step = limit / 127
    inside = [(round(v / step) - v / step) / 127 for v in (-0.3, 0.4)]
    assert by_limit == pytest.approx(-1 + 1 + sum(inside), abs=1e-5)


@pytest.mark.parametrize("method", ["pact", "lsq"])
def test_it_computes_what_the_simulation_computes(method, calibrate):
    graph, x = small_graph(), images(0)
    scales = calibrate(graph, [x], "mse")
    net = FakeQuantNet(graph, {name: scales[name] for name in ("first", "depth")}, method)
    found, ranges = net.result()
    assert set(ranges) == {"first", "depth"}
    assert ranges["depth"].input == pytest.approx(scales["depth"].input, rel=1e-6)
    expected = Simulation(found, ranges)(x)[0]
    assert np.abs(net(paddle.to_tensor(x))[0].numpy() - expected).max() < 1e-4 * np.abs(expected).max()
    net.eval()
    assert np.array_equal(net(paddle.to_tensor(x))[0].numpy(), expected)


def test_factors_between_channels_change_nothing_but_the_rounding(calibrate):
    graph, x = small_graph(), images(0)
    scales = calibrate(graph, [x], "mse")
    net = FakeQuantNet(graph, scales, "lsq")
    logs = np.random.default_rng(3).normal(0, 0.7, net.factors.logs.shape).astype(np.float32)
    net.factors.logs.set_value(logs)
    found, ranges = net.result()
    expected = run_numpy(graph, x)[0]
    assert np.abs(run_numpy(found, x)[0] - expected).max() < 1e-5 * np.abs(expected).max()
    assert not np.allclose(found.nodes[0].params["weight"], graph.nodes[0].params["weight"])
    simulated = Simulation(found, ranges)(x)[0]
    assert np.abs(net(paddle.to_tensor(x))[0].numpy() - simulated).max() < 1e-4 * np.abs(simulated).max()
    net(paddle.to_tensor(x))[0].sum().backward()
    assert np.abs(net.factors.logs.grad.numpy()).max() > 0
    assert net.factors.logs.grad[0] == 0  # that of the picture and the heatmaps


@pytest.mark.parametrize("method", ["pact", "lsq"])
def test_training_wins_back_what_rounding_lost(method, calibrate):
    graph, x = small_graph(), images(0, 32)
    scales = calibrate(graph, [x], "abs_max")
    unseen = images(1)
    expected = run_numpy(graph, unseen)[0]

    def error(each: Graph, ranges) -> float:
        return float(np.sum((Simulation(each, ranges)(unseen)[0] - expected) ** 2) / np.sum(expected**2))

    net = FakeQuantNet(graph, scales, method)
    objective = QuantObjective(net, graph, 1.0, HeatmapCodec())
    adam = paddle.optimizer.Adam(4e-5, parameters=objective.parameters())
    for _ in range(200):
        loss = objective(paddle.to_tensor(x), [])
        loss.backward()
        adam.step()
        adam.clear_grad()
    assert error(*net.result()) < 0.05 * error(graph, scales)
