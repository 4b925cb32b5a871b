"""The engine: a run that is stopped or killed ends as one that was not; bad input is named."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from tinypose.config import CONFIGS, Config, load_config
from tinypose.data.synthetic import draw_set
from tinypose.engine import checkpoint
from tinypose.engine import train as engine_train
from tinypose.engine.device import Device
from tinypose.engine.loss import PoseObjective
from tinypose.engine.train import batch_inputs, fit
from tinypose.errors import UserError
from tinypose.models.weights import read_params

sys.path.insert(0, str(Path(__file__).parent))
from small_training import SmallNet  # noqa: E402

INPUT = {"width": 96, "height": 128}

SCRIPT = Path(__file__).parent / "small_training.py"
TIMES = {"images_per_second", "waited"}  # what two runs may differ in


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "set"
    draw_set(folder, 8, seed=3, size=(96, 96), people=(1, 3))
    return folder


@pytest.fixture(scope="module")
def config_file(people, tmp_path_factory) -> Path:
    """A config whose run takes 3 epochs of a few steps, saves all the time, and averages its weights."""
    where = {"annotations": str(people / "annotations.json"), "images": str(people / "images")}
    values = {
        "inherits": str(CONFIGS / "tinypose_128x96.yml"),
        "input": {"width": 32, "height": 64},
        "data": {"train": where, "val": where},
        "augment": {"color": 0.2},
        "eval": {"flip": False},
        "train": {
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 0.01,
            "warmup_steps": 3,
            "decay": "cosine",
            "ema": 0.9,
            "clip": 1.0,
            "workers": 0,
            "static": False,
            "save_minutes": 1e-6,
            "eval_epochs": 2,
        },
    }
    path = tmp_path_factory.mktemp("config") / "small.yml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def whole(config_file, tmp_path_factory) -> Path:
    """The run that nobody stops."""
    output = tmp_path_factory.mktemp("whole") / "run"
    train(load_config(config_file), output)
    return output


def train(config: Config, output: Path, net: paddle.nn.Layer | None = None, resume: bool = False) -> dict:
    paddle.seed(config.train.seed)
    net = net or SmallNet(17)
    objective = PoseObjective(net, config.output, config.train.hard_joints)
    return fit(config, output, net, objective, batch_inputs, resume=resume, quiet=True)


def start(config: Path, output: Path, *overrides: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(SCRIPT), str(config), str(output), *overrides])


def history(output: Path) -> list[dict]:
    lines = [json.loads(line) for line in (output / "epochs.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def assert_same_run(output: Path, whole: Path) -> None:
    """Weights of the last and best epoch, every array of the state and the history, bit for bit."""
    for name in ("last.pdparams", "best.pdparams"):
        ours, theirs = read_params(output / name), read_params(whole / name)
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name}: {key}")
    ours, theirs = (checkpoint.load_state(folder / "state.npz")[0] for folder in (output, whole))
    assert ours.keys() == theirs.keys()
    assert any(key.startswith("optimiser:") for key in ours)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert history(output) == history(whole)


def wait_for_progress(process: subprocess.Popen, output: Path, seconds: float) -> None:
    """Wait until the run has saved something, and then so many seconds more."""
    deadline = time.monotonic() + 600
    while not (output / "state.npz").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_end(how, config_file, whole, tmp_path):
    process = start(config_file, tmp_path / "run")
    wait_for_progress(process, tmp_path / "run", 0)
    process.send_signal(how)
    assert process.wait(120) == 128 + how
    assert (tmp_path / "run" / "state.npz").exists()
    train(load_config(config_file), tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", whole)


def test_a_killed_run_goes_on_to_the_same_end(config_file, whole, tmp_path):
    """SIGKILL at random moments, also before and while something is saved, until the run is through."""
    chance, kills = random.Random(5), 0
    while kills < 4:
        process = start(config_file, tmp_path / "run")
        wait_for_progress(process, tmp_path / "run", chance.uniform(0, 0.3))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills > 0
    train(load_config(config_file), tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", whole)


def test_a_killed_run_leaves_no_processes_behind(config_file, tmp_path):
    process = start(config_file, tmp_path / "run", "train.workers=2", "train.epochs=500")
    wait_for_progress(process, tmp_path / "run", 0)
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        process.kill()
        pytest.skip("this system does not list a process's children")
    children = [Path(f"/proc/{child}") for child in listed.read_text().split()]
    assert len(children) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 600
    while any(child.exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in children if child.exists()]


def test_a_run_killed_inside_every_write_goes_on_to_the_same_end(config_file, whole, tmp_path, killed_at):
    """Stop dead where a file is about to take its name, at each such moment of the run in turn."""
    config = load_config(config_file)
    for moment in (1, 3, 7, 10, 11, 13, 17):
        killed_at(lambda: train(config, tmp_path / "run", resume=True), moment)
    train(config, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers, config_file, whole, tmp_path):
    process = start(config_file, tmp_path / "run", f"train.workers={workers}")
    assert process.wait(180) == 0
    assert_same_run(tmp_path / "run", whole)


def test_batches_that_wait_on_a_device_change_nothing(config_file, whole, tmp_path, monkeypatch):
    """The way of pinned memory, with the processor's in its place; no room there ends the run with a line."""
    waiting = Device("cpu", waiting=paddle.CPUPlace())
    monkeypatch.setattr(engine_train, "choose_device", lambda settings: waiting)
    train(load_config(config_file, ["train.workers=2"]), tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)

    def no_room(batch, place):
        raise MemoryError("no room")

    monkeypatch.setattr(engine_train, "put_waiting", no_room)
    with pytest.raises(UserError, match=r"train\.pinned: .* no room"):
        train(load_config(config_file, ["train.workers=2"]), tmp_path / "other")


def test_the_static_graph_computes_the_same(config_file, whole, tmp_path):
    train(load_config(config_file, ["train.static=true"]), tmp_path / "run")
    ours, theirs = read_params(tmp_path / "run" / "last.pdparams"), read_params(whole / "last.pdparams")
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-3, atol=1e-5, err_msg=key)


def test_the_folder_holds_what_is_promised(whole, config_file):
    files = {path.name for path in whole.iterdir()}
    assert files == {
        "run.json",
        "state.npz",
        "last.pdparams",
        "last.json",
        "best.pdparams",
        "best.json",
        "epochs.jsonl",
        "curves.png",
    }
    lines = history(whole)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert ["AP" in line for line in lines] == [False, True, True]  # every second epoch, and the last
    saved = json.loads((whole / "last.json").read_text())
    assert Config.model_validate(saved["config"]) == load_config(config_file)
    paddle_read = paddle.load(str(whole / "last.pdparams"))
    assert set(SmallNet(17).state_dict()) <= set(paddle_read)


def test_the_kept_weights_are_the_averaged_ones(whole):
    state = checkpoint.load_state(whole / "state.npz")[0]
    last = read_params(whole / "last.pdparams")
    differ = 0
    for key, value in last.items():
        np.testing.assert_array_equal(value, state[f"average:{key}"])
        differ += not np.array_equal(value, state[f"weights:net.{key}"])
    assert differ > 0


def test_another_run_is_not_overwritten(config_file, whole, tmp_path):
    config = load_config(config_file)
    with pytest.raises(UserError, match="holds a run already.*--resume"):
        train(config, whole)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty, and no run"):
        train(config, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_going_on_with_another_config_names_the_keys(config_file, whole):
    config = load_config(config_file, ["train.learning_rate=0.02", "augment.color=0.0"])
    with pytest.raises(UserError, match=r"(?s)augment\.color: 0\.2, now 0\.0.*train\.learning_rate: 0\.01"):
        train(config, whole, resume=True)
    train(load_config(config_file, ["train.workers=1"]), whole, resume=True)  # this may differ


def test_going_on_with_other_people_is_refused(config_file, whole, people, tmp_path):
    content = json.loads((people / "annotations.json").read_text())
    content["annotations"][0]["keypoints"][0] += 1
    (tmp_path / "other.json").write_text(json.dumps(content))
    run = json.loads((whole / "run.json").read_text())
    run["config"]["data"]["train"]["annotations"] = str(tmp_path / "other.json")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps(run))
    config = load_config(config_file, [f"data.train.annotations={tmp_path / 'other.json'}"])
    with pytest.raises(UserError, match="people.sha256"):
        train(config, tmp_path / "run", resume=True)


def test_a_damaged_state_is_named(config_file, whole, tmp_path):
    (tmp_path / "run.json").write_bytes((whole / "run.json").read_bytes())
    data = (whole / "state.npz").read_bytes()
    (tmp_path / "state.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="state.npz: damaged"):
        train(load_config(config_file), tmp_path, resume=True)


def test_a_loss_that_is_not_finite_stops_and_names_the_people(config_file, tmp_path, people):
    class Explodes(SmallNet):
        steps = 0

        def forward(self, image):
            if self.training:
                self.steps += 1
            return [super().forward(image)[0] * (float("nan") if self.steps == 4 else 1.0)]

    config = load_config(config_file)
    with pytest.raises(UserError, match="loss is nan at step 3"):
        train(config, tmp_path / "run", Explodes(17))
    report = json.loads((tmp_path / "run" / "bad_batch_rank0.json").read_text())
    assert report["step"] == 3 and len(report["people"]) == 4
    known = {entry["id"] for entry in json.loads((people / "annotations.json").read_text())["annotations"]}
    assert {person["annotation"] for person in report["people"]} <= known
    assert all(Path(person["path"]).exists() for person in report["people"])
    state = checkpoint.load_state(tmp_path / "run" / "state.npz")[0]
    assert all(np.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_named_with_its_annotation(workers, config_file, people, tmp_path):
    content = json.loads((people / "annotations.json").read_text())
    for each in content["images"]:
        (tmp_path / each["file_name"]).write_bytes((people / "images" / each["file_name"]).read_bytes())
    broken = content["annotations"][0]["image_id"]
    name = next(each["file_name"] for each in content["images"] if each["id"] == broken)
    (tmp_path / name).write_bytes(b"no picture")
    process = subprocess.run(
        [sys.executable, str(SCRIPT), str(config_file), str(tmp_path / "run"), f"train.workers={workers}"]
        + [f"data.train.images={tmp_path}", f"data.val.images={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 1
    assert f"{name}: not a picture" in process.stderr and "annotation" in process.stderr


def test_training_stops_when_nothing_becomes_better(config_file, tmp_path):
    settings = ["train.epochs=30", "train.eval_epochs=1", "train.patience=2", "train.learning_rate=1e-12"]
    record = train(load_config(config_file, [*settings, "train.ema=null"]), tmp_path / "run")
    assert record["epoch"] == 3  # the first is the best by definition
    again = train(load_config(config_file, [*settings, "train.ema=null"]), tmp_path / "run", resume=True)
    assert again == record


def test_frozen_batch_norm_keeps_its_statistics(config_file, tmp_path):
    paddle.seed(0)
    net = SmallNet(17)
    before = {key: value.numpy() for key, value in net.state_dict().items()}
    settings = ["train.freeze_norm=true", "train.ema=null", "train.epochs=1"]
    train(load_config(config_file, settings), tmp_path / "run", net)
    after = read_params(tmp_path / "run" / "last.pdparams")
    for key, value in after.items():
        assert np.array_equal(value, before[key]) == ("_mean" in key or "_variance" in key), key


def test_mixed_precision_without_a_gpu_is_an_error(config_file, tmp_path):
    with pytest.raises(UserError, match="needs a GPU"):
        train(load_config(config_file, ["train.amp=true"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_visualdl_is_an_extra(config_file, tmp_path):
    import importlib.util

    config = load_config(config_file, ["train.visualdl=true", "train.epochs=1"])
    if importlib.util.find_spec("visualdl") is None:
        with pytest.raises(UserError, match="pip install visualdl"):
            train(config, tmp_path / "run")
    else:
        train(config, tmp_path / "run")
        assert (tmp_path / "run" / "visualdl" / "vdlrecords.run.log").stat().st_size > 0


def test_a_backbone_of_a_classifier_is_taken_and_a_foreign_one_named(config_file, tmp_path):
    from tinypose.config import HRNetConfig
    from tinypose.engine.train import start_weights
    from tinypose.models import build_model
    from tinypose.models.weights import write_params

    model = HRNetConfig(name="hrnet", width=4, stem=4)
    source = {
        key: value.numpy()
        for key, value in build_model(Config(model=model, input=INPUT), 3).backbone.state_dict().items()
    }
    first = next(key for key, value in source.items() if value.ndim == 4)
    source[first] = np.full_like(source[first], 0.25)
    source["fc.weight"] = np.zeros((4, 4), np.float32)
    write_params(tmp_path / "classifier.pdparams", source)
    config = load_config(config_file, [f"train.backbone={tmp_path / 'classifier.pdparams'}"])
    net = build_model(Config(model=model, input=INPUT), 17)
    start_weights(net, config, quiet=True)
    assert (net.backbone.state_dict()[first].numpy() == 0.25).all()
    write_params(tmp_path / "foreign.pdparams", {"a": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match="fits 0 of the backbone's"):
        start_weights(
            net, load_config(config_file, [f"train.backbone={tmp_path / 'foreign.pdparams'}"]), True
        )
