"""Every config that ships loads, has the published size and cost when built, learns and is exported."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import paddle
import pytest

from compress.graph.rewrite import rewrite
from compress.graph.trace import trace
from lite_deploy.write.onnx import write_onnx
from tinypose.config import CONFIGS, load_config, shipped_configs
from tinypose.detection.config import load_any_config
from tinypose.engine.loss import LOSSES
from tinypose.models import build_model
from tinypose.models.profile import count_parameters, profile
from tinypose.models.published import NETWORKS, counted, network
from tinypose.models.zoo import ZOO
from tinypose.skeleton import load_skeleton

POSE = [each for each in NETWORKS if not each.config.startswith(("picodet", "fairmot"))]
QUICK = ("tinypose_128x96", "rtmpose_t_256x192")  # the others take a minute each
DISTANCE = {"lite_hrnet": 0.04, "hrnet": 0.015, "pose_resnet": 0.015, "cspnext": 0.015}
COUNTED = counted()


def slow_unless(quick, networks):
    return [
        pytest.param(each, id=each.config, marks=() if each.config in quick else pytest.mark.slow)
        for each in networks
    ]


@pytest.mark.parametrize("name", shipped_configs())
def test_loads(name):
    config = load_any_config(name)
    if getattr(config, "distill", None) is not None:
        load_config(CONFIGS / config.distill.teacher)
    if config.data.val is not None and config.data.val.skeleton is None and hasattr(config, "skeleton"):
        load_skeleton(config.skeleton)


def test_every_published_network_has_its_config_and_its_weights():
    configs = [each.config for each in NETWORKS]
    assert len(set(configs)) == len(configs)
    assert set(configs) <= shipped_configs().keys()
    named = {each.weights for each in NETWORKS} - {None}
    assert named <= ZOO.keys()
    others = ("_enhance", "_body7", "192_coco", "_aic_coco")  # other trainings of a config's network
    left = {n for n in ZOO if not n.endswith(others) and not n.startswith("fairmot")} - named
    assert left <= {"picodet_s_416_coco_lcnet"}
    assert network("higherhrnet_hrnet_w32_512").config == "higherhrnet_w32_512"


@pytest.mark.parametrize("published", POSE, ids=lambda each: each.config)
def test_what_was_counted_is_what_is_published(published):
    """The slow test below builds each network, and holds that it was counted rightly."""
    found = COUNTED[published.config]
    if published.parameters is not None:
        assert found.parameters / 1e6 == pytest.approx(published.parameters, rel=0.035)
    if published.gflops is not None and not published.by_outputs:
        unit = 2**30 if published.binary else 1e9
        assert found.multiply_adds / unit == pytest.approx(published.gflops, rel=near(published.config))


def near(name):
    """Return how near our count of multiply-adds is to the published one, which counts other layers too."""
    return 0.07 if name.startswith("tinypose") else DISTANCE[load_config(name).model.name]


@pytest.mark.parametrize("published", slow_unless(QUICK, POSE))
def test_has_the_published_size_and_cost_and_takes_a_step(published):
    config = load_config(published.config)
    joints = len(load_skeleton(config.skeleton).joints)
    paddle.seed(0)
    net = build_model(config, joints)
    assert count_parameters(net) == COUNTED[published.config].parameters
    found = cost_when_exported(shape_of(published.config))
    assert found[False] == COUNTED[published.config].multiply_adds
    if published.gflops is not None:
        unit = 2**30 if published.binary else 1e9
        found_billions = found[published.by_outputs] / unit
        assert found_billions == pytest.approx(published.gflops, rel=near(published.config))
    if config.output.gives == "joints":  # bottom-up ones take steps in test_bottom_up_models.py
        step(config, net, joints)


def shape_of(name):
    """Return what decides what is exported: the weights and the decoding do not."""
    config = load_config(name)
    kind = config.output.model_dump(include={"name", "stride", "kind", "higher", "bins"})
    return config.model, config.input.size, tuple(kind.items()), len(load_skeleton(config.skeleton).joints)


@cache
def cost_when_exported(shape):
    """Export a network of the zoo of this shape; return its multiply-adds, by whether outputs are counted."""
    name = next(each.config for each in POSE if shape_of(each.config) == shape)
    config = load_config(name)
    net = build_model(config, shape[-1])
    net.eval()
    width, height = config.input.size
    with TemporaryDirectory() as folder:
        write_onnx(rewrite(trace(net, (1, 3, height, width))), Path(folder) / "model.onnx")
    costs = profile(net, (3, height, width))
    layers = dict(net.named_sublayers())
    whole = {}
    for by_outputs in (False, True):  # publishers count each output of a transposed convolution as all inputs
        strides = [
            layers[cost.name]._stride[0] ** 2
            if by_outputs and isinstance(layers.get(cost.name), paddle.nn.Conv2DTranspose)
            else 1
            for cost in costs
        ]
        whole[by_outputs] = sum(c.multiply_adds * s for c, s in zip(costs, strides, strict=True))
    return whole


def step(config, net, joints):
    """Train the network for one step, on the smallest pictures that it takes."""
    if config.output.name == "heatmap":
        config = config.model_copy(
            update={"input": config.input.model_copy(update={"width": 64, "height": 64})}
        )
    size = config.input.size
    rng = np.random.default_rng(0)
    people = np.concatenate([rng.uniform(8, 56, (2, joints, 2)), np.full((2, joints, 1), 2)], axis=2)
    people = people.astype(np.float32)
    targets = [config.output.targets(each, size) for each in people]
    batch = [paddle.to_tensor(np.stack(each)) for each in zip(*targets, strict=True)]
    images = rng.standard_normal((len(targets), 3, *size[::-1])).astype(np.float32)
    net.train()
    learnt = [each for each in net.parameters() if not each.stop_gradient]
    before = [each.numpy().copy() for each in learnt]
    optimizer = paddle.optimizer.Adam(1e-3, parameters=learnt)
    loss = LOSSES[config.output.name](net(paddle.to_tensor(images)), batch, config.output)
    loss.backward()
    optimizer.step()
    assert np.isfinite(float(loss))
    assert (
        sum(not np.array_equal(a, b.numpy()) for a, b in zip(before, learnt, strict=True)) > len(learnt) / 2
    )
