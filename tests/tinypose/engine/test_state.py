"""A saved state that is not whole is refused, whatever of it is missing or odd; a folder has one run."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn

from tinypose.config import CONFIGS, TrainConfig, load_config
from tinypose.engine import checkpoint
from tinypose.engine.optimiser import Average, make_optimiser, optimiser_state
from tinypose.engine.state import Standing, restore, save
from tinypose.errors import UserError
from tinypose.files import claim_folder


def make_run(folder, seed=0):
    """A run of two weights, after three steps of Adam."""
    paddle.seed(seed)
    layer = nn.Linear(3, 2)
    optimiser = make_optimiser(layer, TrainConfig(optimizer="adam"))
    average = Average(layer, 0.5)
    for step in range(3):
        (layer(paddle.ones([4, 3])) ** 2).sum().backward()
        optimiser.step()
        optimiser.clear_grad()
        average.update(step)
    scaler = paddle.amp.GradScaler(enable=False)
    return SimpleNamespace(
        output=folder,
        objective=layer,
        net=layer,
        optimiser=optimiser,
        average=average,
        scaler=scaler,
        rank=0,
        steps=9,
    )


def test_a_state_comes_back_whole(tmp_path):
    run = make_run(tmp_path)
    save(run, Standing(number=3, history=[{"loss": 1.0}]))
    other = make_run(tmp_path, seed=1)
    standing = restore(other)
    assert (standing.number, standing.history) == (3, [{"loss": 1.0}])
    np.testing.assert_array_equal(other.objective.weight.numpy(), run.objective.weight.numpy())
    expected, found = (optimiser_state(each.optimiser, each.objective) for each in (run, other))
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(value.numpy(), found[key].numpy())


def drop(key):
    return lambda arrays, facts: arrays.pop(key)


def alter(**changes):
    return lambda arrays, facts: facts.update(changes)


def put(key, value):
    return lambda arrays, facts: arrays.update({key: value})


def put_and_list(key, value):
    def change(arrays, facts):
        arrays[key] = value
        facts["arrays"][key] = list(value.shape)

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("optimiser:weight/moment1_0"),
        drop("weights:bias"),
        drop("average:weight"),
        put("weights:weight", np.zeros((2, 2), np.float32)),
        put_and_list("weights:weight", np.zeros((2, 2), np.float32)),
        put_and_list("other:weight", np.zeros(2, np.float32)),
        put_and_list("weights", np.zeros(2, np.float32)),
        put_and_list("optimiser:nobody/moment1_0", np.zeros(2, np.float32)),
        put_and_list("weights:bias", np.array(["a", "b"])),
        put_and_list("weights:bias", np.array([np.nan, 0], np.float32)),
        lambda arrays, facts: facts.pop("arrays"),
        lambda arrays, facts: facts.pop("standing"),
        lambda arrays, facts: facts.pop("scaler"),
        alter(arrays=[]),
        alter(standing=[1, 2]),
        alter(standing={"number": "three"}),
        alter(standing={"number": -1}),
        alter(standing={"number": 10**12}),
        alter(standing={"number": 9, "history": []}),
        alter(scaler=[1]),
        alter(scaler={"scale": "x"}),
    ],
)  # fmt: skip
def test_an_odd_state_is_refused(tmp_path, change):
    run = make_run(tmp_path)
    save(run, Standing(number=3))
    arrays, facts = checkpoint.load_state(tmp_path / "state.npz")
    change(arrays, facts)
    checkpoint.save_state(tmp_path / "state.npz", arrays, facts)
    before = run.objective.weight.numpy()
    with pytest.raises(UserError, match=r"state\.npz: (damaged|the state of another network)"):
        restore(run)
    np.testing.assert_array_equal(run.objective.weight.numpy(), before)


@pytest.mark.parametrize(
    "record", ["[]", "3", "null", '"text"', '{"config": []}', '{"config": {"model": 1}}', "{", ""]
)
def test_an_odd_record_of_a_run_is_refused(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    config = load_config(CONFIGS / "tinypose_128x96.yml")
    with pytest.raises(UserError, match=r"run\.json"):
        checkpoint.start_run(tmp_path, config, {}, resume=True)


def test_a_folder_has_one_run_at_a_time_and_its_lock_dies_with_it(tmp_path):
    script = (
        "import sys, time; from tinypose.files import claim_folder\n"
        "with claim_folder(sys.argv[1]): print('in', flush=True); time.sleep(600)"
    )
    folder = tmp_path / "run"
    other = subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(UserError, match="another run is writing"), claim_folder(folder):
            pass
        # Training takes it too, before it loads anything.
        command = [sys.executable, "-c", "from tinypose.cli import main; main()", "train", "--output", folder]
        command += ["-c", CONFIGS / "tinypose_synthetic.yml"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2 and "another run is writing" in done.stderr, done.stderr
    finally:
        other.kill()
        other.wait()
    with claim_folder(folder):
        (folder / "a.json").write_text(json.dumps(1))
