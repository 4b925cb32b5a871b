"""Drawn videos, and what FairMOT is trained on: who is who, targets, mixing sets."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinypose import Video
from tinypose.boxes import iou
from tinypose.cli import app
from tinypose.config import DatasetConfig, LetterboxConfig
from tinypose.data.synthetic.video import draw_video
from tinypose.data.synthetic.video_set import draw_videos
from tinypose.data.tracked import TrackedPicture, load_tracked, make_tracked_batch, see
from tinypose.data.tracks import read_tracks
from tinypose.detection.config import TrackedConfig
from tinypose.errors import UserError


def test_text_json_and_film_say_the_same(videos):
    text = read_tracks(videos / "sequences", truth=True)
    told = read_tracks(videos / "annotations.json", truth=True)
    assert sorted(text) == sorted(told) == ["0001", "0002"]
    for name, one in text.items():
        for field in ("frames", "ids", "boxes", "counts"):
            np.testing.assert_allclose(getattr(one, field), getattr(told[name], field), err_msg=field)
        film = list(Video(videos / "videos" / f"{name}.mp4"))
        assert len(film) == len(list((videos / "sequences" / name / "img1").glob("*.jpg"))) == 8
        still = cv2.imread(str(videos / "sequences" / name / "img1" / "000005.jpg"))[..., ::-1]
        assert np.abs(film[4].image.astype(int) - still).mean() < 12, "the film's frame is the picture's"


def test_people_keep_their_clothes_and_move_steadily():
    frames = list(draw_video(5, 1, (320, 192), (4, 4), 2.0, 10))
    for number in range(1, 5):
        boxes = [each.truth.box for frame in frames for each in frame.people if each.number == number]
        middles = np.array([x + w / 2 for x, _, w, _ in boxes if x > 0 and x + w < 320])
        if len(middles) > 1:
            assert np.abs(np.diff(middles)).max() < 40


def test_people_cross():
    crossings = 0
    for index in range(3):
        for frame in draw_video(0, index, (320, 192), (6, 6), 2.0, 5):
            boxes = np.array([each.truth.box for each in frame.people])
            overlap = iou(boxes, boxes) - np.eye(len(boxes))
            crossings += int((overlap > 0.3).sum() // 2)
    assert crossings > 10


def test_the_same_command_again_changes_nothing(videos):
    before = {path: path.stat().st_mtime_ns for path in videos.rglob("*") if path.is_file()}
    draw_videos(videos, 2, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
    assert before == {path: path.stat().st_mtime_ns for path in videos.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a set drawn as"):
        draw_videos(videos, 3, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)


def test_a_set_that_was_cut_short_ends_the_same(videos, tmp_path):
    half = tmp_path / "half"
    draw_videos(half, 2, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
    (half / "annotations.json").unlink()
    (half / "videos" / "0002.mp4").unlink()
    (half / "partial").mkdir()
    draw_videos(half, 2, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
    for path in videos.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (half / path.relative_to(videos)).read_bytes(), path.name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--width", "161"], "even"),
        (["--most", "99"], "most people"),
        (["--seconds", "0"], "seconds"),
        (["--images", "0"], "videos"),
    ],
)
def test_bounds_of_the_command(tmp_path, arguments, says):
    result = CliRunner().invoke(app, ["synth", "--video", "--output", str(tmp_path / "v"), *arguments])
    assert isinstance(result.exception, UserError) and says in str(result.exception)


def test_people_of_several_sets_are_different_people(videos, tmp_path, fairmot_config, video_sets):
    config = fairmot_config()
    one, lines = load_tracked(video_sets(1), config)
    two, _ = load_tracked(video_sets(2), config)
    assert two.identities == 2 * one.identities and len(two.people) == 2 * len(one.people)
    assert f"{one.identities} people to tell apart" in lines[0]
    later = two.people[len(one.people)]
    assert later.identities.min() >= one.identities
    assert one.digest() != two.digest()
    nameless = json.loads((videos / "annotations.json").read_text())
    for each in nameless["annotations"]:
        del each["track_id"]
    (tmp_path / "boxes.json").write_text(json.dumps(nameless))
    boxes = DatasetConfig(annotations=tmp_path / "boxes.json", images=videos / "sequences")
    mixed, _ = load_tracked([*video_sets(1), boxes], config)
    assert mixed.identities == one.identities
    assert (mixed.people[-1].identities == -1).all()
    with pytest.raises(UserError, match="nobody to tell apart"):
        load_tracked([boxes], config)


def test_the_mot_challenges_folders_are_the_same_set(videos, fairmot_config, video_sets):
    config = fairmot_config()
    one, _ = load_tracked(video_sets(1), config)
    folder = videos / "sequences"
    two, _ = load_tracked([DatasetConfig(annotations=folder, images=folder, format="mot")], config)
    assert one.identities == two.identities and len(one.people) == len(two.people)
    named = {each.path: each for each in two.people}
    for each in one.people:
        np.testing.assert_array_equal(each.boxes, named[each.path].boxes)
        assert each.size == named[each.path].size
    batches = [make_tracked_batch(which, 0, np.arange(2)) for which in (one, two)]
    assert batches[0].images.shape == batches[1].images.shape


def test_batches_are_the_same_each_time_and_vary_by_epoch(fairmot_config, video_sets):
    tracked, _ = load_tracked(video_sets(1), fairmot_config())
    one, same, next_epoch = (make_tracked_batch(tracked, epoch, np.arange(4)) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(one.images, same.images)
    assert not np.array_equal(one.images, next_epoch.images)
    heatmap, place, offset, size, there, identity = one.targets
    assert heatmap.shape == (4, 1, 16, 24) and place.shape == there.shape == identity.shape == (4, 16)
    assert (heatmap.reshape(4, -1)[np.arange(4)[:, None], place][there > 0] == 1).all()
    assert (identity[there == 0] == -1).all() and identity.max() < tracked.identities


@given(st.integers(0, 2**31))
def test_boxes_move_with_the_picture(seed):
    """A bright rectangle is where its box says after all variation, up to what a turn adds."""
    rng = np.random.default_rng(seed)
    image = np.zeros((120, 200, 3), np.uint8)
    x, y, w, h = rng.integers(60, 90), rng.integers(30, 50), rng.integers(30, 50), rng.integers(30, 50)
    image[y : y + h, x : x + w] = 255
    picture = TrackedPicture(1, None, (200, 120), np.array([[x, y, w, h]], np.float32), np.array([5]))
    settings = LetterboxConfig(width=192, height=128)
    vary = replace_config(rotation=0, shear=0, color=0, shift=0.05)
    seen, corners, who = see(image, picture, settings, vary, np.random.default_rng(seed))
    assert who.tolist() == [5]
    rows, columns = np.nonzero(seen[..., 0] > 200)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    np.testing.assert_allclose(corners[0], found, atol=2.0)


def replace_config(**changes):
    return TrackedConfig().model_copy(update=changes)
