"""Every kind of node through every table and every rule: random graphs that contain it keep their outputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.cost import graph_cost, node_cost
from compress.graph.edit import unused_name
from compress.graph.ir import Graph, Node
from compress.graph.ops import OPERATORS
from compress.graph.rewrite import rewrite
from compress.graph.rules.channels import route_channels
from compress.graph.run import run_numpy
from compress.graph.shapes import check, infer_shapes
from compress.graph.store import load, save
from compress.quant.equalise import apply_factors, factor_classes
from lite_deploy.write import onnx_operators, paddle_operators

SIZE = 4  # height and width of the pictures; channels are even


class Sketch:
    """A graph under way, with random parameters; each method returns the tensors that it writes."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.graph = Graph("image", [], [], {"image": (1, 4, SIZE, SIZE)})

    def node(self, kind, *inputs, count=1, params=None, **attrs):
        name = unused_name(self.graph, kind)
        names = [name] if count == 1 else [f"{name}:{i}" for i in range(count)]
        params = {key: np.asarray(value, np.float32) for key, value in (params or {}).items()}
        self.graph.nodes.append(Node(kind, name, list(inputs), names, attrs, params))
        self.graph.shapes = infer_shapes(self.graph, self.graph.shapes["image"])
        return names[0] if count == 1 else names

    def shape(self, x):
        return self.graph.shapes[x]

    def choice(self, *options):
        return options[self.random.integers(len(options))]

    def numbers(self, *shape):
        return self.random.standard_normal(shape) / max(np.prod(shape[1:]), 1) ** 0.5

    def some_bias(self, count):
        return self.choice({}, {"bias": self.numbers(count)})

    def conv(self, x, outputs=None, kernel=1, groups=1):
        inputs, places = self.shape(x)[1], {"stride": [1, 1], "padding": [kernel // 2] * 2}
        outputs = outputs or inputs
        params = {
            "weight": self.numbers(outputs, inputs // groups, kernel, kernel),
            **self.some_bias(outputs),
        }
        return self.node("conv2d", x, params=params, groups=groups, relu=False, dilation=[1, 1], **places)

    def affine(self, kind, x, count):
        params = {"scale": self.random.uniform(0.5, 2, count), "bias": self.numbers(count)}
        params["bias"] *= self.choice(0, 1)
        if self.choice(True, False):
            params = {key: np.full(count, value[0]) for key, value in params.items()}
        return self.node(kind, x, params=params)

    def rows(self, x):
        """Return x as [N, C, H W]."""
        return self.node("reshape", x, shape=[self.shape(x)[1], SIZE * SIZE])

    def map(self, x):
        """Return what `rows` gave as a feature map again."""
        return self.node("reshape", x, shape=[self.shape(x)[1], SIZE, SIZE])

    def positive(self, x):
        half = {"scale": np.full(self.shape(x)[1], 1), "bias": np.full(self.shape(x)[1], 0.5)}
        return self.node("scale", self.node("relu", x), params=half)

    def mixed(self, x):
        """Return the channels in another order, which rules like to forget where they may."""
        return self.node("permute", x, order=self.random.permutation(self.shape(x)[1]).tolist())

    def spread(self, x, like):
        """Return a sum with `like` of what has one place where that has several."""
        return self.node("add", like, x, relu=self.choice(True, False))


def _conv2d(s, x):
    channels = s.shape(x)[1]
    return s.conv(x, channels, s.choice(1, 3), s.choice(1, 2, channels))


def _conv2d_transpose(s, x):
    channels, groups = s.shape(x)[1], s.choice(1, 2, s.shape(x)[1])
    params = {"weight": s.numbers(channels, channels // groups, 4, 4), **s.some_bias(channels)}
    places = {"stride": [2, 2], "padding": [1, 1], "output_padding": [0, 0]}
    large = s.node("conv2d_transpose", x, params=params, groups=groups, relu=s.choice(True, False), **places)
    return s.node("average_pool", large, size=[SIZE, SIZE])


def _deform_conv2d(s, x):
    channels, places = s.shape(x)[1], {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1]}
    inputs = [x, s.mixed(s.conv(x, 18))]
    inputs += s.choice([], [s.mixed(s.node("relu", s.conv(x, 9)))])
    params = {"weight": s.numbers(channels, channels, 3, 3), **s.some_bias(channels)}
    return s.node("deform_conv2d", *inputs, params=params, **places)


def _linear(s, x):
    if s.choice(True, False):
        count = SIZE * SIZE
        params = {"weight": s.numbers(count, count), **s.some_bias(count)}
        return s.map(s.node("linear", s.mixed(s.rows(x)), params=params))
    channels = s.shape(x)[1]
    gate = s.node("mean", x, axes=[2, 3], keep=False)
    for _ in range(2):
        params = {"weight": s.numbers(channels, channels), **s.some_bias(channels)}
        gate = s.mixed(s.node("relu", s.node("linear", gate, params=params)))
    return s.spread(s.node("reshape", gate, shape=[channels, 1, 1]), x)


def _matmul(s, x):
    first, second = s.mixed(s.rows(x)), s.mixed(s.rows(s.conv(x)))
    if s.choice(True, False):
        second = s.node("transpose", second, axes=[0, 2, 1])
        square = s.node("matmul", first, second, transpose_y=False)
    else:
        square = s.node("matmul", first, second, transpose_y=True)
    return s.map(s.node("matmul", s.node("softmax", square, axis=2), s.rows(x), transpose_y=False))


def _batch_norm(s, x):
    count = s.shape(x)[1]
    params = {"scale": s.numbers(count), "bias": s.numbers(count), "mean": s.numbers(count)}
    return s.node(
        "batch_norm", x, params=params | {"variance": s.random.uniform(0.5, 2, count)}, epsilon=1e-5
    )


def _scale(s, x):
    if s.choice(True, False):
        return s.affine("scale", x, s.shape(x)[1])
    return s.map(s.affine("scale", s.rows(x), s.shape(x)[1]))


def _scale_last(s, x):
    rows = s.affine("scale_last", s.mixed(s.rows(x)), SIZE * SIZE)
    return s.map(s.affine("scale_last", rows, SIZE * SIZE))


def _power(s, x):
    exponent = s.choice(2.0, 0.5, -0.5, -1.0, 1.7)
    return s.node("power", x if exponent == 2.0 else s.positive(x), exponent=exponent)


def _softmax(s, x):
    return s.node("softmax", x, axis=s.choice(1, 2, 3))


def _mean(s, x):
    axes = s.choice([1], [2], [3], [1, 2], [2, 3], [1, 2, 3])
    if axes == [2, 3] and s.choice(True, False):
        mean = s.node("mean", x, axes=axes, keep=False)
        return s.spread(s.node("reshape", mean, shape=[s.shape(x)[1], 1, 1]), x)
    mean = s.node("mean", x, axes=axes, keep=True)
    return s.spread(s.choice(mean, s.conv(mean)), x)


def _two(kind):
    def example(s, x):
        small = s.node("average_pool", s.conv(x), size=[1, 1])
        other = s.choice(x, s.mixed(s.conv(x)), s.mixed(small), s.conv(x, 1))
        other = s.positive(other) if kind == "divide" else other
        return s.node(kind, x, other, **({"relu": s.choice(True, False)} if kind == "add" else {}))

    return example


def _concat(s, x):
    axis = s.choice(1, 2, 3)
    if axis == 1:
        return s.conv(s.node("concat", x, s.conv(x)), s.shape(x)[1])
    return s.node("average_pool", s.node("concat", x, s.conv(x), axis=axis), size=[SIZE, SIZE])


def _split(s, x):
    axis = s.choice(1, 2, 3)
    half = s.shape(x)[axis] // 2
    first, second = s.node("split", x, count=2, sections=[half, half], axis=axis)
    return s.node("concat", second, s.node("relu", first), axis=axis)


def _slice(s, x):
    axis = s.choice(1, 2, 3)
    part = s.node("slice", x, axis=axis, start=1, stop=s.shape(x)[axis])
    rest = s.node("slice", x, axis=axis, start=0, stop=1)
    return s.node("concat", part, s.node("relu", rest), axis=axis)


def _transpose(s, x):
    axes = s.choice([0, 1, 3, 2], [0, 2, 1, 3])
    there = s.node("transpose", x, axes=axes)
    return s.node("transpose", s.affine("scale", there, s.shape(there)[1]), axes=axes)


def _reshape(s, x):
    channels = s.shape(x)[1]
    there = s.node("reshape", x, shape=s.choice([channels * SIZE * SIZE], [channels * SIZE, SIZE]))
    there = s.affine("scale", there, s.shape(there)[1])
    return s.node("reshape", there, shape=[channels, SIZE, SIZE])


def _max_pool(s, x):
    kernels = s.choice([3], [3, 5], [5, 3, 7])
    pools = [s.node("max_pool", x, kernel=[k, k], stride=[1, 1], padding=[k // 2] * 2) for k in kernels]
    return s.conv(s.node("concat", x, *pools), s.shape(x)[1])


def _resized(kind, **attrs):
    def example(s, x):
        large = s.node(kind, x, size=[2 * SIZE, 2 * SIZE], **attrs)
        return s.node("average_pool", s.node("relu", large), size=[SIZE, SIZE])

    return example


def _plain(kind, **attrs):
    return lambda s, x: s.node(kind, x, **attrs)


# For each kind what adds it to a feature map [N, C, H, W], and gives one of that shape again.
EXAMPLES = {
    "conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
    "deform_conv2d": _deform_conv2d,
    "linear": _linear,
    "matmul": _matmul,
    "batch_norm": _batch_norm,
    "scale": _scale,
    "scale_last": _scale_last,
    "relu": _plain("relu"),
    "sigmoid": _plain("sigmoid"),
    "hard_sigmoid": _plain("hard_sigmoid", slope=0.2, offset=0.5),
    "hard_swish": _plain("hard_swish"),
    "silu": _plain("silu"),
    "power": _power,
    "clip": _plain("clip", min=-0.5, max=1.0),
    "softmax": _softmax,
    "mean": _mean,
    "add": _two("add"),
    "multiply": _two("multiply"),
    "divide": _two("divide"),
    "concat": _concat,
    "split": _split,
    "slice": _slice,
    "shuffle": _plain("shuffle", groups=2),
    "permute": Sketch.mixed,
    "reshape": _reshape,
    "transpose": _transpose,
    "resize_nearest": _resized("resize_nearest"),
    "resize_bilinear": _resized("resize_bilinear", align_corners=False),
    "average_pool": lambda s, x: s.spread(s.node("average_pool", x, size=[1, 1]), x),
    "max_pool": _max_pool,
}
# What stands around it: what absorbs orders and factors, moves channels, doubles and shifts.
AROUND = ["conv2d", "batch_norm", "relu", "scale", "shuffle", "split", "concat", "permute", "add"]


def test_each_kind_is_in_every_table():
    assert set(EXAMPLES) == set(OPERATORS)
    assert set(paddle_operators.WRITERS) == set(OPERATORS)
    assert set(onnx_operators.WRITERS) == set(OPERATORS)
    for kind, operator in OPERATORS.items():
        assert operator.meaning, kind


def test_a_kind_without_an_entry_raises_by_name():
    graph = Graph(
        "image", ["a"], [Node("dance", "a", ["image"], ["a"])], {"image": (1, 4, 4, 4), "a": (1, 4)}
    )
    uses = [check, rewrite, graph_cost, factor_classes, lambda g: run_numpy(g, np.zeros((1, 4, 4, 4), "f4"))]
    uses += [lambda g: paddle_operators.writer(g.nodes[0]), lambda g: onnx_operators.writer(g.nodes[0])]
    uses.append(lambda g: route_channels(g, lambda each: 0.0))
    for use in uses:
        with pytest.raises(ValueError, match="'dance'"):
            use(graph)


def drawn(kind: str, seed: int, before: list[str], behind: list[str]) -> Graph:
    """Return a graph with `kind` in its middle; the middle is an output too if the seed is odd."""
    s = Sketch(seed)
    x = s.conv("image", s.choice(4, 6), 3)
    tensors = [x]
    for each in (*before, "permute", kind, *behind):
        x = EXAMPLES[each](s, x)
        tensors.append(x)
    s.graph.outputs = [s.conv(x, 3), *([tensors[len(before) + 2]] if seed % 2 else [])]
    check(s.graph)
    return s.graph


def same(graph: Graph, other: Graph, tolerance: float = 2e-5) -> None:
    check(other)
    image = np.random.default_rng(1).standard_normal((2, 4, SIZE, SIZE)).astype(np.float32)
    for one, two in zip(run_numpy(graph, image), run_numpy(other, image), strict=True):
        assert one.shape == two.shape
        assert np.abs(one - two).max() <= tolerance * max(np.abs(one).max(), 1e-3)


@pytest.mark.parametrize("kind", EXAMPLES)
@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**20),
    st.lists(st.sampled_from(AROUND), max_size=3),
    st.lists(st.sampled_from(AROUND), max_size=3),
)
def test_every_rule_keeps_what_is_computed(kind, seed, before, behind):
    graph = drawn(kind, seed, before, behind)
    lean = rewrite(graph)
    same(graph, lean)
    assert graph_cost(lean).instructions <= graph_cost(graph).instructions
    same(graph, route_channels(graph, lambda each: graph_cost(each).instructions))
    classes, count = factor_classes(graph)
    factors = np.exp(np.random.default_rng(seed).uniform(-1, 1, count)).astype(np.float32)
    factors[0] = 1
    same(graph, apply_factors(graph, {name: factors[each] for name, each in classes.items()}))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_kind_costs_something_and_is_stored(kind, tmp_path):
    graph = drawn(kind, 1, [], [])
    for node in graph.nodes:
        cost = node_cost(graph, node)
        assert cost.operators >= 1 and cost.bytes > 0 and np.isfinite(cost.instructions)
    save(graph, tmp_path / "graph.npz")
    same(graph, load(tmp_path / "graph.npz"), tolerance=0)
