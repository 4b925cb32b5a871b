"""`tinypose doctor` and the function that says what to compute on."""

import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.engine import device
from tinypose.engine.device import choose_device, gpus
from tinypose.engine.doctor import Step, bad_pairs, steps, versions
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


def test_mixed_precision_needs_a_gpu(monkeypatch):
    chosen = choose_device()
    assert (chosen.rank, chosen.processes) == (0, 1)
    monkeypatch.setattr(device, "gpus", lambda: 0)
    with pytest.raises(UserError, match="mixed precision needs a GPU"):
        choose_device(mixed=True)
