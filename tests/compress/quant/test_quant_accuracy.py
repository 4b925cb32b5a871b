"""How sure an accuracy is: draws of roundings, resampled people, and when it is clear."""

import numpy as np
import pytest

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node
from compress.quant.accuracy import MOVED, Accuracy, clear, moved, resampled
from compress.quant.simulate import find_scales
from tinypose.metrics.resample import Matches, Parts, average_precision


def test_ranges_move_a_little_and_readers_of_a_tensor_together():
    attrs = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": False}
    reads = {"a": "image", "b": "a", "c": "a"}
    nodes = [
        Node("conv2d", name, [read], [name], attrs, {"weight": np.ones((3, 3, 1, 1), np.float32)})
        for name, read in reads.items()
    ]
    graph = rebuilt(Graph("image", ["b", "c"], [], {"image": (1, 3, 4, 4)}), nodes)
    scales = find_scales(graph, {"image": 2.0, "a": 3.0})
    found = moved(graph, scales, np.random.default_rng(0))
    assert found["b"].input == found["c"].input != scales["b"].input
    for name, scale in found.items():
        assert abs(scale.input / scales[name].input - 1) <= MOVED
        np.testing.assert_array_equal(scale.weight, scales[name].weight)


def test_it_is_clear_when_the_interval_of_the_mean_does_not_hold_the_bound():
    # Three draws of mean 50 and deviation 1: the mean reaches 2.92 / sqrt 3 = 1.686 to either side.
    aps = [49.0, 50.0, 51.0]
    assert not clear(aps, 50.5, 0.5)
    assert not clear(aps, 50 + 0.5 + 1.68, 0.5) and clear(aps, 50 + 0.5 + 1.69, 0.5)
    assert not clear(aps, 50 + 0.5 - 1.68, 0.5) and clear(aps, 50 + 0.5 - 1.69, 0.5)
    assert clear(aps, 50.5, None)


def one_person(right: bool, score: float) -> Matches:
    return Matches(np.array([score]), np.full((10, 1), right), np.ones((10, 1), bool), 1)


def parts(people: list[Matches]) -> Parts:
    return Parts(len(people), lambda places: average_precision([people[place] for place in places]))


def test_what_is_lost_on_other_people_is_spread_about_what_is_lost_on_these():
    rng = np.random.default_rng(0)
    scores = rng.random(200)
    fp32, int8 = (parts([one_person(p < right, s) for p, s in enumerate(scores)]) for right in (160, 150))
    lost = np.array(resampled(fp32, [int8], rng))
    assert np.all(np.diff(lost) >= 0)
    assert lost.mean() == pytest.approx(fp32.of(range(200)) - int8.of(range(200)), abs=0.5)
    assert 0.5 < lost.std() < 5
    assert not np.any(resampled(fp32, [fp32, fp32], rng))


def test_an_accuracy_says_how_sure_a_bound_is():
    accuracy = Accuracy((50.0, 52.0), 0.01, tuple(np.linspace(-1, 3, 101)))
    assert (accuracy.ap, accuracy.spread) == (51.0, pytest.approx(np.sqrt(2)))
    assert accuracy.sure(0.0) == pytest.approx(26 / 101) and accuracy.sure(3.0) == 1.0
    assert accuracy.interval == pytest.approx((-0.8, 2.8))
