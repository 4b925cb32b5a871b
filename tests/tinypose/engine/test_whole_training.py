"""Training on whole pictures: stopped and resumed, and shared by two processes, like any other training."""

import signal
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from tinypose.config import CONFIGS, load_config
from tinypose.data.synthetic import draw_set

sys.path.insert(0, str(Path(__file__).parent))
from small_training import small_net  # noqa: E402
from test_parallel import launch  # noqa: E402
from test_train import assert_same_run, start, train, wait_for_progress  # noqa: E402

OUTPUTS = {
    "higherhrnet": {"name": "tags"},
    "adaptive": {"name": "offsets", "kind": "adaptive"},
    "adaptive_higher": {"name": "offsets", "kind": "adaptive", "higher": True},
    "dekr": {"name": "offsets", "kind": "dekr"},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pictures") / "set"
    draw_set(folder, 8, seed=3, size=(96, 96), people=(2, 3))
    return {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}


def written(output, pictures, folder, **settings) -> Path:
    """Write the config of a run of a few steps that saves all the time."""
    values = {
        "inherits": str(CONFIGS / "higherhrnet_synthetic.yml"),
        "input": {"width": 64, "height": 64},
        "output": OUTPUTS[output],
        "data": {"train": pictures, "val": pictures},
        "eval": {"flip": False},
        "train": {
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 0.003,
            "warmup_steps": 2,
            "ema": 0.9,
            "clip": 1.0,
            "workers": 0,
            "static": False,
            "eval_epochs": 3,
            "save_minutes": 1e-6,
            **settings,
        },
    }
    path = folder / "small.yml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_stopped_run_goes_on_to_the_same_end(output, pictures, tmp_path):
    config = written(output, pictures, tmp_path)
    loaded = load_config(config)

    def fresh():
        paddle.seed(loaded.train.seed)
        return small_net(loaded.output)

    train(loaded, tmp_path / "whole", fresh())
    process = start(config, tmp_path / "run")
    wait_for_progress(process, tmp_path / "run", 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) in (0, 128 + signal.SIGTERM)
    train(loaded, tmp_path / "run", fresh(), resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_two_processes_have_the_loss_curve_of_one(pictures, tmp_path):
    """Of networks with tags; the offsets' loss is divided by a process's own count, as published."""
    config = written("higherhrnet", pictures, tmp_path, sync_norm=True)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, _ = launch(1, config, tmp_path / "one")
    two, _ = launch(2, config, tmp_path / "two")
    assert len(one) == len(two) == 6
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert np.ptp(one) > 1e-3 * np.mean(one)
