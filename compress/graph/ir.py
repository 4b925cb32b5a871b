"""A network as a list of nodes over named tensors: what is rewritten, quantised and exported.

A graph is plain data. It takes one image and gives one or several tensors. Axis 0 of every tensor is the
batch, axis 1 are its channels: feature maps are NCHW, what a head makes of them has two or three axes. The
operators that there are stand in one table, `compress.graph.ops`. Values are float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np


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
