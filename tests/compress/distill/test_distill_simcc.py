"""DWPose's distillation: the loss is DWPose's, both stages run, what does not fit is named."""

from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from compress.distill.objective import DistillObjective
from compress.distill.run import distill
from tinypose.config import Config, load_config
from tinypose.engine.simcc_loss import distil_features, distil_logits, simcc_kl
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import read_params, write_params


@pytest.fixture(scope="module")
def dwpose_file(people, tmp_path_factory) -> Path:
    """A student and a teacher of RTMPose's, as small as they get; the teacher's weights are of chance."""
    folder = tmp_path_factory.mktemp("dwpose")
    where = {"annotations": str(people / "annotations.json"), "images": str(people / "images")}
    values = {
        "model": {"name": "cspnext", "variant": "t"},
        "input": {"width": 64, "height": 64, "crop": "plain"},
        "output": {"name": "simcc"},
        "weights": str(folder / "teacher.pdparams"),
    }
    paddle.seed(5)
    net = build_model(Config(**{**values, "weights": None}), 17)
    write_params(values["weights"], {key: value.numpy() for key, value in net.state_dict().items()})
    (folder / "teacher.yml").write_text(yaml.safe_dump(values))
    values |= {
        "weights": None,
        "data": {"train": where, "val": where},
        "eval": {"flip": False},
        "train": {"epochs": 1, "batch_size": 4, "warmup_steps": 0, "workers": 0, "static": False}
        | {"eval_epochs": 2, "clip": 1.0, "optimizer": "adamw"},
        "distill": {"teacher": str(folder / "teacher.yml"), "truth": 1.0, "every": 0.1},
    }
    (folder / "student.yml").write_text(yaml.safe_dump(values))
    return folder / "student.yml"


def test_simccs_loss_is_dwposes(dwpose_file):
    """The divergence of both vectors and the squared error of the features, both as published."""
    config = load_config(dwpose_file, ["distill.features=7.0e-5"])
    net = build_model(config, 17)
    net.eval()
    objective = DistillObjective(net, config.distill, config.output, teacher_channels=5)
    rng = np.random.default_rng(1)
    images, features, *rest = (
        paddle.to_tensor(rng.random(shape, np.float32))
        for shape in [(2, 3, 64, 64), (2, 5, 2, 2), *[(2, 17, 128)] * 4]
    )
    targets, taught = [*rest[:2], paddle.ones([2, 17])], rest[2:]
    strength = paddle.to_tensor(0.5)
    loss = float(objective(images, targets, strength, taught, features))
    outputs, own = net(images), objective.adapter(net.backbone(images))
    expected = float(simcc_kl(outputs, targets[:2], targets[2]))
    expected += 0.5 * (float(distil_logits(outputs, taught)) + float(distil_features(own, features)))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_simcc_student_learns_from_its_teacher(dwpose_file, tmp_path):
    config = load_config(
        dwpose_file, ["distill.features=7.0e-5", "distill.decay=linear", "distill.flip=true"]
    )
    record = distill(config, tmp_path / "run", quiet=True)
    assert np.isfinite(record["loss"])
    assert not [key for key in read_params(tmp_path / "run" / "last.pdparams") if "adapter" in key]


def test_the_head_by_itself_leaves_the_teachers_backbone(dwpose_file, tmp_path):
    distill(load_config(dwpose_file, ["distill.head_only=true"]), tmp_path / "run", quiet=True)
    found, teacher = (
        read_params(tmp_path / "run" / "last.pdparams"),
        read_params(dwpose_file.parent / "teacher.pdparams"),
    )
    for key, value in teacher.items():
        if key.startswith("backbone."):
            np.testing.assert_array_equal(found[key], value, err_msg=key)
    assert np.abs(found["head.cls_x.weight"] - teacher["head.cls_x.weight"]).max() > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["distill.visible=1"], "for heatmaps"),
        (["input.crop=udp"], "same `input`"),
        (["output.split=3"], "same `input` and the same `output.split`"),
        (["distill.cache=x", "distill.variants=1"], "keeps heatmaps only"),
        (["output={name: heatmap}", "model={name: hrnet}"], "the same kind of output"),
        (["distill.head_only=true", "model.variant=s"], "another backbone"),
    ],
)
def test_what_simcc_cannot_learn_is_named(dwpose_file, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        distill(load_config(dwpose_file, overrides), tmp_path / "run", quiet=True)


def test_features_are_not_for_a_head_alone(dwpose_file):
    with pytest.raises(UserError, match="with head_only"):
        load_config(dwpose_file, ["distill.head_only=true", "distill.features=1"])
