"""`tinypose data`: faults that are put into a clean set are found; the sheet shows what is trained."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import CONFIGS, DatasetConfig, load_config
from tinypose.data.augment import Variation, render
from tinypose.data.check import check_set, looks_swapped
from tinypose.data.coco import load_people
from tinypose.data.examples import TrainingSet, batch_numbers
from tinypose.data.preview import preview
from tinypose.data.synthetic import draw_set
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "set"
    draw_set(folder, 10, seed=4, size=(160, 160), people=(1, 2))
    return folder


@pytest.fixture
def faulty(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "set"))


def dataset(folder: Path) -> DatasetConfig:
    return DatasetConfig(annotations=folder / "annotations.json", images=folder / "images")


def change(folder: Path, index: int, **values) -> dict:
    """Change the annotation of somebody with many joints; returns it."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    entry = [each for each in content["annotations"] if each["num_keypoints"] > 12][index]
    entry.update({key: value(entry) if callable(value) else value for key, value in values.items()})
    path.write_text(json.dumps(content))
    return entry


def kinds(folder: Path) -> dict[str, list]:
    found: dict[str, list] = {}
    for finding in check_set(dataset(folder), COCO).findings:
        found.setdefault(finding.kind, []).append(finding)
    return found


def test_a_clean_set_has_no_findings_and_true_counts(clean):
    report = check_set(dataset(clean), COCO)
    people = load_people(clean / "annotations.json", clean / "images", COCO).people
    assert report.findings == []
    assert dict(report.counts)["people"] == len(people) and dict(report.counts)["pictures"] == 10
    nose = next(row for row in report.joints if row[0] == "nose")
    states = [person.joints[0, 2] for person in people]
    assert nose[1:4] == (sum(s > 0 for s in states), states.count(2), states.count(1))


def test_broken_and_missing_pictures(faulty):
    first, second, third = sorted((faulty / "images").iterdir())[:3]
    first.write_bytes(first.read_bytes()[:500])
    second.unlink()
    cv2.imwrite(str(third), np.zeros((50, 60, 3), np.uint8))
    found = kinds(faulty)["broken picture"]
    assert [finding.file for finding in found] == [str(first), str(second), str(third)]
    assert "cannot read" in found[0].detail or "truncated" in found[0].detail
    assert "no such picture" in found[1].detail and "60x50" in found[2].detail


def test_boxes(faulty):
    wide = change(faulty, 0, bbox=lambda e: [e["bbox"][0], e["bbox"][1], 500, e["bbox"][3]])
    flat = change(faulty, 1, bbox=lambda e: [*e["bbox"][:3], 0])
    found = kinds(faulty)
    assert [finding.where for finding in found["box outside the picture"]] == [f"annotation {wide['id']}"]
    assert f"annotation {flat['id']}" in [finding.where for finding in found["box without extent"]]


def test_joints_out_of_frame_and_wrong_counts(faulty):
    def away(entry):
        values = list(entry["keypoints"])
        values[3 * 9 : 3 * 9 + 3] = [400, 20, 2]
        return values

    entry = change(faulty, 0, keypoints=away, num_keypoints=3)
    found = kinds(faulty)
    assert [f.detail for f in found["joint out of frame"]] == ["left_wrist by 241 pixels"]
    assert found["visible joint far outside the box"][0].where == f"annotation {entry['id']}"
    assert found["wrong num_keypoints"][0].detail.startswith("says 3, has")


def test_doubles(faulty):
    path = faulty / "annotations.json"
    content = json.loads(path.read_text())
    copied = next(each for each in content["annotations"] if each["num_keypoints"] > 8)
    content["annotations"] += [{**copied, "id": 999999}, dict(copied)]
    path.write_text(json.dumps(content))
    found = kinds(faulty)
    assert len(found["id twice"]) == 1 and found["id twice"][0].where == f"annotation {copied['id']}"
    assert any("999999" in finding.where for finding in found["person twice"])


def swap(joints: np.ndarray, parts: tuple[str, ...]) -> np.ndarray:
    swapped = joints.copy()
    for part in parts:
        left, right = COCO.index(f"left_{part}"), COCO.index(f"right_{part}")
        swapped[[left, right]] = joints[[right, left]]
    return swapped


def standing() -> np.ndarray:
    """Somebody who faces the camera."""
    places = {
        "nose": (50, 20), "eye": (3, 17), "ear": (7, 19), "shoulder": (18, 40), "elbow": (24, 60),
        "wrist": (26, 78), "hip": (12, 85), "knee": (12, 115), "ankle": (12, 145),
    }  # fmt: skip
    joints = np.zeros((17, 3), np.float32)
    for number, name in enumerate(COCO.joints):
        side, _, part = name.partition("_")
        x, y = places[part or name]
        joints[number] = (x if not part else 50 + (x if side == "left" else -x), y, 2)
    return joints


@pytest.mark.parametrize("turn", [0, 90, 180, 230])
@pytest.mark.parametrize(
    "parts", [("shoulder",), ("hip", "knee", "ankle"), ("ear",), ("eye", "ear", "shoulder", "elbow", "hip")]
)
def test_swapped_sides_are_suspected_however_the_person_lies(parts, turn):
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    joints = standing()
    joints[:, :2] = joints[:, :2] @ rotation.T
    assert looks_swapped(joints, COCO) == ""
    assert looks_swapped(swap(joints, parts), COCO) != ""


def test_somebody_seen_from_behind_is_not_suspected():
    behind = swap(standing(), ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "ear"))
    behind[[0, 1, 2], 2] = 0
    assert looks_swapped(behind, COCO) == ""


def test_real_people_are_not_suspected_and_swapped_ones_are(shared):
    folder = shared / "data" / "coco-mini"
    suspected = swapped = clear = 0
    for part in ("train2017", "val2017"):
        annotations = folder / "annotations" / f"person_keypoints_{part}.json"
        for person in load_people(annotations, folder / part, COCO).people:
            suspected += looks_swapped(person.joints, COCO) != ""
            torso = [COCO.index(f"{side}_{p}") for side in ("left", "right") for p in ("shoulder", "hip")]
            if (person.joints[torso, 2] > 0).all():
                clear += 1
                swapped += looks_swapped(swap(person.joints, ("hip", "knee", "ankle")), COCO) != ""
    assert suspected <= 1  # of 154
    assert swapped > 0.5 * clear  # others stand in profile


@pytest.fixture
def config_file(clean, tmp_path) -> Path:
    where = {"annotations": str(clean / "annotations.json"), "images": str(clean / "images")}
    values = {"inherits": str(CONFIGS / "tinypose_128x96.yml"), "data": {"train": where, "val": None}}
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    return tmp_path / "c.yml"


def test_the_check_command(config_file, faulty, tmp_path):
    good = CliRunner().invoke(app, ["data", "check", "-c", str(config_file)])
    assert good.exit_code == 0 and "nothing wrong found" in good.output
    entry = change(faulty, 0, num_keypoints=1)
    settings = ["-o", f"data.train.annotations={faulty / 'annotations.json'}"]
    arguments = ["data", "check", "-c", str(config_file), *settings, "--report", str(tmp_path / "r.json")]
    bad = CliRunner().invoke(app, arguments)
    assert bad.exit_code == 1 and f"annotation {entry['id']}" in bad.output
    assert json.loads((tmp_path / "r.json").read_text())[0]["kind"] == "wrong num_keypoints"
    none = CliRunner().invoke(app, ["data", "check", "-c", str(config_file), "-o", "data.train=null"])
    assert isinstance(none.exception, UserError) and "not set" in str(none.exception)


def test_the_preview_command_writes_a_sheet(config_file, tmp_path):
    path = tmp_path / "sheet.png"
    result = CliRunner().invoke(
        app, ["data", "preview", "-c", str(config_file), "--output", str(path), "--count", "7"]
    )
    assert result.exit_code == 0, result.output
    height, width, _ = cv2.imread(str(path)).shape
    assert (height, width) == (2 * 192 + 4, 5 * 3 * 144 + 4 * 4)
    wrong = CliRunner().invoke(app, ["data", "preview", "-c", str(config_file), "--output", "sheet.pdf"])
    assert isinstance(wrong.exception, UserError)


def test_the_sheet_shows_crops_and_heatmaps_where_the_joints_are(clean):
    config = load_config(CONFIGS / "tinypose_128x96.yml", ["augment.color=0.2"])
    people = load_people(clean / "annotations.json", clean / "images", COCO).people
    data = TrainingSet(people, COCO, config.input, config.output, config.augment, 0, 4)
    number = int(batch_numbers(data, 0, 0)[0])
    sheet = preview(data, [number], 0, columns=1, height=128)
    assert sheet.shape == (128, 3 * 96, 3)
    person = people[number]
    plain = render(person.read(), Variation(person.box), (96, 128), config.input.padding)
    np.testing.assert_array_equal(sheet[:, :96], plain)
    joints, heat = sheet[:, 96:192].astype(int), sheet[:, 192:].astype(int)
    drawn = np.abs(joints - joints.mean(axis=2, keepdims=True)).max(axis=2)
    bright = heat.sum(axis=2) > np.percentile(heat.sum(axis=2), 97)
    assert drawn[bright].mean() > drawn[~bright].mean()  # coloured joints lie under the hot spots
