"""Measuring tracks: closed forms, the MOT challenge's text, video JSON, and what users get wrong."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.data.tracks import read_tracks
from tinypose.errors import UserError
from tinypose.metrics.track_eval import track_metrics

pytest.importorskip("trackeval", reason="TrackEval is not installed")


def lines(ids_of, frames=10, score="0.9", extra=",-1,-1,-1", people=2):
    """Two people who stand 100 pixels apart; `ids_of(frame)` says how they are called."""
    rows = []
    for frame in range(frames):
        for place, number in enumerate(ids_of(frame)[:people]):
            rows.append(f"{frame + 1},{number},{100 * place},10,30,80,{score}{extra}")
    return "\n".join(rows) + "\n"


TRUTH = lines(lambda frame: (1, 2), score="1", extra=",1,1.0")


def measured(tmp_path, truth, found):
    (tmp_path / "gt.txt").write_text(truth)
    (tmp_path / "found.txt").write_text(found)
    real = read_tracks(tmp_path / "gt.txt", truth=True)
    seen = read_tracks(tmp_path / "found.txt", truth=False)
    return track_metrics(real, dict(zip(real, seen.values(), strict=True)))[1]


def test_the_truth_itself_is_perfect(tmp_path):
    row = measured(tmp_path, TRUTH, lines(lambda frame: (7, 9)))
    assert [row[key] for key in ("HOTA", "DetA", "AssA", "MOTA", "IDF1")] == pytest.approx([100] * 5)
    assert (row["switches"], row["missed"], row["wrong"], row["people"]) == (0, 0, 0, 2)


def test_two_who_change_names_halfway(tmp_path):
    """Half of the boxes share a name on both sides: AssA is 1/3, IDF1 1/2; MOTA loses two switches."""
    row = measured(tmp_path, TRUTH, lines(lambda frame: (1, 2) if frame < 5 else (2, 1)))
    assert row["DetA"] == pytest.approx(100)
    assert row["AssA"] == pytest.approx(100 / 3)
    assert row["HOTA"] == pytest.approx(100 * np.sqrt(1 / 3))
    assert row["IDF1"] == pytest.approx(50)
    assert row["MOTA"] == pytest.approx(100 * (1 - 2 / 20))
    assert row["switches"] == 2


def test_one_of_two_is_missed(tmp_path):
    row = measured(tmp_path, TRUTH, lines(lambda frame: (1, 2), people=1))
    assert row["MOTA"] == pytest.approx(50) and row["missed"] == 10 and row["wrong"] == 0
    assert row["IDF1"] == pytest.approx(100 * 2 * 10 / (20 + 10))


def test_who_does_not_count_is_neither_missed_nor_wrong(tmp_path):
    hidden = TRUTH.replace(",2,100,10,30,80,1,1,", ",2,100,10,30,80,0,1,")
    for people in (1, 2):
        row = measured(tmp_path, hidden, lines(lambda frame: (1, 2), people=people))
        assert row["MOTA"] == pytest.approx(100) and row["wrong"] == row["missed"] == 0
    statue = TRUTH.replace(",2,100,10,30,80,1,1,", ",2,100,10,30,80,0,7,")
    row = measured(tmp_path, statue, lines(lambda frame: (1, 2)))
    assert row["wrong"] == 0 and row["people"] == 1


def test_nobody_found(tmp_path):
    real = {"a": read_tracks(_written(tmp_path / "a.txt", TRUTH), truth=True)["a"]}
    row = track_metrics(real, {})[1]
    assert row["MOTA"] == 0 and row["missed"] == 20


def _written(path, text):
    path.write_text(text)
    return path


def test_video_json_and_text_say_the_same(tmp_path):
    images = [{"id": 10 + i, "video_id": 3, "frame_id": i, "file_name": f"{i}.jpg"} for i in range(10)]
    annotations = [
        {"image_id": 10 + i, "track_id": who, "bbox": [100 * (who - 1), 10, 30, 80], "category_id": 1}
        for i in range(10)
        for who in (1, 2)
    ]
    whole = {"videos": [{"id": 3, "name": "street"}], "images": images, "annotations": annotations}
    _written(tmp_path / "truth.json", json.dumps(whole))
    results = [
        {"image_id": i, "track_id": who + 4, "bbox": [100 * (who - 1), 10, 30, 80], "score": 0.5}
        for i in range(10)
        for who in ((1, 2) if i < 5 else (2,))
    ]
    _written(tmp_path / "street.json", json.dumps(results))
    (tmp_path / "text").mkdir()
    text = "".join(
        f"{each['image_id'] + 1},{each['track_id']},{','.join(map(str, each['bbox']))},0.5,-1,-1,-1\n"
        for each in results
    )
    _written(tmp_path / "text" / "street.mot.txt", text)
    numbers = []
    for found in (tmp_path / "street.json", tmp_path / "text"):
        out = tmp_path / f"{found.name}.numbers.json"
        command = ["track", "eval", "--truth", tmp_path / "truth.json", "--results", found, "--output", out]
        result = CliRunner().invoke(app, [str(each) for each in command])
        assert result.exit_code == 0, result.output
        numbers.append(json.loads(out.read_text()))
    assert numbers[0] == numbers[1]
    assert numbers[0]["all"]["missed"] == 5 and numbers[0]["all"]["MOTA"] == pytest.approx(75)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "1,2,3\n", "line 1: expected frame"),
        ("a.txt", "0,1,0,0,1,1\n", "line 1"),
        ("a.txt", "1,1,nan,0,1,1\n", "line 1"),
        ("a.txt", "1,1,0,0,5,5\n1,1,9,9,5,5\n", "twice in frame 1"),
        ("a.json", '[{"image_id": 0, "bbox": [0, 0, 1, 1]}]', "track_id"),
        ("a.json", '{"images": []}', "expected a list of results"),
        ("a.json", '[{"image_id": 0, "track_id": 1, "bbox": [0, 0]}]', "bbox"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, says):
    with pytest.raises(UserError, match=says):
        read_tracks(_written(tmp_path / name, text), truth=False)


def test_results_of_another_video(tmp_path):
    real = read_tracks(_written(tmp_path / "a.txt", TRUTH), truth=True)
    with pytest.raises(UserError, match="of which there is no truth"):
        track_metrics(real, {"b": real["a"]})


def test_one_file_of_results_is_measured_on_its_video(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "truth" / name / "gt").mkdir(parents=True)
        _written(tmp_path / "truth" / name / "gt" / "gt.txt", TRUTH)
    (tmp_path / "found").mkdir()
    one = _written(tmp_path / "found" / "b.mot.txt", lines(lambda frame: (1, 2)))
    for results, says in ((one, "100.0"), (tmp_path / "found", "50.0")):
        command = ["track", "eval", "--truth", str(tmp_path / "truth"), "--results", str(results)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        row = result.output.splitlines()[-2]
        assert f" {says} " in row and (("all" in row) == (results != one))
