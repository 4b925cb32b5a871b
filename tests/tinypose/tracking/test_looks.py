"""The tracker by looks against the published one's hundred frames, and its filter and assignment."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tinypose.tracking import kalman
from tinypose.tracking.looks import LooksTracker, assign


@pytest.fixture
def reference(shared):
    return shared / "reference"


def frames(reference):
    """Yield boxes (left, top, width, height), scores, looks and the published result of each frame."""
    case = np.load(reference / "case_fairmot_track.npz")
    at = 0
    expected = json.loads((reference / "case_fairmot_track.json").read_text())
    for count, result in zip(case["count"], expected, strict=True):
        rows = case["detections"][at : at + count]
        boxes = np.concatenate([rows[:, 2:4], rows[:, 4:6] - rows[:, 2:4]], axis=1)
        yield boxes, rows[:, 1], case["embeddings"][at : at + count].astype("float32"), result
        at += count


def test_gives_the_published_identities(reference):
    tracker = LooksTracker()
    seen = set()
    for number, (boxes, scores, looks, expected) in enumerate(frames(reference)):
        people = tracker.update(boxes, scores, looks, number / 30)
        assert [each.id for each in people] == [each["id"] for each in expected["online"]], number
        assert [each.id for each in tracker.tracked] == expected["tracked"], number
        assert [each.id for each in tracker.lost] == expected["lost"], number
        for person, wanted in zip(people, expected["online"], strict=True):
            np.testing.assert_allclose(person.box, wanted["tlwh"], atol=1e-3)
            assert person.score == pytest.approx(wanted["score"], abs=1e-6)
        seen |= {each.id for each in people}
    assert {1, 2, 3, 4, 5, 6, 16} <= seen


def test_the_same_walks_filmed_at_ten_frames_a_second_keep_their_ids(reference):
    """Times are seconds: a third of the frames, and nobody is taken for another."""
    tracker, ids = LooksTracker(), {}
    for number, (boxes, scores, looks, _) in enumerate(frames(reference)):
        if number % 3:
            continue
        for person in tracker.update(boxes, scores, looks, number / 30):
            ids.setdefault(person.id, []).append(number)
    assert len([each for each in ids.values() if len(each) > 10]) <= 7


def test_the_filter_is_the_published_one(reference):
    case = json.loads((reference / "case_fairmot_kalman.json").read_text())
    mean, covariance = kalman.start(np.array(case["measurement"]))
    np.testing.assert_allclose(covariance, case["init_cov"], rtol=1e-6)
    mean, covariance = kalman.predict(mean, covariance)
    np.testing.assert_allclose(mean, case["pred_mean"], rtol=1e-6)
    np.testing.assert_allclose(covariance, case["pred_cov"], rtol=1e-6)
    measured = np.array(case["gate_measurements"])
    np.testing.assert_allclose(kalman.distance(mean, covariance, measured), case["gate"], rtol=1e-5)
    mean, covariance = kalman.update(mean, covariance, measured[0])
    np.testing.assert_allclose(mean, case["upd_mean"], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(covariance, case["upd_cov"], rtol=1e-5, atol=1e-9)


@given(st.integers(0, 2**31), st.floats(0.25, 4))
def test_a_filter_follows_someone_who_walks_on(seed, steps):
    generator = np.random.default_rng(seed)
    velocity = generator.uniform(-4, 4, 2)
    place = np.array([200.0, 150.0, 0.4, 80.0])
    mean, covariance = kalman.start(place)
    for _ in range(int(60 / steps)):
        place[:2] += velocity * steps
        mean, covariance = kalman.predict(mean, covariance, steps)
        mean, covariance = kalman.update(mean, covariance, place)
    assert np.abs(mean[4:6] - velocity).max() < 0.1
    assert np.linalg.eigvalsh(covariance).min() > 0


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**31))
def test_the_assignment_is_the_cheapest_of_all(rows, columns, seed):
    cost, limit = np.random.default_rng(seed).uniform(0, 1, (rows, columns)), 0.6
    pairs, left, rest = assign(cost, limit)
    total = sum(cost[i, j] for i, j in pairs) + limit / 2 * (len(left) + len(rest))

    def cheapest(i, free):
        if i == rows:
            return limit / 2 * len(free)
        alone = limit / 2 + cheapest(i + 1, free)
        return min([alone] + [cost[i, j] + cheapest(i + 1, free - {j}) for j in free])

    assert total == pytest.approx(cheapest(0, frozenset(range(columns))))
    if rows == columns and (cost < limit).all() and rows:
        one, other = linear_sum_assignment(cost)
        assert total <= cost[one, other].sum() + 1e-9


def test_nobody_is_remembered_longer_than_the_patience():
    looks, box = np.eye(3, dtype="float32"), np.array([[50, 50, 40, 100]], "float32")
    tracker = LooksTracker()
    assert [each.id for each in tracker.update(box, [0.9], looks[:1], 0.0)] == [1]
    assert tracker.update(box[:0], [], looks[:0], 0.5) == []
    assert [each.id for each in tracker.update(box, [0.9], looks[:1], 0.9)] == [1]
    for time in np.arange(1.0, 3.0, 0.1):
        assert tracker.update(box[:0], [], looks[:0], time) == []
    assert tracker.update(box, [0.9], looks[:1], 3.0) == []  # someone new is shown from the second time on
    assert [each.id for each in tracker.update(box, [0.9], looks[:1], 3.1)] == [2]
