"""CSPNeXt and RTMPose's head against mmpose's own outputs, gradients and parameter counts."""

import json

import numpy as np
import paddle
import pytest
from paddle import nn

from tinypose.codecs.simcc import SimccCodec
from tinypose.config import load_config
from tinypose.engine.loss import PoseObjective
from tinypose.engine.optimiser import rate_at
from tinypose.engine.simcc_loss import simcc_kl
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.profile import count_parameters
from tinypose.models.torch_file import as_paddle
from tinypose.skeleton import load_skeleton

PARAMETERS = {"t": 3_337_007, "s": 5_473_251, "m": 13_587_611}  # as published


def build(size):
    return build_model(load_config(f"rtmpose_{size}_256x192"), 17)


def filled(shared, fill, size):
    """Return the network with the reference's weights, given by PyTorch's names and shapes."""
    folder = shared / "reference"
    keys = json.loads((folder / f"rtmpose_{size}_256x192.keys.json").read_text())
    net = build(size)
    own = net.state_dict()
    linear = {f"{name}.weight" for name, each in net.named_sublayers() if isinstance(each, nn.Linear)}
    params = as_paddle({key: fill(key, tuple(shape)) for key, shape in keys.items()}, linear)
    assert {key: list(value.shape) for key, value in own.items()} == {
        key: list(value.shape) for key, value in params.items()
    }
    for key, tensor in own.items():
        tensor.set_value(params[key])
    return net


@pytest.mark.parametrize("size", PARAMETERS)
def test_equals_the_published_network(shared, reference_fill, size):
    expected = np.load(shared / "reference" / f"rtmpose_{size}_256x192.npz")
    net = filled(shared, reference_fill, size)
    net.eval()
    image = np.random.RandomState(0).standard_normal((1, 3, 256, 192)).astype("float32")
    with paddle.no_grad():
        features = net.backbone(paddle.to_tensor(image))
        x, y = net.head(features)
    for found, name in ((features, "feature"), (x, "output0"), (y, "output1")):
        assert np.abs(found.numpy() - expected[name]).max() <= 1e-4 * np.abs(expected[name]).max(), name


@pytest.mark.parametrize("size", PARAMETERS)
def test_has_the_published_number_of_parameters(size):
    assert count_parameters(build(size)) == PARAMETERS[size]


def test_a_training_step_has_the_published_loss_and_gradients(shared, reference_fill):
    expected = np.load(shared / "reference" / "rtmpose_t_train_step.npz")
    labels = np.load(shared / "reference" / "simcc_encode.npz")
    net = filled(shared, reference_fill, "t")
    net.train()
    images = np.random.RandomState(51).standard_normal((2, 3, 256, 192)).astype("float32")
    outputs = net(paddle.to_tensor(images))
    wanted = [paddle.to_tensor(labels[f"label_{axis}"][:2]) for axis in "xy"]
    loss = simcc_kl(list(outputs), wanted, paddle.to_tensor(labels["weight"][:2]))
    loss.backward()
    assert float(loss) == pytest.approx(float(expected["loss"]), rel=1e-5)
    norms = {name: float(np.linalg.norm(each.grad.numpy())) for name, each in net.named_parameters()
             if each.grad is not None}  # fmt: skip
    for name, norm in zip(expected["grad_names"], expected["grad_norms"], strict=True):
        assert norms[str(name)] == pytest.approx(float(norm), rel=1e-3, abs=1e-6), name
    mean = net.backbone.stage1[0].bn._mean.numpy()
    np.testing.assert_allclose(mean, expected["running_mean"], rtol=1e-4, atol=1e-6)


def test_the_rate_is_flat_and_then_half_a_cosine():
    train = load_config("rtmpose_t_256x192").train
    rates = [rate_at(step, 10_000, train) for step in range(10_000)]
    assert rates[0] == pytest.approx(4e-3 * 1e-5)
    assert {round(rate, 9) for rate in rates[1000:5000]} == {4e-3}
    assert rates[7500] == pytest.approx(4e-3 * (0.05 + 0.95 / 2))
    assert rates[-1] == pytest.approx(4e-3 * 0.05, rel=1e-2)
    assert all(later <= earlier for earlier, later in zip(rates[1000:], rates[1001:], strict=False))


def test_a_step_compiles_to_a_static_graph():
    """As `train.static` does; Paddle's compiler does not know all of Python."""
    net = build_model(load_config("rtmpose_t_256x192", ["input.width=64", "input.height=64"]), 3)
    objective = PoseObjective(net, SimccCodec())
    images, labels = paddle.rand([2, 3, 64, 64]), [paddle.rand([2, 3, 128]), paddle.rand([2, 3, 128])]
    targets = [*labels, paddle.ones([2, 3])]
    objective.eval()
    expected = float(objective(images, targets))
    compiled = paddle.jit.to_static(objective, full_graph=True)
    assert float(compiled(images, targets)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "joints", "bins"),
    [
        ("256x192_halpe26", 26, (384, 512)),
        ("256x192_wholebody", 133, (384, 512)),
        ("256x256_hand", 21, (512, 512)),
    ],
)
def test_bodies_with_feet_whole_bodies_and_hands_are_configs(name, joints, bins):
    config = load_config(f"rtmpose_m_{name}", ["model.variant=t"])
    assert len(load_skeleton(config.skeleton).joints) == joints
    net = build_model(config, joints)
    net.eval()
    with paddle.no_grad():
        outputs = net(paddle.zeros([1, 3, config.input.height, config.input.width]))
    assert [each.shape for each in outputs] == [[1, joints, bins[0]], [1, joints, bins[1]]]


def test_the_head_stands_on_tinyposes_backbone_too():
    config = load_config("tinypose_simcc_256x192")
    net = build_model(config, 17)
    net.eval()
    with paddle.no_grad():
        outputs = net(paddle.zeros([1, 3, 256, 192]))
    assert [each.shape for each in outputs] == [[1, 17, 384], [1, 17, 512]]
    assert net.backbone.channels == 320 and not [key for key in net.state_dict() if "head_layer" in key]
    assert set(net.stages) == {"stem", "stage2", "stage3", "stage4", "head"}
    with pytest.raises(UserError, match="which 'hrnet' does not give"):
        build_model(load_config("hrnet_w32_256x192", ["output={name: simcc}"]), 17)
