"""`lite-deploy export`: what is made, what is refused, and that nothing is left half done."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.cli import app, main
from lite_deploy.export import export
from lite_deploy.nb.read import read_nb
from tinypose.artifact.record import read_artifact
from tinypose.config import load_config
from tinypose.errors import UserError
from tinypose.files import content_digest, write_json
from tinypose.models.weights import read_params, write_params


def test_all_models_are_there(exported):
    artifact = read_artifact(exported.folder)
    names = {each.name for each in artifact.models}
    assert names == {
        "paddle_fp32", "onnx_fp32", "onnx_int8", "arm_fp32", "arm_fp16", "arm_int8", "x86_fp32",
    }  # fmt: skip
    listed = {each.file for model in artifact.models for each in model.files} | {"pose.json"}
    assert {path.name for path in exported.folder.iterdir()} == listed
    for record in artifact.models:
        if record.engine == "paddle-lite":
            model = read_nb(exported.folder / record.files[0].file)
            assert (model.target(), model.precision()) == (record.target, record.precision)
            assert "transpose2" not in {op.type for op in model.operators}


def test_int8_is_small_and_complete(exported):
    artifact = read_artifact(exported.folder)
    int8, fp32 = (artifact.model(name).files[0] for name in ("arm_int8", "arm_fp32"))
    assert int8.bytes < 0.4 * fp32.bytes
    model = read_nb(exported.folder / int8.file)
    convolutions = [op for op in model.operators if "conv2d" in op.type]
    quantised = [op for op in convolutions if op.precision == "int8"]
    assert len(quantised) == artifact.origin.quantised
    assert len(convolutions) - len(quantised) == len(artifact.origin.kept_fp32) == 1
    casts = [(op.inputs["Input"][0], op.get("scale")) for op in model.operators if op.type == "calib"]
    assert len(casts) >= 10


def test_description_says_what_a_runtime_must_know(exported):
    artifact = read_artifact(exported.folder)
    assert (artifact.input.width, artifact.input.height, artifact.input.color) == (64, 96, "RGB")
    assert artifact.input.normalise == "caller"
    assert [each.shape for each in artifact.tensors] == [(17, 24, 16)]
    assert artifact.skeleton.joints[0] == "nose"
    assert {"paddlelite", "paddlepaddle", "numpy"} <= set(artifact.tools)
    config = load_config(exported.config)
    assert artifact.origin.config == config.model_dump(mode="json")
    total = artifact.cost[-1]
    assert total.kind == "total"
    assert total.operators[1] < total.operators[0]
    assert total.bytes[1] < total.bytes[0]


def test_same_inputs_give_the_same_folder(exported, tmp_path):
    """Also: an older artifact is replaced as a whole."""
    folder = exported.copy(tmp_path)
    (folder / "left_over.nb").write_bytes(b"old")
    export(load_config(exported.config), folder, str(exported.config), quant=exported.quant)
    assert {path.name for path in folder.iterdir()} == {path.name for path in exported.folder.iterdir()}
    for path in exported.folder.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_without_rewriting_the_shuffles_stay(exported, tmp_path):
    export(load_config(exported.config), tmp_path / "plain", rewritten=False, models=["arm_fp32"])
    plain = read_nb(tmp_path / "plain" / "arm_fp32.nb")
    rewritten = read_nb(exported.folder / "arm_fp32.nb")
    assert sum(op.type == "transpose2" for op in plain.operators) >= 10
    assert len(rewritten.operators) <= len(plain.operators) - 40
    assert not read_artifact(tmp_path / "plain").origin.rewritten


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "x86_int8"], "unrelated numbers"),
        (["--model", "arm_int8_fp16"], "garbage or NaN"),
        (["--model", "arm_int8"], "give --quant"),
        (["--model", "arm_fp64"], "expected one of"),
        (["-o", "weights=null"], "weights: not set"),
        (["--normalise", "--quant", "QUANT"], "not one of a quantised network"),
        (["--quant", "nowhere"], "neither a folder that"),
        (["-o", "input.width=96", "--quant", "QUANT"], "quantised for input"),
    ],
)
def test_refused(exported, tmp_path, capsys, monkeypatch, arguments, words):
    arguments = [str(exported.quant) if each == "QUANT" else each for each in arguments]
    command = ["lite-deploy", "export", "-c", str(exported.config), *arguments, str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_ranges_of_other_weights_are_refused(exported, tmp_path):
    other = tmp_path / "other.pdparams"
    params = read_params(exported.weights)
    write_params(other, {name: value * np.float32(1.5) for name, value in params.items()})
    config = load_config(exported.config, [f"weights={other}"])
    with pytest.raises(UserError, match="quantised from other weights"):
        export(config, tmp_path / "out", quant=exported.quant)
    damaged = tmp_path / "quant"
    shutil.copytree(exported.quant, damaged)
    (damaged / "graph.npz").write_bytes((damaged / "graph.npz").read_bytes()[:-100])
    with pytest.raises(UserError):
        export(load_config(exported.config), tmp_path / "out", quant=damaged)
    assert not (tmp_path / "out").exists()


def test_int8_that_is_not_what_was_measured_is_refused(exported, tmp_path):
    quant = tmp_path / "quant"
    shutil.copytree(exported.quant, quant)
    content = json.loads((quant / "quant.json").read_text())
    content.pop("sha256")
    content["noise_error"] /= 100
    write_json(quant / "quant.json", {**content, "sha256": content_digest(content)})
    with pytest.raises(UserError, match="where `compress quant` measured"):
        export(load_config(exported.config), tmp_path / "out", quant=quant, models=["arm_int8"])
    assert not (tmp_path / "out").exists()


def test_a_network_that_gives_infinity_is_not_exported(exported, tmp_path):
    params = read_params(exported.weights)
    last = [name for name, value in params.items() if value.ndim == 4][-1]
    params[last] = np.full_like(params[last], 3e38)
    write_params(tmp_path / "large.pdparams", params)
    config = load_config(exported.config, [f"weights={tmp_path / 'large.pdparams'}"])
    with pytest.raises(UserError, match="not finite"):
        export(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(exported, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(UserError, match="holds other things"):
        export(load_config(exported.config), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    file = tmp_path / "letters.txt"
    with pytest.raises(UserError, match="is a file"):
        export(load_config(exported.config), file)


def test_when_it_fails_the_older_artifact_stays(exported, tmp_path, monkeypatch):
    import lite_deploy.export as module

    folder = exported.copy(tmp_path)
    before = sorted(path.name for path in folder.iterdir())

    def fail(*args):
        raise UserError("the disk is full")

    monkeypatch.setattr(module, "optimise", fail)
    with pytest.raises(UserError, match="disk is full"):
        export(load_config(exported.config), folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    read_artifact(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_graph_prints_parts_that_add_up(exported):
    from lite_deploy.nb.read import parts

    result = CliRunner().invoke(app, ["graph", str(exported.folder)])
    assert result.exit_code == 0, result.output
    for words in ("pointwise conv2d", "calib fp32_to_int8", "split", "int8 parameters", "total"):
        assert words in result.output
    for name in ("arm_fp32", "arm_int8"):
        sizes = parts(exported.folder / f"{name}.nb")
        assert sum(size for part, size in sizes.items() if part != "total") == sizes["total"]
        assert sizes["total"] == (exported.folder / f"{name}.nb").stat().st_size
    result = CliRunner().invoke(app, ["graph", str(exported.folder), "--model", "arm_int8"])
    assert result.exit_code == 0, result.output
    assert "int8_out" in result.output
