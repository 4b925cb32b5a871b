"""`tinypose infer` on videos and cameras: varying rates, damage, interruptions, threads."""

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

from tinypose import Video
from tinypose.errors import UserError
from tinypose.inference.background import ahead, behind
from tinypose.inference.files import Output, infer_video, picture_numbers, unique_names
from tinypose.inference.follow import FollowSettings
from tinypose.inference.results import SeenLog
from tinypose.inference.sources import Source, find_sources
from tinypose.skeleton import load_skeleton


def results(tmp_path, name):
    return json.loads((tmp_path / "out" / f"{name}.json").read_text())


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
