"""`tinypose doctor` and the function that says what to compute on."""

import numpy as np
import paddle
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config_train import TrainConfig
from tinypose.data.examples import Batch
from tinypose.engine import device
from tinypose.engine.device import choose_device, gpus, layout, on_device, put_waiting
from tinypose.engine.doctor import Step, _step, bad_pairs, steps, versions
from tinypose.errors import UserError


def test_says_versions_device_and_a_step():
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "paddlelite" in result.output and "training would use:" in result.output
    assert gpus() or "not run: a step on a GPU" in result.output


def test_the_installed_versions_go_together_and_bad_ones_are_named():
    found = versions()
    assert bad_pairs(found) == []
    assert "corrupted" in bad_pairs({**found, "numpy": "2.2.6"})[0]
    assert "wants numpy 2" in bad_pairs({**found, "opencv-python-headless": "4.12.0.88"})[0]
    assert any("pycocotools" in line for line in bad_pairs({**found, "paddlepaddle": "2.6.2"}))
    assert any("both installed" in line for line in bad_pairs({**found, "paddlepaddle-gpu": "3.3.1"}))


def test_a_step_repeats_and_a_wrong_one_is_seen():
    (step,) = steps("cpu")
    assert step.good and step.difference < 1e-5 and step.loss > 0
    assert not Step("gpu:0", "fp32", 1.0, 0.01).good
    assert Step("gpu:0", "mixed", 1.0, 0.01).good
    assert not Step("gpu:0", "mixed", float("nan"), 0.0).good


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"amp": True}, "train.amp: mixed precision needs a GPU"),
        ({"channels_last": True}, "train.channels_last: channels last needs a GPU"),
        ({"pinned": True}, "train.pinned: pinned memory needs a GPU"),
    ],
)
def test_what_needs_a_gpu_says_so(settings, message, monkeypatch):
    chosen = choose_device()
    assert (chosen.rank, chosen.processes, chosen.mixed, chosen.waiting) == (0, 1, False, None)
    monkeypatch.setattr(device, "gpus", lambda: 0)
    with pytest.raises(UserError, match=message):
        choose_device(TrainConfig(**settings))


def test_channels_last_needs_mixed_precision_and_no_graph(monkeypatch):
    monkeypatch.setattr(device, "gpus", lambda: 1)
    for settings in ({"amp": True}, {"static": False}, {}):
        with pytest.raises(UserError, match="train.amp=true -o train.static=false"):
            choose_device(TrainConfig(channels_last=True, **settings))


def test_a_step_with_channels_last_allowed_is_the_same():
    """On a CPU Paddle's rule changes nothing; that it is allowed, and no longer, is seen."""
    (plain, _), (allowed, _), (after, _) = (
        _step("cpu", "fp32"),
        _allowed(),
        _step("cpu", "fp32"),
    )
    assert plain == allowed == after


def _allowed():
    with layout(True):
        return _step("cpu", "fp32")


def test_a_batch_that_waits_in_another_memory_comes_back_whole():
    rng = np.random.default_rng(0)
    images, target = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 8, 8), (2, 4, 4)))
    batch = Batch(np.arange(2), 0, 0, images, (target,))
    waiting = put_waiting(batch, paddle.CPUPlace())
    np.testing.assert_array_equal(on_device(waiting.images).numpy(), images)
    np.testing.assert_array_equal(on_device(waiting.targets[0]).numpy(), target)
    np.testing.assert_array_equal(on_device(images).numpy(), images)
    assert waiting.numbers is batch.numbers
