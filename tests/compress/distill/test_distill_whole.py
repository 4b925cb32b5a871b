"""`compress distill` of networks that find everybody at once."""

import json

import numpy as np
import paddle
import pytest
import yaml

from compress.distill.run import distill
from compress.distill.teacher import check_fit, teacher_config
from tinypose.config import CONFIGS, load_config
from tinypose.data.synthetic import draw_set
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import read_params, write_params
from tinypose.skeleton import load_skeleton

OUTPUTS = {
    "higherhrnet": {"name": "tags"},
    "swahr": {"name": "tags", "scale_aware": True},
    "adaptive": {"name": "offsets", "kind": "adaptive", "regression": 16},
    "higher": {"name": "offsets", "kind": "adaptive", "regression": 16, "higher": True},
    "dekr": {"name": "offsets", "kind": "dekr"},
}


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "set"
    draw_set(folder, 4, seed=3, size=(240, 240), people=(2, 3))
    return {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}


def student_config(output, where, folder, **changes):
    """Write a teacher with weights of chance, and its student; return the student's config."""
    values = {
        "inherits": str(CONFIGS / "higherhrnet_synthetic.yml"),
        "model": {"name": "hrnet", "width": 8, "stem": 8, "modules": [1, 1, 1], "blocks": 1},
        "input": {"width": 64, "height": 64},
        "output": OUTPUTS[output],
    }
    teacher = folder / "teacher.yml"
    teacher.write_text(yaml.safe_dump(values))
    config = load_config(teacher)
    paddle.seed(5)
    net = build_model(config, 17)
    params = {key: value.numpy() for key, value in net.state_dict().items()}
    for key, value in params.items():  # what it gives is far from what a fresh network gives
        if key.endswith(".bias") and params[key.replace(".bias", ".weight")].ndim == 4:
            params[key] = value + 0.5
    write_params(folder / "teacher.pdparams", params)
    values["data"] = {"train": where, "val": where}
    values["eval"] = {"flip": False}
    values["train"] = {"epochs": 6, "batch_size": 4, "warmup_steps": 0, "workers": 0, "static": False}
    values["train"] |= {"eval_epochs": 6, "learning_rate": 3e-2}
    values["whole"] = {"scale": [1, 1], "rotation": 0, "shift": 0, "flip_chance": 0}
    values["distill"] = {"teacher": str(teacher), "weights": str(folder / "teacher.pdparams")}
    values["distill"] |= {"truth": 0.0, "every": 1.0, **changes}
    (folder / "student.yml").write_text(yaml.safe_dump(values))
    return load_config(folder / "student.yml")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_student_comes_nearer_to_its_teacher(output, where, tmp_path):
    config = student_config(output, where, tmp_path)
    distill(config, tmp_path / "run", quiet=True)
    lines = (tmp_path / "run" / "epochs.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.5 * losses[0] and np.isfinite(losses).all()
    known = build_model(config, 17).state_dict()
    assert read_params(tmp_path / "run" / "last.pdparams").keys() == known.keys()


def test_the_teacher_itself_lacks_nothing(where, tmp_path):
    from compress.distill.whole_pictures import offset_parts, tag_parts
    from tinypose.data.merge import load_training_set
    from tinypose.data.whole import make_whole_batch

    for output, parts in (("higherhrnet", tag_parts), ("higher", offset_parts)):
        config = student_config(output, where, tmp_path)
        pictures, _ = load_training_set(config, load_skeleton("coco17"))
        batch = make_whole_batch(pictures, 0, np.arange(2))
        targets = [paddle.to_tensor(each) for each in batch.targets]
        net = build_model(config, 17)
        outputs = net(paddle.to_tensor(batch.images))
        assert float(parts(outputs, outputs, targets, config.output)) == 0
        for number in range(len(outputs)):
            moved = [each + 0.1 * (number == place) for place, each in enumerate(outputs)]
            assert float(parts(moved, outputs, targets, config.output)) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visible": 1.0}, "distill.visible: not with output.name=offsets"),
        ({"flip": True}, "distill.flip: not with"),
        ({"variants": 2}, "distill.variants: not with"),
        ({"features": 1.0}, "distill.features: not with"),
    ],
)
def test_parts_for_crops_are_refused(changes, message, where, tmp_path):
    config = student_config("adaptive", where, tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        check_fit(teacher_config(config.distill), config)


def test_other_maps_are_refused(where, tmp_path):
    config = student_config("adaptive", where, tmp_path)
    other = config.model_copy(update={"output": config.output.model_copy(update={"higher": True})})
    with pytest.raises(UserError, match="maps of the same kinds"):
        check_fit(teacher_config(config.distill), other)
