"""Let the network take pixels as they are in the picture, and normalise in its first convolution."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compress.graph.edit import rebuilt, unused_name
from compress.graph.ir import Graph, Node
from compress.graph.rules.scales import fold_scale_into_convolutions_behind


def fold_normalisation(
    graph: Graph, mean: Sequence[float], std: Sequence[float], white: float = 255.0
) -> Graph:
    """Return a graph that takes pixel values where `graph` takes (pixel / white - mean) / std.

    The division goes into the weights of the convolutions that read the input. The subtraction goes
    into their biases where they do not pad. Where they pad, the border has to be the mean's colour,
    which is zero only after the mean is taken away: there the subtraction stays as a node of its own,
    one addition for each input value, and the border is exact.

    Args:
        graph: its input is an image [N, C, H, W].
        mean: one number for each channel, in units of white.
        std: likewise, positive.
        white: the largest pixel value, 255 for 8-bit pictures.

    Raises:
        ValueError: not one number for each channel, or a `std` that is not positive.
    """
    channels = graph.shapes[graph.input][1]
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if mean.shape != (channels,) or std.shape != (channels,) or np.any(std <= 0):
        raise ValueError(f"mean and std need {channels} numbers each, std positive; got {mean} and {std}")
    centred = unused_name(graph, f"{graph.input}:centred")
    scaled = unused_name(graph, f"{graph.input}:scaled")
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    shift = {"scale": ones, "bias": (-mean * white).astype(np.float32)}
    factor = {"scale": (1 / (white * std)).astype(np.float32), "bias": zeros}
    added = [
        Node("scale", centred, [graph.input], [centred], params=shift),
        Node("scale", scaled, [centred], [scaled], params=factor),
    ]
    readers = [
        replace(node, inputs=[scaled if name == graph.input else name for name in node.inputs])
        for node in graph.nodes
    ]
    outputs = [scaled if name == graph.input else name for name in graph.outputs]
    with_nodes = rebuilt(replace(graph, outputs=outputs), [*added, *readers])
    # First the factor, which any convolution takes, then the shift, where there is no border.
    return fold_scale_into_convolutions_behind(fold_scale_into_convolutions_behind(with_nodes))
