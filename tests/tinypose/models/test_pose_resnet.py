"""PoseResNet and the narrow HRNet: sizes, names, learning, and the ways into a static graph."""

import copy

import numpy as np
import paddle
import pytest

from tinypose.config import CONFIGS, Config, HRNetConfig, PoseResNetConfig, load_config
from tinypose.models import build_model
from tinypose.models.profile import count_parameters

INPUT = {"width": 96, "height": 128}


def noise(*shape):
    return paddle.to_tensor(np.random.RandomState(0).standard_normal(shape).astype("float32"))


@pytest.mark.parametrize(("depth", "millions"), [(50, 34.0), (101, 53.0), (152, 68.6)])
def test_parameters_as_the_paper_states_them(depth, millions):
    """Simple Baselines, table 2 (34.0, 53.0 and 68.6 million at 256x192)."""
    net = build_model(Config(model=PoseResNetConfig(name="pose_resnet", depth=depth), input=INPUT), 17)
    assert count_parameters(net) / 1e6 == pytest.approx(millions, abs=0.06)


def test_shapes_learning_and_the_static_graph():
    paddle.seed(0)
    net = build_model(Config(model=PoseResNetConfig(name="pose_resnet", depth=50), input=INPUT), 5)
    x = noise(2, 3, 64, 96)
    (y,) = net(x)
    assert y.shape == [2, 5, 16, 24]
    ((y - noise(2, 5, 16, 24)) ** 2).mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.stop_gradient or np.isfinite(parameter.grad.numpy()).all(), name
    net.eval()
    with paddle.no_grad():
        expected = net(x)[0].numpy()
        static = paddle.jit.to_static(copy.deepcopy(net), full_graph=True)
        np.testing.assert_allclose(static(x)[0].numpy(), expected, rtol=1e-3, atol=1e-6)


def test_classifiers_of_paddle_fit_by_name():
    own = build_model(
        Config(model=PoseResNetConfig(name="pose_resnet", depth=50), input=INPUT), 5
    ).backbone.state_dict()
    classifier = paddle.vision.models.resnet50().state_dict()
    assert set(classifier) - set(own) == {"fc.weight", "fc.bias"}
    assert all(key.startswith("deconv_layers.") for key in set(own) - set(classifier))


def test_the_narrow_hrnet_is_narrow():
    narrow = build_model(load_config(CONFIGS / "hrnet_w18_128x96.yml"), 17)
    wide = build_model(Config(model=HRNetConfig(name="hrnet", width=32), input=INPUT), 17)
    assert narrow.state_dict().keys() == wide.state_dict().keys()
    assert 2 * count_parameters(narrow) < count_parameters(wide)
    assert narrow(noise(2, 3, 128, 96))[0].shape == [2, 17, 32, 24]


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_the_configs_load(depth):
    config = load_config(CONFIGS / f"pose_resnet_{depth}_256x192.yml")
    assert (config.model.name, config.model.depth, config.input.height) == ("pose_resnet", depth, 256)
