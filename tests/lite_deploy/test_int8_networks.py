"""Every family of networks to INT8: equalised without changing the function, and predicted to the bit."""

from dataclasses import replace

import numpy as np
import paddle
import pytest

from compress.graph.ir import Graph
from compress.graph.rewrite import rewrite
from compress.graph.run import run_numpy
from compress.graph.trace import trace
from compress.quant.climb import equalised
from compress.quant.gains import noise_gains
from compress.quant.observe import channel_statistics, observe
from compress.quant.scales import quantise
from compress.quant.search import search_ranges
from compress.quant.simulate import Simulation, find_scales
from lite_deploy.nb.interpret import interpreter
from lite_deploy.nb.read import read_nb
from lite_deploy.write.lite import optimise
from lite_deploy.write.paddle import write_program
from tinypose.config import CONFIGS, load_config
from tinypose.models import build_model


def lively(name: str, size: tuple[int, int]):
    """Build a network with random weights that keep the signal alive, in inference mode."""
    paddle.seed(0)
    rng = np.random.default_rng(0)
    net = build_model(load_config(CONFIGS / f"{name}.yml"), 17)
    for value in net.state_dict().values():
        if value.ndim == 4:
            fan_in = np.prod(value.shape[1:])
            value.set_value(rng.normal(0, np.sqrt(2 / fan_in), value.shape).astype(np.float32))
    for layer in net.sublayers():
        layer._momentum = 0.0  # of batch norms: the statistics of the next batch
    net.train()
    with paddle.no_grad():
        net(paddle.to_tensor(noise(size, 8, seed=1)))
    net.eval()
    return net


def noise(size: tuple[int, int], count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3, *size)).astype(np.float32)


def in_double(graph: Graph) -> Graph:
    params = [{key: array.astype(np.float64) for key, array in node.params.items()} for node in graph.nodes]
    nodes = [replace(node, params=each) for node, each in zip(graph.nodes, params, strict=True)]
    return replace(graph, nodes=nodes)


@pytest.mark.parametrize(
    "name", ["lite_hrnet_18_256x192", "lite_hrnet_30_256x192", "naive_lite_hrnet_256x192", "hrnet_w18_128x96"]
)
def test_int8_of_a_family(name, tmp_path):
    size = (64, 64)
    graph, images = rewrite(trace(lively(name, size), (1, 3, *size))), noise(size, 4, seed=2)
    statistics = channel_statistics(graph, lambda: [images])
    lean, statistics, gains = equalised(graph, statistics, noise_gains(graph, [images]))
    # Random weights blow rounding up with depth, so FP32's own rounding is the measure of what is unchanged.
    expected = run_numpy(graph, images)[0]
    exact = run_numpy(in_double(graph), images.astype(np.float64))[0]
    rounding = np.abs(expected - exact).max()
    assert np.abs(run_numpy(lean, images)[0] - exact).max() <= max(4 * rounding, 1e-5 * np.abs(exact).max())

    histograms = observe(lean, lambda: [images], statistics)
    scales = find_scales(lean, search_ranges(lean, histograms, gains, [images], 99.99, progress=""))
    write_program(lean, tmp_path, quantise(lean, scales))
    optimise(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", tmp_path / "int8.nb", "arm", "int8")
    model = read_nb(tmp_path / "int8.nb")
    in_int8 = [op for op in model.operators if op.precision == "int8" and op.type.endswith("conv2d")]
    assert len(in_int8) == len(scales) == len(list(graph.convolutions()))
    predicted = Simulation(lean, scales)(images)[0]
    assert np.array_equal(interpreter(model)(images)[0], predicted)
    assert 0 < np.sum((predicted - expected) ** 2) < np.sum(expected**2)
