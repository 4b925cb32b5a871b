"""Each rule on small graphs: the function is unchanged, and what the rule is for has happened."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.cost import cost_rows, graph_cost, kinds, multiply_adds
from compress.graph.edit import unused_name
from compress.graph.ir import Graph, Node
from compress.graph.rewrite import rewrite
from compress.graph.rules.channels import route_channels
from compress.graph.rules.input import fold_normalisation
from compress.graph.rules.scales import (
    batch_norm_to_scale,
    fold_factors,
    fold_scale_into_convolution_before,
    fold_scale_into_convolutions_behind,
)
from compress.graph.rules.sums import enlarge_late, fuse_relu, sum_small_first
from compress.graph.rules.tidy import drop_identities
from compress.graph.run import run_numpy
from compress.graph.shapes import check, infer_shapes


class Builder:
    """Writes graphs with random parameters, one node a call; each returns the names it writes."""

    def __init__(self, channels=4, size=(8, 6), seed=0):
        self.random = np.random.RandomState(seed)
        self.graph = Graph("image", [], [], {"image": (1, channels, *size)})

    def numbers(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def node(self, kind, inputs, outputs=1, params=None, **attrs):
        name = unused_name(self.graph, kind)
        names = [name] if outputs == 1 else [f"{name}:{i}" for i in range(outputs)]
        self.graph.nodes.append(Node(kind, name, list(inputs), names, attrs, params or {}))
        self.graph.shapes = infer_shapes(self.graph, self.graph.shapes["image"])
        return names[0] if outputs == 1 else names

    def channels(self, name):
        return self.graph.shapes[name][1]

    def conv(self, x, outputs, kernel=1, stride=1, groups=1, bias=True, relu=False, padding=None):
        inputs = self.channels(x) // groups
        params = {"weight": self.numbers(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5}
        if bias:
            params["bias"] = self.numbers(outputs)
        pad = kernel // 2 if padding is None else padding
        attrs = {
            "stride": [stride] * 2,
            "padding": [pad] * 2,
            "dilation": [1, 1],
            "groups": groups,
            "relu": relu,
        }
        return self.node("conv2d", [x], params=params, **attrs)

    def depthwise(self, x, **options):
        return self.conv(x, self.channels(x), 3, groups=self.channels(x), **options)

    def transposed(self, x, outputs, groups=1):
        weight = self.numbers(self.channels(x), outputs // groups, 4, 4)
        params = {"weight": weight, "bias": self.numbers(outputs)}
        attrs = {
            "stride": [2, 2],
            "padding": [1, 1],
            "output_padding": [0, 0],
            "groups": groups,
            "relu": False,
        }
        return self.node("conv2d_transpose", [x], params=params, **attrs)

    def batch_norm(self, x):
        c = self.channels(x)
        params = {"scale": self.numbers(c), "bias": self.numbers(c), "mean": self.numbers(c)}
        params["variance"] = np.abs(self.numbers(c)) + np.float32(0.1)
        return self.node("batch_norm", [x], params=params, epsilon=1e-5)

    def scale(self, x, factor=None, shift=None):
        c = self.channels(x)
        scale = self.numbers(c) if factor is None else np.full(c, factor, np.float32)
        bias = self.numbers(c) if shift is None else np.full(c, shift, np.float32)
        return self.node("scale", [x], params={"scale": scale, "bias": bias})

    def add(self, x, y, relu=False):
        return self.node("add", [x, y], relu=relu)

    def split(self, x, *sections):
        return self.node("split", [x], outputs=len(sections), sections=list(sections))

    def concat(self, *parts):
        return self.node("concat", parts)

    def shuffle(self, x, groups=2):
        return self.node("shuffle", [x], groups=groups)

    def enlarge(self, x, by=2):
        height, width = self.graph.shapes[x][2:]
        return self.node("resize_nearest", [x], size=[height * by, width * by])

    def pool(self, x, size=(1, 1)):
        return self.node("average_pool", [x], size=list(size))

    def unit(self, x):
        """ShuffleNet's unit."""
        half = self.channels(x) // 2
        left, right = self.split(x, half, half)
        right = self.conv(self.depthwise(self.conv(right, half, relu=True)), half, relu=True)
        return self.shuffle(self.concat(left, right))

    def done(self, *outputs):
        self.graph.outputs = list(outputs)
        check(self.graph)
        return self.graph


def unchanged(before, after, tolerance=1e-5):
    """Check that two graphs compute the same, for a batch, and that the first was left alone."""
    check(before)
    check(after)
    shape = (2, *before.shapes[before.input][1:])
    image = np.random.RandomState(1).standard_normal(shape).astype(np.float32)
    for one, other in zip(run_numpy(before, image), run_numpy(after, image), strict=True):
        assert np.abs(one - other).max() <= tolerance * np.abs(one).max()
    return after


def estimate(graph):
    return graph_cost(graph).instructions


def test_batch_norm_is_a_scale_and_folds_into_the_convolution_before_it():
    b = Builder()
    x = b.batch_norm(b.conv("image", 6, 3, stride=2, bias=False))
    graph = b.done(b.batch_norm(b.transposed(b.batch_norm(b.depthwise(x)), 8, groups=2)))
    scaled = unchanged(graph, batch_norm_to_scale(graph))
    folded = unchanged(graph, fold_scale_into_convolution_before(scaled))
    assert kinds(scaled)["scale"] == 3 and set(kinds(folded)) == {"conv2d", "conv2d_transpose"}


def test_a_scale_folds_through_relu_only_where_that_is_exact():
    b = Builder()
    positive = b.scale(b.conv("image", 4, relu=True), 0.3, 0)
    negative = b.scale(b.conv("image", 4, relu=True), -0.3, 0)
    shifted = b.scale(b.conv("image", 4, relu=True), 0.3, 1)
    graph = b.done(positive, negative, shifted)
    assert kinds(unchanged(graph, fold_scale_into_convolution_before(graph)))["scale"] == 2


def test_a_convolution_that_others_read_too_is_left_alone():
    b = Builder()
    x = b.conv("image", 4)
    graph = b.done(b.add(b.scale(x), x))
    assert kinds(unchanged(graph, fold_scale_into_convolution_before(graph)))["scale"] == 1


def test_scales_in_a_row_become_one():
    b = Builder()
    graph = b.done(b.scale(b.scale(b.scale(b.pool("image", (2, 2))))))
    assert kinds(unchanged(graph, fold_scale_into_convolution_before(graph)))["scale"] == 1


@pytest.mark.parametrize(
    ("shift", "padding", "left"),
    [(0, 1, 0), (None, 0, 0), (None, 1, 1)],
    ids=["factor", "no padding", "border"],
)
def test_a_scale_folds_into_the_convolutions_behind_it_where_the_border_allows(shift, padding, left):
    b = Builder(channels=4)
    x = b.scale("image", None, shift)
    grouped = b.conv(x, 6, 3, groups=2, bias=False, padding=padding)
    graph = b.done(b.conv(x, 5, 3, padding=padding), grouped, b.depthwise(x, padding=padding))
    assert kinds(unchanged(graph, fold_scale_into_convolutions_behind(graph)))["scale"] == left


def test_a_doubled_residual_chain_loses_its_multiplications_without_rounding():
    b = Builder()
    x = b.conv("image", 8)
    for _ in range(4):
        x = b.node("relu", [b.add(b.scale(b.unit(x), 2, 0), b.conv(b.pool(x), 8))])
    graph = b.done(b.conv(x, 3))
    lean = unchanged(graph, fold_factors(graph), tolerance=0)
    assert kinds(graph)["scale"] == 4 and kinds(lean)["scale"] == 0
    # The factors lie around 1: doubling four times needs no weight moved by more than 2 ** 2.
    before, after = graph.producers(), lean.producers()
    ratios = [
        np.abs(after[node.outputs[0]].params["weight"]).max() / np.abs(node.params["weight"]).max()
        for node in before.values()
        if node.kind == "conv2d"
    ]
    assert min(ratios) >= 0.25 and max(ratios) <= 4


def test_only_contradicting_factors_stay():
    b = Builder()
    x = b.conv("image", 4)
    free = b.add(b.scale(b.conv("image", 4), 2, 0), b.conv("image", 4))
    bound = b.add(b.scale(x, 2, 0), x)
    out = b.scale(b.conv("image", 4), 3, 0)
    graph = b.done(b.conv(free, 2), b.node("sigmoid", [b.scale(bound, 2, 0)]), out)
    assert kinds(unchanged(graph, fold_factors(graph)))["scale"] == 1  # 2 * x + x


def test_a_concatenation_may_hold_parts_at_different_factors_for_a_convolution():
    b = Builder()
    x = b.conv("image", 4)
    x = b.add(b.scale(x, 2, 0), b.conv("image", 4))
    y = b.conv("image", 4)
    weights = b.node("sigmoid", [b.conv(b.concat(b.pool(x), b.pool(y)), 4)])
    x = b.add(b.scale(b.node("multiply", [x, weights]), 2, 0), y)
    y = b.concat(x, y)
    graph = b.done(b.conv(y, 2))
    assert kinds(unchanged(graph, fold_factors(graph)))["scale"] == 0


def test_relu_is_fused_where_nobody_else_needs_what_is_below_zero():
    b = Builder()
    x = b.node("relu", [b.conv("image", 4)])
    y = b.conv("image", 4)
    both = b.add(b.node("relu", [y]), y)
    graph = b.done(b.node("relu", [b.add(b.node("relu", [both]), x)]), both)
    fused = unchanged(graph, fuse_relu(graph))
    assert kinds(fused)["relu"] == 2 and sum(bool(n.attrs.get("relu")) for n in fused.nodes) == 2


def test_what_does_nothing_is_dropped():
    b = Builder()
    x = b.node("relu", [b.node("relu", [b.conv("image", 4, relu=True)])])
    x = b.concat(b.node("resize_nearest", [x], size=[8, 6]))
    x = b.shuffle(b.shuffle(b.pool(x, (8, 6)), 4), 1)
    x = b.node("permute", [b.scale(x, 1, 0)], order=[0, 1, 2, 3])
    graph = b.done(b.conv(b.node("resize_bilinear", [x], size=[8, 6], align_corners=True), 2))
    assert dict(kinds(unchanged(graph, drop_identities(graph)))) == {"conv2d": 2}


def test_an_output_that_is_dropped_keeps_its_value():
    b = Builder()
    graph = b.done(b.scale("image", 1, 0), b.node("relu", [b.conv("image", 2)]))
    assert unchanged(graph, drop_identities(graph)).outputs[0] == "image"


def test_pixel_by_pixel_work_is_done_before_enlarging():
    b = Builder()
    x = b.node("sigmoid", [b.node("relu", [b.conv(b.enlarge(b.pool("image", (4, 3))), 5)])])
    graph = b.done(b.depthwise(x))
    late = unchanged(graph, enlarge_late(graph))
    assert late.producers()[late.nodes[-1].inputs[0]].kind == "resize_nearest"
    assert graph_cost(late).multiply_adds < graph_cost(graph).multiply_adds


def test_sums_are_done_at_the_smallest_size():
    b = Builder(size=(8, 8))
    terms = [
        b.conv("image", 4),
        *(b.enlarge(b.pool("image", (8 // n, 8 // n)), n) for n in (8, 4, 2)),
        "image",
    ]
    total = terms[0]
    for term in terms[1:]:
        total = b.add(total, term)
    total = b.add(total, b.enlarge(b.pool("image", (4, 4)), 2), relu=True)
    graph = b.done(total)
    small = unchanged(graph, sum_small_first(graph))
    full = [n for n in small.nodes if n.kind == "resize_nearest" and n.attrs["size"] == [8, 8]]
    assert len(full) == 1 and kinds(small)["add"] == kinds(graph)["add"] == 5
    assert small.producers()[small.outputs[0]].attrs["relu"]


def test_sums_that_cannot_be_nested_stay():
    b = Builder(size=(12, 12))
    x = b.add(b.enlarge(b.pool("image", (3, 3)), 4), b.enlarge(b.pool("image", (4, 4)), 3))
    kept = b.enlarge(b.pool("image", (6, 6)))
    y = b.add(b.add(kept, b.enlarge(b.pool("image", (3, 3)), 4)), b.conv(kept, 4))
    graph = b.done(x, y)
    assert estimate(unchanged(graph, sum_small_first(graph))) == estimate(graph)


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize(("padding", "left"), [(0, 0), (1, 1)])
def test_normalisation_moves_into_the_first_convolution_with_the_border_exact(padding, left):
    b = Builder(channels=3)
    graph = b.done(b.conv("image", 8, 3, stride=2, padding=padding), b.conv("image", 4, 3, padding=padding))
    raw = fold_normalisation(graph, MEAN, STD)
    check(raw)
    pixels = np.random.RandomState(0).randint(0, 256, (2, 3, 8, 6)).astype(np.float32)
    mean, std = (np.float32(each).reshape(1, 3, 1, 1) for each in (MEAN, STD))
    expected = run_numpy(graph, (pixels / 255 - mean) / std)
    for one, other in zip(expected, run_numpy(raw, pixels), strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    assert kinds(raw)["scale"] == left


def test_normalisation_wants_one_number_a_channel():
    b = Builder(channels=3)
    graph = b.done(b.conv("image", 8))
    for mean, std in (([0.5], [0.5]), (MEAN, [0.2, 0.0, 0.2])):
        with pytest.raises(ValueError, match="3 numbers"):
            fold_normalisation(graph, mean, std)


def test_shuffle_units_need_no_shuffle():
    b = Builder(channels=3)
    x = b.conv("image", 16, 3, relu=True)
    side = b.conv("image", 16)
    for _ in range(3):
        x = b.add(b.unit(b.unit(x)), b.conv(b.pool(x), 16), relu=True)
        side = b.add(b.unit(side), x)
    graph = b.done(b.conv(side, 5), b.conv(x, 2))
    routed = unchanged(graph, route_channels(graph, estimate))
    assert not {"shuffle", "permute"} & set(kinds(routed))
    assert (
        kinds(routed)["concat"] <= kinds(graph)["concat"] and kinds(routed)["split"] <= kinds(graph)["split"]
    )


def test_two_units_move_three_quarters_of_what_they_moved():
    b = Builder(channels=3)
    x = b.conv("image", 32)
    graph = b.done(b.conv(b.unit(b.unit(x)), 4))
    routed = unchanged(graph, route_channels(graph, estimate))

    def moved(each):
        nodes = [n for n in each.nodes if n.kind in ("split", "concat")]
        return sum(each.shapes[name][1] for node in nodes for name in node.outputs)

    assert moved(graph) == 4 * 32 and moved(routed) == 3 * 32


def test_the_table_of_costs_adds_up():
    b = Builder(channels=3)
    graph = b.done(b.conv(b.unit(b.unit(b.conv("image", 16))), 4))
    *rows, (name, before, after) = cost_rows(graph, rewrite(graph))
    assert name == "total"
    assert sum(row[1].bytes for row in rows) == before.bytes
    assert sum(row[2].operators for row in rows) == after.operators
    assert {row[0] for row in rows} >= {"pointwise conv2d", "depthwise conv2d", "shuffle", "split", "concat"}


def test_multiply_adds_and_bytes_are_counted_from_shapes():
    b = Builder(channels=4, size=(8, 6))
    graph = b.done(b.conv("image", 6, 3, stride=2, groups=2), b.transposed("image", 5))
    conv, transposed = graph.nodes
    assert multiply_adds(graph, conv) == 6 * (4 // 2) * 9 * 4 * 3
    assert multiply_adds(graph, transposed) == 4 * 5 * 16 * 8 * 6
    assert graph_cost(graph).bytes == 4 * sum(
        [2 * 4 * 8 * 6, 6 * 4 * 3, 5 * 16 * 12, 6 * 2 * 9 + 6, 4 * 5 * 16 + 5]
    )


def test_split_and_concatenation_cancel():
    b = Builder()
    parts = [b.conv("image", n) for n in (2, 3, 4)]
    again = b.split(b.concat(*parts), 2, 3, 4)
    graph = b.done(
        *(b.conv(each, 2) for each in again), b.conv(b.concat(*again), 1), b.conv(b.concat(*parts), 1)
    )
    routed = unchanged(graph, route_channels(graph, estimate))
    assert kinds(routed) == {"conv2d": 8, "concat": 1}


def test_channel_weighting_is_followed():
    b = Builder(channels=3)
    x, y = b.conv("image", 8), b.conv(b.pool("image", (4, 3)), 16)
    for _ in range(3):
        (x1, x2), (y1, y2) = b.split(x, 4, 4), b.split(y, 8, 8)
        weights = b.node("sigmoid", [b.conv(b.conv(b.concat(b.pool(x2, (4, 3)), y2), 3, relu=True), 12)])
        wx, wy = b.split(weights, 4, 8)
        x2, y2 = b.node("multiply", [x2, b.enlarge(wx)]), b.node("multiply", [y2, wy])
        x2, y2 = b.depthwise(x2), b.batch_norm(b.depthwise(y2))
        x2 = b.node("multiply", [x2, b.node("sigmoid", [b.conv(b.pool(x2), 4)])])
        x, y = b.shuffle(b.concat(x1, x2)), b.shuffle(b.concat(y1, y2))
    graph = b.done(b.conv(x, 3), b.conv(y, 3))
    routed = unchanged(graph, route_channels(graph, estimate))
    assert not {"shuffle", "permute"} & set(kinds(routed))


def test_a_reordering_that_nothing_can_absorb_stays():
    b = Builder()
    x = b.conv("image", 4)
    crossed = b.add(x, b.shuffle(x))
    grouped = b.conv(b.shuffle(b.conv("image", 4)), 4, groups=2)
    graph = b.done(b.shuffle("image"), b.conv(crossed, 2), b.shuffle(grouped), b.shuffle(b.conv("image", 4)))
    routed = unchanged(graph, route_channels(graph, estimate))
    assert routed.outputs[3] != graph.outputs[3]  # a convolution wrote that one in the right order


@st.composite
def graphs(draw):
    """Draw a graph of splits, concatenations, shuffles, sums and convolutions."""
    b = Builder(channels=draw(st.sampled_from([4, 6])), size=(4, 4), seed=draw(st.integers(0, 99)))
    known = ["image"]
    for _ in range(draw(st.integers(1, 12))):
        x = draw(st.sampled_from(known))
        channels = b.channels(x)
        match draw(
            st.sampled_from(
                ["conv", "depthwise", "grouped", "relu", "shuffle", "split", "concat", "add", "weigh"]
            )
        ):
            case "conv":
                known.append(b.conv(x, draw(st.sampled_from([2, 4, 6]))))
            case "depthwise":
                known.append(b.depthwise(x))
            case "grouped" if channels % 2 == 0:
                known.append(b.conv(x, 4, groups=2))
            case "relu":
                known.append(b.node("relu", [x]))
            case "shuffle" if channels % 2 == 0:
                known.append(b.shuffle(x, draw(st.sampled_from([2, channels // 2]))))
            case "split" if channels > 1:
                at = draw(st.integers(1, channels - 1))
                known.extend(b.split(x, at, channels - at))
            case "concat" if channels < 20:
                known.append(b.concat(x, draw(st.sampled_from(known))))
            case "add":
                fitting = [name for name in known if b.channels(name) == channels]
                known.append(b.add(x, draw(st.sampled_from(fitting))))
            case "weigh":
                fitting = [name for name in known if b.channels(name) == channels]
                known.append(
                    b.node("multiply", [x, b.node("sigmoid", [b.pool(draw(st.sampled_from(fitting)))])])
                )
    return b.done(*draw(st.lists(st.sampled_from(known), min_size=1, max_size=3)))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_any_routing_of_channels_computes_the_same(graph):
    unchanged(graph, route_channels(graph, estimate, depths=(0, 2)))


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_rewriting_computes_the_same_and_costs_no_more(graph):
    rewritten = unchanged(graph, rewrite(graph), tolerance=3e-5)
    assert estimate(rewritten) <= estimate(graph)
