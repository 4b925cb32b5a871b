"""Loss, learning rate, optimiser and averaging against their definitions."""

import numpy as np
import paddle
import pytest
from paddle import nn

from tinypose.config import TrainConfig, load_config
from tinypose.engine.loss import heatmap_loss
from tinypose.engine.optimiser import Average, make_optimiser, optimiser_state, rate_at, restore_optimiser
from tinypose.engine.progress import TrainingBar
from tinypose.models import build_model


def heatmaps(seed: int, n: int = 3, j: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random((n, j, 4, 6), np.float32)


def test_the_loss_is_the_weighted_mean_square_joint_by_joint():
    output, target = heatmaps(0), heatmaps(1)
    weight = np.random.default_rng(2).integers(0, 2, (3, 5)).astype(np.float32)
    # KeyPointMSELoss as PaddleDetection defines it: the mean over joints of each joint's weighted error.
    expected = np.mean(
        [np.mean(((output[:, j] - target[:, j]) * weight[:, j, None, None]) ** 2) for j in range(5)]
    )
    found = heatmap_loss(*map(paddle.to_tensor, (output, target, weight)))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_a_joint_without_weight_has_no_gradient():
    output = paddle.to_tensor(heatmaps(0), stop_gradient=False)
    weight = np.ones((3, 5), np.float32)
    weight[1, 2] = 0
    heatmap_loss(output, paddle.to_tensor(heatmaps(1)), paddle.to_tensor(weight)).backward()
    zero = (output.grad.numpy() == 0).all(axis=(2, 3))
    assert zero[1, 2] and zero.sum() == 1


def test_hard_joints_are_the_worst_of_each_person():
    output, target, weight = heatmaps(0), heatmaps(1), np.ones((3, 5), np.float32)
    by_joint = np.sort(((output - target) ** 2).mean(axis=(2, 3)), axis=1)
    found = heatmap_loss(*map(paddle.to_tensor, (output, target, weight)), hard_joints=2)
    assert float(found) == pytest.approx(by_joint[:, -2:].mean(), rel=1e-6)


def test_the_rate_warms_up_and_steps_down():
    config = TrainConfig(learning_rate=1.0, warmup_steps=100, warmup_factor=0.1, milestones=(0.5, 0.75))
    rates = [rate_at(step, 1000, config) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1) and rates[50] == pytest.approx(0.55)
    assert rates[100] == rates[499] == 1.0
    assert rates[500] == rates[749] == pytest.approx(0.1) and rates[750] == pytest.approx(0.01)


def test_the_rate_of_tinypose_as_published():
    """Adam at 0.008, steps at epochs 380 and 410 of 420, 500 steps of warm-up from a thousandth."""
    config = TrainConfig(learning_rate=0.008, milestones=(380 / 420, 410 / 420))
    steps = 420 * 300
    assert rate_at(0, steps, config) == pytest.approx(8e-6)
    assert rate_at(380 * 300 - 1, steps, config) == pytest.approx(0.008)
    assert rate_at(380 * 300, steps, config) == pytest.approx(0.0008)
    assert rate_at(steps - 1, steps, config) == pytest.approx(0.00008)


def test_the_rate_follows_a_cosine():
    config = TrainConfig(learning_rate=2.0, warmup_steps=0, decay="cosine", final_factor=0.1)
    rates = [rate_at(step, 101, config) for step in range(101)]
    assert rates[0] == pytest.approx(2.0)
    assert rates[50] == pytest.approx(0.2 + 1.8 * (1 + np.cos(np.pi * 50 / 101)) / 2)
    assert all(a > b for a, b in zip(rates, rates[1:], strict=False))
    assert rate_at(101, 101, config) == pytest.approx(0.2)


def test_the_rate_follows_a_line():
    config = TrainConfig(learning_rate=2.0, warmup_steps=10, warmup_factor=0.1, decay="linear")
    rates = [rate_at(step, 101, config) for step in range(102)]
    assert rates[0] == pytest.approx(0.2) and rates[101] == 0
    np.testing.assert_allclose(rates[10:], 2 * (1 - np.arange(10, 102) / 101))


def test_without_a_terminal_there_is_a_line_a_minute(monkeypatch, capsys):
    bar = TrainingBar(done=0, steps=5, epochs=2, quiet=False)
    bar.step(2, 0.5, 10.0)
    assert capsys.readouterr().err == ""
    bar.printed -= 61
    bar.step(8, 0.25, 10.0)
    said = capsys.readouterr().err
    assert "step 3/5" in said and "loss 0.25" in said
    bar.step(9, 0.25, 10.0)
    assert capsys.readouterr().err == ""


def linear(seed: int) -> nn.Layer:
    paddle.seed(seed)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_optimiser_goes_on_exactly_after_its_state_was_taken_elsewhere(name):
    config = TrainConfig(optimizer=name, weight_decay=0.1, clip=0.5)
    x = paddle.to_tensor(np.random.default_rng(0).random((5, 3), np.float32))

    def step(layer, optimiser):
        (layer(x) ** 2).sum().backward()
        optimiser.step()
        optimiser.clear_grad()

    first = linear(0)
    optimiser = make_optimiser(first, config)
    for _ in range(3):
        step(first, optimiser)
    state = {key: value.numpy() for key, value in optimiser_state(optimiser, first).items()}
    assert {key.rpartition("/")[0] for key in state} == {"weight", "bias"}
    second = linear(1)  # other parameter names inside Paddle
    second.set_state_dict({key: value.numpy() for key, value in first.state_dict().items()})
    other = make_optimiser(second, config)
    restore_optimiser(other, second, state)
    for _ in range(2):
        step(first, optimiser)
        step(second, other)
    np.testing.assert_array_equal(first.weight.numpy(), second.weight.numpy())
    np.testing.assert_array_equal(first.bias.numpy(), second.bias.numpy())


def test_adamw_decays_matrices_and_not_vectors():
    layer = linear(0)
    layer.bias.set_value(np.ones(2, np.float32))
    before = layer.weight.numpy()
    optimiser = make_optimiser(layer, TrainConfig(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    (layer(paddle.zeros([1, 3])) * 0).sum().backward()
    optimiser.step()
    np.testing.assert_allclose(layer.weight.numpy(), before * 0.95, rtol=1e-6)
    np.testing.assert_array_equal(layer.bias.numpy(), np.ones(2))


def test_the_average_is_exponential_and_starts_fast():
    layer = linear(0)
    average = Average(layer, 0.5)
    expected = layer.weight.numpy()
    for step in range(8):
        layer.weight.set_value(np.full((3, 2), step, np.float32))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(average.values["weight"].numpy(), expected, rtol=1e-6)


def test_the_average_follows_as_mmengines():
    layer = linear(0)
    average = Average(layer, 0.9998, warmup=2000)
    expected = None
    for step in range(6):
        layer.weight.set_value(np.full((3, 2), step**2, np.float32))
        average.update(step)
        share = (1 - 0.0002) * np.exp(-(1 + step) / 2000) + 0.0002
        expected = step**2 if step == 0 else expected + share * (step**2 - expected)
    np.testing.assert_allclose(average.values["weight"].numpy(), expected, rtol=1e-5)


def test_adamw_decays_what_is_neither_bias_nor_norm():
    net = build_model(load_config("rtmpose_t_256x192"), 3)
    optimiser = make_optimiser(net, TrainConfig(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    names = dict(net.named_parameters())
    decays = optimiser._apply_decay_param_fun
    for key in ("head.gau.gamma", "head.gau.ln.g", "head.gau.res_scale.scale", "backbone.stem.0.conv.weight"):
        assert decays(names[key].name), key
    for key in ("head.final_layer.bias", "backbone.stem.0.bn.weight", "backbone.stem.0.bn.bias"):
        assert not decays(names[key].name), key
