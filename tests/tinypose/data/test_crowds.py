"""Everybody in whole pictures: from a network's outputs to people, and the commands around it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.codecs.bottom_up_targets import centred_heatmaps, grouped_heatmaps, offsets
from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.tags import TagCodec
from tinypose.config import CONFIGS, InputConfig
from tinypose.crowds import find_people
from tinypose.data.synthetic import draw_set
from tinypose.errors import UserError
from tinypose.geometry import flip_joints, transform
from tinypose.inference.bottom_up import BottomUp, extents
from tinypose.inference.follow import PeopleInVideo
from tinypose.skeleton import load_skeleton
from tinypose.whole_picture import resize_matrix

COCO = load_skeleton("coco17")
CODECS = {
    "tags": TagCodec(name="tags"),
    "adaptive": OffsetCodec(name="offsets", kind="adaptive"),
    "higher": OffsetCodec(name="offsets", kind="adaptive", higher=True),
    "dekr": OffsetCodec(name="offsets", kind="dekr"),
}
SIDE = 400
SETTINGS = InputConfig(width=384, height=384)


def crowd():
    rng = np.random.default_rng(1)
    centres = [(100, 130), (290, 120), (200, 300)]
    points = [rng.normal(centre, 28, (17, 2)).clip(20, SIDE - 20) for centre in centres]
    return np.concatenate([np.array(points), np.full((3, 17, 1), 2)], axis=-1)


def picture():
    """Return a picture whose left half is white, so that a network sees whether it is mirrored."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:, : SIDE // 2] = 255
    return image


def oracle(codec, people):
    """Return a network that knows where the people of `picture()` are, at any size, mirrored or not."""

    def run(images):
        side = images.shape[-1]
        joints = people.copy()
        joints[..., :2] = transform(resize_matrix((SIDE, SIDE), (side, side)), joints[..., :2])
        if images[0, 0, :, : side // 2].mean() < images[0, 0, :, side // 2 :].mean():
            joints = flip_joints(joints, side, COCO.flip_order)
            if codec.name == "offsets":  # whose mirror images are moved by what the maps' stride makes of it
                joints[..., 0] -= 3 if abs(moved(images) - 3) < 1 else 1

        def at(size):
            return joints * [size / side, size / side, 1]

        if codec.name == "tags":
            coarse, fine = (
                grouped_heatmaps(at(side // 4), side // 4),
                grouped_heatmaps(at(side // 2), side // 2),
            )
            tags = np.zeros_like(coarse)
            for person, points in enumerate(at(side // 4)):
                for joint, (x, y, _) in enumerate(points):
                    tags[joint, max(int(y) - 2, 0) : int(y) + 3, max(int(x) - 2, 0) : int(x) + 3] = 5 * person
            return [np.concatenate([coarse, tags])[None], fine[None]]

        def with_centre(size):
            points = at(size)
            return np.concatenate([points, points.mean(axis=1, keepdims=True)], axis=1)

        heatmaps, _ = centred_heatmaps(with_centre(side // 4), side // 4, 0.1, False)
        distances, _ = offsets(with_centre(side // 4), np.full(len(joints), 5e3), side // 4)
        if not codec.higher:
            return [heatmaps[None], distances[None]]
        fine, _ = centred_heatmaps(with_centre(side // 2), side // 2, 0.1, False)
        return [heatmaps[None]] * 3 + [fine[None, :-1], distances[None]]

    return run


def moved(images):
    """Return by how many pixels a mirrored `picture()` has been moved to the left."""
    row = images[0, 0, images.shape[2] // 2]
    bright = row > (row.max() + row.min()) / 2
    return images.shape[-1] / 2 - bright.argmax()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 2.0)])
def test_people_are_found_where_they_are(name, scales):
    codec, people = CODECS[name], crowd()
    keypoints, scores = find_people(
        oracle(codec, people), picture(), SETTINGS, codec, COCO, flip=True, scales=scales
    )
    best = keypoints[: len(people)]
    assert (np.diff(scores) <= 0).all() and scores[2] > 0.3
    apart = np.linalg.norm(best[:, None, :, :2] - people[None, ..., :2], axis=-1).mean(axis=-1)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2]
    assert apart.min(axis=1).max() < 4


def test_outputs_of_another_kind_are_refused():
    network = oracle(CODECS["tags"], crowd())
    with pytest.raises(UserError, match=r"gives \[1, 34, 96, 96\].*expected \[1, 18, 96, 96\].*'offsets'"):
        find_people(network, picture(), SETTINGS, CODECS["adaptive"], COCO)
    with pytest.raises(UserError, match="not finite"):
        find_people(
            lambda x: [each * np.nan for each in network(x)], picture(), SETTINGS, CODECS["tags"], COCO
        )
    with pytest.raises(UserError, match="one size"):
        find_people(network, picture(), SETTINGS, CODECS["tags"], COCO, scales=(1.0, 2.0), fixed=True)


def test_people_keep_their_ids_in_video():
    codec, people = CODECS["tags"], crowd()
    shift = {"x": 0.0}

    def network(images):
        return oracle(codec, people + [shift["x"], 0, 0])(images)

    follow = PeopleInVideo(BottomUp(network, SETTINGS, codec, COCO))
    first = follow(picture(), 0.0)
    assert len(first) == 3 and len(set(first.ids.tolist())) == 3
    for frame in range(1, 6):
        shift["x"] = 2.0 * frame
        now = follow(picture(), frame / 25)
    assert set(now.ids.tolist()) == set(first.ids.tolist())
    where = {int(i): box[0] for i, box in zip(first.ids, first.boxes, strict=True)}
    assert all(box[0] > where[int(i)] for i, box in zip(now.ids, now.boxes, strict=True))


def test_boxes_hold_the_sure_joints():
    keypoints = np.zeros((2, 3, 3), np.float32)
    keypoints[0] = [[10, 20, 0.9], [30, 50, 0.8], [500, 500, 0.01]]
    keypoints[1] = [[1, 2, 0.1], [3, 6, 0.1], [2, 2, 0.1]]
    np.testing.assert_allclose(extents(keypoints), [[10, 20, 20, 30], [1, 2, 2, 4]])
    assert extents(keypoints[:0]).shape == (0, 4)


SMALL = """
inherits: {config}
model: {{name: hrnet, width: 4, stem: 8}}
input: {{width: 64, height: 64}}
data:
  train: {{annotations: {set}/annotations.json, images: {set}/images}}
  val: {{annotations: {set}/annotations.json, images: {set}/images}}
train: {{epochs: 1, batch_size: 2, warmup_steps: 0, workers: 0, static: false}}
"""


@pytest.mark.parametrize("name", ["higherhrnet_w32_512_swahr", "adaptive_higher_w48_640"])
def test_training_measuring_scoring_and_looking(tmp_path, name):
    """The commands, one after another, on a network that has learnt next to nothing."""
    draw_set(tmp_path / "set", 4, 0, (96, 80), (2, 2))
    config = tmp_path / "small.yml"
    config.write_text(SMALL.format(config=CONFIGS / f"{name}.yml", set=tmp_path / "set"))

    def run(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("train", "-c", config, "--output", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "epochs.jsonl").read_text().splitlines()[0])
    assert np.isfinite(record["loss"]) and "AP" in record
    weights = f"weights={tmp_path / 'run' / 'last.pdparams'}"
    threshold = ["-o", "output.threshold=1.0e-6"]
    rows = tmp_path / "rows.npz"
    assert "poses, mean likeness" in run(
        "rescore", "data", "-c", config, "-o", weights, *threshold, "--output", rows
    )
    rescorer = tmp_path / "rescorer.pdparams"
    assert "loss" in run("rescore", "train", rows, "--output", rescorer, "--epochs", 2)
    shown = run(
        "eval",
        "-c",
        config,
        "-o",
        weights,
        *threshold,
        "-o",
        "eval.scales=[0.5, 1, 2]",
        "-o",
        f"eval.rescorer={rescorer}",
    )
    assert "whole pictures, scales 0.5, 1, 2, rescored" in " ".join(shown.split())
    image = next((tmp_path / "set" / "images").iterdir())
    arguments = ["--pose", config, "--pose-weights", tmp_path / "run" / "last.pdparams", "--score", 0]
    run("infer", image, "--output", tmp_path / "out", *arguments)
    assert (tmp_path / "out" / "keypoints.json").is_file() and (tmp_path / "out" / image.name).is_file()


def test_what_goes_with_crops_is_refused(tmp_path):
    config = CONFIGS / "higherhrnet_w32_512.yml"
    result = CliRunner().invoke(app, ["eval", "-c", str(config), "-o", "eval.boxes=boxes.json"])
    assert result.exit_code != 0 and "finds people without boxes" in str(result.exception)
    crops = CONFIGS / "tinypose_128x96.yml"
    result = CliRunner().invoke(app, ["eval", "-c", str(crops), "-o", "eval.scales=[1, 2]"])
    assert result.exit_code != 0 and "sees one person's crop" in str(result.exception)
    arguments = ["rescore", "data", "-c", str(crops), "--output", str(tmp_path / "rows.npz")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0 and "rescoring is for bottom-up" in str(result.exception)
