"""COCO's AP of any selection of pictures equals pycocotools' of the same pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinypose.metrics.coco_eval import coco_ap
from tinypose.metrics.pckh import pckh
from tinypose.metrics.resample import average_precision, pckh_parts, picture_matches

SIGMAS = np.full(3, 0.07)


def drawn(seed: int, pictures: int) -> tuple[dict, list[dict]]:
    """Draw people of three joints, some without any, and predictions near them, some far off."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, pictures + 1):
        for _ in range(rng.integers(0, 3)):
            joints = np.concatenate([rng.uniform(0, 100, (3, 2)), np.full((3, 1), 2)], axis=1)
            counted = rng.random() > 0.2
            joints[:, 2] *= counted
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": 2000.0,
                    "bbox": [0, 0, 50, 40],
                    "num_keypoints": 3 * int(counted),
                    "keypoints": joints.ravel().tolist(),
                }
            )
            if rng.random() < 0.9:
                near = joints.copy()
                near[:, :2] += rng.normal(0, rng.choice([1, 6, 30]), (3, 2))
                keypoints, score = near.ravel().tolist(), round(rng.random(), 1)
                results.append({"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score})
    images = [{"id": image} for image in range(1, pictures + 1)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1}]}, results


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_all_pictures_give_what_pycocotools_gives(seed, pictures):
    truth, results = drawn(seed, pictures)
    expected = coco_ap(truth, results, SIGMAS)["AP"]
    found = average_precision(picture_matches(truth, results, "keypoints", SIGMAS))
    assert found == pytest.approx(expected or 0.0, abs=1e-9)


def test_a_picture_taken_twice_counts_twice():
    truth, results = drawn(5, 12)
    pictures = picture_matches(truth, results, "keypoints", SIGMAS)
    # Every picture as often as the others changes neither precision nor recall of groups of equal score.
    assert average_precision(pictures * 2) == pytest.approx(average_precision(pictures), abs=2.0)
    people = [each for each in pictures if each.people]
    right = [each for each in people if (each.right & each.counted).all() and each.scores.size]
    wrong = [each for each in people if not each.right.any()]
    assert right and wrong
    assert average_precision([right[0]]) > average_precision([right[0], wrong[0]])
    assert average_precision([right[0], wrong[0]]) > average_precision([right[0], wrong[0], wrong[0]])


def test_pckh_of_all_people_is_pckh():
    rng = np.random.default_rng(1)
    joints = np.concatenate([rng.uniform(0, 100, (9, 3, 2)), rng.integers(0, 2, (9, 3, 1))], axis=2)
    found = joints + rng.normal(0, 4, joints.shape)
    sizes, names = rng.uniform(5, 15, 9), ("nose", "left_hip", "right_hip")
    parts = pckh_parts(found, joints, sizes, names)
    assert parts.of(range(parts.count)) == pytest.approx(pckh(found, joints, sizes, names)["PCKh"])
    assert parts.of([2] * 5) == pytest.approx(parts.of([2]))
