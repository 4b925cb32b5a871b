"""`lite-deploy verify` and `eval`: equal models pass, a changed weight does not."""

import json
import platform
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from compress.graph.run import run_numpy
from lite_deploy.cli import app, main
from lite_deploy.nb.read import read_nb
from lite_deploy.nb.write import write_nb
from lite_deploy.verify import compare, noise_crops, open_or_interpret, reference_network, verify
from tinypose.artifact.engines import open_engine
from tinypose.artifact.record import read_artifact, record_file, write_artifact
from tinypose.errors import UserError
from tinypose.inference.pose_model import PoseModel

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="runs Paddle-Lite's x86 kernels")


def change_one_weight(folder, name: str) -> None:
    path = folder / f"{name}.nb"
    model = read_nb(path)
    stem = next(op for op in model.operators if op.type == "conv2d")
    weight = model.params[stem.inputs["Filter"][0]].copy()
    weight.flat[0] += 0.1
    model.params[stem.inputs["Filter"][0]] = weight
    write_nb(model, path)


def update_checksum(folder, name: str) -> None:
    artifact = read_artifact(folder, check_files=False)
    models = tuple(
        each.model_copy(update={"files": (record_file(folder / each.files[0].file),)})
        if each.name == name
        else each
        for each in artifact.models
    )
    write_artifact(folder, artifact.model_copy(update={"models": models}))


def keep_models(folder, *names: str) -> None:
    """Let the description name these models only: fewer to run."""
    artifact = read_artifact(folder)
    models = tuple(artifact.model(name) for name in names)
    write_artifact(folder, artifact.model_copy(update={"models": models}))


def test_all_models_pass(exported, tmp_path):
    folder = exported.copy(tmp_path)
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 0, result.output
    assert "against dygraph" in result.output
    parity = {each.model: each for each in read_artifact(folder).parity}
    assert set(parity) == {each.name for each in read_artifact(folder).models}
    for name in ("paddle_fp32", "onnx_fp32", "x86_fp32", "arm_fp32"):
        assert parity[name].difference <= 1e-4
        assert parity[name].moved == 0
        assert parity[name].joints == 4 * 17
    for name in ("arm_fp16", "arm_int8", "onnx_int8"):
        assert parity[name].error == pytest.approx(read_artifact(folder).model(name).error, rel=0.1)
    assert 1e-4 < parity["arm_fp16"].difference < 0.1
    assert 1e-3 < parity["arm_int8"].difference < 10  # random weights, and ranges of other pictures


def test_normalisation_in_the_network(exported, tmp_path):
    """Pixels in, and the same heatmaps out, border included."""
    folder = tmp_path / "pixels"
    command = ["export", "-c", str(exported.config), "--normalise", "--model", "x86_fp32", str(folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    artifact = read_artifact(folder)
    assert artifact.input.normalise == "model"
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 0, result.output
    picture = np.random.default_rng(0).integers(0, 256, (120, 100, 3), np.uint8)
    found, expected = (
        PoseModel(each, "x86_fp32")(picture, [[9, 5, 70, 90]]) for each in (folder, exported.folder)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.01)


def test_a_network_that_was_trained_further_is_no_reference(exported, tmp_path):
    artifact = read_artifact(exported.folder)
    assert not artifact.origin.trained
    origin = artifact.origin.model_copy(update={"trained": True})
    network, why = reference_network(artifact.model_copy(update={"origin": origin}))
    assert network is None
    assert "trained further in quantisation" in why


@pytest.mark.parametrize("name", ["x86_fp32", "arm_fp32"])
def test_one_changed_weight_is_caught(exported, tmp_path, capsys, monkeypatch, name):
    folder = exported.copy(tmp_path)
    keep_models(folder, "onnx_fp32", name)
    change_one_weight(folder, name)
    monkeypatch.setattr("sys.argv", ["lite-deploy", "verify", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{name}.nb: damaged or edited" in capsys.readouterr().err

    update_checksum(folder, name)
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 1
    assert f"past the tolerance: {name}" in result.output
    parity = {each.model: each for each in read_artifact(folder).parity}
    assert parity[name].difference > 1e-4
    assert parity["onnx_fp32"].difference <= 1e-4


def test_int8_beyond_the_error_it_had_when_exported_fails(exported, tmp_path):
    folder = exported.copy(tmp_path)
    keep_models(folder, "onnx_fp32", "arm_int8")
    assert read_artifact(folder).model("arm_int8").error > 0
    model = read_nb(folder / "arm_int8.nb")
    convolutions = [op for op in model.operators if op.type == "conv2d" and op.precision == "int8"]
    for op in convolutions[:3]:
        model.params[op.inputs["Filter"][0]] = -model.params[op.inputs["Filter"][0]]
    write_nb(model, folder / "arm_int8.nb")
    update_checksum(folder, "arm_int8")
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 1, result.output
    assert "past the tolerance: arm_int8" in result.output


@pytest.mark.parametrize("name", ["x86_fp32", "onnx_fp32"])
def test_a_model_that_ends_its_engine_does_not_end_us(exported, tmp_path, monkeypatch, name):
    """Checksums made anew, bytes changed: each is a UserError or computes; Paddle-Lite aborts on most."""
    monkeypatch.setenv("EDGE_POSE_CACHE", str(tmp_path / "cache"))
    folder = exported.copy(tmp_path)
    file = folder / read_artifact(folder).model(name).files[0].file
    whole, refused = file.read_bytes(), 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        for place in rng.integers(30, len(data) // 5, 40):  # the program stands before the weights
            data[place] = rng.integers(256)
        file.write_bytes(data)
        update_checksum(folder, name)
        artifact = read_artifact(folder)
        try:
            open_engine(artifact, folder, name)(np.zeros((1, 3, 96, 64), np.float32))
        except UserError as error:
            assert str(file) in str(error)
            refused += 1
    assert refused
    file.write_bytes(whole)
    update_checksum(folder, name)
    open_engine(read_artifact(folder), folder, name)
    assert len(list((tmp_path / "cache" / "tried").iterdir())) == 5 - refused


def test_a_changed_model_for_arm_is_answered(exported, tmp_path):
    """It is computed here by the interpreter, which meets instructions that contradict each other."""
    artifact = read_artifact(exported.folder)
    record = artifact.model("arm_fp32")
    whole, refused = (exported.folder / "arm_fp32.nb").read_bytes(), 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        for place in rng.integers(30, len(data) // 5, 1 + 10 * (seed % 2)):
            data[place] = rng.integers(256)
        (tmp_path / "arm_fp32.nb").write_bytes(data)
        try:
            run, _ = open_or_interpret(artifact, tmp_path, record)
            run(np.zeros((1, 3, 96, 64), np.float32))
        except UserError as error:
            assert "arm_fp32.nb" in str(error)
            refused += 1
    assert refused


def test_without_the_weights_the_models_are_compared_with_each_other(exported, tmp_path):
    folder = exported.copy(tmp_path)
    artifact = read_artifact(folder)
    origin = artifact.origin.model_copy(update={"weights": str(tmp_path / "gone.pdparams")})
    models = tuple(artifact.model(name) for name in ("onnx_fp32", "paddle_fp32"))
    artifact = artifact.model_copy(update={"origin": origin, "models": models})
    reference, rows = verify(artifact, folder, noise_crops(artifact, 1))
    assert reference.startswith("paddle_fp32")
    assert [row.passed for row in rows] == [True, True]
    other = tmp_path / "other.pdparams"
    shutil.copy(exported.weights, other)
    other.write_bytes(other.read_bytes() + b" ")
    origin = artifact.origin.model_copy(update={"weights": str(other)})
    network, why = reference_network(artifact.model_copy(update={"origin": origin}))
    assert network is None
    assert "not those that were exported" in why


def test_interpreted_int8_is_the_simulation_of_the_package(exported):
    """The file that goes to the phone computes what `compress quant` measured."""
    from compress.quant.package import read_package
    from compress.quant.simulate import Simulation

    artifact = read_artifact(exported.folder)
    graph, scales, record = read_package(exported.quant)
    images = np.random.default_rng(1).standard_normal((2, 3, 96, 64)).astype(np.float32)
    found, how = open_or_interpret(artifact, exported.folder, artifact.model("arm_int8"))
    assert how == "interpreted"
    assert not set(record.kept_fp32) & set(scales)
    expected = Simulation(graph, scales)(images)[0]
    exact = run_numpy(graph, images)[0]
    error = np.abs(found(images) - expected).mean()
    assert error <= 0.3 * np.abs(expected - exact).mean()


def test_compare():
    rng = np.random.default_rng(0)
    expected = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    same = compare([expected], [expected.copy()], "m", "r")
    assert (same.difference, same.moved, same.joints) == (0, 0, 6)
    assert same.correlation == pytest.approx(1)
    found = expected.copy()
    place = np.unravel_index(np.abs(expected).argmax(), expected.shape)
    found[place] *= 1.5
    assert compare([expected], [found], "m", "r").difference == pytest.approx(0.5)
    found = expected.copy()
    found[1, 2] = found[1, 2, ::-1]
    assert compare([expected], [found], "m", "r").moved == 1
    found[0, 0, 0, 0] = np.nan
    assert compare([expected], [found], "m", "r").difference > 1e6
    with pytest.raises(UserError, match="gives"):
        compare([expected], [expected[:1]], "m", "r")


def test_noise_is_the_same_every_time_and_varied(exported):
    artifact = read_artifact(exported.folder)
    crops = noise_crops(artifact, 2)
    np.testing.assert_array_equal(crops, noise_crops(artifact, 2))
    assert crops.shape == (2, 96, 64, 3)
    assert crops.dtype == np.uint8
    assert crops.std() > 20
    assert (crops[0] != crops[1]).mean() > 0.9


def test_eval_through_the_runtime_finds_what_the_network_finds(exported, drawn, tmp_path):
    from tinypose.cli import app as tinypose

    folder, annotations, images = exported.copy(tmp_path), *map(str, drawn)
    data = ["-o", f"data.val.annotations={annotations}", "-o", f"data.val.images={images}"]
    network = [
        "eval",
        "-c",
        str(exported.config),
        *data,
        "--output",
        str(tmp_path / "network.json"),
    ]
    result = CliRunner().invoke(tinypose, network)
    assert result.exit_code == 0, result.output
    expected = json.loads((tmp_path / "network.json").read_text())
    for model in ("x86_fp32", "arm_fp32"):
        saved = tmp_path / f"{model}.json"
        command = ["eval", str(folder), "--data", annotations, images, "--model", model]
        result = CliRunner().invoke(app, [*command, "--output", str(saved)])
        assert result.exit_code == 0, result.output
        found = json.loads(saved.read_text())
        assert [each["image_id"] for each in found] == [each["image_id"] for each in expected]
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=0.1)
    records = {each.model: each for each in read_artifact(folder).accuracy}
    assert set(records) == {"x86_fp32", "arm_fp32"}
    assert records["x86_fp32"].people >= 6
    assert records["x86_fp32"].flip
    # The same measurement again takes the place of the first.
    result = CliRunner().invoke(app, ["eval", str(folder), "--data", annotations, images])
    assert result.exit_code == 0, result.output
    assert len(read_artifact(folder).accuracy) == 2


def test_eval_says_what_is_missing(exported, capsys, monkeypatch):
    for arguments, words in (
        (["--data", "a.json", "b"], "a.json"),
        (["--model", "arm_fp64"], "no model 'arm_fp64'"),
    ):
        monkeypatch.setattr("sys.argv", ["lite-deploy", "eval", str(exported.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert words in capsys.readouterr().err


def test_a_picture_as_input(exported, tmp_path, shared):
    folder = exported.copy(tmp_path)
    keep_models(folder, "onnx_fp32")
    picture = shared / "samples" / "hrnet_demo.jpg"
    result = CliRunner().invoke(app, ["verify", str(folder), "--image", str(picture)])
    assert result.exit_code == 0, result.output
    assert "1 inputs" in result.output


@pytest.mark.parametrize("size", ["256x192", "128x96"])
def test_published_weights_through_the_runtime(shared, tmp_path, size):
    """Issue 2: the same AP through the x86 `.nb` as in dygraph, to 0.1; all models equal."""
    from lite_deploy.export import export
    from tinypose.config import CONFIGS, load_config

    data = shared / "data" / "coco-mini"
    config = CONFIGS / f"tinypose_{size}.yml"
    overrides = [
        f"weights={shared / 'weights' / f'tinypose_{size}.pdparams'}",
        f"data.val.annotations={data / 'annotations' / 'person_keypoints_val2017.json'}",
        f"data.val.images={data / 'val2017'}",
    ]
    export(
        load_config(config, overrides), tmp_path / "artifact", str(config), models=["arm_fp32", "x86_fp32"]
    )
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "artifact")])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["eval", str(tmp_path / "artifact")])
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "artifact" / "pose.json").read_text())["accuracy"][0]
    assert (record["model"], record["people"], record["flip"]) == ("x86_fp32", 68, True)
    assert record["metrics"]["AP"] == pytest.approx({"256x192": 67.5, "128x96": 57.6}[size], abs=0.1)
    model = read_nb(tmp_path / "artifact" / "arm_fp32.nb")
    assert "transpose2" not in {op.type for op in model.operators}
