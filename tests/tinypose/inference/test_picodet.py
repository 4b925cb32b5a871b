"""PicoDet against the published architecture, and its raw maps as boxes."""

import json

import numpy as np
import paddle
import pytest

from tinypose.codecs.picodet import decode_boxes
from tinypose.config import CONFIGS
from tinypose.detection.config import load_detector_config
from tinypose.detection.picodet import PicoDet
from tinypose.errors import UserError
from tinypose.models.zoo import ZOO

FORMS = [("picodet_s_416_legacy", "picodet_s_416_coco"), ("picodet_s_320_lcnet", "picodet_s_320_coco_lcnet")]


def all_classes(levels, classes, aligned, distances):
    """Decode every anchor and class, in the reference's order: [1, classes, A] and corners [1, A, 4]."""
    scores = []
    for person in range(classes):
        boxes, score = decode_boxes(levels, person, aligned, score=-1, distances=distances)
        scores.append(score)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return np.stack(scores)[None], corners[None]


@pytest.mark.parametrize("reference, config", FORMS)
def test_equals_the_published_architecture(shared, reference_fill, reference, config):
    keys = json.loads((shared / "reference" / f"{reference}.keys.json").read_text())
    expected = np.load(shared / "reference" / f"{reference}.npz")
    config = load_detector_config(CONFIGS / f"{config}.yml")
    net = PicoDet(config.model.form, config.model.classes)
    net.eval()
    assert {name: list(value.shape) for name, value in net.state_dict().items()} == keys
    net.set_state_dict({name: reference_fill(name, tuple(shape)) for name, shape in keys.items()})
    size = (1, 3, config.input.height, config.input.width)
    image = np.random.RandomState(0).standard_normal(size).astype("float32")
    with paddle.no_grad():
        levels = [each.numpy() for each in net(paddle.to_tensor(image))]
    # The reference integrates with whatever the buffer holds; only here is that not 0 to 7.
    distances = net.head.distribution_project.project.numpy()
    found = all_classes(levels, config.model.classes, config.model.form == "lcnet", distances)
    for ours, name in zip(found, expected.files, strict=True):
        theirs = expected[name]
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("form, aligned", [("", False), ("_lcnet", True)])
@pytest.mark.parametrize("size", [192, 320])
def test_pedestrian_variants_have_one_class(form, aligned, size):
    config = load_detector_config(CONFIGS / f"picodet_s_{size}{form}_pedestrian.yml")
    net = PicoDet(config.model.form, config.model.classes)
    net.eval()
    assert (config.input.width, config.input.height) == (size, size)
    with paddle.no_grad():
        levels = net(paddle.zeros([2, 3, size, size]))
    assert [tuple(each.shape) for each in levels] == [
        (2, 1 + 32 + aligned, -(-size // stride), -(-size // stride)) for stride in (8, 16, 32, 64)
    ]


def test_the_untouched_integral_counts_bins():
    net = PicoDet("esnet", 1)
    assert net.head.distribution_project.project.numpy().tolist() == list(range(8))


def test_an_unknown_key_is_named(tmp_path):
    path = tmp_path / "detector.yml"
    path.write_text("model: {name: picodet, form: esnet}\ninput: {width: 416, heigth: 416}\n")
    with pytest.raises(UserError, match="did you mean 'height'"):
        load_detector_config(path)


def test_every_detector_config_is_named_as_its_weights_are_published():
    names = [path.stem for path in CONFIGS.glob("picodet_*.yml")]
    assert len(names) >= 6 and not set(names) - set(ZOO)
    for name in names:
        config = load_detector_config(CONFIGS / f"{name}.yml")
        assert (config.model.form == "lcnet") == ("lcnet" in name)
        assert (config.model.classes == 1) == ("pedestrian" in name)
        assert str(config.input.width) in name and config.input.width == config.input.height
