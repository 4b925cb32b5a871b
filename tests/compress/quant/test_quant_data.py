"""Quantisation sees people by the door of training and evaluation: any format, several sets."""

import sys
from pathlib import Path

import numpy as np
import pytest

from compress.cli import main
from compress.quant.data import calibration_people
from compress.quant.package import read_package
from compress.quant.task import read_task
from tinypose.config import Config, load_config
from tinypose.data.merge import load_training
from tinypose.engine.evaluate import people_to_evaluate
from tinypose.engine.measure import measure
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import write_params
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton

FILE = "configs/tinypose_128x96.yml"
SMALL = ["model.variant=naive", "input.width=64", "input.height=64"]


def config_of(options: list[str]) -> Config:
    return load_config(FILE, [*SMALL, *options])


def with_weights(options: list[str], path: Path, joints: int) -> list[str]:
    """Add weights that are large enough to make heatmaps of."""
    rng = np.random.default_rng(0)
    params = {}
    for key, value in build_model(config_of(options), joints).state_dict().items():
        drawn = rng.normal(0, 1.4 / np.sqrt(max(np.prod(value.shape[1:]), 1)), value.shape)
        params[key] = drawn.astype(np.float32) if value.ndim == 4 else value.numpy()
    write_params(path, params)
    return [*options, f"weights={path}"]


@pytest.fixture
def mpii(shared, tmp_path) -> list[str]:
    folder = shared / "data" / "mpii-mini"
    options = ["skeleton=mpii16"]
    for part in ("train", "val"):
        values = {"annotations": folder / "test_mpii.json", "images": folder, "format": "mpii"}
        options += [f"data.{part}.{key}={value}" for key, value in values.items()]
    return with_weights(options, tmp_path / "weights.pdparams", 16)


def test_mpii_is_quantised_and_measured_by_pckh(mpii, tmp_path, monkeypatch, capsys):
    words = [f"-o{each}" for each in [*SMALL, *mpii, "quant.ranges=abs_max"]]
    command = ["compress", "quant", "-c", FILE, *words, "--keep-fp32", "0", "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().out
    assert not ended.value.code, printed
    assert "PCKh lost" in printed
    record = read_package(tmp_path / "out")[2]
    config, skeleton = config_of(mpii), load_skeleton("mpii16")
    assert record.people == len(load_training(config.data, skeleton)[0]) > 3


def test_what_decides_is_what_eval_prints(mpii):
    task = read_task(config_of(mpii), Path(FILE))
    network = as_network(build_model(task.config, 16))
    skeleton = load_skeleton("mpii16")
    metrics, _ = measure(network, people_to_evaluate(task.config, skeleton), task.config, skeleton, "")
    assert task.measure.metric == "PCKh" and task.measure.of(network) == metrics["PCKh"]


def test_sets_are_merged_and_joints_matched_by_name(shared):
    data = shared / "data"
    coco, aic = data / "coco-mini" / "train2017", data / "aic-mini"
    annotations = data / "coco-mini" / "annotations" / "person_keypoints_train2017.json"
    options = ["data.datasets=[coco, aic]"]
    for name, file, images in (("coco", annotations, coco), ("aic", aic / "test_aic.json", aic)):
        options += [f"data.sets.{name}.annotations={file}", f"data.sets.{name}.images={images}"]
    config, skeleton = config_of([*options, "quant.people=100000"]), load_skeleton("coco17")
    found, (expected, _) = calibration_people(config, skeleton), load_training(config.data, skeleton)
    assert [(p.path, p.annotation_id) for p in found] == [(p.path, p.annotation_id) for p in expected]
    assert {person.path.parent for person in found} == {coco, aic}
    from_aic = np.stack([person.joints for person in found if person.path.parent == aic])
    assert not from_aic[:, [skeleton.index(name) for name in ("nose", "left_eye")], 2].any()  # it has no face
    assert from_aic[:, skeleton.index("left_wrist"), 2].any()
    few = calibration_people(config_of([*options, "quant.people=4"]), skeleton)
    assert len(few) == 4 and {person.path.parent for person in few} == {coco, aic}


def test_no_set_is_named():
    config = config_of(["data.train=null"])
    with pytest.raises(UserError, match=r"data\.train: not set"):
        calibration_people(config, load_skeleton("coco17"))
