"""Pooled convolutions in FP16: none is left whose kernel reads past its weights; the function stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node
from compress.graph.rules.gates import pad_max_pools, reads_past_weights, split_gates, split_hard_swish
from compress.graph.run import run_numpy
from compress.graph.trace import trace
from tinypose.detection.picodet import PicoDet


def gate(rows: int, columns: int, groups: int = 1) -> Graph:
    """Return squeeze-and-excitation's second convolution on a pooled tensor."""
    rng = np.random.default_rng(0)
    attrs = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": groups, "relu": True}
    params = {
        "weight": rng.normal(size=(rows, columns // groups, 1, 1)).astype(np.float32),
        "bias": rng.normal(size=rows).astype(np.float32),
    }
    nodes = [
        Node("mean", "pooled", ["image"], ["pooled"], {"axes": [2, 3], "keep": True}),
        Node("conv2d", "gate", ["pooled"], ["gate"], attrs, params),
        Node("hard_sigmoid", "out", ["gate"], ["out"], {"slope": 0.2, "offset": 0.5}),
    ]
    return rebuilt(Graph("image", ["out"], [], {"image": (1, columns, 3, 2)}), nodes)


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=25)
def test_it_is_the_same_function_and_reads_nothing_past_weights(rows, columns):
    graph = gate(rows, columns)
    found = split_gates(graph)
    assert not any(reads_past_weights(found, node) for node in found.nodes)
    # Rows that are no multiple of 8, or whole steps of 16 columns: the kernel is right, and nothing changes.
    assert (len(found.nodes) > len(graph.nodes)) == (rows % 8 == 0 and columns % 16 != 0)
    image = np.random.default_rng(1).normal(size=(2, columns, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(run_numpy(found, image)[0], run_numpy(graph, image)[0], atol=1e-6)


def test_hard_swish_behind_int8_is_gate_and_product():
    graph = gate(16, 24)
    nodes = [*graph.nodes[:2], Node("hard_swish", "out", ["gate"], ["out"])]
    graph = rebuilt(Graph("image", ["out"], [], graph.shapes), nodes)
    assert split_hard_swish(graph, ["another"]).nodes == graph.nodes
    found = split_hard_swish(graph, ["gate"])
    assert [node.kind for node in found.nodes] == ["mean", "conv2d", "hard_sigmoid", "multiply"]
    image = np.random.default_rng(1).normal(size=(2, 24, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(run_numpy(found, image)[0], run_numpy(graph, image)[0], atol=1e-6)


def pooling(size, kernel, padding=0):
    attrs = {"kernel": [kernel] * 2, "stride": [2, 2], "padding": [padding] * 2}
    node = Node("max_pool", "out", ["image"], ["out"], attrs)
    return rebuilt(Graph("image", ["out"], [], {"image": (1, 3, *size)}), [node])


@pytest.mark.parametrize("size", [(8, 18), (8, 23), (9, 24), (2, 48)])
def test_wide_max_pooling_has_a_border_that_it_does_not_reach(size):
    graph = pooling(size, 2)
    found = pad_max_pools(graph)
    assert sum(found.nodes[0].attrs["padding"]) == 1
    assert found.shapes["out"] == graph.shapes["out"]
    image = -np.random.default_rng(1).random((2, 3, *size), np.float32)
    np.testing.assert_array_equal(run_numpy(found, image)[0], run_numpy(graph, image)[0])


@pytest.mark.parametrize("graph", [pooling((8, 16), 2), pooling((8, 30), 3), pooling((8, 30), 2, 1)])
def test_other_max_pooling_stays(graph):
    assert pad_max_pools(graph).nodes == graph.nodes


def test_wide_max_pooling_of_odd_sides_is_refused():
    with pytest.raises(NotImplementedError, match="'out' in FP16: 2x2 max pooling of 9x17 pixels"):
        pad_max_pools(pooling((9, 17), 2))


def test_larger_maps_and_groups():
    graph = gate(16, 24)
    wide = rebuilt(Graph("image", ["gate"], [], {"image": (1, 24, 3, 2)}), [
        Node("conv2d", "gate", ["image"], ["gate"], graph.nodes[1].attrs, graph.nodes[1].params)
    ])  # fmt: skip
    assert split_gates(wide).nodes == wide.nodes
    with pytest.raises(NotImplementedError, match="'gate' in FP16"):
        split_gates(gate(16, 24, groups=2))


def test_a_detectors_gates_are_split():
    graph = trace(PicoDet("esnet", 1), (1, 3, 64, 64))
    unsafe = [node.name for node in graph.nodes if reads_past_weights(graph, node)]
    assert len(unsafe) > 5 and all("_se" in name for name in unsafe)
    found = split_gates(graph)
    assert not any(reads_past_weights(found, node) for node in found.nodes)
    assert len(found.nodes) == len(graph.nodes) + 2 * len(unsafe)
