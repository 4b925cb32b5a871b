"""Choose in which order tensors keep their channels, and cut them into the pieces to be moved."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from compress.graph.rules.channels import Routes


@dataclass(frozen=True)
class Piece:
    """Physical channels `start` to `stop` of a tensor; `whole` if that is all of it."""

    tensor: int
    start: int
    stop: int
    whole: bool


@dataclass
class Pieces:
    """Of which pieces each tensor is put together, and where tensors are cut for that."""

    of: dict[int, list[Piece]] = field(default_factory=dict)
    cuts: dict[int, list[int]] = field(default_factory=dict)


def choose_orders(routes: Routes, depth: int, glue: bool) -> dict[int, np.ndarray]:
    """Return for each class of tensors its slots in physical order.

    Channels that go the same ways are laid side by side: first to the same tensor, then from there
    to the same, `depth` movements ahead. Among those that do, the ones that come from one tensor
    stay together. A convolution's output then takes the order in which it will be read.

    Args:
        routes: a followed graph.
        depth: how many movements to look ahead.
        glue: keep a tensor that goes into one other as a whole in one piece, even where its
            channels part later.
    """
    draws = _draws(routes)
    joined = {tensor.group for tensor in routes.tensors if tensor.sources is not None}

    @cache
    def future(group: int, slot: int, ahead: int) -> tuple:
        if ahead == 0:
            return ()
        reached = []
        for sink, index in draws[group].get(slot, ()):
            tensor = routes.tensors[sink]
            reached.append((sink, future(tensor.group, int(tensor.slots[index]), ahead - 1)))
        return tuple(reached)

    orders = {group: pin.copy() for group, pin in routes.pins.items()}
    for number, tensor in enumerate(routes.tensors):
        group = tensor.group
        if tensor.sources is None or group in orders:
            continue
        origins = _origins(routes, number, orders)
        keys = {slot: (future(group, slot, depth), origins[slot]) for slot in range(len(tensor.slots))}
        order = sorted(keys, key=keys.__getitem__)
        if glue:
            order = _glued(order, keys, _kept(routes, number, draws, orders))
        orders[group] = np.asarray(order)
    ranks = {group: np.argsort(order) for group, order in orders.items()}
    for tensor in routes.tensors:
        if tensor.group in orders or tensor.group in joined:
            continue
        goals = {
            slot: [
                (sink, _rank(routes, ranks, sink, index)) for sink, index in draws[tensor.group].get(slot, ())
            ]
            for slot in range(len(tensor.slots))
        }
        orders[tensor.group] = np.asarray(sorted(goals, key=lambda slot: (goals[slot], slot)))
    return orders


def _draws(routes: Routes) -> dict[int, dict[int, list[tuple[int, int]]]]:
    """Return for each class and slot the tensors that take it, and their index, in program order."""
    draws: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for number, tensor in enumerate(routes.tensors):
        if tensor.sources is None:
            continue
        for index, (owner, place) in enumerate(zip(*tensor.sources, strict=True)):
            source = routes.tensors[owner]
            draws[source.group][int(source.slots[place])].append((number, index))
    return draws


def _origins(routes: Routes, number: int, orders: dict[int, np.ndarray]) -> dict[int, tuple[int, int]]:
    """Return for each slot which tensor it comes from, and its place there as far as that is settled."""
    tensor = routes.tensors[number]
    origins = {}
    for slot, owner, place in zip(tensor.slots, *tensor.sources, strict=True):
        source = routes.tensors[owner]
        settled = orders.get(source.group)
        where = int(place) if settled is None else int(np.flatnonzero(settled == source.slots[place])[0])
        origins[int(slot)] = (int(owner), where)
    return origins


def _kept(routes: Routes, number: int, draws: dict, orders: dict) -> tuple[int, bool] | None:
    """Return the largest tensor that goes as a whole into tensor `number` and nowhere else.

    Also return whether its order is settled, which a convolution's output is not.
    """
    owners, _ = routes.tensors[number].sources
    joined = {tensor.group for tensor in routes.tensors if tensor.sources is not None}
    found = []
    for owner in sorted(set(owners.tolist())):
        source = routes.tensors[owner]
        taken = [sink for sinks in draws[source.group].values() for sink, _ in sinks]
        settled = source.group in orders
        whole = set(taken) == {number} and len(taken) == len(source.slots)
        if whole and (settled or source.group not in joined):
            found.append((len(source.slots), owner, settled))
    return max(found)[1:] if found else None


def _glued(order: list[int], keys: dict[int, tuple], kept: tuple[int, bool] | None) -> list[int]:
    """Reorder so that the slots that come from one tensor are side by side, in its order if settled.

    The groups of channels at its two ends stay in one piece each; the others are torn in two.
    """
    if kept is None:
        return order
    owner, settled = kept
    groups: dict[tuple, list[int]] = {}
    for slot in order:
        groups.setdefault(keys[slot][0], []).append(slot)
    mine = [slot for slot in order if keys[slot][1][0] == owner]
    if settled:
        mine.sort(key=lambda slot: keys[slot][1][1])
        first, last = keys[mine[0]][0], keys[mine[-1]][0]
    else:
        last, first = (*sorted(groups, key=lambda key: -len(groups[key])), order[0])[:2]
    if len(groups) == 1:
        return order
    middle = [key for key in groups if key not in (first, last)]
    if not settled:
        mine = [slot for key in (first, *middle, last) for slot in groups[key] if slot in set(mine)]
    rest = {key: [slot for slot in group if keys[slot][1][0] != owner] for key, group in groups.items()}
    before = [slot for key in (*middle, first) for slot in rest[key]]
    return before + mine + (rest[last] if last != first else [])


def _rank(routes: Routes, ranks: dict[int, np.ndarray], sink: int, index: int) -> int:
    tensor = routes.tensors[sink]
    return int(ranks[tensor.group][tensor.slots[index]])


def pieces(routes: Routes, ranks: dict[int, np.ndarray]) -> Pieces:
    """Cut tensors so that every tensor that is put together is a row of pieces.

    Args:
        routes: a followed graph.
        ranks: for each class the physical channel of each slot.
    """
    result = Pieces()
    cuts: dict[int, set[int]] = defaultdict(set)
    for number, tensor in enumerate(routes.tensors):
        if tensor.sources is None:
            continue
        result.of[number] = _runs(routes, ranks, number)
        for piece in result.of[number]:
            if not piece.whole:
                cuts[piece.tensor].update((piece.start, piece.stop))
    result.cuts = {
        number: sorted(each | {0, len(routes.tensors[number].slots)}) for number, each in cuts.items()
    }
    for number, runs in result.of.items():
        result.of[number] = [part for piece in runs for part in _cut(piece, result.cuts)]
    return result


def _runs(routes: Routes, ranks: dict[int, np.ndarray], number: int) -> list[Piece]:
    """Return the longest runs of neighbouring channels that tensor `number` takes from others."""
    tensor = routes.tensors[number]
    order = np.argsort(ranks[tensor.group][tensor.slots])  # physical channel -> index
    owners, indices = (each[order] for each in tensor.sources)
    places = np.array(
        [
            ranks[routes.tensors[owner].group][routes.tensors[owner].slots[index]]
            for owner, index in zip(owners, indices, strict=True)
        ]
    )
    breaks = np.flatnonzero((np.diff(owners) != 0) | (np.diff(places) != 1)) + 1
    runs = []
    for start, stop in zip([0, *breaks], [*breaks, len(places)], strict=True):
        owner, first = int(owners[start]), int(places[start])
        last = first + int(stop - start)
        runs.append(Piece(owner, first, last, (first, last) == (0, len(routes.tensors[owner].slots))))
    return runs


def _cut(piece: Piece, cuts: dict[int, list[int]]) -> list[Piece]:
    if piece.whole:
        return [piece]
    ends = [end for end in cuts[piece.tensor] if piece.start <= end <= piece.stop]
    return [Piece(piece.tensor, a, b, False) for a, b in zip(ends, ends[1:], strict=False)]
