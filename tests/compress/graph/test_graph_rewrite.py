"""The whole rewriting on the real networks: the same outputs, no shuffle left, less to do."""

import importlib.util

import numpy as np
import pytest

from compress.graph.cost import graph_cost, kinds
from compress.graph.rewrite import rewrite
from compress.graph.run import run_numpy
from compress.graph.trace import trace
from tinypose.config import Config, HRNetConfig, LiteHRNetConfig
from tinypose.models import build_model

INPUT = {"width": 96, "height": 128}

MODELS = {
    "tinypose": LiteHRNetConfig(name="lite_hrnet", variant="wider_naive"),
    "naive": LiteHRNetConfig(name="lite_hrnet", variant="naive"),
    "lite_18": LiteHRNetConfig(name="lite_hrnet", variant="lite_18"),
    "lite_30": LiteHRNetConfig(name="lite_hrnet", variant="lite_30"),
    "hrnet_w32": HRNetConfig(name="hrnet", width=32),
}
SIZES = {"128x96": (128, 96), "256x192": (256, 192)}


def random_network(model, seed=0):
    """Build a network with random weights, such that rounding is not amplified on the way through.

    (With larger gains LiteHRNet-30 turns a change of one bit of the input into one of 1e-3.)
    """
    net = build_model(Config(model=MODELS[model], input=INPUT), 17)
    random = np.random.RandomState(seed)
    for name, value in net.state_dict().items():
        shape = tuple(value.shape)
        if len(shape) > 1:
            fresh = random.standard_normal(shape) / np.prod(shape[1:]) ** 0.5
        elif name.endswith((".weight", "_variance")):
            fresh = random.uniform(0.5, 1, shape)
        else:
            fresh = random.standard_normal(shape) * 0.1
        value.set_value(fresh.astype(np.float32))
    return net


def pictures(size, count=2):
    return np.random.RandomState(1).standard_normal((count, 3, *size)).astype(np.float32)


def difference(before, after, image):
    one, other = run_numpy(before, image)[0], run_numpy(after, image)[0]
    return np.abs(one - other).max() / np.abs(one).max()


@pytest.mark.parametrize("model", MODELS)
def test_random_networks_compute_the_same_without_shuffles(model):
    size = (64, 64)
    graph = trace(random_network(model), (1, 3, *size))
    rewritten = rewrite(graph)
    assert difference(graph, rewritten, pictures(size)) <= 1e-5
    assert not {"shuffle", "permute", "batch_norm", "scale"} & set(kinds(rewritten))
    before, after = graph_cost(graph), graph_cost(rewritten)
    assert after.operators <= before.operators - 100
    assert after.bytes < 0.85 * before.bytes and after.multiply_adds == before.multiply_adds
    assert after.instructions < 0.99 * before.instructions


@pytest.mark.parametrize("size", SIZES)
def test_published_tinypose_computes_the_same(shared, size):
    from tinypose.models.weights import load_weights

    net = build_model(Config(model=MODELS["tinypose"], input=INPUT), 17)
    load_weights(net, shared / "weights" / f"tinypose_{size}.pdparams")
    graph = trace(net, (1, 3, *SIZES[size]))
    rewritten = rewrite(graph)
    assert difference(graph, rewritten, pictures(SIZES[size])) <= 1e-5
    assert graph_cost(rewritten).operators <= graph_cost(graph).operators - 100
    assert not {"shuffle", "permute"} & set(kinds(rewritten))


@pytest.mark.parametrize("model", ["tinypose", "lite_18"])
def test_the_reference_weights_compute_the_same(shared, model):
    source = importlib.util.spec_from_file_location("fill", shared / "reference" / "fill.py")
    fill = importlib.util.module_from_spec(source)
    source.loader.exec_module(fill)
    net = build_model(Config(model=MODELS[model], input=INPUT), 17)
    for name, value in net.state_dict().items():
        value.set_value(fill.fill(name, tuple(value.shape)))
    graph = trace(net, (1, 3, 128, 96))
    assert difference(graph, rewrite(graph), pictures((128, 96), 1)) <= 1e-5
