"""Fold what multiplies and shifts channels into convolutions: batch norms, constants, factors."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from compress.graph.edit import rebuilt, resolved, single_reader
from compress.graph.ir import Graph, Node
from compress.graph.ops import Shape, factors, places
from compress.graph.ops.table import axis_of

_SCALES = ("scale", "scale_last")
_WRITES_CHANNELS = ("conv2d", "conv2d_transpose", "deform_conv2d", "scale")
_LAST = ("linear", "scale_last")  # work along the last axis


def batch_norm_to_scale(graph: Graph) -> Graph:
    """Write each batch norm as one multiplication and one addition per channel."""
    return rebuilt(graph, [_as_scale(node) if node.kind == "batch_norm" else node for node in graph.nodes])


def _as_scale(node: Node) -> Node:
    params = {key: array.astype(np.float64) for key, array in node.params.items()}
    scale = params["scale"] / np.sqrt(params["variance"] + node.attrs["epsilon"])
    bias = params["bias"] - params["mean"] * scale
    return replace(node, kind="scale", attrs={}, params=_float32(scale=scale, bias=bias))


def fold_scale_into_convolution_before(graph: Graph) -> Graph:
    """Fold a scale into the convolution, linear map or scale that alone feeds it.

    Behind a ReLU that is exact where the factors are positive and nothing is added.
    """
    nodes = {node.name: node for node in graph.nodes}
    writers, readers = graph.producers(), graph.readers()
    aliases: dict[str, str] = {}
    for node in graph.nodes:
        before = writers.get(node.inputs[0])
        alone = single_reader(graph, readers, node.inputs[0]) is not None
        if node.kind not in _SCALES or before is None or not alone:
            continue
        # A chain of scales: what was folded already stands under the name of the first node.
        target = nodes[writers[resolved(node.inputs[0], aliases)].name]
        scale, bias = node.params["scale"], node.params["bias"]
        if target.attrs.get("relu") and (np.any(scale <= 0) or np.any(bias != 0)):
            continue
        if target.kind in _LAST:
            found = _along_last(node, graph.shapes[node.inputs[0]])
        else:
            found = (scale, bias) if node.kind == "scale" and target.kind in _WRITES_CHANNELS else None
        if found is not None:
            nodes[target.name] = _scaled_output(target, *found)
            aliases[node.outputs[0]] = node.inputs[0]
            del nodes[node.name]
    return rebuilt(graph, nodes.values(), aliases)


def _along_last(node: Node, shape: Shape) -> tuple[np.ndarray, np.ndarray] | None:
    """Return factor and shift of a scale along the last axis of a tensor; None if they go along another."""
    scale, bias = node.params["scale"], node.params["bias"]
    if node.kind == "scale_last" or len(shape) == 2:
        return scale, bias
    if np.any(scale != scale[0]) or np.any(bias != bias[0]):
        return None
    return np.full(shape[-1], scale[0]), np.full(shape[-1], bias[0])


def _scaled_output(node: Node, scale: np.ndarray, bias: np.ndarray) -> Node:
    """Return `node` with its outputs multiplied by `scale` and shifted by `bias`, float32 [O]."""
    factor, shift = scale.astype(np.float64), bias.astype(np.float64)
    if node.kind in _SCALES:
        params = _float32(scale=node.params["scale"] * factor, bias=node.params["bias"] * factor + shift)
        return replace(node, params=params)
    weight = node.params["weight"].astype(np.float64)
    if node.kind in ("conv2d", "deform_conv2d"):
        weight = weight * factor[:, None, None, None]
    elif node.kind == "linear":
        weight = weight * factor
    else:  # input channels first, outputs counted within each group
        groups = node.attrs["groups"]
        per_group = factor.reshape(groups, 1, -1).repeat(weight.shape[0] // groups, axis=1)
        weight = weight * per_group.reshape(weight.shape[0], -1)[:, :, None, None]
    params = {"weight": weight}
    if "bias" in node.params or np.any(shift != 0):
        params["bias"] = shift + node.params.get("bias", np.zeros(1)) * factor
    return replace(node, params=_float32(**params))


def fold_scale_into_convolutions_behind(graph: Graph) -> Graph:
    """Fold a scale into the convolutions and linear maps that read it, where that is exact.

    A shift reaches the border of a padded convolution as zero, not as the shift, so with padding
    only pure factors go.
    """
    nodes = {node.name: node for node in graph.nodes}
    readers = graph.readers()
    aliases: dict[str, str] = {}
    for node in graph.nodes:
        output = node.outputs[0]
        if node.kind not in _SCALES or output in graph.outputs:
            continue
        targets = [nodes[each.name] for each in readers.get(output, [])]
        found = [_taken(node, each, graph.shapes[output]) for each in targets]
        if not targets or None in found:
            continue
        for target, scaled in zip(targets, found, strict=True):
            nodes[target.name] = _scaled_input(target, *scaled)
        aliases[output] = node.inputs[0]
        del nodes[node.name]
    return rebuilt(graph, nodes.values(), aliases)


def _taken(node: Node, reader: Node, shape: Shape) -> tuple[np.ndarray, np.ndarray] | None:
    """Return factor and shift for each number that `reader` multiplies; None if it cannot take them."""
    if reader.kind == "linear":
        return _along_last(node, shape)
    if reader.kind == "conv2d" and node.kind == "scale":
        shifts = bool(np.any(node.params["bias"] != 0))
        if not shifts or reader.attrs["padding"] == [0, 0]:
            return node.params["scale"], node.params["bias"]
    return None


def _scaled_input(node: Node, scale: np.ndarray, bias: np.ndarray) -> Node:
    """Return a convolution or linear map that reads x where `node` reads x * scale + bias; float32 [I]."""
    weight = node.params["weight"].astype(np.float64)
    if node.kind == "linear":
        outputs, shift = weight.shape[1], bias.astype(np.float64) @ weight
        params = {"weight": weight * scale[:, None]}
    else:
        outputs, per_group = weight.shape[:2]
        groups = node.attrs["groups"]
        channels = np.arange(outputs)[:, None] // (outputs // groups) * per_group + np.arange(per_group)
        shift = (weight * bias[channels][:, :, None, None]).sum(axis=(1, 2, 3))
        params = {"weight": weight * scale[channels][:, :, None, None]}
    if "bias" in node.params or np.any(shift != 0):
        params["bias"] = node.params.get("bias", np.zeros(outputs)) + shift
    return replace(node, params=_float32(**params))


def fold_factors(graph: Graph) -> Graph:
    """Take out multiplications of a whole tensor by a positive constant.

    Let each tensor be kept at a constant factor of its value. Sums, splits, ReLU, resizes and pools
    want one factor on all sides, and so do concatenations, unless only convolutions read them; a
    convolution turns any factor into any other in its weights and bias. So factors travel until a
    convolution absorbs them, and `2 * x + y` becomes a plain sum of tensors kept at other factors.
    A multiplication stays where the factors would contradict each other, as at the output of the
    network.

    Where a chain of doublings leaves a choice, its factors are laid around 1, which keeps FP16
    values far from its ends.
    """
    known = _Factors()
    loose = _loose_concatenations(graph)
    for name in (graph.input, *graph.outputs):
        known.tie(name, "", 1.0)
    for node in graph.nodes:
        for name, other in _ties(node, graph) if node.outputs[0] not in loose else ():
            known.tie(name, other, 1.0)
    removed = []
    for node in graph.nodes:
        value = _constant_factor(node)
        if value is not None and known.tie(node.inputs[0], node.outputs[0], value):
            removed.append(node)
    for node in removed:
        known.centre(node.inputs[0], graph.shapes)
    for node in graph.nodes:  # leave weights as they are where nothing asks for more
        if node.inputs[0] not in loose:
            known.tie(node.outputs[0], node.inputs[0], 1.0)
    aliases = {node.outputs[0]: node.inputs[0] for node in removed}

    def at(name: str) -> np.ndarray:
        parts = loose.get(name, [name])
        return np.concatenate([np.full(graph.shapes[part][1], known.of(part)) for part in parts])

    kept = [node for node in graph.nodes if node.outputs[0] not in aliases]
    return rebuilt(graph, [_at_factors(graph, node, at) for node in kept], aliases)


def _loose_concatenations(graph: Graph) -> dict[str, list[str]]:
    """Return the parts of each concatenation that only dense convolutions read, by its output."""
    readers = graph.readers()
    loose = {}
    for node in graph.nodes:
        into = readers.get(node.outputs[0], [])
        dense = all(each.kind == "conv2d" and each.attrs["groups"] == 1 for each in into)
        along = node.kind == "concat" and axis_of(node, len(graph.shapes[node.inputs[0]])) == 1
        if along and into and dense and node.outputs[0] not in graph.outputs:
            loose[node.outputs[0]] = node.inputs
    return loose


def _ties(node: Node, graph: Graph) -> list[tuple[str, str]]:
    """Return pairs of tensors that must have one factor; the empty name has factor 1."""
    if node.kind == "scale":
        return []  # takes any factor on either side
    ways = factors(node, [graph.shapes[name] for name in node.inputs])
    found = [(name, ways.of(index)) for index, name in enumerate(node.inputs)]
    found += [(name, ways.output) for name in node.outputs]
    return [(name, "" if way == "fixed" else node.outputs[0]) for name, way in found if way != "any"]


def _constant_factor(node: Node) -> float | None:
    if node.kind != "scale" or np.any(node.params["bias"] != 0):
        return None
    scale = node.params["scale"]
    return float(scale[0]) if scale[0] > 0 and np.all(scale == scale[0]) else None


def _at_factors(graph: Graph, node: Node, at: Callable[[str], np.ndarray]) -> Node:
    """Return `node` for tensors that are kept at factors: `at` a name, one for each channel."""
    before, after = at(node.inputs[0]), at(node.outputs[0])
    if np.all(before == 1) and np.all(after == 1):
        return node
    if node.kind == "scale":
        found = {"scale": (1 / before, 1 / after), "bias": (None, 1 / after)}
    else:
        found = places(node, [graph.shapes[name] for name in node.inputs], 1 / before, 1 / after)
    params = {}
    for key, (times, over) in found.items():
        params[key] = node.params[key].astype(np.float64) * (1 if times is None else times) / over
    return replace(node, params=node.params | _float32(**params))


class _Factors:
    """Ratios between the factors of tensors, as a union-find; the empty name has factor 1."""

    def __init__(self) -> None:
        self.parents: dict[str, tuple[str, float]] = {}  # factor = ratio * factor of the parent

    def find(self, name: str) -> tuple[str, float]:
        ratio = 1.0
        while name in self.parents:
            name, step = self.parents[name]
            ratio *= step
        return name, ratio

    def tie(self, first: str, second: str, ratio: float) -> bool:
        """Ask for factor(first) = ratio * factor(second); False if that contradicts what holds."""
        (root, one), (other, two) = self.find(first), self.find(second)
        if root == other:
            return one == ratio * two
        if root == "":
            self.parents[other] = (root, one / (ratio * two))
        else:
            self.parents[root] = (other, ratio * two / one)
        return True

    def centre(self, name: str, names: Iterable[str]) -> None:
        """Fix the factors of all that hangs together with `name` around 1, by a power of two."""
        root, _ = self.find(name)
        if root == "":
            return
        ratios = [ratio for found, ratio in map(self.find, names) if found == root]
        middle = (math.log2(min(ratios)) + math.log2(max(ratios))) / 2
        self.parents[root] = ("", 2.0 ** -round(middle))

    def of(self, name: str) -> float:
        root, ratio = self.find(name)
        return ratio if root == "" else 1.0


def _float32(**arrays: np.ndarray) -> dict[str, np.ndarray]:
    return {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}
