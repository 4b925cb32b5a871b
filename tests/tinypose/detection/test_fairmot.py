"""FairMOT against PaddleDetection's own numbers: network, decoding, targets, losses."""

import json

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paddle import nn

from tinypose.codecs.centres import centre_targets, decode_centres, gaussian_radius, letterbox
from tinypose.detection.fairmot import CenterHead, FairMOT, LooksHead
from tinypose.engine.fairmot_loss import detection_loss, looks_loss, weighted_sum

PARTS = ("heatmap", "size", "offset", "reid")


@pytest.fixture(scope="module")
def fill(shared, reference_fill):
    def fill_net(net, keys):
        own = net.state_dict()
        shapes = json.loads((shared / "reference" / keys).read_text())
        assert {key: list(value.shape) for key, value in own.items()} == shapes
        for key, shape in shapes.items():
            own[key].set_value(reference_fill(key, tuple(shape)))
        return net

    return fill_net


def test_equals_the_published_network(shared, fill):
    expected = np.load(shared / "reference" / "fairmot_dla34.npz")
    net = fill(FairMOT(14455), "fairmot_dla34.keys.json")
    net.eval()
    image = np.random.RandomState(0).standard_normal((1, 3, 96, 160)).astype("float32")
    with paddle.no_grad():
        outputs = net(paddle.to_tensor(image))
    for name, found in zip(("heatmap_logit", "size", "offset", "reid"), outputs, strict=True):
        assert np.abs(found.numpy() - expected[name]).max() <= 1e-4 * np.abs(expected[name]).max(), name


def test_decodes_as_published(shared):
    case = np.load(shared / "reference" / "case_fairmot_decode.npz")
    looks = np.load(shared / "reference" / "fairmot_dla34.npz")["reid"][0]
    maps = [case[name][0] for name in PARTS[:3]]
    inner = case["im_shape"][0][::-1]
    boxes, scores, found = decode_centres(*maps, looks, inner, case["scale_factor"][0, 0], 50)
    np.testing.assert_allclose(boxes, case["boxes"][:, 2:], atol=1e-4)
    np.testing.assert_array_equal(scores, case["boxes"][:, 1])
    np.testing.assert_array_equal(found, case["embedding"])


@pytest.mark.parametrize("picture", [0, 1])
def test_targets_are_the_published_ones(shared, picture):
    case = np.load(shared / "reference" / "case_fairmot_loss.npz")
    heatmap, places, offsets, distances = centre_targets(case[f"box{picture}"], (40, 24))
    count = len(places)
    np.testing.assert_array_equal(heatmap, case["target_heatmap"][picture])
    np.testing.assert_array_equal(places, case["target_index"][picture, :count])
    np.testing.assert_allclose(offsets, case["target_offset"][picture, :count], atol=1e-6)
    np.testing.assert_allclose(distances, case["target_size"][picture, :count], atol=1e-5)


def test_losses_are_the_published_ones(shared, fill):
    case = np.load(shared / "reference" / "case_fairmot_loss.npz")
    net = nn.Layer()
    net.head, net.reid = CenterHead(16, 24), LooksHead(16, 20, 24, 32)
    fill(net, "case_fairmot_loss.keys.json")
    features = paddle.to_tensor(case["feature"].astype("float32"))
    names = {"place": "index", "there": "index_mask", "identity": "reid"}
    parts = ("heatmap", "offset", "size", *names)
    targets = {part: paddle.to_tensor(case[f"target_{names.get(part, part)}"]) for part in parts}
    heatmap, size, offset = detection_loss(list(net.head(features)), targets)
    looks = looks_loss(net.reid(features), net.reid.classifier, targets)
    detection = heatmap + 0.1 * size + offset
    total = weighted_sum(detection, looks, paddle.to_tensor([-1.85]), paddle.to_tensor([-1.05]))
    found = {"heatmap_loss": heatmap, "size_loss": size, "offset_loss": offset, "det_loss": detection,
             "reid_loss": looks, "total": total}  # fmt: skip
    for name, value in found.items():
        assert float(value) == pytest.approx(float(case[name]), rel=1e-5), name


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_boxes_that_are_drawn_are_found_again(seed, count):
    generator = np.random.default_rng(seed)
    width, height = 40, 24
    cells = generator.permutation(15)[:count]  # middles apart, so that each is a maximum
    middle = np.stack(
        [cells % 5 * 8 + generator.uniform(2, 6, count), cells // 5 * 8 + generator.uniform(2, 6, count)]
    )
    sizes = generator.uniform(2, 6, (2, count))
    boxes = (np.concatenate([middle, sizes]) / [[width], [height], [width], [height]]).T
    heatmap, places, offsets, distances = centre_targets(boxes, (width, height))
    size, offset = np.zeros((4, height, width), np.float32), np.zeros((2, height, width), np.float32)
    for place, each_offset, each_size in zip(places, offsets, distances, strict=True):
        offset[:, place // width, place % width] = each_offset
        size[:, place // width, place % width] = each_size
    looks = np.zeros((3, height, width), np.float32)
    found, scores, _ = decode_centres(heatmap, size, offset, looks, (width * 4, height * 4), 1.0)
    corners = np.concatenate([middle - sizes / 2, middle + sizes / 2]).T * 4
    assert (scores[:count] == 1).all() and (scores[count:] < 1).all()
    order = np.lexsort(found[:count].T)
    np.testing.assert_allclose(found[:count][order], corners[np.lexsort(corners.T)], atol=1e-2)


@given(st.floats(1, 500), st.floats(1, 500))
def test_a_box_moved_by_the_radius_keeps_its_overlap(height, width):
    radius = gaussian_radius(height, width)
    if radius >= min(height, width):
        return
    shared_area = (height - radius) * (width - radius)
    assert shared_area / (2 * height * width - shared_area) >= 0.7 - 1e-6 or radius > 0


def test_a_picture_lies_in_the_middle_of_the_input():
    ratio, inner, border = letterbox((640, 480), (1088, 608))
    assert ratio == pytest.approx(608 / 480)
    assert inner == (811, 608) and border == (138, 0)
