"""Products in their cheapest form: the function is unchanged, and only what is dearer was changed."""

import numpy as np
import pytest

from compress.graph.cost import graph_cost, kinds
from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node
from compress.graph.rules.pools import chain_max_pools
from compress.graph.rules.products import rows_as_pixels, spread_instead_of_collect
from compress.graph.run import run_numpy


def convolution(outputs: int, inputs: int, kernel: tuple[int, int], **changes) -> Graph:
    """Return one convolution of a 7x5 map; without changes it keeps the map's size."""
    rng = np.random.default_rng(0)
    attrs = {"stride": [1, 1], "padding": [side // 2 for side in kernel], "dilation": [1, 1], "groups": 1}
    attrs |= {"relu": True, **changes}
    params = {
        "weight": rng.normal(size=(outputs, inputs // attrs["groups"], *kernel)).astype(np.float32),
        "bias": rng.normal(size=outputs).astype(np.float32),
    }
    nodes = [Node("conv2d", "y", ["image"], ["y"], attrs, params)]
    return rebuilt(Graph("image", ["y"], [], {"image": (1, inputs, 7, 5)}), nodes)


def unchanged(before: Graph, after: Graph) -> None:
    """Check that two graphs compute the same for a batch, and the second is estimated to take less."""
    image = np.random.default_rng(1).normal(size=(2, *before.shapes["image"][1:])).astype(np.float32)
    for one, other in zip(run_numpy(before, image), run_numpy(after, image), strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    assert graph_cost(after).instructions < graph_cost(before).instructions


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [((7, 7), {}), ((7, 5), {}), ((7, 7), {"padding": [0, 2]}), ((5, 7), {"padding": [4, 6]})],
)
def test_wide_kernels_that_give_few_channels_are_spread(kernel, changes):
    graph = convolution(3, 64, kernel, **changes)
    found = spread_instead_of_collect(graph)
    assert [(node.kind, node.name) for node in found.nodes] == [("conv2d_transpose", "y")]
    assert found.shapes == graph.shapes
    unchanged(graph, found)


@pytest.mark.parametrize(
    "graph",
    [
        convolution(64, 3, (7, 7)),  # gives many
        convolution(64, 64, (1, 1)),
        convolution(3, 64, (7, 7), stride=[2, 2]),
        convolution(3, 64, (3, 3), dilation=[2, 2]),
        convolution(4, 64, (7, 7), groups=4),
        convolution(3, 64, (5, 5), padding=[5, 2]),  # reaches beyond the border by more than the kernel
    ],
)
def test_other_convolutions_stay(graph):
    assert spread_instead_of_collect(graph).nodes == graph.nodes


def test_what_hard_swish_reads_stays():
    graph = convolution(3, 64, (7, 7))
    after = Node("hard_swish", "z", ["y"], ["z"], {})
    graph = rebuilt(Graph("image", ["z"], [], graph.shapes), [*graph.nodes, after])
    assert spread_instead_of_collect(graph).nodes == graph.nodes


def linear_maps(tokens: int, inputs: int, last: int = 4) -> Graph:
    """Return two linear maps of the same rows, one with a bias, and one of a smaller matrix behind."""
    rng = np.random.default_rng(0)

    def weight(*shape):
        return rng.normal(size=shape).astype(np.float32) / shape[0] ** 0.5

    nodes = [
        Node("reshape", "rows", ["image"], ["rows"], {"shape": [tokens, inputs]}),
        Node("linear", "a", ["rows"], ["a"], {}, {"weight": weight(inputs, 256)}),
        Node("linear", "b", ["rows"], ["b"], {}, {"weight": weight(inputs, 192), "bias": weight(192)}),
        Node("linear", "c", ["b"], ["c"], {}, {"weight": weight(192, last)}),
    ]
    return rebuilt(Graph("image", ["a", "c"], [], {"image": (1, tokens, inputs // 8, 8)}), nodes)


def test_large_linear_maps_of_rows_are_pointwise_convolutions():
    graph = linear_maps(17, 256)
    found = rows_as_pixels(graph)
    convolutions = [node for node in found.nodes if node.kind == "conv2d"]
    assert [node.name for node in convolutions] == ["a", "b"]
    assert convolutions[0].inputs == convolutions[1].inputs  # turned once for both
    assert kinds(found)["transpose"] == 3 and kinds(found)["linear"] == 1
    unchanged(graph, found)


def test_one_after_the_other():
    graph = linear_maps(17, 256, last=128)
    found = rows_as_pixels(graph)
    assert [node.name for node in found.nodes if node.kind == "conv2d"] == ["a", "b", "c"]
    unchanged(graph, found)


def test_small_linear_maps_stay():
    graph = linear_maps(2, 8)
    assert rows_as_pixels(graph).nodes == graph.nodes


def pyramid(*kernels: int, size: tuple[int, int] = (8, 6)) -> Graph:
    nodes = [
        Node(
            "max_pool",
            f"p{side}",
            ["image"],
            [f"p{side}"],
            {"kernel": [side] * 2, "stride": [1, 1], "padding": [side // 2] * 2},
        )
        for side in kernels
    ]
    return rebuilt(Graph("image", [f"p{side}" for side in kernels], [], {"image": (1, 4, *size)}), nodes)


def test_pyramids_of_maxima_are_chains_of_three():
    graph = pyramid(5, 9, 13)
    found = chain_max_pools(graph)
    assert [node.attrs["kernel"] for node in found.nodes] == [[3, 3]] * 6
    assert found.outputs == graph.outputs
    unchanged(graph, found)


def test_small_maps_have_no_kernel_for_three():
    found = chain_max_pools(pyramid(5, 9, size=(4, 3)))
    assert [node.attrs["kernel"] for node in found.nodes] == [[5, 5], [5, 5]]
    unchanged(pyramid(5, 9, size=(4, 3)), found)
