"""Choose in which order tensors keep their channels, and cut them into the pieces to be moved."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from compress.graph.rules.routes import Routes


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
    free = _free_sinks(routes)
    draws = _draws(routes, free)

    @cache
    def future(group: int, slot: int, ahead: int) -> tuple:
        if ahead == 0:
            return ()
        reached = []
        for sink, index in draws[group].get(slot, ()):
            tensor = routes.tensors[sink]
            reached.append((sink, future(tensor.group, int(tensor.slots[index]), ahead - 1)))
        return tuple(reached)

    followed = _followed(routes, draws)
    free_groups = {routes.tensors[number].group for number in free}
    orders = {group: pin.copy() for group, pin in routes.pins.items()}
    for number, tensor in enumerate(routes.tensors):
        group = tensor.group
        if tensor.sources is None or group in orders or group in followed or number in free:
            continue
        origins = _origins(routes, number, orders, followed)
        if _inherits(routes, number, orders):
            orders[group] = np.asarray(sorted(origins, key=origins.__getitem__))
            continue
        near = {slot: future(group, slot, min(depth, 1)) for slot in origins}
        far = {slot: future(group, slot, depth) for slot in origins}
        kept = _whole_source(routes, number, followed) if glue else None
        orders[group] = np.asarray(_sorted(origins, near, far, kept))
    # The others take the order in which they will be read; who reads comes later in the program.
    for tensor in reversed(routes.tensors):
        if tensor.group in orders or tensor.group in free_groups:
            continue
        goals = {slot: [] for slot in range(len(tensor.slots))}
        for slot, taken in draws[tensor.group].items():
            goals[slot] = [(sink, sink not in free and _rank(routes, orders, sink, i)) for sink, i in taken]
        orders[tensor.group] = np.asarray(sorted(goals, key=lambda slot: (goals[slot], slot)))
    for number in sorted(free):
        origins = _origins(routes, number, orders, {})
        orders[routes.tensors[number].group] = np.asarray(sorted(origins, key=origins.__getitem__))
    return orders


def _free_sinks(routes: Routes) -> set[int]:
    """Return the tensors that are put together for dense convolutions alone, in whatever order."""
    sinks = {number for number, tensor in enumerate(routes.tensors) if tensor.sources is not None}
    members = Counter(tensor.group for tensor in routes.tensors)
    drawn = {int(owner) for number in sinks for owner in np.unique(routes.tensors[number].sources[0])}
    lone = {number for number in sinks if members[routes.tensors[number].group] == 1}
    return {number for number in lone - drawn if routes.tensors[number].group not in routes.pins}


def _draws(routes: Routes, free: set[int]) -> dict[int, dict[int, list[tuple[int, int]]]]:
    """Return for each class and slot the tensors that take it, and their index, in program order.

    A tensor that goes as a whole into a free one fits there in any order and is not counted.
    """
    draws: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for number, tensor in enumerate(routes.tensors):
        if tensor.sources is None:
            continue
        counts = Counter(tensor.sources[0].tolist())
        for index, (owner, place) in enumerate(zip(*tensor.sources, strict=True)):
            source = routes.tensors[owner]
            if number not in free or counts[owner] < len(source.slots):
                draws[source.group][int(source.slots[place])].append((number, index))
    return draws


def _origins(routes: Routes, number: int, orders: dict, followed: dict) -> dict[int, tuple]:
    """Return for each slot which tensor it comes from, and its place there as far as that is settled.

    Where the other one will take over the order of this one, the place is again where it comes from.
    """
    tensor = routes.tensors[number]
    deeper: dict[int, dict[int, tuple]] = {}
    origins = {}
    for slot, owner, index in zip(tensor.slots, *tensor.sources, strict=True):
        source = routes.tensors[owner]
        place = int(source.slots[index])
        if source.group in orders:
            origins[int(slot)] = (int(owner), (int(np.flatnonzero(orders[source.group] == place)[0]),))
            continue
        if source.group not in deeper:
            inner = [
                n for n, t in enumerate(routes.tensors) if t.group == source.group and t.sources is not None
            ]
            chained = inner and source.group in followed
            deeper[source.group] = _origins(routes, inner[0], orders, followed) if chained else {}
        origins[int(slot)] = (int(owner), deeper[source.group].get(place, (place,)))
    return origins


def _inherits(routes: Routes, number: int, orders: dict) -> bool:
    """Say whether tensor `number` comes from a single one, whose order is settled."""
    owners = np.unique(routes.tensors[number].sources[0])
    return len(owners) == 1 and routes.tensors[owners[0]].group in orders


def _followed(routes: Routes, draws: dict) -> dict[int, int]:
    """Return the classes that go into one tensor as a whole and nowhere else, and that tensor.

    They can take over its order. Those that would follow each other in a circle are left out.
    """
    followed: dict[int, int] = {}
    for tensor in routes.tensors:
        group = tensor.group
        taken = [sink for sinks in draws[group].values() for sink, _ in sinks]
        if group in routes.pins or not taken:
            continue
        (first, *others), count = sorted(set(taken)), len(tensor.slots)
        leads = first
        while leads is not None and routes.tensors[leads].group != group:
            leads = followed.get(routes.tensors[leads].group)
        if not others and len(taken) == count and leads is None:
            followed[group] = first
    return followed


def _whole_source(routes: Routes, number: int, followed: dict[int, int]) -> int | None:
    """Return the largest tensor that goes into tensor `number` as a whole and nowhere else, if any."""
    owners = sorted(set(routes.tensors[number].sources[0].tolist()))
    whole = [owner for owner in owners if followed.get(routes.tensors[owner].group) == number]
    return max(whole, key=lambda owner: len(routes.tensors[owner].slots)) if whole else None


def _sorted(origins: dict, near: dict, far: dict, kept: int | None) -> list[int]:
    """Return slots by where they go next, by where they go later, and by where they come from.

    The slots that come from tensor `kept` stay side by side. The largest group by `near` ends up at
    their end and behind them, the next largest at their start and before them, both in one piece;
    the other groups are torn in two. The groups by `far` within those are laid likewise.
    """
    order = sorted(origins, key=lambda slot: (far[slot], origins[slot]))
    groups: dict[tuple, list[int]] = {}
    for slot in order:
        groups.setdefault(near[slot], []).append(slot)
    if kept is None or len(groups) == 1:
        return order
    mine = {slot for slot in order if origins[slot][0] == kept}
    last, first, *middle = sorted(groups.values(), key=len, reverse=True)

    def rest(group: list[int], backwards: bool) -> list[int]:
        places = {key: place for place, key in enumerate(dict.fromkeys(far[slot] for slot in group))}
        sign = -1 if backwards else 1
        others = [slot for slot in group if slot not in mine]
        return sorted(others, key=lambda slot: (sign * places[far[slot]], origins[slot]))

    before = [slot for group in middle for slot in rest(group, False)] + rest(first, True)
    inside = [slot for group in (first, *middle, last) for slot in group if slot in mine]
    return before + inside + rest(last, True)


def _rank(routes: Routes, orders: dict[int, np.ndarray], sink: int, index: int) -> int:
    """Return the physical channel of an index; its slot where no order is settled yet."""
    tensor = routes.tensors[sink]
    slot, order = tensor.slots[index], orders.get(tensor.group)
    return int(slot if order is None else np.flatnonzero(order == slot)[0])


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
