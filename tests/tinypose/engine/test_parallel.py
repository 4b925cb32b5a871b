"""Two processes that share each batch train as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from paddle import nn

from tinypose.config import CONFIGS
from tinypose.data.synthetic import draw_set
from tinypose.engine.sync_norm import SyncedBatchNorm, synchronise_norms
from tinypose.models.weights import read_params

SCRIPT = Path(__file__).parent / "parallel_training.py"


@pytest.fixture(scope="module")
def config_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parallel")
    draw_set(folder / "set", 8, seed=3, size=(96, 96), people=(1, 3))
    where = {"annotations": str(folder / "set/annotations.json"), "images": str(folder / "set/images")}
    values = {
        "inherits": str(CONFIGS / "tinypose_128x96.yml"),
        "input": {"width": 32, "height": 64},
        "data": {"train": where, "val": where},
        "eval": {"flip": False},
        "train": {
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 0.003,
            "warmup_steps": 2,
            "clip": 0.5,
            "ema": 0.9,
            "workers": 0,
            "static": False,
        },
    }
    (folder / "small.yml").write_text(yaml.safe_dump(values))
    return folder / "small.yml"


def launch(processes: int, config: Path, folder: Path, *overrides: str) -> tuple[list[float], dict]:
    """Train in so many processes; returns the loss of each step and the last weights."""
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
        start += ["--log_dir", str(folder / "log")]
    arguments = [str(SCRIPT), str(config), str(folder / "run"), str(folder / "losses.json"), *overrides]
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(
        start + arguments, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads((folder / "losses.json").read_text()), read_params(folder / "run" / "last.pdparams")


@pytest.mark.parametrize("norm", ["train.sync_norm=true", "train.freeze_norm=true"])
def test_two_processes_have_the_loss_curve_of_one(norm, config_file, tmp_path):
    """At equal global batch; batch norm's statistics are of the whole batch, or fixed."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, weights = launch(1, config_file, tmp_path / "one", norm)
    two, shared = launch(2, config_file, tmp_path / "two", norm)
    assert len(one) == len(two) >= 9
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert np.ptp(one) > 1e-3 * np.mean(one)  # a curve, not a line
    # Batch norm takes away what a bias before it adds: its gradient is rounding, which Adam magnifies, and
    # the running mean follows it.
    free = {"layers.0.bias", "layers.3.bias", "layers.1._mean", "layers.4._mean"}
    for key in weights.keys() - free:
        np.testing.assert_allclose(shared[key], weights[key], rtol=1e-2, atol=2e-4, err_msg=key)


def test_a_synchronised_norm_in_one_process_is_the_plain_one():
    paddle.seed(0)
    plain = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Sequential(nn.BatchNorm2D(4)))
    synced = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Sequential(nn.BatchNorm2D(4)))
    synced.set_state_dict({key: value.numpy() for key, value in plain.state_dict().items()})
    keys = list(synced.state_dict())
    synchronise_norms(synced)
    assert list(synced.state_dict()) == keys
    assert isinstance(synced[1], SyncedBatchNorm) and isinstance(synced[2][0], SyncedBatchNorm)
    x = paddle.to_tensor(np.random.default_rng(0).normal(3, 2, (5, 3, 8, 8)).astype(np.float32))
    gradients = []
    for net in (plain, synced):
        (net(x) ** 3).mean().backward()
        gradients.append([p.grad.numpy() for p in net.parameters() if p.grad is not None])
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    for key, value in plain.state_dict().items():
        np.testing.assert_allclose(synced.state_dict()[key].numpy(), value.numpy(), rtol=1e-4, atol=1e-6)


def test_a_batch_that_does_not_divide_is_an_error(config_file, tmp_path):
    with pytest.raises(AssertionError, match="3 people do not divide among 2 processes"):
        launch(2, config_file, tmp_path, "train.batch_size=3")
