"""The drawn set: the same again from the same seed, and annotations that are true of the pictures."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tinypose import cli
from tinypose.config import CONFIGS
from tinypose.data.synthetic import dataset, draw_picture, draw_set
from tinypose.data.synthetic.canvas import pick
from tinypose.data.synthetic.person import JOINTS, MOST_PEOPLE, OBJECT, ON, PARTS
from tinypose.data.synthetic.pose import sample_body, sample_posed
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

SIZE = (160, 144)
J = {name: index for index, name in enumerate(JOINTS)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pictures() -> list:
    return [draw_picture(3, index) for index in range(60)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "set"
    draw_set(folder, 12, seed=5)
    return folder


def test_joints_are_those_of_the_coco_skeleton():
    assert load_skeleton("coco17").joints == JOINTS


# Determinism.


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


def test_drawing_does_not_touch_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    draw_picture(0, 0, SIZE)
    assert np.array_equal(np.random.get_state()[1], before)


# What the annotations say.


def test_boxes_areas_and_joints_agree_with_the_labels(pictures):
    for picture in pictures:
        height, width = picture.labels.shape
        assert picture.image.shape == (height, width, 3)
        assert picture.image.dtype == np.uint8
        for number, person in enumerate(picture.people):
            first = 1 + number * len(PARTS)
            mask = (picture.labels >= first) & (picture.labels < first + len(PARTS))
            assert person.area == mask.sum()
            x, y, w, h = person.box
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
            if person.area:
                rows, columns = np.nonzero(mask)
                assert x <= columns.min() <= columns.max() < x + w
                assert y <= rows.min() <= rows.max() < y + h
            told = person.joints[person.joints[:, 2] > 0]
            assert (told[:, 0] >= x).all()
            assert (told[:, 0] <= x + w).all()
            assert (told[:, 1] >= y).all()
            assert (told[:, 1] <= y + h).all()
            assert (person.joints[person.joints[:, 2] == 0] == 0).all()


def test_a_joint_is_visible_only_where_its_own_limb_is_in_front(pictures):
    hidden_by = {"self": 0, "person": 0, "thing": 0}
    for picture in pictures:
        for number, person in enumerate(picture.people):
            first = 1 + number * len(PARTS)
            for name, (x, y, v) in zip(JOINTS, person.joints, strict=True):
                if v == 0:
                    continue
                label = int(picture.labels[round(y), round(x)])
                side, _, kind = name.rpartition("_")
                own = {
                    first + PARTS.index(p)
                    for p in PARTS
                    if p in ON[kind] or p in [f"{side}_{q}" for q in ON[kind]]
                }
                if v == 2:
                    assert label in own
                elif label == OBJECT:
                    hidden_by["thing"] += 1
                elif first <= label < first + len(PARTS):
                    hidden_by["self"] += 1
                else:
                    hidden_by["person"] += 1
                    # In front of somebody are only people who come later, which are nearer.
                    assert label >= first + len(PARTS)
    assert min(hidden_by.values()) > 10, hidden_by


def test_somebody_alone_with_nothing_in_front_is_hidden_only_by_themselves():
    seen = 0
    for index in range(40):
        picture = draw_picture(1, index, people=(1, 1))
        if (picture.labels == OBJECT).any():
            continue
        person = picture.people[0]
        assert person.area == np.count_nonzero(picture.labels)
        for x, y, v in person.joints:
            if v:
                assert picture.labels[round(y), round(x)] > 0, "a joint beside the body"
                seen += 1
    assert seen > 300


def test_the_picture_shows_what_the_labels_say():
    """Two pictures that differ in nothing but the people differ where the people are."""
    picture = draw_picture(11, 0, people=(2, 2))
    inside = picture.labels > 0
    eroded = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))) > 0
    # Bodies are evenly coloured patches: the rims of parts are edges, so edges are denser on people.
    edges = cv2.Laplacian(cv2.GaussianBlur(picture.image, (0, 0), 1), cv2.CV_32F)
    border = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    away = ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)
    strength = np.abs(edges).max(-1)
    assert strength[border].mean() > 2 * strength[away].mean()
    assert eroded.any()


def test_shares_of_hidden_and_outside_joints_are_those_of_a_worthwhile_task(pictures):
    people = [person for picture in pictures for person in picture.people]
    joints = np.concatenate([p.joints[:, 2] for p in people if p.joints[:, 2].any()])
    assert 0.15 < (joints == 1).mean() < 0.45
    assert 0.005 < (joints == 0).mean() < 0.20
    assert {len(picture.people) for picture in pictures} == {1, 2, 3, 4, 5}
    untold = sum(not p.joints[:, 2].any() for p in people) / len(people)
    assert untold < 0.1
    heights = np.array([p.box[3] for p in people])
    assert np.percentile(heights, 90) > 1.8 * np.percentile(heights, 10)


# Left and right, front and back.


@pytest.mark.parametrize(("yaw", "sign"), [(0, 1), (180, -1)])
def test_left_is_right_in_the_picture_of_somebody_who_faces_it(yaw, sign):
    """Seen from the hips towards the shoulders, so that lying people count too."""
    right_way, faces = [], []
    for index in range(40):
        for person in draw_picture(2, index, people=(1, 1), yaw=yaw).people:
            xy, v = person.joints[:, :2], person.joints[:, 2]
            needed = [J[f"{side}_{name}"] for side in ("left", "right") for name in ("shoulder", "hip")]
            if (v[needed] == 0).any():
                continue
            up = xy[J["left_shoulder"]] + xy[J["right_shoulder"]] - xy[J["left_hip"]] - xy[J["right_hip"]]
            across = xy[J["left_shoulder"]] - xy[J["right_shoulder"]]
            right_way.append(sign * (across[0] * -up[1] + across[1] * up[0]) > 0)
            if v[J["nose"]]:
                faces.append(v[J["nose"]] == 2)
    assert len(right_way) > 25
    assert np.mean(right_way) > 0.97
    assert np.mean(faces) > 0.7 if yaw == 0 else np.mean(faces) < 0.1


def test_from_the_side_the_far_ear_and_shoulder_are_hidden():
    near, far = [], []
    for index in range(40):
        picture = draw_picture(
            4, index, people=(1, 1), yaw=90
        )  # the chest to the right: the right side is near
        if (picture.labels == OBJECT).any():
            continue
        v = picture.people[0].joints[:, 2]
        for name in ("shoulder", "ear"):
            far += [v[J[f"left_{name}"]]] if v[J[f"left_{name}"]] else []
            near += [v[J[f"right_{name}"]]] if v[J[f"right_{name}"]] else []
    assert np.mean(np.array(near) == 2) > np.mean(np.array(far) == 2) + 0.4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-180, 180))
def test_bones_keep_their_lengths_in_every_pose(seed, yaw):
    rng = np.random.default_rng(seed)
    body = sample_body(rng)
    points = sample_posed(rng, body, yaw).points

    def length(a: str, b: str) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    for side in ("left", "right"):
        assert length(f"{side}_shoulder", f"{side}_elbow") == pytest.approx(body.upper_arm)
        assert length(f"{side}_elbow", f"{side}_wrist") == pytest.approx(body.forearm)
        assert length(f"{side}_hip", f"{side}_knee") == pytest.approx(body.thigh)
        assert length(f"{side}_knee", f"{side}_ankle") == pytest.approx(body.shin)
        assert length(f"{side}_hip", "pelvis") == pytest.approx(body.hip)
    assert length("left_eye", "nose") == pytest.approx(length("right_eye", "nose"))
    assert length("left_ear", "right_ear") == pytest.approx(1.8 * body.head)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_torso_and_head_are_rotations_and_knees_bend_backwards(seed):
    rng = np.random.default_rng(seed)
    posed = sample_posed(rng, sample_body(rng), yaw=0)
    for rotation in (posed.torso, posed.head):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    for side in ("left", "right"):
        hip, knee, ankle, toe, heel = (
            posed.points[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "toe", "heel")
        )
        shin, thigh = ankle - knee, knee - hip
        # The toe points to where the knee may not bend: forwards, seen from the shin.
        assert (thigh / np.linalg.norm(thigh) - shin / np.linalg.norm(shin)) @ (toe - heel) > -0.06


@given(st.dictionaries(st.text(), st.floats(0.01, 1), min_size=1, max_size=5), st.integers(0, 99))
def test_pick_draws_a_name_that_is_there(shares, seed):
    assert pick(np.random.default_rng(seed), shares) in shares


def test_pick_draws_as_often_as_the_shares_say():
    rng = np.random.default_rng(0)
    drawn = [pick(rng, {"a": 3, "b": 1}) for _ in range(4000)]
    assert drawn.count("a") / 4000 == pytest.approx(0.75, abs=0.03)


# The folder.


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


# The command.


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
