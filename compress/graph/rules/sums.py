"""ReLU into the node before it, and sums done where the tensors are small."""

from dataclasses import replace

from compress.graph.edit import rebuilt, single_reader, unused_name
from compress.graph.ir import Graph, Node
from compress.graph.ops.products import is_pointwise

_WITH_RELU = ("conv2d", "conv2d_transpose", "add")
_PIXEL_BY_PIXEL = ("relu", "sigmoid", "hard_sigmoid", "hard_swish", "silu", "power", "clip", "scale")
_PIXEL_BY_PIXEL += ("batch_norm",)


def fuse_relu(graph: Graph) -> Graph:
    """Let a convolution or a sum that only a ReLU reads do the ReLU itself."""
    nodes = {node.name: node for node in graph.nodes}
    writers, readers = graph.producers(), graph.readers()
    aliases = {}
    for node in graph.nodes:
        source = node.inputs[0]
        before = writers.get(source)
        if node.kind != "relu" or before is None or before.kind not in _WITH_RELU:
            continue
        if single_reader(graph, readers, source) is not None:
            nodes[before.name] = replace(before, attrs={**before.attrs, "relu": True})
            aliases[node.outputs[0]] = source
            del nodes[node.name]
    return rebuilt(graph, nodes.values(), aliases)


def enlarge_late(graph: Graph) -> Graph:
    """Move a nearest enlargement behind the pixel-by-pixel nodes that read it.

    It repeats pixels, so ReLU, scales, sigmoids and pointwise convolutions give the same before it
    and have fewer pixels to work on.
    """
    while True:
        readers = graph.readers()
        for node in graph.nodes:
            reader = single_reader(graph, readers, node.outputs[0])
            if node.kind != "resize_nearest" or reader is None or not _enlarges(graph, node):
                continue
            if reader.kind in _PIXEL_BY_PIXEL or is_pointwise(reader):
                graph = _swapped(graph, node, reader)
                break
        else:
            return graph


def _enlarges(graph: Graph, node: Node) -> bool:
    before = graph.shapes[node.inputs[0]][2:]
    return all(now % side == 0 for side, now in zip(before, node.attrs["size"], strict=True))


def _swapped(graph: Graph, resize: Node, reader: Node) -> Graph:
    """Return `graph` with `reader` before `resize`. The reader keeps the name of its output."""
    small = unused_name(graph, f"{reader.outputs[0]}:small")
    changed = {
        resize.name: replace(reader, inputs=list(resize.inputs), outputs=[small]),
        reader.name: replace(resize, inputs=[small], outputs=list(reader.outputs)),
    }
    return rebuilt(graph, [changed.get(node.name, node) for node in graph.nodes])


def sum_small_first(graph: Graph) -> Graph:
    """Add enlarged tensors to each other before they are enlarged.

    `a + up4(c) + up2(b)` becomes `a + up2(b + up2(c))`: the same sum with one enlargement to the
    full size instead of several, and fewer additions there.
    """
    readers, writers = graph.readers(), graph.producers()
    removed: set[str] = set()
    added: dict[str, list[Node]] = {}  # by the node they take the place of
    taken: list[str] = []
    for node in reversed(graph.nodes):
        if node.kind != "add" or node.name in removed:
            continue
        terms, inner = _terms(graph, node, readers, writers)
        alike = all(graph.shapes[name] == graph.shapes[node.outputs[0]] for name in terms)
        enlarged = [t for t in terms if _term_size(t, graph, readers, writers) is not None]
        sizes = {_term_size(t, graph, readers, writers) for t in enlarged}
        if len(enlarged) < 2 or not alike or not _nested(sizes, graph.shapes[node.outputs[0]][2:]):
            continue
        removed.update(each.name for each in (node, *inner))
        added[node.name] = _small_first(graph, node, terms, readers, writers, taken)
    nodes = []
    for node in graph.nodes:
        nodes.extend(added.get(node.name, []) if node.name in removed else [node])
    return rebuilt(graph, nodes)


def _terms(graph: Graph, node: Node, readers: dict, writers: dict) -> tuple[list[str], list[Node]]:
    """Return the tensors that a tree of sums adds up, and the sums below its root `node`."""
    terms, inner = [], []
    for name in node.inputs:
        below = writers.get(name)
        whole = graph.shapes[name] == graph.shapes[node.outputs[0]]
        plain = below is not None and below.kind == "add" and not below.attrs["relu"]
        if plain and whole and single_reader(graph, readers, name) is not None:
            more, deeper = _terms(graph, below, readers, writers)
            terms += more
            inner += [below, *deeper]
        else:
            terms.append(name)
    return terms, inner


def _term_size(name: str, graph: Graph, readers: dict, writers: dict) -> tuple[int, int] | None:
    """Return the size that a term had before it was enlarged for this sum alone; None if it was not."""
    node = writers.get(name)
    if node is None or node.kind != "resize_nearest" or not _enlarges(graph, node):
        return None
    return graph.shapes[node.inputs[0]][2:] if single_reader(graph, readers, name) is not None else None


def _nested(sizes: set[tuple[int, int]], full: tuple[int, int]) -> bool:
    """Say whether each size divides the next larger one, so that enlarging in steps is exact."""
    steps = [*sorted(sizes), tuple(full)]
    return all(b[0] % a[0] == 0 and b[1] % a[1] == 0 for a, b in zip(steps, steps[1:], strict=False))


def _small_first(
    graph: Graph, root: Node, terms: list[str], readers: dict, writers: dict, taken: list[str]
) -> list[Node]:
    """Return nodes that write what `root` writes, from the smallest terms up."""
    by_size: dict[tuple[int, int], list[str]] = {}
    full = tuple(graph.shapes[root.outputs[0]][2:])
    for name in terms:
        size = _term_size(name, graph, readers, writers)
        by_size.setdefault(size or full, []).append(writers[name].inputs[0] if size else name)
    nodes: list[Node] = []

    def add_node(kind: str, inputs: list[str], attrs: dict) -> str:
        name = unused_name(graph, f"{root.name}:{kind}", taken)
        taken.append(name)
        nodes.append(Node(kind, name, inputs, [name], attrs))
        return name

    total: str | None = None
    for size in sorted(by_size):
        if total is not None:
            total = add_node("resize_nearest", [total], {"size": list(size)})
        for name in by_size[size]:
            total = name if total is None else add_node("add", [name, total], {"relu": False})
    last = nodes.pop()
    nodes.append(replace(root, inputs=last.inputs))
    return nodes
