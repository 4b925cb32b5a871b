"""From the network as trained to the network as deployed: the same function with less to do."""

from collections.abc import Callable, Sequence

from compress.graph.cost import graph_cost
from compress.graph.ir import Graph
from compress.graph.rules.channels import route_channels
from compress.graph.rules.input import fold_normalisation
from compress.graph.rules.pools import chain_max_pools
from compress.graph.rules.products import rows_as_pixels, spread_instead_of_collect
from compress.graph.rules.scales import (
    batch_norm_to_scale,
    fold_factors,
    fold_scale_into_convolution_before,
    fold_scale_into_convolutions_behind,
)
from compress.graph.rules.sums import enlarge_late, fuse_relu, sum_small_first
from compress.graph.rules.tidy import drop_identities, drop_masks_of_ones, fuse_transposition

FOLDING: tuple[Callable[[Graph], Graph], ...] = (
    drop_identities,
    drop_masks_of_ones,
    fuse_transposition,
    batch_norm_to_scale,
    fold_scale_into_convolution_before,
    fold_factors,
    fold_scale_into_convolutions_behind,
    fuse_relu,
)
LEANING: tuple[Callable[[Graph], Graph], ...] = (
    enlarge_late,
    sum_small_first,
    chain_max_pools,
    spread_instead_of_collect,
    rows_as_pixels,
    drop_identities,
)


def fold(graph: Graph) -> Graph:
    """Fold batch norms and constants into convolutions and products, fuse ReLU; nothing else changes."""
    for rule in FOLDING:
        graph = rule(graph)
    return graph


def rewrite(
    graph: Graph,
    shuffle_free: bool = True,
    normalise: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Graph:
    """Return a graph that computes the same as `graph` to float32 rounding, and costs less.

    Convolutions keep their names. A tensor that is kept at another scale or in another order of its
    channels keeps its name too; the graph's input and outputs are as they were.

    Args:
        graph: as traced.
        shuffle_free: fold channel shuffles into the weights around them.
        normalise: mean and standard deviation in units of 255; the result takes pixel values from 0
            to 255 and normalises them itself. None: it takes what `graph` takes.
    """
    graph = fold(graph)
    for rule in LEANING:
        graph = rule(graph)
    if normalise is not None:
        graph = fold_normalisation(graph, *normalise)
    if shuffle_free:
        graph = route_channels(graph, lambda each: graph_cost(each).instructions)
    return graph
