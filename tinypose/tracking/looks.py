"""Who is who by looks: vectors of appearance first, then motion and overlap.

The order is that of FairMOT's tracker (Zhang et al., IJCV 2021, after JDE: Wang et al., ECCV 2020), with
times in seconds instead of frames.
"""

from dataclasses import dataclass, field

import numpy as np

from tinypose.tracking import kalman

FRAME = 1 / 30  # seconds of one step of the motion model
APPEARANCE = 0.98  # how much looks count beside motion
SMOOTHING = 0.9  # of looks: how much stays of what was known
SAME = 0.15  # 1 - IoU below which a tracked and a lost person are one


@dataclass
class Person:
    """Someone who was seen.

    Attributes:
        id: counted from 1.
        mean: float64 [8], covariance float64 [8, 8]: of `tinypose.tracking.kalman`.
        looks: float32 [D], of length 1.
        score: of the box, the last that counted.
        began: first seen, in seconds.
        seen: last seen.
        confirmed: seen twice, or in the first frame.
        found: the place of the box that it was last seen as, among the boxes of that frame.
    """

    id: int
    mean: np.ndarray
    covariance: np.ndarray
    looks: np.ndarray
    score: float
    began: float
    seen: float
    confirmed: bool
    found: int

    @property
    def box(self) -> np.ndarray:
        """Left, top, width, height, float64 [4], as the filter has them."""
        x, y, ratio, height = self.mean[:4]
        return np.array([x - ratio * height / 2, y - height / 2, ratio * height, height])


@dataclass
class LooksTracker:
    """Gives each person an id. One video, frames in order; not for several threads.

    Attributes:
        sure: boxes that score no more are not looked at.
        unlike: cost of looks and motion from which two are not the same person.
        apart: 1 - IoU from which a box is not that of someone who was just seen.
        apart_new: likewise of someone seen once.
        patience: for how many seconds someone out of sight is remembered.
    """

    sure: float = 0.4
    unlike: float = 0.4
    apart: float = 0.5
    apart_new: float = 0.7
    patience: float = 1.0
    tracked: list[Person] = field(default_factory=list)
    lost: list[Person] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._last_id = 0
        self._time: float | None = None
        self._removed: set[int] = set()

    def update(self, boxes: np.ndarray, scores: np.ndarray, looks: np.ndarray, time: float) -> list[Person]:
        """Take the boxes of one frame.

        Args:
            boxes: [N, 4], left, top, width, height in image pixels.
            scores: [N].
            looks: [N, D], vectors that are alike for one person.
            time: of the frame in seconds, later than the last one.

        Returns:
            The people who are there now and were confirmed.
        """
        use = np.asarray(scores) > self.sure
        places = np.flatnonzero(use)
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)[use]
        scores, looks = np.asarray(scores)[use], _unit(np.asarray(looks, np.float32)[use])
        measured = _measured(boxes)
        first = self._time is None
        steps = 1.0 if first else (time - self._time) / FRAME
        self._time = time

        confirmed = [each for each in self.tracked if each.confirmed]
        new = [each for each in self.tracked if not each.confirmed]
        known = {each.id for each in confirmed}
        pool = confirmed + [each for each in self.lost if each.id not in known]
        for each in pool:
            _predict(each, steps, moving=each.id in known)
        cost = _appearance_cost(pool, measured, looks)
        pairs, left, rest = assign(cost, self.unlike)
        found_again = []
        for i, j in pairs:
            person = pool[i]
            _see(person, measured[j], looks[j], time, places[j])
            if person.id in known:
                person.score = float(scores[j])
            else:
                found_again.append(person)

        rest = np.array(rest, int)
        recent = [pool[i] for i in left if pool[i].id in known]
        pairs, gone, rest_places = assign(_overlap_cost(recent, boxes[rest]), self.apart)
        for i, j in pairs:
            _see(recent[i], measured[rest[j]], looks[rest[j]], time, places[rest[j]])
            recent[i].score = float(scores[rest[j]])
        newly_lost = [recent[i] for i in gone]

        rest = rest[rest_places]
        pairs, dropped, rest_places = assign(_overlap_cost(new, boxes[rest]), self.apart_new)
        for i, j in pairs:
            _see(new[i], measured[rest[j]], looks[rest[j]], time, places[rest[j]])
            new[i].score, new[i].confirmed = float(scores[rest[j]]), True
        removed = {new[i].id for i in dropped}

        started = []
        for j in rest[rest_places]:
            self._last_id += 1
            state = kalman.start(measured[j])
            score, place = float(scores[j]), int(places[j])
            started.append(Person(self._last_id, *state, looks[j], score, time, time, first, place))
        removed |= {each.id for each in self.lost if time - each.seen > self.patience + FRAME / 2}

        away = {each.id for each in newly_lost} | removed
        self.tracked = [each for each in self.tracked if each.id not in away] + started + found_again
        there = {each.id for each in self.tracked}
        # Who is removed now stays among the lost for one more frame, as in the published tracker.
        self.lost = [each for each in self.lost if each.id not in there | self._removed] + newly_lost
        self._removed |= removed
        self._drop_doubles()
        return [each for each in self.tracked if each.confirmed]

    def _drop_doubles(self) -> None:
        """Where a tracked and a lost person are one, keep who has been known longer."""
        if not self.tracked or not self.lost:
            return
        boxes = np.array([each.box for each in self.lost], np.float32)
        gone = set()
        for i, j in zip(*np.nonzero(_overlap_cost(self.tracked, boxes) < SAME), strict=True):
            one, other = self.tracked[i], self.lost[j]
            gone.add(other.id if one.seen - one.began > other.seen - other.began else one.id)
        self.tracked = [each for each in self.tracked if each.id not in gone]
        self.lost = [each for each in self.lost if each.id not in gone]


def assign(cost: np.ndarray, limit: float) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pair rows and columns at the least cost, where leaving either alone costs half of `limit`.

    Args:
        cost: float [N, M]; infinite where a pair must not be made.
        limit: of the cost of a pair.

    Returns:
        the pairs, the rows that are left, and the columns that are left.
    """
    rows, columns = cost.shape
    alone = limit / 2
    square = np.full((rows + columns, rows + columns), alone)
    square[:rows, :columns] = np.minimum(cost, 1e6)
    square[rows:, columns:] = 0
    from scipy.optimize import linear_sum_assignment  # a third of a second

    one, other = linear_sum_assignment(square)
    pairs = [(int(i), int(j)) for i, j in zip(one, other, strict=True) if i < rows and j < columns]
    taken_rows, taken_columns = {i for i, _ in pairs}, {j for _, j in pairs}
    left = [i for i in range(rows) if i not in taken_rows]
    return pairs, left, [j for j in range(columns) if j not in taken_columns]


def _predict(person: Person, steps: float, moving: bool) -> None:
    if not moving:  # out of sight, nobody grows
        person.mean = person.mean.copy()
        person.mean[7] = 0
    person.mean, person.covariance = kalman.predict(person.mean, person.covariance, steps)


def _see(person: Person, measured: np.ndarray, looks: np.ndarray, time: float, place: int) -> None:
    person.mean, person.covariance = kalman.update(person.mean, person.covariance, measured)
    person.looks = _unit(SMOOTHING * person.looks + (1 - SMOOTHING) * looks)
    person.seen, person.found = time, int(place)


def _appearance_cost(people: list[Person], measured: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Return cosine distances and a little of the motion's, infinite where motion forbids: [P, N]."""
    cost = np.zeros((len(people), len(measured)))
    for row, person in zip(cost, people, strict=True):
        far = kalman.distance(person.mean, person.covariance, measured) if len(measured) else np.zeros(0)
        unlike = np.maximum(0, 1 - looks @ person.looks)
        row[:] = np.where(far > kalman.LIMIT, np.inf, APPEARANCE * unlike + (1 - APPEARANCE) * far)
    return cost


def _overlap_cost(people: list[Person], boxes: np.ndarray) -> np.ndarray:
    """Return 1 - IoU [P, N], of boxes that reach from pixel to pixel, both ends included."""
    if not people or not len(boxes):
        return np.zeros((len(people), len(boxes)))
    first = np.array([each.box for each in people], np.float32)[:, None]
    second = boxes[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared = np.prod(np.maximum(high - low + 1, 0), axis=-1)
    return 1 - shared / (
        np.prod(first[..., 2:] + 1, axis=-1) + np.prod(second[..., 2:] + 1, axis=-1) - shared
    )


def _measured(boxes: np.ndarray) -> np.ndarray:
    """Return x and y of the middle, width / height and height, float64 [N, 4]."""
    left, top, width, height = boxes.astype(np.float64).T
    return np.stack([left + width / 2, top + height / 2, width / height, height], axis=1)


def _unit(looks: np.ndarray) -> np.ndarray:
    return looks / np.linalg.norm(looks, axis=-1, keepdims=True)
