"""Distillation: the teacher's maps lie on the student's pixels, the loss is its parts, runs are ordinary."""

from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from typer.testing import CliRunner

from compress.cli import app
from compress.distill.objective import DistillObjective, strength_at
from compress.distill.resample import interpolation, sampling
from compress.distill.run import distill
from compress.distill.teacher import Teacher, teacher_config
from tinypose.codecs import heatmap
from tinypose.codecs.heatmap import HeatmapCodec
from tinypose.config import CONFIGS, Config, DistillConfig, HRNetConfig, load_config
from tinypose.data.loader import open_loader
from tinypose.data.merge import load_training_set
from tinypose.engine.evaluate import predict_outputs
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import load_weights, read_params, write_params
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton

INPUT = {"width": 96, "height": 128}

COCO = load_skeleton("coco17")
SMALL = HRNetConfig(name="hrnet", width=4, stem=4)


@pytest.fixture(scope="module")
def teacher_file(people, tmp_path_factory) -> Path:
    """A teacher with weights of chance and lively batch norm; at twice the student's size."""
    folder = tmp_path_factory.mktemp("teacher")
    paddle.seed(11)
    net = build_model(Config(model=SMALL, input=INPUT), 17)
    net(paddle.rand([4, 3, 64, 64]))
    params = {key: value.numpy() for key, value in net.state_dict().items()}
    rng = np.random.default_rng(0)
    params["final_conv.weight"] = rng.normal(0, 0.3, params["final_conv.weight"].shape).astype(np.float32)
    write_params(folder / "teacher.pdparams", params)
    values = {
        "model": SMALL.model_dump(),
        "input": {"width": 64, "height": 64},
        "weights": str(folder / "teacher.pdparams"),
    }
    (folder / "teacher.yml").write_text(yaml.safe_dump(values))
    return folder / "teacher.yml"


@pytest.fixture(scope="module")
def student_file(people, teacher_file, tmp_path_factory) -> Path:
    where = {"annotations": str(people / "annotations.json"), "images": str(people / "images")}
    values = {
        "model": SMALL.model_dump(),
        "input": {"width": 32, "height": 32},
        "output": {"sigma": 1.0},
        "data": {"train": where, "val": where},
        "eval": {"flip": False},
        "train": {
            "epochs": 2,
            "batch_size": 3,
            "warmup_steps": 0,
            "workers": 0,
            "static": False,
            "save_minutes": 1e-6,
            "eval_epochs": 2,
        },
        "distill": {"teacher": str(teacher_file)},
    }
    path = tmp_path_factory.mktemp("student") / "student.yml"
    path.write_text(yaml.safe_dump(values))
    return path


def sized(width: int, height: int, grid: str = "stride", sigma: float = 2.0) -> Config:
    return Config.model_validate(
        {
            "model": SMALL.model_dump(),
            "input": {"width": width, "height": height},
            "output": {"grid": grid, "sigma": sigma},
        }
    )


def drawn(config: Config, joints: np.ndarray) -> np.ndarray:
    """Heatmaps of joints that are given in parts of the crop, from 0 to 1."""
    size = (config.input.width, config.input.height)
    small = (size[0] // 4, size[1] // 4)
    places = joints * (np.array(size) - 1)
    settings = config.output
    ones = np.ones(len(joints))
    return heatmap.encode(places, ones, size, small, settings.sigma, "unbiased", settings.grid)[0]


@pytest.mark.parametrize(
    "grids", [("stride", "stride"), ("udp", "udp"), ("udp", "stride"), ("stride", "udp")]
)
def test_the_teachers_maps_are_brought_onto_the_students_pixels(grids):
    """A joint in the teacher's maps, brought over, is the joint in the student's maps."""
    teacher, student = sized(192, 256, grids[0], 4.0), sized(96, 128, grids[1], 2.0)
    joints = np.random.default_rng(0).uniform(0.15, 0.85, (17, 2))
    rows, columns = sampling(teacher, student)
    brought = rows @ drawn(teacher, joints) @ columns
    expected = drawn(student, joints)
    assert brought.shape == expected.shape == (17, 32, 24)
    found, truth = (heatmap.decode(maps[None], "dark", 3)[0, :, :2] for maps in (brought, expected))
    assert np.abs(found - truth).max() < 0.05  # heatmap pixels
    # A sigma of so many heatmap pixels is not quite the same length on two grids.
    assert np.abs(brought - expected).max() < (0.02 if grids[0] == grids[1] else 0.1)


def test_equal_sizes_need_no_bringing():
    assert sampling(sized(96, 128), sized(96, 128)) is None
    assert sampling(sized(96, 128, "udp"), sized(96, 128, "stride")) is not None


def test_interpolation_takes_the_border_beyond_it():
    matrix = interpolation(np.array([-1.0, 0.25, 2.0, 9.0]), 3)
    np.testing.assert_allclose(matrix @ [1.0, 2.0, 4.0], [1.0, 1.25, 4.0, 4.0])


def tensors(*shapes: tuple[int, ...]) -> list[paddle.Tensor]:
    rng = np.random.default_rng(1)
    return [paddle.to_tensor(rng.random(shape, np.float32)) for shape in shapes]


def test_the_loss_is_the_sum_of_its_parts():
    paddle.seed(0)
    net = build_model(Config(model=SMALL, input=INPUT), 5)
    net.eval()
    images, truth, taught, features = tensors((2, 3, 32, 32), (2, 5, 8, 8), (2, 5, 8, 8), (2, 6, 8, 8))
    weights = paddle.to_tensor([[1.0, 1, 0, 0, 1], [0, 1, 1, 1, 1]])
    settings = DistillConfig(teacher="t.yml", truth=0.3, visible=0.5, every=0.7, features=0.9)
    objective = DistillObjective(net, settings, HeatmapCodec(), teacher_channels=6)
    loss = float(objective(images, [truth, weights], paddle.to_tensor(0.25), [taught], features))
    output, own = net(images)[0].numpy(), net.backbone(images)
    masked = weights.numpy()[:, :, None, None]
    adapted = objective.adapter(own).numpy()
    expected = 0.3 * np.mean(((output - truth.numpy()) * masked) ** 2)
    expected += 0.25 * 0.5 * np.mean(((output - taught.numpy()) * masked) ** 2)
    expected += 0.25 * 0.7 * np.mean((output - taught.numpy()) ** 2)
    expected += 0.25 * 0.9 * np.mean((adapted - features.numpy()) ** 2) / np.mean(features.numpy() ** 2)
    assert loss == pytest.approx(float(expected), rel=1e-4)


def test_the_adapter_learns_and_is_not_part_of_the_student():
    net = build_model(Config(model=SMALL, input=INPUT), 5)
    settings = DistillConfig(teacher="t.yml", features=1.0)
    objective = DistillObjective(net, settings, HeatmapCodec(), teacher_channels=6)
    images, *targets = tensors((2, 3, 32, 32), (2, 5, 8, 8), (2, 5))
    strength, taught, features = tensors((), (2, 5, 8, 8), (2, 6, 8, 8))
    loss = objective(images, targets, strength, [taught], features)
    loss.backward()
    assert objective.adapter.weight.grad.abs().sum() > 0
    assert net.backbone.conv_layer1_1.conv.weight.grad.abs().sum() > 0
    assert not [key for key in net.state_dict() if "adapter" in key]


def test_the_teachers_part_falls_as_the_config_says():
    def at(step: int, **settings: object) -> float:
        return strength_at(step, 100, DistillConfig(teacher="t.yml", **settings))

    assert at(0) == at(99) == 1.0
    assert at(0, decay="linear") == 1.0 and at(50, decay="linear") == pytest.approx(0.5)
    assert at(50, decay="linear", final_factor=0.4) == pytest.approx(0.7)
    assert at(100, decay="cosine", final_factor=0.2) == pytest.approx(0.2)


def test_the_averaged_teacher_answers_as_evaluation_does(student_file):
    """Flip test and all: at equal sizes the targets are what `tinypose eval` decodes."""
    config = load_config(student_file, ["distill.flip=true", "input.width=64", "input.height=64"])
    teacher_settings = teacher_config(config.distill)
    teacher = Teacher(teacher_settings, config, COCO)
    people, _ = load_training_set(config, COCO)
    with open_loader(people, 0, 1, 0) as loader:
        batch = next(loader)
    (maps,), features = teacher.targets(batch)
    net = build_model(teacher_settings, 17)
    load_weights(net, teacher_settings.weights)
    net.eval()
    mean, std = np.array(config.input.mean), np.array(config.input.std)
    crops = (batch.images.transpose(0, 2, 3, 1) * std + mean) * 255
    flipping = teacher_settings.model_copy(update={"eval": config.eval.model_copy(update={"flip": True})})
    expected = predict_outputs(as_network(net), crops.round().astype(np.uint8), flipping, COCO)
    assert features is None
    np.testing.assert_allclose(maps, expected[0], atol=1e-3 * np.abs(expected[0]).max())


def last(output: Path) -> dict[str, np.ndarray]:
    return read_params(output / "last.pdparams")


def assert_equal(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_the_students_checkpoint_is_an_ordinary_one(student_file, tmp_path, capsys):
    config = load_config(student_file, ["distill.features=0.1", "train.epochs=1"])
    record = distill(config, tmp_path / "run")
    printed = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert "teacher" in printed[0]  # before anything else
    assert any(line.startswith("teacher: ") and "AP" in line for line in printed)
    assert record["epoch"] == 1 and "AP" in record
    net = build_model(config, 17)
    assert load_weights(net, tmp_path / "run" / "best.pdparams") == []


def test_a_cache_changes_nothing_and_is_read_again(student_file, tmp_path, monkeypatch):
    config = load_config(student_file, ["distill.variants=2", f"distill.cache={tmp_path / 'cache'}"])
    distill(config, tmp_path / "first", quiet=True)

    def never(*_):
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(Teacher, "targets", never)
    distill(config, tmp_path / "second", quiet=True)
    assert_equal(last(tmp_path / "first"), last(tmp_path / "second"))


def test_a_stopped_distillation_goes_on_to_the_same_end(student_file, tmp_path, monkeypatch):
    config = load_config(
        student_file, ["distill.features=0.1", "distill.decay=linear", "distill.final_factor=0.1"]
    )
    distill(config, tmp_path / "whole", quiet=True)

    class Killed(BaseException):
        pass

    targets, count = Teacher.targets, 0

    def killing(self, batch):
        nonlocal count
        count += 1
        if count in (2, 4):
            raise Killed
        return targets(self, batch)

    monkeypatch.setattr(Teacher, "targets", killing)
    for _ in range(2):
        with pytest.raises(Killed):
            distill(config, tmp_path / "killed", resume=True, quiet=True)
    distill(config, tmp_path / "killed", resume=True, quiet=True)
    assert_equal(last(tmp_path / "whole"), last(tmp_path / "killed"))


def test_learning_from_a_teacher_brings_the_student_nearer_to_it(student_file, tmp_path):
    """With the teacher alone, at equal size and from the teacher's backbone, the loss falls."""
    config = load_config(
        student_file,
        ["distill.truth=0", "distill.every=1", "train.epochs=4", "train.learning_rate=0.01"]
        + ["distill.variants=1", "data.val=null"],
    )
    distill(config, tmp_path / "run", quiet=True)
    lines = [yaml.safe_load(line) for line in (tmp_path / "run" / "epochs.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["distill=null"], "distill: not set"),
        (["input.width=64"], "sees 64x64 with padding 1.25, the student 64x32"),
        (["input.padding=1.5"], "same ratio and padding"),
        (["skeleton=crowdpose14"], "finds the joints of 'coco17'"),
        (["distill.teacher=nobody.yml"], "nobody.yml: no such config"),
        (["distill.teacher=hrnet_w32_256x192.yml"], "weights: not set, and no distill.weights"),
    ],
)
def test_what_does_not_belong_together_is_named(student_file, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        distill(load_config(student_file, overrides), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["distill.every=0"], "at least one above 0"),
        (["distill.cache=x"], "needs `variants`"),
        (["distill.cache=x", "distill.variants=1", "distill.features=1"], "keeps heatmaps only"),
    ],
)
def test_settings_that_contradict_each_other_are_named(student_file, overrides, message):
    with pytest.raises(UserError, match=message):
        load_config(student_file, overrides)


def test_a_cache_of_other_crops_is_refused(student_file, tmp_path):
    settings = [
        "distill.variants=1",
        f"distill.cache={tmp_path / 'cache'}",
        "train.epochs=1",
        "data.val=null",
    ]
    distill(load_config(student_file, settings), tmp_path / "first", quiet=True)
    with pytest.raises(UserError, match="another teacher, or of other crops"):
        distill(load_config(student_file, [*settings, "train.seed=1"]), tmp_path / "second", quiet=True)


def test_a_teacher_worse_than_its_student_is_warned_of(student_file, teacher_file, tmp_path, monkeypatch):
    import compress.distill.run as module

    values = iter([{"AP": 10.0}, {"AP": 20.0}])
    monkeypatch.setattr(module, "measure", lambda *_: (next(values), []))
    said: list[str] = []
    config = load_config(student_file, [f"weights={teacher_file.parent / 'teacher.pdparams'}"])
    teacher = Teacher(teacher_config(config.distill), config, COCO)
    value = module.compare(teacher, teacher.net, config, COCO, lambda text, **_: said.append(text))
    assert value == 10.0 and said[0].endswith("AP 10.0") and "AP 20.0 before" in said[1]
    assert "the teacher is worse than the student" in said[2]


def test_the_command(student_file, tmp_path):
    result = CliRunner().invoke(
        app, ["distill", "-c", str(student_file), "--output", str(tmp_path / "run"), "-o", "train.epochs=1"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "best.pdparams").exists() and (tmp_path / "run" / "curves.png").exists()


@pytest.mark.parametrize("path", sorted((CONFIGS / "compress").glob("distill_*.yml")), ids=lambda p: p.stem)
def test_ready_configs_load_and_their_teachers_fit(path):
    from compress.distill.teacher import check_fit
    from tinypose.models.zoo import ZOO

    config = load_config(path)
    teacher = teacher_config(config.distill)
    check_fit(teacher, config)
    assert teacher.weights in ZOO or "synthetic" in path.stem
