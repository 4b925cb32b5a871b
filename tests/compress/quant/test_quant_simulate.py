"""The simulation of INT8 against arithmetic in whole numbers, and the sensitivity against brute force."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.ir import Graph, Node
from compress.graph.run import run_numpy
from compress.quant.arithmetic import fake_quant, int8_convolution, round_away
from compress.quant.gains import noise_gains
from compress.quant.observe import channel_statistics, observe
from compress.quant.ranges import METHODS, find_range
from compress.quant.scales import ConvScale, only, quantise_weight, weight_ranges
from compress.quant.search import search_ranges
from compress.quant.sensitivity import each_alone, sensitivity
from compress.quant.simulate import Simulation, written_as_int8
from tinypose.errors import UserError


def convolution(name: str, read: str, write: str, weight: np.ndarray, groups: int = 1, relu: bool = False):
    pad = weight.shape[-1] // 2
    attrs = {"stride": [1, 1], "padding": [pad, pad], "dilation": [1, 1], "groups": groups, "relu": relu}
    bias = np.linspace(-0.2, 0.3, len(weight)).astype(np.float32)
    return Node("conv2d", name, [read], [write], attrs, {"weight": weight.astype(np.float32), "bias": bias})


def small_graph(seed: int = 0) -> Graph:
    """Three convolutions, one depthwise, with a sum across."""
    rng = np.random.default_rng(seed)
    nodes = [
        convolution("first", "image", "a", rng.normal(0, 0.4, (8, 3, 3, 3)), relu=True),
        convolution("depth", "a", "b", rng.normal(0, 0.4, (8, 1, 3, 3)), groups=8),
        Node("add", "sum", ["a", "b"], ["c"]),
        convolution("last", "c", "heatmaps", rng.normal(0, 0.4, (5, 8, 1, 1))),
    ]
    shapes = {"image": (1, 3, 12, 8), "a": (1, 8, 12, 8), "b": (1, 8, 12, 8), "c": (1, 8, 12, 8)}
    return Graph("image", ["heatmaps"], nodes, {**shapes, "heatmaps": (1, 5, 12, 8)})


def images(count: int = 4, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 12, 8)).astype(np.float32)


@given(st.floats(0.01, 1e3), st.lists(st.floats(-2e3, 2e3, width=32), min_size=1, max_size=40))
@settings(deadline=None)
def test_fake_quant_is_the_nearest_step_within_the_range(limit, values):
    x = np.array(values, np.float32)
    y = fake_quant(paddle.to_tensor(x), limit).numpy()
    step = limit / 127
    assert np.abs(y).max() <= limit * (1 + 1e-6)
    assert np.abs(y / step - np.round(y / step)).max() < 1e-3
    inside = np.abs(x) <= limit
    assert np.all(np.abs(y - x)[inside] <= step * 0.5001)


def test_ties_round_away_from_zero_and_nothing_else_does():
    below = np.nextafter(np.float32(0.5), np.float32(0))
    x = paddle.to_tensor(np.array([0.5, 1.5, -0.5, -2.5, below, -below, 126.5, 200, -200], np.float32))
    assert round_away(x).numpy().tolist() == [1, 2, -1, -3, 0, 0, 127, 127, -127]


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40))
@settings(deadline=None)
def test_rounding_is_that_of_exact_numbers(values):
    x = np.array(values, np.float32)
    exact = x.astype(np.float64)  # where adding a half is exact
    expected = np.clip(np.copysign(np.floor(np.abs(exact) + 0.5), exact), -127, 127)
    assert np.array_equal(round_away(paddle.to_tensor(x)).numpy(), expected)


def test_a_quantised_convolution_equals_whole_number_arithmetic():
    graph = small_graph()
    node = graph.nodes[0]
    graph = Graph("image", ["a"], [node], {"image": (1, 3, 12, 8), "a": (1, 8, 12, 8)})
    scale = ConvScale(2.0, weight_ranges(node))
    x = images(2)
    whole = np.clip(np.trunc(x * 63.5 + np.copysign(0.5, x)), -127, 127).astype(np.int64)
    kernel = quantise_weight(node.params["weight"], scale.weight).astype(np.int64)
    padded = np.pad(whole, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, kernel)
    steps = (2.0 / 127) * scale.weight.astype(np.float64) / 127
    channel = (slice(None), None, None)
    expected = np.maximum(sums * steps[channel] + node.params["bias"][channel], 0)
    assert np.abs(Simulation(graph, {"first": scale})(x)[0] - expected).max() < 1e-5


def test_nothing_quantised_is_the_float_network():
    graph, x = small_graph(), images()
    assert np.array_equal(Simulation(graph, {})(x)[0], run_numpy(graph, x)[0])


def test_scales_can_be_taken_back(calibrate):
    graph, x = small_graph(), images()
    scales = calibrate(graph, [x], "abs_max")
    simulation = Simulation(graph, scales)
    quantised = simulation(x)[0]
    simulation.set_scales({})
    assert np.array_equal(simulation(x)[0], run_numpy(graph, x)[0])
    simulation.set_scales(scales)
    assert np.array_equal(simulation(x)[0], quantised)


def test_sensitivity_equals_quantising_each_layer_alone(calibrate):
    graph, batches = small_graph(), [images(3, 1), images(2, 2)]
    scales = calibrate(graph, batches, "mse")
    found = sensitivity(graph, scales, batches, progress="")
    x = np.concatenate(batches)
    expected = run_numpy(graph, x)[0]
    for name, error in found.items():
        alone = Simulation(graph, {name: scales[name]})(x)[0]
        assert error == pytest.approx(np.sum((alone - expected) ** 2) / np.sum(expected**2), rel=1e-3)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == {"first", "depth", "last"}


def test_histograms_hold_every_value_once():
    graph, x = small_graph(), images()
    batches = lambda: [x[:3], x[3:]]  # noqa: E731
    histograms = observe(graph, batches, channel_statistics(graph, batches))
    assert set(histograms) == {"image", "a", "c"}
    assert histograms["image"].counts.sum() == x.size
    assert histograms["image"].top == pytest.approx(np.abs(x).max())


def test_calibrating_on_nothing_is_an_error():
    with pytest.raises(UserError, match="no people"):
        channel_statistics(small_graph(), list)


def test_not_finite_activations_are_named():
    with pytest.raises(UserError, match="'image'"):
        channel_statistics(small_graph(), lambda: [np.full((1, 3, 12, 8), np.inf, np.float32)])


def test_what_only_int8_reads_is_written_in_whole_numbers(calibrate):
    graph, x = small_graph(), images()
    graph.nodes[2:3] = [convolution("middle", "b", "c", np.eye(8)[..., None, None])]
    scales = calibrate(graph, [x], "abs_max")
    assert set(written_as_int8(graph, scales)) == {"a", "b", "c"}
    assert set(written_as_int8(graph, only(scales, scales.keys() - {"last"}))) == {"a", "b"}
    assert not written_as_int8(
        small_graph(), only(scales, scales.keys() - {"middle", "depth"})
    )  # the sum reads "a"


def test_sensitivity_goes_on_where_it_was_stopped(calibrate, tmp_path):
    graph, batches = small_graph(), [images(3, 1), images(2, 2), images(1, 3)]
    scales = calibrate(graph, batches, "mse")
    whole = sensitivity(graph, scales, batches, progress="")

    cache = tmp_path / "cache.npz"
    counted, cache_done = [], False

    def count(each_graph, each_scales, each_images):
        counted.append(len(each_images))
        if len(counted) == 3 and not cache_done:
            raise KeyboardInterrupt
        return each_alone(each_graph, each_scales, each_images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compress.quant.sensitivity.each_alone", count)
        with pytest.raises(KeyboardInterrupt):
            sensitivity(graph, scales, batches, cache, progress="")
        cache_done = True
        assert sensitivity(graph, scales, batches, cache, progress="") == whole
        assert counted == [3, 2, 1, 1]  # the third batch twice: it was stopped in it
        assert sensitivity(graph, scales, batches, cache, progress="") == whole
        assert counted == [3, 2, 1, 1]
        other = {**scales, "first": ConvScale(1.0, scales["first"].weight)}
        assert sensitivity(graph, other, batches, cache, progress="") != whole


def test_the_range_with_the_least_heatmap_error_is_chosen():
    graph, x = small_graph(), images(6)
    x[0, 0, 0, 0] = 60.0  # one value far out: whether to clip it is what has to be decided
    statistics = channel_statistics(graph, lambda: [x])
    histograms = observe(graph, lambda: [x], statistics)
    chosen = search_ranges(graph, histograms, noise_gains(graph, [x]), [x], 99.9, progress="")
    assert set(chosen) == {"image", "a", "c"}
    expected = run_numpy(graph, x)[0]

    def error(limit: float) -> float:
        """Round the image for its reader, with weights as they are."""
        rounded = fake_quant(paddle.to_tensor(x), limit).numpy()
        return float(((run_numpy(graph, rounded)[0] - expected) ** 2).sum())

    candidates = [find_range(histograms["image"], method, 99.9) for method in METHODS]
    assert max(candidates) > 1.5 * min(candidates)
    assert error(chosen["image"]) <= min(map(error, candidates)) * 1.05  # like candidates are tried once


@given(st.integers(0, 2**32 - 1))
def test_factors_are_put_together_as_the_compiled_kernels_do(seed):
    """Products and biases lie so close to ties that the last bit of a factor turns the rounding."""
    rng = np.random.default_rng(seed)
    input_step, output_step = rng.uniform(0.001, 1, 2).astype(np.float32)
    ties = (rng.integers(0, 100, 8) + 0.5) * output_step
    x = np.where(np.arange(8) < 4, rng.integers(1, 128, 8), 0)
    weight_step = (ties / np.maximum(x, 1) / input_step).astype(np.float32)
    bias = np.where(x == 0, ties, 0).astype(np.float32)

    inverse = np.float32(1) / output_step
    product = (weight_step * (input_step / output_step), bias / output_step)
    depthwise = (weight_step * (input_step * inverse), bias * inverse)
    middle = np.zeros((8, 1, 3, 3))
    middle[:, :, 1, 1] = 1
    for weight, (factor, added) in ((np.eye(8)[:, :, None, None], product), (middle, depthwise)):
        places = {"stride": [1, 1], "padding": [weight.shape[2] // 2] * 2, "dilation": [1, 1]}
        places["groups"] = 8 // weight.shape[1]
        tensors = [paddle.to_tensor(each.astype(np.float32)) for each in (x.reshape(1, 8, 1, 1), weight)]
        found = int8_convolution(*tensors, bias, weight_step, input_step, places, False, output_step)
        exact = (x * factor.astype(np.float64) + added.astype(np.float64)).astype(np.float32)  # rounds once
        whole = np.floor(exact + np.nextafter(np.float32(0.5), np.float32(0)))
        assert np.array_equal(found.numpy().ravel(), whole)
