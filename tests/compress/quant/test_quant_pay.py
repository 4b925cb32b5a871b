"""INT8 only where it pays: the cheapest choice of all, as trying every choice finds it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node
from compress.graph.kernels import conversion, convolution
from compress.quant.pay import int8_saving, worth_int8


def conv(name: str, read: str, inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> Node:
    attrs = {
        "stride": [1, 1],
        "padding": [kernel // 2] * 2,
        "dilation": [1, 1],
        "groups": groups,
        "relu": True,
    }
    weight = np.ones((outputs, inputs // groups, kernel, kernel), np.float32)
    return Node("conv2d", name, [read], [name], attrs, {"weight": weight})


@st.composite
def networks(draw) -> Graph:
    """Draw a network of few convolutions, whose tensors are read once, twice, by sums, or as outputs."""
    nodes, channels = [], {"image": 8}
    for number in range(draw(st.integers(1, 7))):
        read = draw(st.sampled_from(sorted(channels)))
        kind = draw(st.sampled_from(["point", "channel", "add"]))
        name = f"n{number}"
        if kind == "add":
            nodes.append(Node("add", name, [read, read], [name], {"relu": False}))
            channels[name] = channels[read]
        elif kind == "channel":
            nodes.append(conv(name, read, channels[read], channels[read], 3, channels[read]))
            channels[name] = channels[read]
        else:
            channels[name] = draw(st.sampled_from([8, 16, 64]))
            nodes.append(conv(name, read, channels[read], channels[name]))
    used = {name for node in nodes for name in node.inputs}
    outputs = [node.outputs[0] for node in nodes if node.outputs[0] not in used]
    side = draw(st.sampled_from([6, 24]))
    return rebuilt(Graph("image", outputs, [], {"image": (1, 8, side, side)}), nodes)


@given(networks(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_other_choice_saves_more(graph, sdot):
    names = [node.name for node in graph.nodes if node.kind == "conv2d"]
    every = (each for count in range(len(names) + 1) for each in combinations(names, count))
    best = max(int8_saving(graph, each, sdot) for each in every)
    found = int8_saving(graph, worth_int8(graph, sdot), sdot)
    # Values are rounded to whole instructions, and a tensor that is dearer in whole numbers counts as even.
    assert found >= 0 and found == pytest.approx(best, abs=0.01 * abs(best) + 20)


def test_what_is_kept_is_not_chosen_and_its_neighbours_are_weighed_anew():
    nodes = [conv("a", "image", 64, 64), conv("b", "a", 64, 64), conv("c", "b", 64, 64)]
    graph = rebuilt(Graph("image", ["c"], [], {"image": (1, 64, 32, 32)}), nodes)
    assert worth_int8(graph, sdot=True) == ["a", "b", "c"]
    assert worth_int8(graph, sdot=True, kept=["b"]) == ["a", "c"]
    assert worth_int8(graph, sdot=True, kept=["a", "b", "c"]) == []


def test_a_convolution_by_channel_alone_is_dearer_in_int8():
    shape = (1, 32, 32, 24)
    node = conv("a", "image", 32, 32, 3, groups=32)
    whole = convolution((32, 1, 3, 3), 32, 1, (32, 24), "whole")
    assert whole > convolution((32, 1, 3, 3), 32, 1, (32, 24), "float")
    graph = rebuilt(Graph("image", ["a"], [], {"image": shape}), [node])
    assert worth_int8(graph, sdot=True) == []


def test_without_sdot_a_product_gains_hardly_anything():
    shape = (40, 40, 1, 1), 1, 1, (32, 24)
    costs = {
        sdot: convolution(*shape, "wide", sdot) / convolution(*shape, "float", sdot) for sdot in (True, False)
    }
    assert costs[True] < 0.6 and 0.9 < costs[False] < 1.1
    assert conversion(40 * 32 * 24) < convolution(*shape, "float") / 4
