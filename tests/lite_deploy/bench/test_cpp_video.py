"""pose_runner with frames from a pipe, and the library's example: the people that Python finds."""

import json
import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tinypose import PeopleInVideo, PoseEstimator, Video

EXAMPLE = Path(__file__).resolve().parents[3] / "lite_deploy" / "cpp" / "examples" / "people.cc"


@pytest.fixture(scope="module")
def words(device_folder, pose_folder, detector_folder) -> list:
    """How pose_runner is called with both networks."""
    return [device_folder / "pose_runner", "--pose", pose_folder / "pose.json", "--model", "x86_fp32",
            "--detector", detector_folder / "pose.json", "--detector-model", "x86_fp32"]  # fmt: skip


def follow(words, raw: bytes, *options) -> tuple[list[dict], dict]:
    """Return the lines of the frames, and the last line."""
    command = [str(each) for each in (*words, *options)]
    done = subprocess.run(command, input=raw, capture_output=True, timeout=600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (lines[-1]["kind"] == "error"), done.stderr
    return lines[:-1], lines[-1]


@pytest.fixture(scope="module")
def estimate(pose_folder, detector_folder) -> PoseEstimator:
    """Under the engine that the runner has."""
    return PoseEstimator.from_artifact(pose_folder, detector_folder, engine="paddle-lite")


def test_people_of_the_whole_video(words, estimate, shared):
    frames = [frame.image for frame in Video(shared / "samples" / "exercise.mp4")]
    height, width, _ = frames[0].shape
    raw = np.stack(frames).tobytes()
    lines, last = follow(words, raw, "--frames", "rgb", "--size", f"{width}x{height}", "--rate", "30")
    in_python = PeopleInVideo(estimate)
    assert last["frames"] == len(lines) == len(frames) and last["kind"] == "video"
    for i, (line, image) in enumerate(zip(lines, frames, strict=True)):
        people = in_python(image, i / 30)
        assert (line["kind"], line["image_id"], line["time"]) == ("people", i, round(i / 30, 4))
        assert [each["track_id"] for each in line["people"]] == people.ids.tolist()
        assert line["detected"] == (in_python._since_detection == 0)
        for found, expected in zip(line["people"], people.to_coco(0), strict=True):
            np.testing.assert_allclose(found["keypoints"], expected["keypoints"], rtol=0, atol=0.011)
            np.testing.assert_allclose(found["bbox"], expected["bbox"], rtol=0, atol=0.011)
    assert last["detections"] == sum(line["detected"] for line in lines)
    assert last["crops"] >= len(frames) and last["peak_kb"] > 1000
    for stage, times in last["ms"].items():
        assert times == [line["ms"][stage] for line in lines]
    assert min(last["ms"]["pose"]) > 0 and last["ms"]["detector"][0] > 0


def rgb_of(frame: np.ndarray) -> np.ndarray:
    """BT.601, 16 to 235, in real numbers: uint8 [height * 3 / 2, width] to [height, width, 3]."""
    height, width = len(frame) * 2 // 3, frame.shape[1]
    u, v = frame[height:].reshape(2, height // 2, width // 2).repeat(2, axis=1).repeat(2, axis=2)
    y = (frame[:height].astype(np.float64) - 16) * 255 / 219
    u, v = ((each.astype(np.float64) - 128) * 255 / 224 for each in (u, v))
    red, blue = y + 1.402 * v, y + 1.772 * u
    rgb = np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=-1)
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def test_frames_as_a_decoder_gives_them(words, estimate, shared):
    """Planes of Y, U and V, lying on their side: the people of the upright picture."""
    frames = []
    with av.open(str(shared / "samples" / "exercise.mp4")) as video:
        for frame in video.decode(video=0):
            frames.append(frame.to_ndarray(format="yuv420p"))  # [height * 3 / 2, width]
            if len(frames) == 6:
                break
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    turned = []
    for frame in frames:
        y = frame[:height]
        u, v = frame[height:].reshape(2, height // 2, width // 2)
        turned.append(np.concatenate([np.rot90(each, 1).ravel() for each in (y, u, v)]))
    size = ("--size", f"{height}x{width}", "--rotate", "90")
    lines, last = follow(words, np.concatenate(turned).tobytes(), "--frames", "i420-limited", *size)
    assert last["frames"] == 6
    in_python = PeopleInVideo(estimate)
    for i, (line, frame) in enumerate(zip(lines, frames, strict=True)):
        people = in_python(rgb_of(frame), i / 30)
        assert [each["track_id"] for each in line["people"]] == people.ids.tolist()
        for found, expected in zip(line["people"], people.keypoints, strict=True):
            moved = np.reshape(found["keypoints"], (-1, 3))[:, :2] - expected[:, :2]
            assert np.median(np.linalg.norm(moved, axis=1)) < 0.1  # a few colours differ by a grey level
    full, _ = follow(words, np.concatenate(turned).tobytes(), "--frames", "i420", *size)
    assert full[0]["people"][0]["score"] != lines[0]["people"][0]["score"]


def test_input_that_is_wrong(words):
    size = ("--size", "20x10")
    assert "not one frame" in follow(words, b"", "--frames", "rgb", *size)[1]["message"]
    _, last = follow(words, bytes(601), "--frames", "rgb", *size)
    assert "within frame 1: 1 bytes of 600" in last["message"]
    wrong = [*words[:6], words[2], *words[7:]]
    assert "detector" in follow(wrong, bytes(600), "--frames", "rgb", *size)[1]["message"]
    for options in (
        ("--frames", "rgb"),
        (*size,),
        ("--frames", "nv99", *size),
        ("--frames", "rgb", "--size", "20"),
        ("--frames", "rgb", "--size", "40000x3"),
        ("--frames", "rgb", *size, "--rotate", "45"),
        ("--frames", "rgb", *size, "--smooth", "much"),
        ("--frames", "rgb", *size, "--rate", "0"),
    ):
        command = [str(each) for each in (*words, *options)]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=600)
        assert done.returncode == 2 and b"pose_runner: --" in done.stderr, options


def test_the_example(device_folder, pose_folder, detector_folder, estimate, shared, tmp_path):
    """examples/people.cc, which README shows, built as it is and run on a real picture."""
    image = cv2.imread(str(shared / "samples" / "hrnet_demo.jpg"))[..., ::-1].copy()
    height, width, _ = image.shape
    (tmp_path / "picture.ppm").write_bytes(f"P6 {width} {height} 255\n".encode() + image.tobytes())
    command = [device_folder.parent / "people", pose_folder / "x86_fp32.nb", detector_folder / "x86_fp32.nb",
               tmp_path / "picture.ppm"]  # fmt: skip
    environment = {"LD_LIBRARY_PATH": str(device_folder)}  # where the stand-ins for Python's symbols are
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    people = estimate(image)
    lines = done.stdout.splitlines()
    assert len(lines) == len(people) >= 1
    for line, box, joints in zip(lines, people.boxes, people.keypoints, strict=True):
        head, numbers = line.split(":")
        np.testing.assert_allclose([float(word) for word in head.split()[3:]], box, rtol=0, atol=0.011)
        found = np.array([float(word) for word in numbers.split()]).reshape(-1, 3)
        np.testing.assert_allclose(found[:, :2], joints[:, :2], rtol=0, atol=0.011)


def test_readme_shows_the_example():
    assert EXAMPLE.read_text() in (EXAMPLE.parents[1] / "README.md").read_text()
