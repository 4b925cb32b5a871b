"""`tinypose zoo`: the table, its page, and that what it says to run is right."""

import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import CONFIGS, load_config
from tinypose.engine.evaluate import people_to_evaluate
from tinypose.models import zoo
from tinypose.models.published import NETWORKS, counted
from tinypose.skeleton import load_skeleton

PAGE = CONFIGS.parent / "docs" / "zoo.md"


def run(*arguments):
    return CliRunner().invoke(app, ["zoo", *arguments])


def test_the_page_is_what_the_command_prints():
    assert run("--markdown").output == PAGE.read_text()


def test_every_network_has_its_row():
    said = run().output
    for each in NETWORKS:
        assert f" {each.config} " in said
    assert len(NETWORKS) >= 46


@pytest.mark.parametrize("name", ["tinypose_256x192", "hrnet_w32_256x256_mpii", "picodet_s_320_coco"])
def test_show_says_what_is_published_where_and_how_to_use_it(name):
    result = run("show", name)
    assert result.exit_code == 0
    assert "PaddleDetection" in result.output and zoo.ZOO[name].url in result.output
    assert f"-c {name} -o weights={name}" in result.output


def test_more_is_moved_and_computed_by_the_larger_network():
    small, large = (counted()[f"tinypose_{size}"] for size in ("128x96", "256x192"))
    assert small.parameters == large.parameters
    assert large.multiply_adds == 4 * small.multiply_adds
    for precision in ("fp32", "fp16", "int8"):
        assert 3 < large.instructions[precision] / small.instructions[precision] < 4


def test_pull_fetches_by_the_name_of_config_or_weights(server, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_POSE_CACHE", str(tmp_path))
    server.data = b"weights"
    monkeypatch.setitem(zoo.ZOO, "higherhrnet_hrnet_w32_512", zoo.Published(server.url()))
    for name in ("higherhrnet_hrnet_w32_512", "higherhrnet_w32_512"):
        result = run("pull", name)
        assert result.exit_code == 0, result.output
        assert (tmp_path / result.output.strip()).read_bytes() == b"weights"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tinypose_256x129", "did you mean 'tinypose_256x192'"),
        ("dark_hrnet_w48_256x192", "are not published in a form that is read here"),
        ("pose_resnet_50_256x192", "pose_coco/pose_resnet_50_256x192.pth.tar, linked from microsoft/"),
        ("dekr_w32_512", "pose_dekr_hrnetw32_coco.pth, linked from HRNet/DEKR, README.md"),
    ],
)
def test_pull_answers_what_it_cannot(name, words):
    result = run("pull", name)
    assert result.exit_code != 0
    assert words in str(result.exception)


def test_published_boxes_by_name(shared, server, tmp_path, monkeypatch):
    """The name stands for the file that is fetched; its people are those that are measured."""
    import json

    mini = shared / "data" / "coco-mini"
    annotations = mini / "annotations" / "person_keypoints_val2017.json"
    entries = json.loads(annotations.read_text())["annotations"]
    boxes = [{**{k: e[k] for k in ("image_id", "category_id", "bbox")}, "score": 0.9} for e in entries[:5]]
    server.data = json.dumps(boxes).encode()
    monkeypatch.setenv("EDGE_POSE_CACHE", str(tmp_path))
    monkeypatch.setitem(zoo.BOXES, "coco_val2017_person", zoo.Published(server.url("/bbox.json")))
    options = ["eval.boxes=coco_val2017_person", f"data.val.annotations={annotations}"]
    config = load_config("tinypose_128x96", [*options, f"data.val.images={mini / 'val2017'}"])
    people = people_to_evaluate(config, load_skeleton("coco17"))
    assert len(people.people) == 5 and {each.score for each in people.people} == {0.9}
