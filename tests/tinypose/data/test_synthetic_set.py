"""The drawn set as a folder: whole or not at all, taken up again, never written over; and its command."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tinypose import cli
from tinypose.config import CONFIGS
from tinypose.data.synthetic import dataset, draw_picture, draw_set
from tinypose.data.synthetic.person import JOINTS, MOST_PEOPLE, OBJECT, PARTS
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

SIZE = (160, 144)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "set"
    draw_set(folder, 12, seed=5)
    return folder


def test_the_same_seed_gives_the_same_bytes_whoever_draws_them(tmp_path):
    draw_set(tmp_path / "a", 4, seed=7, size=SIZE)
    draw_set(tmp_path / "b", 4, seed=7, size=SIZE, workers=2)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    draw_set(tmp_path / "c", 4, seed=8, size=SIZE)
    other = files(tmp_path / "c")
    assert all(other[name] != data for name, data in files(tmp_path / "a").items())


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path):
    draw_set(tmp_path / "few", 2, seed=7, size=SIZE)
    draw_set(tmp_path / "many", 5, seed=7, size=SIZE)
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    assert {name for name in few if name.endswith(".jpg")} < set(many)
    assert all(many[name] == data for name, data in few.items() if name.endswith(".jpg"))
    told = [json.loads(each["annotations.json"])["annotations"] for each in (few, many)]
    assert [a for a in told[1] if a["image_id"] <= 2] == told[0]


def test_pycocotools_loads_it_and_the_truth_scores_one(drawn, capsys):
    coco = COCO(str(drawn / "annotations.json"))
    (category,) = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == list(JOINTS)
    assert category["skeleton"] == [[i + 1, j + 1] for i, j in load_skeleton("coco17").limb_indices]
    for image in coco.loadImgs(coco.getImgIds()):
        pixels = cv2.imread(str(drawn / "images" / image["file_name"]))
        assert pixels.shape == (image["height"], image["width"], 3)
    people = coco.loadAnns(coco.getAnnIds())
    assert len({person["id"] for person in people}) == len(people)
    for person in people:
        assert person["iscrowd"] == 0
        assert person["num_keypoints"] == sum(v > 0 for v in person["keypoints"][2::3])
        assert 0 <= person["area"] <= person["bbox"][2] * person["bbox"][3]
    told = [p for p in people if p["num_keypoints"]]
    found = coco.loadRes(
        [{**{k: p[k] for k in ("image_id", "category_id", "keypoints")}, "score": 1.0} for p in told]
    )
    measured = COCOeval(coco, found, "keypoints")
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
    assert measured.stats[0] == pytest.approx(1.0)
    capsys.readouterr()


def test_a_network_trained_on_real_people_finds_the_drawn_ones(tmp_path, shared):
    """Joints that lay elsewhere than COCO's annotators put them, or sides swapped, would score near 0."""
    from tinypose.config import load_config
    from tinypose.engine.evaluate import evaluate, people_to_evaluate
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network

    draw_set(tmp_path / "set", 16, seed=1001)
    where = [
        f"data.val.annotations={tmp_path}/set/annotations.json",
        f"data.val.images={tmp_path}/set/images",
    ]
    config = load_config(CONFIGS / "tinypose_128x96.yml", [*where, "eval.flip=false"])
    skeleton = load_skeleton(config.skeleton)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, shared / "weights" / "tinypose_128x96.pdparams")
    metrics, _ = evaluate(as_network(net), people_to_evaluate(config, skeleton), config, skeleton)
    assert metrics["AP"] > 20


def test_the_files_hold_the_pictures_that_were_drawn(drawn):
    picture = draw_picture(5, 0)
    pixels = cv2.imread(str(drawn / "images" / "000000000001.jpg"))[..., ::-1]
    assert np.abs(pixels.astype(int) - picture.image).mean() < 8  # JPEG


def test_a_finished_set_is_left_as_it_is(tmp_path):
    draw_set(tmp_path / "a", 3, seed=1, size=SIZE)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    draw_set(tmp_path / "a", 3, seed=1, size=SIZE)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == before


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "CHUNK", 2)
    draw_set(tmp_path / "whole", 6, seed=1, size=SIZE)
    indices = []

    def counting(seed, index, *rest):
        indices.append(index)
        if len(indices) == 4:
            raise KeyboardInterrupt
        return draw_picture(seed, index, *rest)

    monkeypatch.setattr(dataset, "draw_picture", counting)
    with pytest.raises(KeyboardInterrupt):
        draw_set(tmp_path / "cut", 6, seed=1, size=SIZE)
    assert not (tmp_path / "cut" / "annotations.json").exists()
    draw_set(tmp_path / "cut", 6, seed=1, size=SIZE)
    assert indices == [0, 1, 2, 3, 2, 3, 4, 5]
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_lost_picture_is_drawn_again(tmp_path):
    draw_set(tmp_path / "a", 3, seed=1, size=SIZE)
    before = files(tmp_path / "a")
    (tmp_path / "a" / "images" / "000000000002.jpg").unlink()
    draw_set(tmp_path / "a", 3, seed=1, size=SIZE)
    assert files(tmp_path / "a") == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 0}, "images: expected 1 to"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"size": (63, 128)}, "width: expected 64 to 4096, found 63"),
        ({"size": (128, 5000)}, "height: expected 64 to 4096, found 5000"),
        ({"people": (0, 3)}, "fewest people: expected 1 to"),
        ({"people": (3, 2)}, "most people: expected 3 to"),
        ({"people": (1, MOST_PEOPLE + 1)}, "most people"),
        ({"workers": 0}, "workers: expected 1 to"),
    ],
)
def test_bad_values_are_named_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        draw_set(**{"folder": tmp_path / "a", "images": 1, "seed": 0, "size": SIZE, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other files .thesis.txt."):
        draw_set(tmp_path, 1, seed=0, size=SIZE)
    assert files(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_real_set_of_images_without_a_recipe_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="no recipe.json"):
        draw_set(tmp_path, 1, seed=0, size=SIZE)


@pytest.mark.parametrize("recipe", ["[1]", '"x"', "{}"])
def test_a_foreign_recipe_is_refused(tmp_path, recipe):
    (tmp_path / "recipe.json").write_text(recipe)
    with pytest.raises(UserError, match="holds a set drawn as"):
        draw_set(tmp_path, 1, seed=0, size=SIZE)


def test_a_set_with_other_arguments_is_refused_and_says_which(tmp_path):
    draw_set(tmp_path / "a", 1, seed=0, size=SIZE)
    with pytest.raises(UserError, match="'seed': 0"):
        draw_set(tmp_path / "a", 1, seed=1, size=SIZE)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="is a file"):
        draw_set(tmp_path / "a", 1, seed=0, size=SIZE)


def test_the_most_people_there_can_be_fit_into_the_labels():
    picture = draw_picture(0, 0, SIZE, people=(MOST_PEOPLE, MOST_PEOPLE))
    assert len(picture.people) == MOST_PEOPLE
    assert 1 + MOST_PEOPLE * len(PARTS) <= OBJECT


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tinypose", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_draws_a_set(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "a")
    assert (
        run(monkeypatch, "synth", out, "--images", "2", "--width", "96", "--height", "80", "--workers", "1")
        == 0
    )
    assert "2 pictures" in capsys.readouterr().out
    assert cv2.imread(f"{out}/images/000000000002.jpg").shape == (80, 96, 3)


def test_the_command_ends_with_2_on_bad_input(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "synth", str(tmp_path / "a"), "--images", "-3") == 2
    assert "images: expected 1 to" in capsys.readouterr().err
    assert run(monkeypatch, "synth", str(tmp_path / "a"), "--images", "many") == 2
