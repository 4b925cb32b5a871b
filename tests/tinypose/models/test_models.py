"""The networks against the outputs of the published ones, and what training and export ask of them."""

import copy
import json

import numpy as np
import paddle
import pytest

from tinypose.codecs import CODECS
from tinypose.config import Config, HRNetConfig, LiteHRNetConfig
from tinypose.engine.loss import LOSSES
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.heads import HEADS
from tinypose.models.layers import channel_shuffle

INPUT = {"width": 96, "height": 128}

LITE = {
    variant: LiteHRNetConfig(name="lite_hrnet", variant=variant)
    for variant in ("lite_18", "lite_30", "naive", "wider_naive")
}
HRNET = {width: HRNetConfig(name="hrnet", width=width) for width in (8, 32, 48)}
SMALL = [*LITE.values(), HRNET[8]]

REFERENCES = {
    "tinypose_256x192": (LITE["wider_naive"], (256, 192)),
    "tinypose_128x96": (LITE["wider_naive"], (128, 96)),
    "wider_naive_hrnet_18_256x192": (LITE["wider_naive"], (256, 192)),
    "lite_hrnet_18_256x192": (LITE["lite_18"], (256, 192)),
    "lite_hrnet_30_256x192": (LITE["lite_30"], (256, 192)),
    "hrnet_w32_256x192": (HRNET[32], (256, 192)),
    "hrnet_w48_256x192": (HRNET[48], (256, 192)),
    "hrnet_w32_256x256_mpii": (HRNET[32], (256, 256)),
}


def label(model):
    return str(getattr(model, "variant", None) or f"w{model.width}")


def noise(*shape):
    return paddle.to_tensor(np.random.RandomState(0).standard_normal(shape).astype("float32"))


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_published_network(shared, reference_fill, name):
    folder = shared / "reference"
    keys = json.loads((folder / f"{name}.keys.json").read_text())
    expected = np.load(folder / f"{name}.npz")["output0"]
    model, (height, width) = REFERENCES[name]

    net = build_model(Config(model=model, input=INPUT), expected.shape[1])
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == keys
    net.set_state_dict(
        {key: paddle.to_tensor(reference_fill(key, tuple(shape))) for key, shape in keys.items()}
    )
    net.eval()
    with paddle.no_grad():
        heatmaps = net(noise(1, 3, height, width))[0].numpy()

    assert heatmaps.shape == expected.shape
    assert np.abs(heatmaps - expected).max() <= 1e-4 * np.abs(expected).max()


def test_naive_is_the_wider_one_with_three_quarters_of_the_channels():
    naive = build_model(Config(model=LITE["naive"], input=INPUT), 17).state_dict()
    wider = build_model(Config(model=LITE["wider_naive"], input=INPUT), 17).state_dict()
    assert naive.keys() == wider.keys()
    own = {32, 16, 3, 1, 17}  # of the stem, the kernels and the joints: alike in both
    for key, value in naive.items():
        for size, wide in zip(value.shape, wider[key].shape, strict=True):
            assert size == wide if wide in own else size * 4 == wide * 3, key


@pytest.mark.parametrize("model", SMALL, ids=label)
def test_any_multiple_of_32_any_batch_any_joints(model):
    net = build_model(Config(model=model, input=INPUT), 5)
    net.eval()
    for batch, height, width in ((1, 32, 32), (3, 64, 96), (2, 160, 32)):
        x = noise(batch, 3, height, width)
        with paddle.no_grad():
            (heatmaps,) = net(x)
            (alone,) = net(x[-1:])
        assert heatmaps.shape == [batch, 5, height // 4, width // 4]
        np.testing.assert_allclose(heatmaps[-1:].numpy(), alone.numpy(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("model", SMALL, ids=label)
def test_every_parameter_learns(model):
    paddle.seed(0)
    net = build_model(Config(model=model, input=INPUT), 4)
    target = noise(2, 4, 16, 16)
    loss = ((net(noise(2, 3, 64, 64))[0] - target) ** 2).mean()
    loss.backward()
    learning = {name: p for name, p in net.named_parameters() if not p.stop_gradient}
    assert len(learning) > 300 and not [name for name in learning if "_mean" in name or "_variance" in name]
    for name, parameter in learning.items():
        assert parameter.grad is not None and np.isfinite(parameter.grad.numpy()).all(), name


def test_a_few_steps_lower_the_loss():
    paddle.seed(0)
    net = build_model(Config(model=LITE["wider_naive"], input=INPUT), 4)
    image, target = noise(4, 3, 64, 64), paddle.zeros([4, 4, 16, 16])
    target[:, :, 5, 7] = 1.0
    optimizer = paddle.optimizer.Adam(2e-3, parameters=net.parameters())
    losses = []
    for _ in range(12):
        loss = ((net(image)[0] - target) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


def test_networks_start_as_the_published_training_does():
    """Kernels are drawn from normal distributions of PaddleDetection's widths, biases are zero."""
    paddle.seed(0)
    lite, hrnet = (
        build_model(Config(model=model, input=INPUT), 17).state_dict()
        for model in (LITE["lite_18"], HRNET[32])
    )
    assert float(lite["backbone.stem.conv1.conv.weight"].std()) == pytest.approx(0.001, rel=0.1)
    assert float(lite["final_conv.weight"].std()) == pytest.approx(0.001, rel=0.1)
    assert not lite["final_conv.bias"].numpy().any()
    assert float(hrnet["backbone.conv_layer1_2.conv.weight"].std()) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("model", [LITE["lite_18"], HRNET[8]], ids=label)
def test_static_graph_gives_the_same(model):
    net = build_model(Config(model=model, input=INPUT), 3)
    net.eval()
    x = noise(2, 3, 64, 32)
    with paddle.no_grad():
        expected = net(x)[0].numpy()
    spec = [paddle.static.InputSpec([None, 3, 64, 32], "float32", "image")]
    net = copy.deepcopy(net)
    with paddle.no_grad():
        traced = paddle.jit.to_static(net, input_spec=spec, full_graph=True)
        np.testing.assert_allclose(traced(x)[0].numpy(), expected, rtol=1e-3, atol=1e-6)


def test_saves_as_the_program_that_paddle_lite_reads(tmp_path):
    net = build_model(Config(model=LITE["wider_naive"], input=INPUT), 3)
    net.eval()
    x = noise(1, 3, 64, 32)
    with paddle.no_grad():
        expected = net(x)[0].numpy()
    copied = copy.deepcopy(net)
    with paddle.pir_utils.OldIrGuard():
        spec = [paddle.static.InputSpec([1, 3, 64, 32], "float32", "image")]
        paddle.jit.save(
            paddle.jit.to_static(copied, input_spec=spec, full_graph=True), str(tmp_path / "model")
        )

    config = paddle.inference.Config(str(tmp_path / "model.pdmodel"), str(tmp_path / "model.pdiparams"))
    config.disable_glog_info()
    predictor = paddle.inference.create_predictor(config)
    (heatmaps,) = predictor.run([x])
    np.testing.assert_allclose(heatmaps.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_channel_shuffle_interleaves():
    x = paddle.arange(6, dtype="float32").reshape([1, 6, 1, 1])
    assert channel_shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(x, groups=3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_outputs_that_no_head_gives_are_answered_with_those_that_are_there():
    config = Config(model=HRNET[8], input=INPUT)
    strange = config.model_copy(update={"output": config.output.model_copy(update={"name": "strange"})})
    with pytest.raises(UserError, match="no head gives 'strange'; expected one of: heatmap"):
        build_model(strange, 3)
    assert HEADS.keys() == LOSSES.keys()  # what can be built can be trained
    assert HEADS.keys() <= CODECS.keys()
