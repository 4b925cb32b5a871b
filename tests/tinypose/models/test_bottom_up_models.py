"""The bottom-up networks against the outputs of the published ones."""

import copy
import json

import numpy as np
import paddle
import pytest
from paddle import nn

from tinypose.errors import UserError
from tinypose.models.bottom_up_heads import AdaptiveHead, DekrHead, HigherHead
from tinypose.models.deformable import AdaptiveBlock, SteeredConv, TransformerBlock
from tinypose.models.hrnet import HRNet
from tinypose.models.profile import count_parameters, profile
from tinypose.models.torch_names import own_names


class Net(nn.Layer):
    def __init__(self, backbone, head, name="offset_head"):
        super().__init__()
        self.backbone = backbone
        self.name = name
        setattr(self, name, head)

    def forward(self, x):
        return getattr(self, self.name)(self.backbone(x))


@pytest.fixture(scope="session")
def fill(reference_fill):
    def value(name, shape):
        steering = "transform_matrix_conv" in name or "translation_conv" in name
        return (reference_fill(name, tuple(shape)) * (1e-4 if steering else 1)).astype("float32")

    return value


def filled(folder, name, fill):
    """Return a network's weights under the names of the file."""
    keys = json.loads((folder / f"{name}.keys.json").read_text())
    path = folder / f"{name}.ties.json"
    ties = json.loads(path.read_text()) if path.is_file() else {}
    return {
        key: fill(ties.get(key, key), shape) for key, shape in keys.items() if "regular_matrix" not in key
    }


def load(net, params):
    own = net.state_dict()
    assert {k: list(v.shape) for k, v in own.items()} == {k: list(v.shape) for k, v in params.items()}
    net.set_state_dict({key: paddle.to_tensor(value) for key, value in params.items()})
    net.eval()


def noise(*shape):
    return paddle.to_tensor(np.random.RandomState(0).standard_normal(shape).astype("float32"))


def assert_equal(found, expected):
    assert list(found.shape) == list(expected.shape)
    assert np.abs(found.numpy() - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("swahr", [False, True])
def test_higherhrnet_equals_the_published_network(shared, fill, swahr):
    folder = shared / "reference"
    name = "higherhrnet_w32_512" + "_swahr" * swahr
    net = Net(HRNet(32), HigherHead(32, 17, scales=swahr), "hrhrnet_head")
    load(net, filled(folder, name, fill))
    with paddle.no_grad():
        maps, scales = net.hrhrnet_head.maps(net.backbone(noise(1, 3, 128, 128)), swahr)
    stages = np.load(folder / "higherhrnet_w32_512_heads.npz")
    assert_equal(maps[0], stages["stage1"])
    assert_equal(maps[1], stages["stage2"])
    assert len(scales) == 2 * swahr
    if swahr:
        expected = np.load(folder / f"{name}_heads.npz")
        assert_equal(scales[0], expected["scale1"])
        assert_equal(scales[1], expected["scale2"])


REGRESSED = {
    "adaptive_w32_512": (32, lambda channels: AdaptiveHead(channels, 17)),
    "adaptive_w32_512_crowdpose": (32, lambda channels: AdaptiveHead(channels, 14)),
    "dekr_w32_512": (32, lambda channels: DekrHead(channels, 17)),
    "dekr_w32_512_crowdpose": (32, lambda channels: DekrHead(channels, 14)),
    "adaptive_w48_640": (48, lambda channels: AdaptiveHead(channels, 17)),
    "adaptive_higher_w48_640": (48, lambda channels: AdaptiveHead(channels, 17, higher=True)),
    "dekr_w48_640": (48, lambda channels: DekrHead(channels, 17)),
}


@pytest.mark.parametrize("name", REGRESSED)
def test_regressing_networks_equal_the_published_ones(shared, fill, name):
    folder = shared / "reference"
    width, head = REGRESSED[name]
    backbone = HRNet(width, outputs=4)
    net = Net(backbone, head(backbone.channels))
    load(net, own_names(filled(folder, name, fill), name))
    with paddle.no_grad():
        outputs = net(noise(1, 3, 128, 128))
    expected = np.load(folder / f"{name}.npz")
    names = ["heatmap", "offset"] if "dekr" in name else ["output0_0", "offset0_0"]
    if "higher" in name:
        names = ["output0_0", "output0_1", "output0_2", "output1_0", "offset0_0"]
    assert len(outputs) == len(names)
    for output, key in zip(outputs, names, strict=True):
        assert_equal(output, expected[key])


def block_params(case, name):
    prefix = f"{name}."
    return {key.removeprefix(prefix): case[key] for key in case if key.startswith(prefix)}


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_transformer_block(shared, dilation):
    case = np.load(shared / "reference" / "case_adaptive_block.npz")
    params = block_params(case, f"stn{dilation}")
    names = {f"multi_level_layers_4x_heatmap.0.0.{key}": value for key, value in params.items()}
    own = own_names(names, "case")
    block = TransformerBlock(6, [dilation])
    load(block, {key.removeprefix("offset_head.multi_level_layers_4x_heatmap."): v for key, v in own.items()})
    with paddle.no_grad():
        (output,) = block(paddle.to_tensor(case["input"]))
    assert_equal(output, case[f"stn{dilation}_out"])


def test_adaptive_block_and_its_offsets(shared):
    case = np.load(shared / "reference" / "case_adaptive_block.npz")
    block = AdaptiveBlock(6)
    load(block, block_params(case, "adapt"))
    x = paddle.to_tensor(case["input"])
    with paddle.no_grad():
        steer = paddle.concat([block.transform_matrix_conv(x), block.translation_conv(x)], axis=1)
        assert_equal(block.adapt_conv.offset(steer), case["adapt_offset"])
        assert_equal(block(x), case["adapt_out"])


def test_an_identity_matrix_is_a_plain_dilated_convolution():
    block = TransformerBlock(5, [3])
    x = noise(2, 5, 11, 13)
    steer = paddle.to_tensor(np.broadcast_to([[[1]], [[0]], [[0]], [[1]]], (2, 4, 11, 13)).astype("float32"))
    with paddle.no_grad():
        found = block.conv1(x, steer, dilation=3)
        expected = nn.functional.conv2d(x, block.conv1.weight, padding=3, dilation=3)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


def test_copies_of_a_shared_kernel_must_agree():
    params = {
        f"multi_level_layers_4x_heatmap.{i}.0.stn_conv1.weight": np.full((4, 4, 3, 3), i, np.float32)
        for i in range(2)
    }
    with pytest.raises(UserError, match=r"file\.pth: .*heatmap\.1.*differs"):
        own_names(params, "file.pth")
    with pytest.raises(UserError, match="'head.x.weight' is no layer"):
        own_names({"head.x.weight": np.zeros(1)}, "file.pth")


@pytest.mark.parametrize("higher", [False, True])
def test_every_parameter_of_the_adaptive_network_learns(higher):
    paddle.seed(0)
    backbone = HRNet(8, 16, outputs=4)
    net = Net(backbone, AdaptiveHead(backbone.channels, 3, higher))
    loss = sum(((each - 1) ** 2).mean() for each in net(noise(2, 3, 64, 64)))
    loss.backward()
    for name, parameter in net.named_parameters():
        if not parameter.stop_gradient:
            assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name


@pytest.mark.parametrize("dilation", [1, 3])
def test_steered_convolutions_learn_what_they_compute(dilation):
    """In training on a CPU they sample by other means than `deform_conv2d`."""
    paddle.seed(0)
    conv = SteeredConv(6, shifted=True)
    results = []
    for mode in (conv.train, conv.eval):
        mode()
        x, steer = noise(2, 6, 9, 12), noise(3, 6, 9, 12)[1:]
        x.stop_gradient = steer.stop_gradient = False
        conv.clear_gradients()
        y = conv(x, 1.5 * steer, dilation)
        (y * y).sum().backward()
        results.append([each.numpy() for each in (y, x.grad, steer.grad, conv.weight.grad)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_scale_maps_come_in_training_only_and_start_at_zero():
    head = HigherHead(8, 3, scales=True)
    features = noise(2, 8, 8, 8)
    coarse, wide, scale1, scale2 = head(features)
    assert (coarse.shape, wide.shape) == ([2, 6, 8, 8], [2, 3, 16, 16])
    assert (scale1.shape, scale2.shape) == ([2, 3, 8, 8], [2, 3, 16, 16])
    assert not scale1.numpy().any() and not scale2.numpy().any()
    head.eval()
    assert len(head(features)) == 2


# Parameters and billions of multiply-adds as published: the adaptive network's table, DEKR's README,
# HigherHRNet's. Their counter runs over a transposed convolution's outputs instead of its inputs, four times
# as many products as there are; and the adaptive network of one resolution computes its first layer, the
# same for all dilations, three times.
PUBLISHED = {
    "adaptive_w32_512": (512, 30_678_516, 64.89),
    "adaptive_w48_640": (640, 66_803_428, 174.27),
    "adaptive_higher_w48_640": (640, 66_895_941, 181.95),
    "dekr_w32_512": (512, 29_561_182, 45.39),
    "dekr_w48_640": (640, 65_684_590, 141.53),
    "higherhrnet_w32_512": (512, 28_645_331, 47.9),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cost(name):
    size, parameters, billions = PUBLISHED[name]
    if name == "higherhrnet_w32_512":
        net = Net(HRNet(32), HigherHead(32, 17))
    else:
        width, head = REGRESSED[name]
        backbone = HRNet(width, outputs=4)
        net = Net(backbone, head(backbone.channels))
    assert count_parameters(net) == parameters
    total = 0
    small = 64  # all of the work grows with the picture's area
    for cost in profile(net, (3, small, small)):
        total += cost.multiply_adds
        layer = dict(net.named_sublayers()).get(cost.name)
        if isinstance(layer, nn.Conv2DTranspose):
            total += 3 * cost.multiply_adds
        if cost.name == "offset_head.transition_cls.0" and "higher" not in name:
            total += 2 * cost.multiply_adds
    decimals = len(str(billions).split(".")[1])
    assert round(total * (size / small) ** 2 / 1e9, decimals) == billions


def test_deformable_convolutions_are_saved_in_the_form_that_paddle_lite_reads(tmp_path):
    paddle.seed(0)
    backbone = HRNet(8, 16, outputs=4)
    net = Net(backbone, AdaptiveHead(backbone.channels, 3, higher=True))
    for name, parameter in net.named_parameters():  # so that sampling points move
        if "matrix" in name:
            parameter.set_value(noise(*parameter.shape) * 0.2)
    net.eval()
    x = noise(1, 3, 64, 96)
    with paddle.no_grad():
        expected = [each.numpy() for each in net(x)]
    copied = copy.deepcopy(net)
    with paddle.pir_utils.OldIrGuard():
        spec = [paddle.static.InputSpec([1, 3, 64, 96], "float32", "image")]
        static = paddle.jit.to_static(copied, input_spec=spec, full_graph=True)
        paddle.jit.save(static, str(tmp_path / "model"))
        kinds = [op.type for op in static.forward.concrete_program.main_program.block(0).ops]
    assert kinds.count("deformable_conv") == 8 and "deformable_conv_v1" not in kinds

    config = paddle.inference.Config(str(tmp_path / "model.pdmodel"), str(tmp_path / "model.pdiparams"))
    config.disable_glog_info()
    outputs = paddle.inference.create_predictor(config).run([x])
    for output, reference in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output.numpy(), reference, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_dekr_with_random_weights_magnifies_rounding():
    """Why engines may differ by more than 1e-4 on it: by what the whole network makes of the last bit."""
    paddle.seed(0)
    backbone = HRNet(32, outputs=4)
    net = Net(backbone, DekrHead(backbone.channels, 17))
    for layer in net.sublayers():
        layer._momentum = 0.0  # of batch norms: the statistics of the next batch
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 128, 128)).astype(np.float32)
    net.train()
    net(paddle.to_tensor(x))
    net.eval()
    moved = (x * (1 + 1e-6 * rng.standard_normal(x.shape))).astype(np.float32)
    with paddle.no_grad():
        pairs = zip(net(paddle.to_tensor(x)), net(paddle.to_tensor(moved)), strict=True)
        changes = [float((one - other).abs().max() / one.abs().max()) for one, other in pairs]
    print(f"a change of 1e-6 becomes {max(changes):.1e}")
    assert 1e-4 < max(changes) < 1e-2
