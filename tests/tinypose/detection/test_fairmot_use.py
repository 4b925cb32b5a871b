"""FairMOT as a detector: letterbox, codec, weights, configs."""

import json

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypose.codecs.centres import letterbox
from tinypose.codecs.fairmot import FairMOTCodec
from tinypose.config import LetterboxConfig
from tinypose.data.tracked import encode
from tinypose.detection.config import load_detector_config
from tinypose.detection.detector import GREY, Detector, fit_whole
from tinypose.detection.weights import build_detector, load_detector, person_only
from tinypose.errors import UserError
from tinypose.models.weights import write_params
from tinypose.network import as_network

INPUT = LetterboxConfig(width=192, height=128)


def maps_of(corners, who, size=(192, 128), looks=4):
    """Return the maps that a perfect network gives for boxes in its input."""
    settings = LetterboxConfig(width=size[0], height=size[1])
    heatmap, place, offset, reach, there, _ = encode(corners, who, settings, 16)
    height, width = heatmap.shape[1:]
    maps = [np.zeros((count, height * width), np.float32) for count in (4, 2, looks)]
    for k in range(int(there.sum())):
        maps[0][:, place[k]], maps[1][:, place[k]] = reach[k], offset[k]
        maps[2][who[k] % looks, place[k]] = 3.0
    logits = np.log(np.clip(heatmap, 1e-6, 1 - 1e-6) / (1 - np.clip(heatmap, 1e-6, 1 - 1e-6)))
    return [logits[None].astype(np.float32), *(each.reshape(1, -1, height, width) for each in maps)]


@given(st.integers(0, 2**31), st.sampled_from([(640, 480), (300, 500), (192, 128), (97, 41)]))
def test_boxes_of_a_picture_are_read_back(seed, picture):
    rng = np.random.default_rng(seed)
    ratio, inner, _ = letterbox(picture, (192, 128))
    cells = rng.permutation(12)[:3]  # middles apart, so that each is a maximum
    middle = np.stack(
        [cells % 4 * 46 + rng.uniform(20, 30, 3), cells // 4 * 40 + rng.uniform(18, 26, 3)], axis=1
    )
    half = rng.uniform(6, 16, (3, 2))
    corners = np.concatenate([middle - half, middle + half], axis=1)
    boxes, scores, looks = FairMOTCodec(looks=4).boxes(maps_of(corners, np.arange(3)), (192, 128), picture)
    border = (np.array([192, 128]) - inner) / 2
    expected = np.concatenate([corners[:, :2] - border, 2 * half], axis=1) / ratio
    found = boxes[:3][np.argsort(looks[:3].argmax(axis=1))]
    np.testing.assert_allclose(found, expected, atol=1e-3 / ratio)
    assert (scores[:3] > 0.99).all() and (np.diff(scores) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(looks[:3], axis=1), 1, atol=1e-6)


def test_doubtful_and_empty_boxes_are_left_out():
    maps = maps_of(np.array([[10.0, 10, 50, 60]]), np.array([0]))
    maps[0][0, 0] -= 15
    codec = FairMOTCodec(looks=4, score=0.4)
    assert len(codec.boxes(maps, (192, 128), (192, 128))[1]) == 0
    empty = [np.zeros((1, count, 32, 48), np.float32) for count in (1, 4, 2, 4)]
    assert len(codec.boxes(empty, (192, 128), (192, 128))[1]) == 0, "boxes of no size are nobody's"


@pytest.mark.parametrize(
    ("picture", "inner", "corner"), [((60, 40), (192, 128), (0, 0)), ((40, 60), (85, 128), (53, 0))]
)
def test_a_picture_keeps_its_ratio_in_grey(picture, inner, corner):
    image = np.full((picture[1], picture[0], 3), 255, np.uint8)
    seen = fit_whole(image, INPUT)
    assert seen.shape == (128, 192, 3)
    white = (seen == 255).all(axis=2)
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert (columns[0], rows[0]) == corner and (len(columns), len(rows)) == inner
    assert (seen[~white] == GREY).all()


@pytest.fixture(scope="module")
def thin():
    paddle.seed(1)
    config = load_detector_config("fairmot_synthetic", ["model.width=8", "model.identities=7"])
    return build_detector(config), config


def test_what_devices_run_gives_the_same_people(thin):
    net, config = thin
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    whole = Detector(as_network(net), config.input, config.codec)
    small, kept = person_only(net, config)
    devices = Detector(as_network(small), kept.input, kept.codec)
    outputs, ours = whole.network(whole.preprocess(image)), devices.network(devices.preprocess(image))
    for one, other in zip(outputs[:3], ours[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    length = np.linalg.norm(ours[3], axis=1, keepdims=True)
    np.testing.assert_allclose(outputs[3], ours[3] / length, atol=1e-5)


def test_published_names_fill_the_network_and_say_how_many_people(shared, reference_fill, tmp_path):
    shapes = json.loads((shared / "reference" / "fairmot_dla34.keys.json").read_text())
    path = tmp_path / "published.pdparams"
    write_params(path, {key: reference_fill(key, tuple(shape)) for key, shape in shapes.items()})
    net = load_detector(load_detector_config("fairmot_dla34", [f"weights={path}"]))
    assert net.reid.classifier.weight.shape[1] == 14455


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("output.nms=0.5", "unknown key 'output.nms'"),
        ("model.width=10", "model.width"),
        ("model.form=lcnet", "unknown key 'model.form'"),
        ("input.height=100", "input.height"),
        ("augment.scale=[1.2, 0.5]", "augment.scale"),
    ],
)
def test_what_is_wrong_in_a_config_is_said(override, says):
    with pytest.raises(UserError, match=says):
        load_detector_config("fairmot_dla34", [override])
