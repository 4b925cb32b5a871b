"""Published PP-TinyPose to INT8 and to the phone: what is lost, what is kept in FP32, how large it is."""

import json
import sys
from itertools import pairwise

import pytest

from compress.cli import main as compress
from lite_deploy.cli import main as lite_deploy
from lite_deploy.nb.read import read_nb


def call(monkeypatch, main, *words) -> None:
    """Run a command with these words; it must end well."""
    monkeypatch.setattr(sys, "argv", ["command", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


def on_real_people(shared, size) -> list:
    """Return the words that name a published network and coco-mini."""
    data = shared / "data" / "coco-mini"
    words = ["-c", f"configs/tinypose_{size}.yml", f"-oweights={shared}/weights/tinypose_{size}.pdparams"]
    for part in ("train", "val"):
        words += [f"-odata.{part}.annotations={data}/annotations/person_keypoints_{part}2017.json"]
        words += [f"-odata.{part}.images={data}/{part}2017"]
    return words


@pytest.mark.parametrize("size", ["128x96", pytest.param("256x192", marks=pytest.mark.slow)])
def test_at_most_half_a_point_is_lost_with_at_most_four_kept(shared, monkeypatch, tmp_path, size):
    words = on_real_people(shared, size)
    int8, artifact = tmp_path / "int8", tmp_path / "artifact"
    call(monkeypatch, compress, "quant", *words, "--max-drop", 0.5, "--output", int8)
    record = json.loads((int8 / "quant.json").read_text())
    rungs = record["rungs"]
    assert record["fp32_ap"] - rungs[-1]["accuracy"]["mean"] <= 0.5 and record["chosen"] == rungs[-1]["name"]
    assert len(record["kept_fp32"]) <= 4
    # A rung that is climbed brings the heatmaps nearer.
    errors = [rung["accuracy"]["heatmap_error"] for rung in rungs]
    assert all(after < before / 2 for before, after in pairwise(errors))
    # Counted on the real runtime: 9.4 million of 39.2, and 37.8 of 138.5 (docs/quantization.md).
    assert record["target"] == "sdot"
    assert record["saved_instructions"] > {"128x96": 8.5e6, "256x192": 36e6}[size]

    call(monkeypatch, lite_deploy, "export", artifact, *words, "--quant", int8, "--model", "arm_int8")
    file = artifact / "arm_int8.nb"
    assert file.stat().st_size <= 2.0e6
    convolutions = [op for op in read_nb(file).operators if op.type.endswith("conv2d")]
    in_int8 = [op for op in convolutions if op.precision == "int8"]
    assert len(in_int8) == rungs[-1]["quantised"] < len(convolutions)
    assert not any(op.type == "depthwise_conv2d" for op in in_int8)

    call(monkeypatch, lite_deploy, "eval", artifact, "--model", "arm_int8", "--no-flip")
    measured = json.loads((artifact / "pose.json").read_text())["accuracy"][0]["metrics"]["AP"]
    # The simulation is the .nb's arithmetic; only what stays in FP32 may add in another order.
    assert measured == pytest.approx(rungs[-1]["accuracy"]["aps"][0], abs=0.3)


@pytest.mark.slow
def test_pact_alone_wins_back_what_plain_int8_lost(shared, monkeypatch, tmp_path):
    plain = [
        "--for",
        "any",
        "-oquant.ranges=mse",
        "-oquant.equalise=false",
        "--keep-fp32",
        0,
        "--method",
        "pact",
    ]
    plain += [f"-oquant.train.{each}" for each in ("batch_size=8", "epochs=30", "eval_epochs=3")]
    call(monkeypatch, compress, "quant", *on_real_people(shared, "128x96"), *plain, "--output", tmp_path)
    record = json.loads((tmp_path / "quant.json").read_text())
    before, after = (rung["accuracy"]["mean"] for rung in record["rungs"])
    print(f"FP32 {record['fp32_ap']:.2f}, plain INT8 {before:.2f}, trained {after:.2f}")
    assert not record["kept_fp32"]
    assert after - before >= 0.8 * (record["fp32_ap"] - before) > 0
