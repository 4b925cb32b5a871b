"""Large windows put together from small ones."""

from dataclasses import replace

from compress.graph.edit import rebuilt
from compress.graph.ir import Graph, Node


def chain_max_pools(graph: Graph) -> Graph:
    """Let larger max pools of one tensor go on from the smaller ones.

    The maximum over 9 x 9 pixels is that over 5 x 5 of maxima over 5 x 5, number by number the same, where
    nothing is skipped and the border is padded by half a window. So spatial pyramids of 5, 9 and 13 become
    three pools of 5, which compare 75 numbers a pixel instead of 275.
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
                attrs = {**larger.attrs, "kernel": kernel, "padding": [side // 2 for side in kernel]}
                nodes[larger.name] = replace(larger, inputs=[smaller.outputs[0]], attrs=attrs)
    return rebuilt(graph, nodes.values())


def _keeps_size(node: Node) -> bool:
    attrs = node.attrs
    odd = all(side % 2 == 1 for side in attrs["kernel"])
    return odd and attrs["stride"] == [1, 1] and attrs["padding"] == [side // 2 for side in attrs["kernel"]]
