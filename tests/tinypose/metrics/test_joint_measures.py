"""PCK, NME, end-point error and thresholds of joints, against what can be told by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import CONFIGS
from tinypose.data.coco import Person
from tinypose.drawing import draw_people
from tinypose.errors import UserError
from tinypose.inference.people import no_people
from tinypose.metrics.joints import joint_measures, person_lengths
from tinypose.metrics.thresholds import (
    UNKNOWN,
    choose_thresholds,
    read_thresholds,
    with_thresholds,
    write_thresholds,
)
from tinypose.skeleton import Skeleton

MARKS = Skeleton(name="marks", joints=("red", "green"), pairs=(), sigmas=(0.05, 0.05))


def person(joints, box=(0, 0, 30, 40)):
    joints = np.array(joints, np.float32)
    return Person(1, 1, Path("a.png"), (100, 100), np.array(box, np.float64), joints, 900.0)


def test_measures_of_distances_that_are_known():
    """Red is off by 3 and 8 pixels, green by 5, of lengths 40 and 100; one green is not annotated."""
    joints = np.array([[[0, 0, 2], [10, 10, 1]], [[0, 0, 2], [9, 9, 0]]], float)
    found = joints.copy()
    found[0, 0, 0] += 3
    found[0, 1, :2] += (3, 4)
    found[1, 0, 1] += 8
    found[1, 1] = 99
    rows = joint_measures(found, joints, np.array([40.0, 100.0]), MARKS.joints)
    assert rows["red"] == pytest.approx((2, 0, 100, 100, 7.75, 5.5))
    assert rows["green"] == pytest.approx((1, 0, 0, 100, 12.5, 5))
    assert rows["all"] == pytest.approx((3, 0, 200 / 3, 100, 28 / 3, 16 / 3))
    rows = joint_measures(found, joints, np.array([40.0, 0.0]), MARKS.joints)
    assert rows["red"][0] == 1 and rows["all"][0] == 2
    assert joint_measures(found, joints, np.zeros(2), MARKS.joints)["all"] == (0, *[None] * 5)


def test_lengths():
    people = [person([[0, 0, 2], [6, 8, 1]]), person([[0, 0, 2], [6, 8, 0]])]
    for length, expected in (
        ("box", [40, 40]), ("diagonal", [50, 50]), ("area", [1200**0.5] * 2), ("red, green", [10, 0])
    ):  # fmt: skip
        np.testing.assert_allclose(person_lengths(people, MARKS, length), expected)
    for length in ("", "head", "red", "red,blue", "red,red", "red,green,red"):
        with pytest.raises(UserError, match="expected box, diagonal, area, or two joints"):
            person_lengths(people, MARKS, length)


def test_a_threshold_parts_what_is_there_from_what_is_not(tmp_path):
    """Red is there with scores above 0.6, and elsewhere or missing below 0.4; green is always there."""
    rng = np.random.default_rng(0)
    people, found = [], []
    for number in range(60):
        there = number % 2 == 0
        missed = number % 4 == 1
        people.append(person([[50, 50, 2 if there or missed else 0], [20, 20, 2]]))
        score = rng.uniform(0.6, 0.9) if there else rng.uniform(0.1, 0.4)
        found.append([[50 + 40 * missed, 50, score], [20, 20, rng.uniform()]])
    chosen = choose_thresholds(np.array(found), people, MARKS)
    assert 0.4 < chosen["red"].threshold < 0.61
    assert (chosen["red"].precision, chosen["red"].recall) == (1, 1)
    assert chosen["green"].threshold == UNKNOWN and chosen["green"].precision is None
    path = tmp_path / "t.json"
    write_thresholds(path, chosen, MARKS)
    read = read_thresholds(path, MARKS)
    assert read == pytest.approx((chosen["red"].threshold, UNKNOWN), abs=1e-4)
    assert with_thresholds(MARKS, None) is MARKS
    other = Skeleton(name="o", joints=("red", "blue"), pairs=(), sigmas=(0.05, 0.05))
    with pytest.raises(UserError, match="thresholds of the joints of skeleton 'marks'"):
        read_thresholds(path, other)
    path.write_text(path.read_text().replace('"green": 0.2', '"green": 0.3'))
    with pytest.raises(UserError, match="damaged or edited"):
        read_thresholds(path, MARKS)


def test_equal_scores_are_not_parted():
    people = [person([[50, 50, 2 if number < 20 else 0], [9, 9, 2]]) for number in range(40)]
    chosen = choose_thresholds(np.array([[[50, 50, 0.5], [9, 9, 1]]] * 40), people, MARKS)
    assert chosen["red"].threshold <= 0.5
    assert (chosen["red"].precision, chosen["red"].recall) == (0.5, 1)


def test_drawing_uses_them():
    skeleton = MARKS.model_copy(update={"thresholds": (0.9, 0.01)})
    people = no_people(skeleton)
    joints = np.array([[[20, 20, 0.8], [60, 60, 0.03]]])
    canvas = np.zeros((80, 80, 3), np.uint8)
    object.__setattr__(people, "keypoints", joints)
    for name, value in (("boxes", [[0, 0, 79, 79]]), ("scores", [1]), ("ids", [-1])):
        object.__setattr__(people, name, np.array(value))
    drawn = people.draw(canvas)
    assert drawn[60, 60].any() and not drawn[20, 20].any()  # a disc, and a circle
    drawn = draw_people(canvas, joints, MARKS)
    assert drawn[20, 20].any() and not drawn[60, 60].any()


def test_the_command_writes_what_pose_json_and_drawing_take(shared, tmp_path):
    from compress.trained import load_trained
    from tinypose.config import load_config

    data, weights = shared / "data" / "coco-mini", shared / "weights" / "tinypose_128x96.pdparams"
    config, file = CONFIGS / "tinypose_128x96.yml", tmp_path / "thresholds.json"
    command = ["eval", "-c", str(config), "-o", f"weights={weights}", "-o", "eval.flip=false"]
    command += ["-o", f"data.val.annotations={data / 'annotations' / 'person_keypoints_val2017.json'}"]
    command += ["-o", f"data.val.images={data / 'val2017'}", "--thresholds", str(file)]
    result = CliRunner().invoke(app, [*command, "--length", "left_shoulder,right_hip"])
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "end-point error px" in result.output and "precision %" in result.output
    values = json.loads(file.read_text())["thresholds"]
    assert len(values) == 17 and all(0 < value < 1 for value in values.values())
    loaded = load_config(config, [f"weights={weights}", f"eval.thresholds={file}"])
    assert load_trained(loaded, weights).skeleton.thresholds == tuple(values.values())
