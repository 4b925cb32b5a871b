"""What the tests of quantisation share."""

from collections.abc import Callable

import numpy as np
import pytest

from compress.graph.ir import Graph
from compress.quant.observe import channel_statistics, observe
from compress.quant.ranges import find_ranges
from compress.quant.scales import ConvScale
from compress.quant.simulate import find_scales


@pytest.fixture(scope="session")
def calibrate() -> Callable[[Graph, list[np.ndarray], str], dict[str, ConvScale]]:
    """Find the ranges of a graph on batches of images by one method for all tensors."""

    def calibrate(graph: Graph, batches: list[np.ndarray], method: str) -> dict[str, ConvScale]:
        statistics = channel_statistics(graph, lambda: batches)
        return find_scales(graph, find_ranges(observe(graph, lambda: batches, statistics), method))

    return calibrate
