"""Bottom-up networks all the way: export, every engine, what they are made of, how fast; and INT8."""

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.bench import scene
from lite_deploy.bench.results import read_results
from lite_deploy.cli import app
from tinypose.artifact.record import read_artifact

QUICK = ["--rounds", 1, "--max-rounds", 1, "--runs", 2, "--warmup-seconds", 0, "--cool-seconds", 0]


def call(command, *words) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.mark.parametrize("name", ["higherhrnet_synthetic", "adaptive_synthetic"])
def test_from_export_to_times(name, tmp_path, lively):
    folder, out = tmp_path / "artifact", tmp_path / "results.jsonl"
    call(app, "export", *lively(name, tmp_path), "--output", folder)
    assert {m.name for m in read_artifact(folder).models} >= {"arm_fp32", "arm_fp16", "x86_fp32", "onnx_fp32"}
    verified = call(app, "verify", folder)
    assert verified.count("equal") == 4 and verified.count("as expected") == 1
    assert "total" in call(app, "graph", folder)
    call(app, "bench", folder, *QUICK, "--threads", 1, "--output", out)
    results = read_results(out)
    assert {visit.model for visit in results.visits} == {"x86_fp32", "onnx_fp32"} and results.complete
    assert all(check.passed and check.moved == 0 for check in results.checks)
    refused = CliRunner().invoke(app, ["bench", str(folder), "--box", "1,2,3,4", "--image", str(out)])
    assert "sees the whole picture" in str(refused.exception)
    shift_is_seen(folder)


def shift_is_seen(folder):
    """A device whose maps lie a few pixels aside is told from one that is right."""
    artifact = read_artifact(folder)
    drawn = scene.default_scene(3)
    model = artifact.model("x86_fp32")
    expected, how = scene.expected_outputs(artifact, folder, model, drawn)
    aside = [np.roll(each, 3, axis=3) for each in expected]
    assert scene.check(artifact, model, drawn, expected, expected, how).passed
    assert scene._summits_moved(artifact, drawn, expected, aside) > 10
    assert not scene.check(artifact, model, drawn, expected, aside, how).passed


@pytest.mark.slow
def test_int8(tmp_path, lively):
    from compress.cli import app as compress

    words = lively("higherhrnet_synthetic", tmp_path)
    call(compress, "quant", *words, "--for", "any", "--keep-fp32", 3, "--output", tmp_path / "int8")
    call(app, "export", *words, "--quant", tmp_path / "int8", "--output", tmp_path / "artifact")
    verified = call(app, "verify", tmp_path / "artifact")
    assert "arm_int8" in verified and "onnx_int8" in verified
    assert "AP" in call(app, "eval", tmp_path / "artifact", "--model", "arm_int8", "--no-flip")
