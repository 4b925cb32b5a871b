"""Costs against closed forms on small nets and against the published figures on real ones."""

import paddle
import pytest
from paddle import nn
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import CONFIGS, load_config
from tinypose.detection.config import load_detector_config
from tinypose.detection.dla import DeformableConv
from tinypose.detection.weights import counted_detector
from tinypose.models import build_model
from tinypose.models.profile import by_stage, count_parameters, profile


class Twice(nn.Layer):
    """Runs one layer twice, leaves one out, and returns two tensors."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 3, 3, padding=1, bias_attr=False)
        self.unused = nn.Linear(5, 7)

    def forward(self, x):
        y = self.conv(self.conv(x))
        return y, y[:, :2, ::2]


@pytest.mark.parametrize(
    ("layer", "parameters", "multiply_adds", "output"),
    [
        (nn.Conv2D(3, 8, 3, padding=1), 3 * 8 * 9 + 8, 3 * 8 * 9 * 10 * 6, (8, 10, 6)),
        (nn.Conv2D(3, 8, 3, stride=2, padding=1, bias_attr=False), 3 * 8 * 9, 3 * 8 * 9 * 5 * 3, (8, 5, 3)),
        (nn.Conv2D(3, 6, (3, 5), groups=3), 6 * 15 + 6, 6 * 15 * 8 * 2, (6, 8, 2)),
        (nn.Conv2D(3, 8, 3, dilation=2), 3 * 8 * 9 + 8, 3 * 8 * 9 * 6 * 2, (8, 6, 2)),
        (nn.Conv2DTranspose(3, 4, 4, stride=2, padding=1), 3 * 4 * 16 + 4, 3 * 4 * 16 * 10 * 6, (4, 20, 12)),
        (nn.Linear(6, 5), 35, 30 * 3 * 10, (3, 10, 5)),
        (nn.BatchNorm2D(3), 6, 0, (3, 10, 6)),
        (nn.ReLU(), 0, 0, (3, 10, 6)),
    ],
)
def test_closed_forms(layer, parameters, multiply_adds, output):
    (total,) = profile(layer, (3, 10, 6))
    assert (total.parameters, total.multiply_adds, total.outputs) == (parameters, multiply_adds, (output,))
    assert count_parameters(layer) == parameters


def test_shared_and_unused_layers():
    net = Twice()
    whole, conv, unused = profile(net, (3, 4, 6))
    assert (whole.parameters, whole.multiply_adds, whole.outputs) == (0, 0, ((3, 4, 6), (2, 2, 6)))
    assert (conv.name, conv.parameters, conv.multiply_adds) == ("conv", 81, 2 * 81 * 4 * 6)
    assert (unused.parameters, unused.multiply_adds, unused.outputs) == (42, 0, ())
    assert count_parameters(net) == 81 + 42


def test_the_net_stays_as_it_is():
    net = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4))
    net[1].eval()
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}
    profile(net, (3, 8, 8))
    assert net.training and net[0].training and not net[1].training
    assert not net[0]._forward_post_hooks
    assert all((value.numpy() == before[key]).all() for key, value in net.state_dict().items())


def test_stages_do_not_mix_names_that_begin_alike():
    net = nn.Sequential(*(nn.Conv2D(3, 3, 1, bias_attr=False) for _ in range(12)))
    costs = profile(net, (3, 2, 2))
    one, rest = by_stage(costs, {"one": ["1"], "rest": ["10", "11"]})
    assert (one.parameters, one.multiply_adds, rest.parameters) == (9, 36, 18)


# Millions of parameters as published: PP-TinyPose in configs/keypoint/tiny_pose/README.md of PaddleDetection,
# LiteHRNet in the README of HRNet/Lite-HRNet, HRNet in Sun et al. 2019, table 1.
PARAMETERS = {
    "tinypose_256x192": 1.32,
    "tinypose_128x96": 1.32,
    "lite_hrnet_18_256x192": 1.1,
    "lite_hrnet_30_256x192": 1.8,
    "hrnet_w32_256x192": 28.5,
    "hrnet_w48_256x192": 63.6,
}
# Millions of multiply-adds from the same places. Their tools count more than convolutions.
MULTIPLY_ADDS = {
    "tinypose_256x192": 326.24,
    "tinypose_128x96": 81.56,
    "lite_hrnet_18_256x192": 205.2,
    "lite_hrnet_30_256x192": 319.2,
}


def costs_of(name, *overrides):
    config = load_config(CONFIGS / f"{name}.yml", overrides)
    net = build_model(config, 17)
    return net, profile(net, (3, config.input.height, config.input.width))


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_parameters(name):
    net, costs = costs_of(name, "input.width=32", "input.height=32")
    assert sum(cost.parameters for cost in costs) == count_parameters(net)
    decimals = len(str(PARAMETERS[name]).split(".")[1])
    assert round(count_parameters(net) / 1e6, decimals) == PARAMETERS[name]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_published_multiply_adds(name):
    _, costs = costs_of(name)
    ours = sum(cost.multiply_adds for cost in costs) / 1e6
    assert 0.92 * MULTIPLY_ADDS[name] < ours < MULTIPLY_ADDS[name]


def test_published_operations_of_hrnet_with_its_norms():
    """PaddleDetection says 7.68 G: convolutions, two operations for each output of a norm, biases."""
    net, costs = costs_of("hrnet_w32_256x192")
    layers = dict(net.named_sublayers())
    total = 0
    for cost in costs:
        outputs = sum(channels * height * width for channels, height, width in cost.outputs)
        total += cost.multiply_adds
        total += 2 * outputs * isinstance(layers.get(cost.name), nn.BatchNorm2D)
    total += 17 * 64 * 48
    assert round(total / 1e9, 2) == 7.68
    assert total == paddle.flops(net, [1, 3, 256, 192])


def test_stages_cover_the_network():
    for name, *overrides in (["tinypose_256x192"], ["hrnet_w32_256x192", "model.width=8"]):
        net, costs = costs_of(name, *overrides)
        stages = by_stage(costs, net.stages)
        assert sum(stage.parameters for stage in stages) == count_parameters(net)
        assert sum(stage.multiply_adds for stage in stages) == sum(cost.multiply_adds for cost in costs)
        assert stages[0].name == "stem" and stages[-1].name == "head"
        assert stages[-1].outputs == ((17, 64, 48),)
        by_name = {stage.name: stage.outputs for stage in stages}
        width = by_name["stage3"][0][0]
        assert by_name["stage3"] == ((width, 64, 48), (2 * width, 32, 24), (4 * width, 16, 12))


def test_deformable_convolutions_count_their_offsets_too():
    costs = profile(DeformableConv(6, 8), (6, 10, 5))
    assert sum(cost.multiply_adds for cost in costs) == (27 + 8) * 6 * 9 * 10 * 5
    assert sum(cost.parameters for cost in costs) == 27 * (6 * 9 + 1) + 8 * (6 * 9 + 1)


@pytest.mark.parametrize("name", ["fairmot_dla34", "picodet_s_320_coco", "picodet_s_320_coco_lcnet"])
def test_stages_cover_detectors(name):
    config = load_detector_config(name, ["input.width=160", "input.height=96"])
    net = counted_detector(config)
    costs = profile(net, (3, 96, 160))
    stages = by_stage(costs, net.stages)
    assert sum(stage.parameters for stage in stages) == count_parameters(net)
    assert sum(stage.multiply_adds for stage in stages) == sum(cost.multiply_adds for cost in costs)


def test_command_on_a_detector():
    arguments = ["info", "-c", "fairmot_synthetic", "-o", "input.width=160", "-o", "input.height=96"]
    shown = CliRunner().invoke(app, arguments).output
    for text in ("fairmot 16 64 deformable=False: boxes, input 96x160", "level5", "neck", "1x24x40, 4x24x40"):
        assert text in shown


def test_command():
    config = str(CONFIGS / "tinypose_128x96.yml")
    shown = CliRunner().invoke(app, ["info", "-c", config]).output
    for text in (
        "lite_hrnet wider_naive: 17 joints, input 128x96",
        "stem",
        "stage4",
        "1,318,625",
        "75.6 M",
        "17x32x24",
    ):
        assert text in shown
    shown = CliRunner().invoke(app, ["info", "-c", config, "--layers", "-o", "skeleton=mpii16"]).output
    for text in ("16 joints", "backbone.stem.conv1.conv", "final_conv", "16x32x24"):
        assert text in shown
