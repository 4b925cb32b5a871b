"""Results files: lines that are written, read and refused; and the check of a device's output."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lite_deploy.bench import scene
from lite_deploy.bench.analysis import analyse
from lite_deploy.bench.results import (
    CheckLine,
    EndLine,
    FailureLine,
    RunLine,
    VisitLine,
    append,
    drop_half_line,
    read_results,
)
from tinypose.artifact.record import read_artifact
from tinypose.errors import UserError

RUN = RunLine(
    started="2026-01-01T00:00:00+0000",
    device="ssh:board",
    machine={"model": "Board", "arm": True},
    artifact={},
    tools={},
    options={},
    folder="/tmp/edge-pose-0",
)


def visit(times, number=1, **fields) -> VisitLine:
    """A line of one round with these network times."""
    defaults = {
        "model": "arm_fp32",
        "threads": 1,
        "cluster": "any",
        "round": number,
        "runner": "pose_runner",
        "engine": "paddle-lite",
        "engine_version": "2.13",
        "cores": [0],
        "load_ms": 20.0,
        "first_ms": 30.0,
        "warmup_runs": 16,
        "warm": True,
        "crop_ms": [0.25] * len(times),
        "network_ms": list(times),
        "decode_ms": [0.125] * len(times),
        "peak_kb": 40960,
        "clocks_khz": {"before": [2000000], "after": [2000000]},
        "others": 0.01,
        "preempted": 0,
        "temperature_c": {"before": 40.0, "after": 41.0},
        "cooled_s": 0.0,
    }
    return VisitLine(**{**defaults, **fields})


@pytest.fixture
def path(tmp_path):
    """A results file with a run line and five steady rounds."""
    path = tmp_path / "results.jsonl"
    append(path, RUN)
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        append(path, visit(10 * np.exp(0.005 * rng.standard_normal(30)), number))
    return path


def test_lines_come_back(path):
    check = CheckLine(model="m", expected_by="onnx", difference=1e-6, correlation=1.0, moved=0, passed=True)
    failure = FailureLine(model="m", threads=2, cluster="big", message='crashed: $(x) "y"\n')
    for line in (check, failure, EndLine(reason="complete")):
        append(path, line)
    results = read_results(path)
    assert results.run == RUN and results.checks == [check] and results.failures == [failure]
    assert results.complete and [each.round for each in results.visits] == [1, 2, 3, 4, 5]
    assert results.visits[0].total_ms == pytest.approx(np.array(results.visits[0].network_ms) + 0.375)


def test_half_a_line_is_left_out(path):
    whole = path.read_bytes()
    with open(path, "ab") as file:
        file.write(b'{"schema":1,"kind":"vi')
    assert len(read_results(path).visits) == 5
    drop_half_line(path)
    assert path.read_bytes() == whole


def test_unknown_fields_are_ignored(path):
    with open(path, "a") as file:
        file.write(json.dumps({"schema": 1, "kind": "end", "reason": "complete", "new": 1}) + "\n")
    assert read_results(path).complete


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", ":7: not JSON"),
        ('{"schema":2,"kind":"end","reason":"complete"}', ":7: schema 2, and this tool reads 1"),
        ('{"schema":1,"kind":"other"}', ":7"),
        ("[1]", ":7"),
        ('{"schema":1,"kind":"end","reason":"bored"}', "end.reason|reason"),
        (RUN.model_dump_json(by_alias=True), "expected one line of kind 'run', and that the first"),
    ],
)
def test_lines_that_are_refused(path, line, says):
    with open(path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=says):
        read_results(path)


def test_files_that_are_no_results(tmp_path):
    with pytest.raises(UserError, match="no such results file"):
        read_results(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="no whole line"):
        read_results(tmp_path / "empty")
    append(tmp_path / "headless", EndLine(reason="complete"))
    with pytest.raises(UserError, match="that the first"):
        read_results(tmp_path / "headless")


def test_numbers_of_a_case(path):
    (case,) = analyse(read_results(path))
    assert case.warnings == ()
    assert case.summary.median == pytest.approx(10.375, rel=0.005) and case.summary.rounds == 5
    assert case.stages["crop"] == 0.25 and case.stages["decode"] == 0.125
    assert (case.load_ms, case.first_ms, case.peak_mb) == (20, 30, 40)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"others": 1.2}, "other programs kept up to 1.2 of"),
        ({"warm": False}, "no steady latency"),
        ({"clocks_khz": {"before": [2800000], "after": [1400000]}}, "the clock fell from 2800 to 1400 MHz"),
        ({"times": [10] * 20 + [10] * 20 + [13] * 20}, "within a round it got"),
        ({"times": ([10] * 9 + [20]) * 6}, "took over 1.5 times its median"),
    ],
)
def test_what_speaks_against_a_number(path, fields, says):
    fields = dict(fields)
    append(path, visit(fields.pop("times", [10] * 20), 6, **fields))
    (case,) = analyse(read_results(path))
    assert any(says in warning for warning in case.warnings)


def test_a_device_that_heats_up(tmp_path):
    path = tmp_path / "results.jsonl"
    append(path, RUN)
    for number in range(1, 8):
        append(path, visit([10 + number] * 20, number))
    (case,) = analyse(read_results(path))
    assert any("last rounds were" in each for each in case.warnings)
    assert any("not known to within 3%" in each for each in case.warnings)


def heatmaps(artifact, shift=0.0):
    """A sharp Gaussian for each joint, [1, J, h, w]."""
    joints, height, width = artifact.tensors[0].shape
    y, x = np.mgrid[:height, :width]
    centers = np.random.default_rng(0).uniform(3, min(width, height) - 4, (joints, 2))
    maps = [np.exp(-((x - a - shift) ** 2 + (y - b) ** 2) / 2) for a, b in centers]
    return np.array(maps, np.float32)[None]


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": []}, {"machine": {"clusters": [3]}}, {"machine": {"clusters": {}}},
        {"machine": {"model": []}},
        {"machine": {"cores": [[]]}}, {"machine": {"instructions": [{}]}}, {"artifact": {"models": 3}},
        {"artifact": {"models": [["a"]]}}, {"artifact": {"models": [{"name": []}]}},
        {"artifact": {"output": {"name": [1]}}}, {"artifact": {"accuracy": [{}]}},
        {"artifact": {"tools": [1]}},
        {"options": {"confidence": 7}}, {"options": {"precision": "x"}}, {"options": [[]]},
        {"tools": {"a": []}},
    ],
)  # fmt: skip
def test_odd_lists_are_named(tmp_path, changes):
    file = tmp_path / "bench.jsonl"
    run = RUN.model_dump(mode="json", by_alias=True)
    file.write_text(json.dumps(run) + "\n")
    read_results(file)
    file.write_text(json.dumps({**run, **changes}) + "\n")
    with pytest.raises(UserError, match=rf"bench\.jsonl:1: {next(iter(changes))}"):
        read_results(file)


@pytest.mark.parametrize("line", ["[" * 200_000, "9" * 5000, "[]", "null", "NaN", '{"kind": []}'])
def test_what_is_no_line_is_named(tmp_path, line):
    file = tmp_path / "bench.jsonl"
    file.write_text(RUN.model_dump_json(by_alias=True) + "\n" + line + "\n")
    with pytest.raises(UserError, match=r"bench\.jsonl:2"):
        read_results(file)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_wrong_output_is_told_from_right(exported, precision):
    artifact = read_artifact(exported.folder)
    model = replace_precision(artifact.models[0], precision)
    drawn, expected = scene.default_scene(), heatmaps(artifact)
    noise = np.random.default_rng(1).standard_normal(expected.shape).astype(np.float32)

    def passes(found):
        return scene.check(artifact, model, drawn, [expected], [found], "test").passed

    assert passes(expected) and passes(
        expected + {"fp32": 1e-5, "fp16": 5e-3, "int8": 3e-2}[precision] * noise
    )
    assert not passes(heatmaps(artifact, shift=4.0))  # the right shape in the wrong place
    assert not passes(np.zeros_like(expected)) and not passes(0.3 * noise)
    assert not passes(expected * np.nan) and not passes(2 * expected)
    assert not passes(expected[:, ::-1])


def test_boxes_that_moved_are_told_from_boxes_that_stayed(detector_folder, shared):
    """Right is what the same network gives; wrong are boxes elsewhere, gone, or too many."""
    import cv2

    from lite_deploy.verify import open_or_interpret

    artifact = read_artifact(detector_folder)
    image = cv2.imread(str(shared / "samples" / "hrnet_demo.jpg"))[..., ::-1]
    seen = scene.Scene(image, (0.0, 0.0, 1.0, 1.0))
    model = artifact.model("x86_fp32")
    run, _ = open_or_interpret(artifact, detector_folder, artifact.model("onnx_fp32"))
    expected = run(scene.scene_input(artifact, seen))
    aside = run(np.roll(scene.scene_input(artifact, seen), 80, axis=3))
    nothing = [np.full_like(each, -9) for each in expected]
    right = scene.check(artifact, model, seen, expected, expected, "test")
    assert right.passed and right.moved == 0
    diagonal = np.hypot(*image.shape[:2])
    for found, other, moved in (
        (aside, expected, (10, diagonal)),
        (nothing, expected, (diagonal, diagonal)),
        (expected, nothing, (diagonal, diagonal)),
    ):
        line = scene.check(artifact, model, seen, other, found, "test")
        assert not line.passed and moved[0] - 0.01 <= line.moved <= moved[1] + 0.01


def replace_precision(model, precision):
    return model.model_copy(update={"precision": precision})


def test_the_drawn_scene_is_always_the_same(tmp_path):
    first, second = scene.default_scene(), scene.default_scene()
    np.testing.assert_array_equal(first.image, second.image)
    assert first.box == second.box and first.image.shape == (480, 640, 3)
    left, top, width, height = first.box
    assert left >= 0 and left + width <= 640 and top >= 0 and top + height <= 480 and height > 200
    first.write(tmp_path / "picture.ppm")
    import cv2

    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "picture.ppm"))[..., ::-1], first.image)
    assert replace(first, box=(0, 0, 1, 1)).image is first.image
