"""`tinypose infer` on what users have: real files, odd files, broken files."""

import inspect
import json
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from tinypose import Video, read_image
from tinypose.cli import app
from tinypose.errors import UserError
from tinypose.inference.background import ahead, behind
from tinypose.inference.files import Output, infer_video, picture_numbers, unique_names
from tinypose.inference.follow import FollowSettings
from tinypose.inference.results import SeenLog
from tinypose.inference.sources import Source, find_sources
from tinypose.skeleton import load_skeleton


@pytest.fixture
def infer(pose_folder, detector_folder, tmp_path):
    """Run the command with both networks; returns its result. Results are in `out`."""

    def run(*arguments, detector=True, fails=None):
        command = ["infer", *map(str, arguments), "--pose", str(pose_folder), "-d", str(tmp_path / "out")]
        if detector:
            command += ["--detector", str(detector_folder)]
        result = CliRunner().invoke(app, command)
        if fails:
            assert isinstance(result.exception, UserError) and fails in str(result.exception)
        else:
            assert result.exit_code == 0, result.output + str(result.exception)
        return result

    return run


@pytest.fixture(scope="module")
def short(clip):
    """Forty frames of the real video."""
    return clip("short", 40)


def results(tmp_path, name="keypoints"):
    return json.loads((tmp_path / "out" / f"{name}.json").read_text())


def test_pictures_of_every_kind(shared, infer, tmp_path):
    """One person stored in many ways is found in the same place; what is no picture is left out."""
    folder = tmp_path / "in"
    folder.mkdir()
    picture = Image.open(shared / "samples" / "hrnet_demo.jpg").convert("RGB")
    picture.save(folder / "plain.png")
    picture.convert("L").save(folder / "grey.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    alpha = picture.convert("RGBA")
    alpha.putalpha(200)
    alpha.save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    picture.rotate(90, expand=True).save(folder / "turned.jpg", exif=exif, quality=95)
    Image.new("RGB", (1, 1)).save(folder / "one.png")
    Image.new("RGB", (12_000, 40), "green").save(folder / "wide.png")
    Image.new("RGB", (40_000, 20), "green").save(folder / "wider.png")
    Image.new("1", (12_000, 12_000)).save(folder / "huge.png")
    (folder / "text.jpg").write_text("this is not a picture")
    (folder / "cut.jpg").write_bytes((shared / "samples" / "hrnet_demo.jpg").read_bytes()[:20_000])
    (folder / "notes.txt").write_text("not looked at")
    result = infer(folder)
    assert "7 pictures" in result.output and "5 people" in result.output
    assert "wider.png: 40000x20 pixels" in result.output and "huge.png: 12000x12000" in result.output
    assert "text.jpg: not a picture" in result.output and "cut.jpg: cannot read" in result.output
    found = {each["file_name"]: np.array(each["keypoints"]).reshape(17, 3) for each in results(tmp_path)}
    assert set(found) == {"plain.png", "grey.png", "cmyk.jpg", "alpha.png", "turned.jpg"}
    expected = found["plain.png"]
    sure = expected[:, 2] > 0.5
    for name, joints in found.items():
        apart = np.abs(joints - expected)[sure, :2] / picture.height
        assert apart.max() < 0.04 and np.median(apart) < 0.01, name
    drawn = read_image(tmp_path / "out" / "turned.jpg")
    assert drawn.shape == (picture.height, picture.width, 3)
    assert (tmp_path / "out" / "one.png").is_file()


def test_pycocotools_reads_the_results(shared, infer, tmp_path):
    """And measures what there is: on coco-mini val2017, boxes that score over 0.2, no flip test."""
    data = shared / "data" / "coco-mini"
    infer(data / "val2017", "--box-score", "0.2", "--no-draw")
    truth = COCO(str(data / "annotations" / "person_keypoints_val2017.json"))
    stats = {}
    for kind in ("keypoints", "bbox"):
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "keypoints.json")), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        stats[kind] = 100 * evaluation.stats[0]
    assert stats["keypoints"] == pytest.approx(49, abs=3)
    assert stats["bbox"] == pytest.approx(53, abs=3)


def test_results_are_cocos(shared, infer, tmp_path):
    data = shared / "data" / "coco-mini" / "val2017"
    pictures = sorted(data.glob("*.jpg"))[:3]
    infer(*pictures, "--no-draw", "--text")
    found = results(tmp_path)
    assert {each["image_id"] for each in found} <= {int(each.stem) for each in pictures}
    assert not list((tmp_path / "out").glob("*.jpg"))
    lines = (tmp_path / "out" / "keypoints.txt").read_text().splitlines()
    assert len(lines) == len(found)
    assert all(len(line.split()) == 1 + 1 + 1 + 4 + 51 for line in lines)


def test_a_text_file_alone_is_an_error(infer, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    infer(tmp_path / "text.jpg", fails="none of the pictures could be read")
    assert not (tmp_path / "out" / "keypoints.json").exists()


def test_an_empty_folder_is_an_error(infer, tmp_path):
    (tmp_path / "empty").mkdir()
    infer(tmp_path / "empty", fails="no pictures or videos in this folder")
    infer(tmp_path / "nothing.jpg", fails="no such file or folder")


def test_boxes_from_a_file(shared, infer, tmp_path):
    picture = shared / "samples" / "000000014439.jpg"
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": [411, 94, 101, 189], "score": 0.9},
                                 {"file_name": "other.jpg", "bbox": [0, 0, 1, 1]}]))  # fmt: skip
    infer(picture, "--boxes", boxes, detector=False)
    assert [each["bbox"] for each in results(tmp_path)] == [[411, 94, 101, 189]]
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": [411, 94]}]))
    infer(picture, "--boxes", boxes, detector=False, fails="[0]: expected image_id")
    boxes.write_text(json.dumps([{"image_id": 3, "bbox": [411, 94, 1, 1]}]))
    infer(picture, "--boxes", boxes, detector=False, fails="no box for any of these pictures")


def test_the_whole_picture_as_one_person(shared, infer, tmp_path):
    infer(shared / "samples" / "hrnet_demo.jpg", "--whole", detector=False)
    assert results(tmp_path)[0]["bbox"][:2] == [0, 0]
    infer(shared / "samples" / "hrnet_demo.jpg", detector=False, fails="no detector in it")


def test_networks_from_configs_and_weights(shared, tmp_path):
    weights = shared / "weights"
    command = ["infer", shared / "samples" / "hrnet_demo.jpg", "-d", tmp_path / "out", "--pose",
               "configs/tinypose_128x96.yml", "--pose-weights", weights / "tinypose_128x96.pdparams",
               "--detector-weights", weights / "picodet_s_416_coco.pdparams"]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "1 picture, 1 person" in result.output


def test_a_video(infer, short, tmp_path):
    result = infer(short, "--text")
    assert "40 frames, 1 different person" in result.output
    found = results(tmp_path, "short")
    assert [each["image_id"] for each in found] == list(range(40))
    assert {each["track_id"] for each in found} == {1}
    assert found[30]["time"] == pytest.approx(1.0, abs=1e-3)
    drawn = list(Video(tmp_path / "out" / "short.mp4"))
    plain = list(Video(short))
    np.testing.assert_allclose([each.time for each in drawn], [each.time for each in plain], atol=1e-4)
    assert (np.abs(drawn[20].image.astype(int) - plain[20].image) > 60).any(axis=2).mean() > 0.01
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "short.json",
        "short.mp4",
        "short.txt",
    ]


def test_a_varying_rate_and_a_turn_that_the_file_asks_for(shared, infer, tmp_path):
    """Stored lying on its side, with uneven times: results are upright and at those times."""
    times = np.cumsum([0, 0.02, 0.1, 0.033, 0.2, 0.05])
    frames = list(islice(Video(shared / "samples" / "exercise.mp4"), len(times)))
    with av.open(str(tmp_path / "phone.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = frames[0].image.shape[0]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        stream.set_display_rotation(90)
        for frame, at in zip(frames, times, strict=True):
            stored = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(np.rot90(frame.image, -1)), format="rgb24"
            )
            stored.pts, stored.time_base = round(1000 * at), Fraction(1, 1000)
            container.mux(stream.encode(stored))
        container.mux(stream.encode())
    infer(tmp_path / "phone.mp4", "--smooth", "none")
    found = results(tmp_path, "phone")
    np.testing.assert_allclose([each["time"] for each in found], times, atol=1e-3)
    joints = np.array([each["keypoints"] for each in found]).reshape(-1, 17, 3)
    assert (joints[:, 0, 1] < joints[:, 5, 1]).all(), "the nose is above the shoulder"
    drawn = [frame.time for frame in Video(tmp_path / "out" / "phone.mp4")]
    np.testing.assert_allclose(drawn, times, atol=1e-3)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), UserError("camera 0: stopped after 5 frames")])
def test_a_camera_that_ends_leaves_its_results(short, estimate, tmp_path, monkeypatch, end):
    def camera(number):
        yield from islice(Video(short), 5)
        raise end

    monkeypatch.setattr("tinypose.inference.files.read_camera", camera)
    monkeypatch.setattr("tinypose.inference.files.ahead", lambda items, drop: items)  # a camera drops frames
    summary = infer_video(Source("camera", "0"), "camera0", estimate, Output(tmp_path), FollowSettings(), {})
    assert summary.frames == 5 and summary.unreadable == ([str(end)] if isinstance(end, UserError) else [])
    assert len(json.loads((tmp_path / "camera0.json").read_text())) == 5
    assert len(list(Video(tmp_path / "camera0.mp4"))) == 5


def test_one_broken_video_does_not_stop_the_others(short, infer, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_text("not a video")
    (folder / "b.mp4").write_bytes(short.read_bytes())
    (folder / "c.jpg").write_text("not a picture")
    result = infer(folder, "--frames", "3", "--no-draw")
    assert "left out:" in result.output and "a.mp4: cannot read this as a video" in result.output
    assert "none of the pictures could be read" in result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.json"]
    infer(folder / "a.mp4", folder / "c.jpg", fails="a.mp4: cannot read this as a video")


def test_a_cut_off_video_counts_what_is_missing(infer, short, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(short.read_bytes()[: short.stat().st_size * 3 // 4])
    result = infer(tmp_path / "cut.mp4", "--no-draw")
    frames = len({each["image_id"] for each in results(tmp_path, "cut")})
    assert 10 < frames < 40
    assert f"left out: {40 - frames} frames" in result.output


def test_an_interrupted_video_goes_on_where_it_stopped(
    shared, pose_folder, detector_folder, infer, short, tmp_path
):
    video = shared / "samples" / "exercise.mp4"
    networks = ["--pose", str(pose_folder), "--detector", str(detector_folder)]
    command = [sys.executable, "-c", "from tinypose.cli import main; main()", "infer", str(video), *networks,
               "-d", str(tmp_path / "out"), "--frames", "120"]  # fmt: skip
    log = tmp_path / "out" / "exercise.seen.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < 30):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 130, output
    done = log.read_text().count("\n") - 1
    assert 29 <= done < 120
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["exercise.seen.jsonl"]
    with open(log, "a") as file:
        file.write('{"time": 1.0, "detec')  # as a power cut leaves it
    result = infer(video, "--frames", "120")
    assert f"120 frames, 1 different person, {done} frames taken over" in result.output
    resumed = results(tmp_path, "exercise")
    assert not log.exists()
    infer(video, "--frames", "120", "--no-draw", "--overwrite")
    assert results(tmp_path, "exercise") == resumed


def test_other_settings_begin_anew(short, infer, tmp_path):
    log = SeenLog(tmp_path / "out" / "short.seen.jsonl", {"other": 1}, load_skeleton("coco17"))
    log.close()
    result = infer(short, "--frames", "5", "--no-draw")
    assert "5 frames" in result.output and "taken over" not in result.output


def test_several_videos_do_not_overwrite_each_other(short, infer, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "short.mp4").write_bytes(short.read_bytes())
    infer(short, tmp_path / "b" / "short.mp4", "--frames", "2", "--no-draw")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["short.json", "short_2.json"]


def test_sources_are_told_apart(tmp_path, shared):
    (tmp_path / "photo").write_bytes((shared / "samples" / "hrnet_demo.jpg").read_bytes())
    (tmp_path / "film").write_bytes((shared / "samples" / "exercise.mp4").read_bytes())
    (tmp_path / "B.JPG").write_bytes(b"")
    names = [
        "0",
        "rtsp://host/live/cam.sdp?x=1",
        str(tmp_path / "photo"),
        str(tmp_path / "film"),
        str(tmp_path),
    ]
    found = find_sources(names)
    assert [each.kind for each in found] == ["camera", "stream", "picture", "video", "picture"]
    assert [each.stem for each in found] == ["camera0", "cam", "photo", "film", "B"]


def test_names_and_numbers():
    assert unique_names(["a.jpg", "A.jpg", "a_2.jpg", "b.jpg"]) == ["a.jpg", "A_2.jpg", "a_2_2.jpg", "b.jpg"]
    paths = [Path(name) for name in ("000012.jpg", "7.png")]
    assert picture_numbers(paths) == [12, 7]
    assert picture_numbers([*paths, paths[0].with_name("x.png")]) == [1, 2, 3]
    assert picture_numbers([*paths, paths[0].with_name("12.png")]) == [1, 2, 3]


def test_reading_ahead_keeps_order_and_errors():
    def numbers():
        yield from range(50)
        raise UserError("broken")

    taken = []
    with pytest.raises(UserError, match="broken"):
        for each in ahead(numbers(), depth=3):
            taken.append(each)
    assert taken == list(range(50))
    stopped = ahead(iter(range(1000)), depth=2)
    assert [next(stopped) for _ in range(3)] == [0, 1, 2]
    stopped.close()


def test_a_camera_that_is_too_fast_loses_old_frames():
    def fast():
        for number in range(100):
            time.sleep(0.001)
            yield number

    taken = []
    for each in ahead(fast(), depth=1, drop=True):
        taken.append(each)
        time.sleep(0.02)
    assert taken == sorted(taken) and len(taken) < 50 and taken[-1] == 99


def test_ctrl_c_while_work_is_handed_over_does_not_block():
    """The worst place: the waiting thread was woken, and is still noted down as waiting."""
    lines, first = inspect.getsourcelines(threading.Condition.notify)
    worst = first + next(i for i, line in enumerate(lines) if ".remove(waiter)" in line)
    done, ended = [], []

    def interrupt(frame, event, argument):
        if frame.f_code is threading.Condition.notify.__code__ and frame.f_lineno == worst:
            sys.settrace(None)
            raise KeyboardInterrupt
        return interrupt

    def run():
        try:
            with behind(done.append) as submit:
                time.sleep(0.05)  # the other thread waits
                sys.settrace(interrupt)
                try:
                    submit(1)
                finally:
                    time.sleep(0.05)  # it has done its work and waits again
        except KeyboardInterrupt:
            ended.append(True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=600)
    assert ended and done == [1]


def test_writing_behind_keeps_order_and_errors():
    written = []
    with behind(written.append, depth=2) as submit:
        for number in range(50):
            submit(number)
    assert written == list(range(50))

    def broken(number):
        if number == 3:
            raise UserError("disk full")

    with pytest.raises(UserError, match="disk full"), behind(broken) as submit:
        for number in range(1000):
            submit(number)


def test_nothing_that_is_read_or_was_there_is_written_over(shared, infer, tmp_path):
    out, photo = tmp_path / "out", (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    out.mkdir()
    (out / "a.jpg").write_bytes(photo)
    (tmp_path / "b.jpg").write_bytes(photo)
    infer(out / "a.jpg", "--whole", "--overwrite", detector=False, fails="is read here")
    infer(tmp_path / "b.jpg", "--whole", detector=False)
    first = (out / "keypoints.json").read_bytes()
    (tmp_path / "c.jpg").write_bytes(photo)
    infer(tmp_path / "c.jpg", "--whole", detector=False, fails="keypoints.json: there already")
    assert (out / "keypoints.json").read_bytes() == first and not (out / "c.jpg").exists()
    infer(tmp_path / "c.jpg", "--whole", "--overwrite", detector=False)
    assert {each["file_name"] for each in results(tmp_path)} == {"c.jpg"}
    assert (out / "a.jpg").read_bytes() == photo


def test_sub_folders_are_searched_and_kept(shared, infer, tmp_path):
    photo = (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    for place in ("in/1.jpg", "in/a/1.jpg", "in/a/b/1.png", "in/.hidden/1.jpg", "in/a/1.bmp"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(photo)
    infer(tmp_path / "in", tmp_path / "in" / "a", "--whole", detector=False)
    names = ["1.jpg", "a/1.bmp", "a/1.jpg", "a/b/1.png"]
    assert sorted(each["file_name"] for each in results(tmp_path)) == names
    drawn = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*g"))
    assert drawn == ["1.jpg", "a/1.jpg", "a/1_2.jpg", "a/b/1.png"]


def test_one_folder_belongs_to_one_run_and_dead_runs_leave_nothing(infer, shared, tmp_path):
    from tinypose.files import claim_folder

    with claim_folder(tmp_path / "out"):
        infer(shared / "samples" / "hrnet_demo.jpg", "--whole", detector=False, fails="another run")
    assert not (tmp_path / "out").exists()
    code = ("import sys, os, signal; from tinypose.files import claim_folder, write_whole\n"
            "with claim_folder(sys.argv[1]) as folder, write_whole(folder / 'a.json'):\n"
            "    os.kill(os.getpid(), signal.SIGKILL)")  # fmt: skip
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")])
    assert [path.name[:8] for path in (tmp_path / "out").iterdir()] == [".a.part-"]
    infer(shared / "samples" / "hrnet_demo.jpg", "--whole", "--no-draw", detector=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["keypoints.json"]


def test_a_picture_that_is_too_wide_or_a_name_of_other_bytes_is_counted(shared, infer, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (33_000, 2)).save(folder / "wide.png")
    photo = (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    (folder / "good.jpg").write_bytes(photo)
    with open(bytes(folder) + b"/\xff.jpg", "wb") as file:
        file.write(photo)
    result = infer(folder, "--whole", detector=False)
    assert "33000x2 pixels" in result.output and "its name is not UTF-8" in result.output
    assert {each["file_name"] for each in results(tmp_path)} == {"good.jpg"}


def test_boxes_as_corners_are_told(shared, infer, tmp_path):
    boxes = tmp_path / "boxes.json"
    corners = [[411, 94, 512, 283], [300, 100, 400, 300]]
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": box} for box in corners]))
    picture = shared / "samples" / "000000014439.jpg"
    infer(picture, "--boxes", boxes, "--no-draw", detector=False, fails="--boxes-form=corners")
    infer(picture, "--boxes", boxes, "--boxes-form", "corners", "--no-draw", detector=False)
    assert [each["bbox"] for each in results(tmp_path)] == [[411, 94, 101, 189], [300, 100, 100, 200]]


@pytest.mark.parametrize(
    "bad", ["[NaN, 2, 3, 4]", "[1e400, 2, 3, 4]", '["1", 2, 3, 4]', "[true, 2, 3, 4]", "null"]
)
def test_boxes_that_are_none_are_named(shared, infer, tmp_path, bad):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'[{{"image_id": 14439, "bbox": {bad}}}]')
    infer(shared / "samples" / "000000014439.jpg", "--boxes", boxes, detector=False, fails=r"[0]: expected")


def test_an_svg_is_no_video(tmp_path):
    for name in ("a.svg", "a.mp4"):
        (tmp_path / name).write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    with pytest.raises(UserError, match="neither a picture nor a video"):
        find_sources([str(tmp_path / "a.svg")])
    with pytest.raises(UserError, match="cannot read this as a video"):
        Video(tmp_path / "a.mp4")


def test_the_same_command_writes_the_same_bytes(short, infer, tmp_path):
    infer(short, "--frames", "6")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    infer(short, "--frames", "6", "--overwrite")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
