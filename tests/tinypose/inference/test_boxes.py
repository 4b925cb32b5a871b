"""Box arithmetic: decoding against a loop, suppression and overlap against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinypose.boxes import clip_boxes, iou, suppress
from tinypose.codecs.picodet import decode_boxes
from tinypose.config import DetectorInputConfig
from tinypose.detection.detector import fit_whole
from tinypose.preprocess import normalise

SIDES = ("left", "top", "right", "bottom")


def maps(classes, aligned, size=64, low=-12.0):
    """Raw maps of a picture in which nothing is found."""
    return [
        np.full((1, classes + 32 + aligned, -(-size // stride), -(-size // stride)), low, np.float32)
        for stride in (8, 16, 32, 64)
    ]


@pytest.mark.parametrize("aligned", [False, True])
def test_one_box_is_read_back(aligned):
    levels = maps(3, aligned)
    level, row, column, stride = 1, 2, 1, 16
    distances = {"left": 1, "top": 0, "right": 3, "bottom": 7}
    levels[level][0, 1, row, column] = 2.0
    if aligned:
        levels[level][0, -1, row, column] = 1.0
    for side, distance in distances.items():
        levels[level][0, 3 + 8 * SIDES.index(side) + distance, row, column] = 30.0
    boxes, scores = decode_boxes(levels, 1, aligned, score=0.5)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    np.testing.assert_allclose(boxes, [[x - 16, y, 4 * 16, 7 * 16]], atol=1e-4)
    sigmoid = 1 / (1 + np.exp(-2.0))
    expected = np.sqrt(sigmoid / (1 + np.exp(-1.0))) if aligned else sigmoid
    np.testing.assert_allclose(scores, [expected], rtol=1e-6)
    assert boxes.dtype == scores.dtype == np.float32
    assert len(decode_boxes(levels, 0, aligned, score=0.5)[1]) == 0


def test_a_flat_distribution_is_its_mean():
    levels = maps(1, False, low=0.0)
    boxes, scores = decode_boxes(levels, 0, False, score=0.4)
    assert len(scores) == 64 + 16 + 4 + 1
    np.testing.assert_allclose(boxes[-1], [32 - 3.5 * 64, 32 - 3.5 * 64, 7 * 64, 7 * 64])


def plain_suppression(boxes, scores, overlap):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(iou(boxes[[i]], boxes[[j]])[0, 0] <= overlap for j in kept):
            kept.append(i)
    return kept


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(0, 12), st.just(4)), elements=st.integers(0, 40)),
    st.sampled_from([0.3, 0.45, 0.6]),
    st.randoms(use_true_random=False),
)
def test_suppression_is_the_greedy_loop(boxes, overlap, random):
    boxes[:, 2:] += 1
    scores = np.array(random.sample(range(1, 100), len(boxes)), np.float32) / 100
    assert suppress(boxes, scores, overlap, 100).tolist() == plain_suppression(boxes, scores, overlap)
    assert len(suppress(boxes, scores, overlap, 1)) == min(len(boxes), 1)


def test_iou_of_known_boxes():
    first = np.array([[0, 0, 10, 10], [0, 0, 0, 0]])
    second = np.array([[5, 0, 10, 10], [0, 0, 10, 10], [20, 20, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(iou(first, second), [[1 / 3, 1, 0, 0], [0, 0, 0, 0]])


def test_clipping_keeps_the_part_inside():
    boxes = np.array([[-5, -5, 20, 10], [90, 40, 20, 20], [10, 10, 5, 5]], np.float32)
    np.testing.assert_array_equal(
        clip_boxes(boxes, 100, 50), [[0, 0, 15, 5], [90, 40, 10, 10], [10, 10, 5, 5]]
    )


def test_the_input_is_normalised_per_channel():
    settings = DetectorInputConfig(width=64, height=96)
    image = np.zeros((7, 1200, 3), np.uint8)
    image[:] = (255, 0, 51)
    planes = normalise(fit_whole(image, settings)[None], settings)
    assert planes.shape == (1, 3, 96, 64) and planes.dtype == np.float32
    expected = (np.array([1, 0, 0.2]) - settings.mean) / settings.std
    np.testing.assert_allclose(planes[0, :, 5, 5], expected, rtol=1e-5)
