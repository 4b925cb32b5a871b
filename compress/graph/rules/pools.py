"""Large windows put together from small ones."""

from dataclasses import replace

from compress.graph.edit import rebuilt, unused_name
from compress.graph.ir import Graph, Node

SMALL = 3  # the window that has a kernel of its own in FP32 and FP16, on maps that are larger


def chain_max_pools(graph: Graph) -> Graph:
    """Let larger max pools of one tensor go on from the smaller ones, and each be a chain of 3 x 3.

    The maximum over 9 x 9 pixels is that over 5 x 5 of maxima over 5 x 5, number by number the same, where
    nothing is skipped and the border is padded by half a window; and that over 5 x 5 is two over 3 x 3. So
    spatial pyramids of 5, 9 and 13 become six pools of 3, which compare 54 numbers a pixel instead of 275.
    """
    nodes = {node.name: node for node in graph.nodes}
    sources: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.kind == "max_pool" and _keeps_size(node):
            sources.setdefault(node.inputs[0], []).append(node)
    for pools in sources.values():
        pools.sort(key=lambda node: node.attrs["kernel"])
        for smaller, larger in zip(pools, pools[1:], strict=False):
            pairs = list(zip(smaller.attrs["kernel"], larger.attrs["kernel"], strict=True))
            if all(a <= b for a, b in pairs):
                kernel = [b - a + 1 for a, b in pairs]
                nodes[larger.name] = replace(_sized(larger, kernel), inputs=[smaller.outputs[0]])
    steps = []
    for node in nodes.values():
        steps += _chain(graph, node) if node.kind == "max_pool" and _keeps_size(node) else [node]
    return rebuilt(graph, steps)


def _chain(graph: Graph, node: Node) -> list[Node]:
    """Return the pools of 3 x 3 that do what a pool does; the pool itself where they would not be cheaper."""
    (height, width), size = node.attrs["kernel"], graph.shapes[node.outputs[0]][2:]
    if height != width or height <= SMALL or min(size) <= SMALL:
        return [node]
    count = height // 2
    names = [unused_name(graph, f"{node.name}/{number}") for number in range(1, count)]
    small = _sized(node, [SMALL, SMALL])
    reads, writes = [node.inputs[0], *names], [*names, node.outputs[0]]
    labels = [*names, node.name]
    return [
        replace(small, name=label, inputs=[read], outputs=[write])
        for label, read, write in zip(labels, reads, writes, strict=True)
    ]


def _sized(node: Node, kernel: list[int]) -> Node:
    """Return a pool that keeps the size of its map with another window."""
    return replace(node, attrs={**node.attrs, "kernel": kernel, "padding": [side // 2 for side in kernel]})


def _keeps_size(node: Node) -> bool:
    attrs = node.attrs
    odd = all(side % 2 == 1 for side in attrs["kernel"])
    return odd and attrs["stride"] == [1, 1] and attrs["padding"] == [side // 2 for side in attrs["kernel"]]
