"""A network as a list of nodes over named tensors: what is rewritten, quantised and exported.

A graph is plain data. It runs on one feature map layout, NCHW, and knows just the operators that
pose networks are made of (`KINDS`). Values are float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

# What each kind of node means; attributes in brackets. Channels are axis 1.
KINDS = {
    "conv2d": "convolution [stride, padding, dilation: 2 ints each; groups; relu]; weight OIHW, maybe bias O",
    "conv2d_transpose": "[stride, padding, output_padding, groups, relu]; weight IOHW, maybe bias O",
    "batch_norm": "inference batch norm [epsilon]; scale, bias, mean, variance",
    "relu": "max(x, 0)",
    "sigmoid": "logistic function",
    "hard_sigmoid": "clip(slope * x + offset, 0, 1) [slope, offset]",
    "hard_swish": "x * clip(x + 3, 0, 6) / 6",
    "scale": "x * scale + bias, a number of each per channel; scale, bias",
    "add": "sum of two tensors, the second broadcast over height and width or of one shape [relu]",
    "multiply": "product of two tensors, the second broadcast over height and width or of one shape",
    "concat": "along channels",
    "split": "along channels [sections: list of ints]",
    "shuffle": "channels [groups, C/groups] transposed to [C/groups, groups] [groups]",
    "permute": "output channel i is input channel order[i] [order: list of ints]",
    "resize_nearest": "[size: 2 ints, height and width]",
    "resize_bilinear": "[size: 2 ints; align_corners], half-pixel centres without align_corners",
    "average_pool": "[size: 2 ints of the output] adaptive average pooling",
    "max_pool": "[kernel, stride, padding: 2 ints each]",
}


@dataclass
class Node:
    """One operator. `name` is unique; a convolution's is its layer's name in the checkpoint."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict = field(default_factory=dict)
    params: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Graph:
    """Nodes in an order in which they can run, and the shape of each tensor (batch first, as traced)."""

    input: str
    outputs: list[str]
    nodes: list[Node]
    shapes: dict[str, tuple[int, ...]]

    def producers(self) -> dict[str, Node]:
        """Return the node that writes each tensor; the graph's input has none."""
        return {name: node for node in self.nodes for name in node.outputs}

    def readers(self) -> dict[str, list[Node]]:
        """Return the nodes that read each tensor, in order; a node that reads it twice stands twice."""
        result: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                result.setdefault(name, []).append(node)
        return result

    def convolutions(self) -> Iterator[Node]:
        """Yield the nodes that multiply by trained kernels."""
        return (node for node in self.nodes if node.kind in ("conv2d", "conv2d_transpose"))
