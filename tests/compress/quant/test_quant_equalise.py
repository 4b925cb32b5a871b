"""Equalisation leaves the function as it is, whatever the graph, and makes INT8 better."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from compress.graph.ir import Graph, Node
from compress.graph.run import run, run_numpy
from compress.quant.equalise import (
    _noise_term,
    apply_factors,
    apply_to_statistics,
    factor_classes,
    find_factors,
)
from compress.quant.gains import noise_gains
from compress.quant.observe import channel_statistics
from compress.quant.open import open_worthwhile, with_hard_swish
from compress.quant.scales import only
from compress.quant.simulate import Simulation, find_scales


def conv(name, read, write, weight, groups=1, relu=False):
    pad = weight.shape[-1] // 2
    attrs = {"stride": [1, 1], "padding": [pad, pad], "dilation": [1, 1], "groups": groups, "relu": relu}
    bias = np.linspace(-0.5, 0.5, len(weight)).astype(np.float32)
    return Node("conv2d", name, [read], [write], attrs, {"weight": weight.astype(np.float32), "bias": bias})


def every_kind(seed: int = 0) -> Graph:
    """A graph with each way in which channels travel; `pw` writes two channels 50 times too large."""
    rng = np.random.default_rng(seed)
    outliers = np.ones((8, 1, 1, 1))
    outliers[[1, 6]] = 50
    nodes = [
        conv("stem", "image", "a", rng.normal(0, 0.3, (8, 3, 3, 3)), relu=True),
        Node("split", "split", ["a"], ["a1", "a2"], {"sections": [4, 4]}),
        conv("dw", "a2", "b", rng.normal(0, 0.5, (4, 1, 3, 3)), groups=4, relu=True),
        Node("concat", "concat", ["a1", "b"], ["c"]),
        Node("shuffle", "shuffle", ["c"], ["d"], {"groups": 2}),
        conv("pw", "d", "e", rng.normal(0, 0.4, (8, 8, 1, 1)) * outliers, relu=True),
        Node("permute", "permute", ["e"], ["f"], {"order": [3, 1, 0, 2, 7, 6, 5, 4]}),
        Node("average_pool", "pool", ["f"], ["g"], {"size": [1, 1]}),
        conv("gate", "g", "h", rng.normal(0, 0.01, (8, 8, 1, 1))),
        Node("sigmoid", "sigmoid", ["h"], ["w"]),
        Node("multiply", "multiply", ["f", "w"], ["m"]),
        Node("add", "add", ["m", "f"], ["s"]),
        Node("relu", "relu", ["s"], ["r"]),
        Node("resize_nearest", "resize", ["r"], ["big"], {"size": [16, 16]}),
        conv("read", "big", "x", rng.normal(0, 0.4, (8, 1, 3, 3)), groups=8),
        conv("head", "x", "heatmaps", rng.normal(0, 0.3, (5, 8, 1, 1))),
    ]
    sizes = dict(
        zip(("image", "a", "a1", "a2", "b", "c", "d", "e", "f"), (3, 8, 4, 4, 4, 8, 8, 8, 8), strict=True)
    )
    shapes = {name: (1, channels, 8, 8) for name, channels in sizes.items()}
    shapes |= dict.fromkeys(("g", "h", "w"), (1, 8, 1, 1)) | dict.fromkeys(("m", "s", "r"), (1, 8, 8, 8))
    shapes |= {"big": (1, 8, 16, 16), "x": (1, 8, 16, 16), "heatmaps": (1, 5, 16, 16)}
    return Graph("image", ["heatmaps"], nodes, shapes)


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(7).normal(0, 1, (count, 3, 8, 8)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_any_factors_of_the_classes_leave_the_function(seed):
    graph, x = every_kind(seed), images(2)
    classes, count = factor_classes(graph)
    factors = np.exp(np.random.default_rng(seed).uniform(-3, 3, count)).astype(np.float32)
    factors[0] = 1
    other = apply_factors(graph, {name: factors[channels] for name, channels in classes.items()})
    before, after = run_numpy(graph, x)[0], run_numpy(other, x)[0]
    assert np.abs(after - before).max() < 2e-5 * np.abs(before).max()


def test_what_cannot_be_scaled_stays_fixed():
    classes, _ = factor_classes(every_kind())
    for name in ("image", "h", "w", "heatmaps"):
        assert (classes[name] == 0).all(), name
    for name in ("a", "e", "x"):
        assert (classes[name] != 0).all(), name


def test_channels_that_travel_together_share_a_factor():
    classes, _ = factor_classes(every_kind())
    assert (classes["d"].reshape(4, 2).T.ravel() == classes["c"]).all()
    assert (classes["f"] == classes["e"][[3, 1, 0, 2, 7, 6, 5, 4]]).all()
    assert (classes["r"] == classes["f"]).all() and (classes["g"] == classes["f"]).all()


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_gradient_of_the_noise(groups):
    rng = np.random.default_rng(groups)
    node = conv("c", "x", "y", rng.normal(0, 1, (6, 6 // groups, 3, 3)), groups)
    term = _noise_term(
        node, rng.uniform(1, 50, 6).astype(np.float32), rng.uniform(0.1, 9, 6), rng.uniform(0, 1, 6)
    )
    for seed in range(5):
        point = np.random.default_rng(seed).normal(0, 1, 6)
        value, gradient = term(point)
        assert check_grad(lambda p: term(p)[0], lambda p: term(p)[1], point) < 1e-4 * np.linalg.norm(gradient)
        assert value > 0


def test_outlier_channels_are_brought_down_and_int8_gets_better(calibrate):
    graph, x = every_kind(), images()

    def error(each: Graph) -> float:
        scales = calibrate(each, [x], "abs_max")
        expected = run_numpy(each, x)[0]
        return float(np.sum((Simulation(each, scales)(x)[0] - expected) ** 2) / np.sum(expected**2))

    before = error(graph)
    factors = find_factors(graph, channel_statistics(graph, lambda: [x]), noise_gains(graph, [x]))
    equalised = apply_factors(graph, factors)
    after = error(equalised)
    assert after < 0.8 * before
    peaks = channel_statistics(equalised, lambda: [x])["big"][0]
    old = channel_statistics(graph, lambda: [x])["big"][0]
    assert peaks.max() / np.median(peaks) < 0.5 * old.max() / np.median(old)


def test_statistics_are_those_of_the_tensors():
    graph, x = every_kind(), images()
    peak, power = channel_statistics(graph, lambda: [x[:4], x[4:]])["image"]
    assert np.allclose(peak, np.abs(x).max((0, 2, 3)))
    assert np.allclose(power, (x**2).mean((0, 2, 3)), rtol=1e-5)


def test_statistics_and_gains_of_the_equalised_graph_need_no_run():
    graph, x = every_kind(), images()
    statistics, gains = channel_statistics(graph, lambda: [x]), noise_gains(graph, [x])
    factors = find_factors(graph, statistics, gains)
    equalised = apply_factors(graph, factors)
    divided, scaled = apply_to_statistics(graph, statistics, gains, factors)
    measured, found = channel_statistics(equalised, lambda: [x]), noise_gains(equalised, [x])
    for name, (peak, power) in measured.items():
        assert np.allclose(divided[name][0], peak, rtol=1e-4) and np.allclose(
            divided[name][1], power, rtol=1e-4
        )
    for name, gain in found.items():
        assert np.allclose(scaled[name], gain, rtol=1e-3)


def behind_silu(outliers: float) -> tuple[Graph, dict, dict]:
    """Convolutions with SiLU between them, the first with two channels that reach far; its statistics."""
    rng = np.random.default_rng(3)
    far = np.ones((8, 1, 1, 1))
    far[[1, 6]] = outliers
    nodes = [
        conv("stem", "image", "a", rng.normal(0, 0.3, (8, 3, 3, 3)) * far),
        Node("silu", "silu", ["a"], ["b"]),
        conv("next", "b", "c", rng.normal(0, 0.4, (8, 8, 3, 3)) / far.reshape(1, -1, 1, 1)),
        Node("silu", "silu2", ["c"], ["d"]),
        conv("head", "d", "heatmaps", rng.normal(0, 0.3, (5, 8, 1, 1))),
    ]
    shapes = {"image": (1, 3, 8, 8), "heatmaps": (1, 5, 8, 8)} | dict.fromkeys("abcd", (1, 8, 8, 8))
    graph = Graph("image", ["heatmaps"], nodes, shapes)
    gains = noise_gains(graph, [images()])
    return (
        graph,
        channel_statistics(graph, lambda: [images()]),
        {name: gains[name] for name in ("next", "head")},
    )


def test_scales_stand_where_silu_stops_factors_and_only_where_they_pay():
    graph, statistics, gains = behind_silu(40.0)
    assert not any(each.any() for each in factor_classes(graph)[0].values())
    opened, known = open_worthwhile(graph, statistics, gains)
    assert [node.inputs for node in opened.nodes if node.kind == "scale"] == [["b"]]
    factors = find_factors(opened, known, gains)
    other = apply_factors(opened, factors)
    x = images(3)
    expected, found = run_numpy(graph, x)[0], run_numpy(other, x)[0]
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()
    errors = []
    for each in (graph, other):
        reach = channel_statistics(each, lambda: [images()])
        limits = {name: float(peak.max()) for name, (peak, _) in reach.items()}
        scales = only(find_scales(each, limits), gains)
        errors.append(np.square(Simulation(each, scales)(x)[0] - expected).sum())
    assert errors[1] < errors[0] / 20

    graph, statistics, gains = behind_silu(1.0)
    opened, known = open_worthwhile(graph, statistics, gains)
    assert len(opened.nodes) == len(graph.nodes) and known.keys() == statistics.keys()


def test_hard_swish_stands_for_silu_of_feature_maps_as_gate_and_product():
    graph, _, _ = behind_silu(1.0)
    other = with_hard_swish(graph)
    assert [node.kind for node in other.nodes] == ["conv2d", *["hard_sigmoid", "multiply", "conv2d"] * 2]
    x = images(2)
    values = run(graph, x, keep={"a"})["a"].numpy()
    found = run(other, x, keep={"b"})["b"].numpy()
    np.testing.assert_allclose(found, values * np.clip(values + 3, 0, 6) / 6, rtol=1e-5, atol=1e-6)
