"""OKS, suppression, rescoring, and COCO's metrics, against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypose.metrics.coco_eval import METRICS, coco_ap
from tinypose.metrics.oks import oks, oks_nms, rescore
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")


def moved_to(joints, area, sigmas, similarity):
    """Move every joint to the right so far that the OKS is `similarity`."""
    distance = np.sqrt(-2 * area * (2 * np.array(sigmas)) ** 2 * math.log(similarity))
    return joints + np.column_stack([distance, np.zeros_like(distance)])


def people_far_apart(count, joints, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 100, (count, joints, 2)) + 1000 * np.arange(count)[:, None, None]


def truth_and_results(people, found, scores, area=10000.0, visible=2):
    """One picture a person, in COCO's two formats."""
    annotations, results = [], []
    for number, (person, guess, score) in enumerate(zip(people, found, scores, strict=True), 1):
        keypoints = np.column_stack([person, np.full(len(person), visible)]).ravel().tolist()
        annotations.append(
            {
                "id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": area,
                "bbox": [0, 0, 100, 100], "num_keypoints": len(person), "keypoints": keypoints,
            }
        )  # fmt: skip
        flat = np.column_stack([guess, np.ones(len(guess))]).ravel().tolist()
        results.append({"image_id": number, "category_id": 1, "keypoints": flat, "score": score})
    images = [{"id": number} for number in range(1, len(people) + 1)]
    categories = [{"id": 1, "name": "person"}]
    truth = {"info": {}, "images": images, "categories": categories, "annotations": annotations}
    return truth, results


@given(st.floats(0.01, 1.0), st.floats(1, 1e6))
def test_oks_of_a_known_distance(similarity, area):
    joints = people_far_apart(1, 17)[0]
    moved = moved_to(joints, area, COCO.sigmas, similarity)
    assert oks(joints, moved, area, COCO.sigmas) == pytest.approx(similarity, rel=1e-6)


def test_oks_is_a_mean_over_the_visible_joints():
    joints = people_far_apart(1, 17)[0]
    moved = joints.copy()
    moved[5:] += 1e6
    assert oks(joints, moved, 1e4, COCO.sigmas) == pytest.approx(5 / 17)
    visible = np.array([2, 1, 1] + [0] * 2 + [2] * 3 + [0] * 9)
    assert oks(joints, moved, 1e4, COCO.sigmas, visible) == pytest.approx(3 / 6)
    assert oks(joints, joints, 1e4, COCO.sigmas, np.zeros(17)) == 0


def test_oks_agrees_with_pycocotools_at_every_threshold():
    """AP of one person is the share of COCO's ten thresholds that the OKS reaches."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        person = people_far_apart(1, 17)
        guess = person + rng.normal(0, 12, person.shape)
        expected = oks(person[0], guess[0], 1e4, COCO.sigmas)
        metrics = coco_ap(*truth_and_results(person, guess, [1.0]), COCO.sigmas)
        assert metrics["AP"] == pytest.approx(10 * sum(expected >= t for t in np.linspace(0.5, 0.95, 10)))


@pytest.mark.parametrize("name", ["coco17", "mpii16", "crowdpose14", "aic14"])
def test_ap_uses_the_skeletons_own_sigmas(name):
    skeleton = load_skeleton(name)
    people = people_far_apart(4, len(skeleton.joints))
    found = np.stack([moved_to(person, 1e4, skeleton.sigmas, 0.72) for person in people])
    metrics = coco_ap(*truth_and_results(people, found, [0.9] * 4), skeleton.sigmas)
    assert metrics["AP"] == pytest.approx(50)  # 0.50, 0.55, ... 0.70 of the ten thresholds
    assert metrics["AP50"] == pytest.approx(100) and metrics["AP75"] == 0
    assert metrics["AR"] == pytest.approx(50)
    twice = coco_ap(*truth_and_results(people, found, [0.9] * 4), 2 * np.array(skeleton.sigmas))
    assert twice["AP"] == pytest.approx(90)  # 0.72 ** (1 / 4) is 0.921


def test_perfect_predictions_and_missing_sizes():
    people = people_far_apart(3, 17)
    metrics = coco_ap(*truth_and_results(people, people, [0.5, 0.6, 0.7]), COCO.sigmas)
    assert tuple(metrics) == METRICS
    assert metrics["AP"] == pytest.approx(100) and metrics["APL"] == pytest.approx(100)
    assert metrics["APM"] is None and metrics["ARM"] is None  # everybody is larger than 96 x 96


def test_half_of_the_people_found_is_half_of_the_recall():
    people = people_far_apart(4, 17)
    truth, results = truth_and_results(people, people, [0.9] * 4)
    metrics = coco_ap(truth, results[:2], COCO.sigmas)
    assert metrics["AR"] == pytest.approx(50)
    assert metrics["AP"] == pytest.approx(100 * 51 / 101)  # precision 1 at 51 of COCO's 101 recalls


def test_a_better_scored_wrong_guess_costs_precision():
    people = people_far_apart(2, 17)
    truth, results = truth_and_results(people, people, [0.9, 0.8])
    wrong = {**results[0], "keypoints": [1e6, 1e6, 1.0] * 17, "score": 1.0}
    metrics = coco_ap(truth, [*results, wrong], COCO.sigmas)
    assert metrics["AP"] == pytest.approx(100 * 2 / 3)
    assert metrics["AR"] == pytest.approx(100)


def test_no_predictions_at_all_and_silence(capsys):
    people = people_far_apart(2, 17)
    truth, _ = truth_and_results(people, people, [1, 1])
    metrics = coco_ap(truth, [], COCO.sigmas)
    assert metrics["AP"] == 0 and metrics["AR"] == 0
    assert capsys.readouterr().out == ""


def test_results_are_left_as_they_were():
    people = people_far_apart(1, 17)
    truth, results = truth_and_results(people, people, [1])
    coco_ap(truth, results, COCO.sigmas)
    assert set(results[0]) == {"image_id", "category_id", "keypoints", "score"}


@given(st.integers(0, 10**6), st.integers(1, 8), st.floats(0.05, 0.95))
def test_nms_keeps_no_two_alike_and_drops_only_for_a_better_one(seed, count, threshold):
    rng = np.random.default_rng(seed)
    joints = rng.uniform(0, 50, (1, 17, 2)) + rng.normal(0, 15, (count, 1, 2)).cumsum(axis=0)
    scores, areas = rng.random(count), rng.uniform(1e3, 1e4, count)

    def alike(i, j):
        return oks(joints[i], joints[j], (areas[i] + areas[j]) / 2, COCO.sigmas)

    kept = oks_nms(joints, scores, areas, COCO.sigmas, threshold)
    assert [scores[i] for i in kept] == sorted((scores[i] for i in kept), reverse=True)
    for place, i in enumerate(kept):
        assert all(alike(i, j) <= threshold for j in kept[:place])
    for i in set(range(count)) - set(kept):
        assert any(scores[j] >= scores[i] and alike(i, j) > threshold for j in kept)


def test_nms_of_doubles_keeps_the_first_of_equals():
    joints = np.repeat(people_far_apart(1, 17), 3, axis=0)
    assert oks_nms(joints, [0.5, 0.9, 0.9], [1e4] * 3, COCO.sigmas, 0.9) == [1]
    assert oks_nms(np.zeros((0, 17, 2)), [], [], COCO.sigmas, 0.9) == []


def test_rescoring_by_hand():
    joint_scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.1, 0.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(rescore([1.0, 0.8, 0.5], joint_scores, 0.2), [0.7, 0.0, 0.5])
