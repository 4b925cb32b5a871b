"""The whole C++ pipeline against `tinypose`: the same people with the same ids, from the same pixels."""

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinypose import PeopleInVideo, PoseEstimator, Video
from tinypose.inference.follow import FollowSettings
from tinypose.inference.people import People

SAMPLES = ("hrnet_demo.jpg", "000000014439.jpg")
HERE = Path(__file__).resolve().parent
EMULATOR = "qemu-aarch64-static"


def _neighbour(name: str):
    """Load a file beside this one: test folders are no packages."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pl = _neighbour("pose_library")


@pytest.fixture(scope="session")
def library(native_build):
    return pl.load(native_build / "libpose_c.so")


@pytest.fixture(scope="session")
def estimate(pose_folder, detector_folder) -> PoseEstimator:
    return PoseEstimator.from_artifact(pose_folder, detector_folder, engine="onnxruntime")


class Pipeline:
    """A C++ pipeline whose networks are those of a Python estimator."""

    def __init__(self, library, estimate, following=None, detect=True, **changes):
        self.library, self.calls = library, {"pose": [], "detector": []}
        self.settings = pl.settings_of(library, estimate, following or FollowSettings(), detect)
        self.settings.pose.run = pl.run_function(estimate.pose.network, self.calls["pose"])
        if detect:
            self.settings.detector.run = pl.run_function(estimate.detect.network, self.calls["detector"])
        for name, value in changes.items():
            section, field = name.split("_", 1)
            setattr(getattr(self.settings, section), field, value)
        problem = ctypes.c_char_p()
        self.handle = library.pose_open(ctypes.byref(self.settings), ctypes.byref(problem))
        self.problem = problem.value.decode()

    def __enter__(self):
        assert self.handle, self.problem
        return self

    def __exit__(self, *_):
        self.library.pose_close(self.handle)

    def follow(self, frame, time):
        return self.library.pose_follow(self.handle, ctypes.byref(frame), time)

    def look(self, frame, boxes=None):
        if boxes is None:
            return self.library.pose_look(self.handle, ctypes.byref(frame), None, 0)
        boxes = np.ascontiguousarray(boxes, np.float32)
        pointer = boxes.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        return self.library.pose_look(self.handle, ctypes.byref(frame), pointer, len(boxes))

    def rgb(self, image):
        self.kept = np.ascontiguousarray(image)
        height, width, _ = image.shape
        return self.library.pose_rgb(self.kept.ctypes.data, width, height, 3 * width, 0)

    @property
    def people(self):
        return pl.people_of(self.library, self.handle)

    @property
    def message(self):
        return self.library.pose_message(self.handle).decode()


def same(found: dict, expected, pixels: float = 0.01) -> None:
    """Boxes and joints to a hundredth of a pixel, their scores to 1e-4, ids equal.

    The detector's scores to 1e-3: a few pixels of its input may differ by a grey level.
    """
    assert len(found["ids"]) == len(expected)
    np.testing.assert_array_equal(found["ids"], expected.ids)
    np.testing.assert_allclose(found["boxes"], expected.boxes, rtol=0, atol=pixels)
    np.testing.assert_allclose(found["keypoints"][..., :2], expected.keypoints[..., :2], rtol=0, atol=pixels)
    np.testing.assert_allclose(found["keypoints"][..., 2], expected.keypoints[..., 2], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["box_scores"], expected.box_scores, rtol=0, atol=1e-3)


def sample(shared, name: str) -> np.ndarray:
    return cv2.imread(str(shared / "samples" / name))[..., ::-1].copy()


@pytest.mark.parametrize("name", SAMPLES)
def test_people_of_the_samples(library, estimate, shared, name):
    image = sample(shared, name)
    expected = estimate(image)
    assert len(expected) >= 1
    with Pipeline(library, estimate) as pipeline:
        assert pipeline.look(pipeline.rgb(image)) == pl.OK
        same(pipeline.people, expected)
        boxes = np.concatenate([expected.boxes, [[-500, -500, 20, 20], [3, 4, 50, 60]]])
        assert pipeline.look(pipeline.rgb(image), boxes) == pl.OK
        same(pipeline.people, estimate(image, boxes))
        assert pipeline.look(pipeline.rgb(image), np.zeros((0, 4))) == pl.OK
        assert len(pipeline.people["ids"]) == 0


def test_without_a_detector_the_picture_is_one_person(library, pose_folder, estimate, shared):
    image = sample(shared, SAMPLES[0])
    expected = PoseEstimator.from_artifact(pose_folder, engine="onnxruntime")(image)
    with Pipeline(library, estimate, detect=False) as pipeline:
        assert pipeline.look(pipeline.rgb(image)) == pl.OK
        same(pipeline.people, expected)


@pytest.fixture(scope="session")
def frames(shared) -> list[np.ndarray]:
    return [frame.image for frame in Video(shared / "samples" / "exercise.mp4")]


def follow_both(library, estimate, settings, pictures, rate) -> list[People]:
    """Follow people in C++ and in Python, each with its networks. Returns Python's."""
    follow, everyone = PeopleInVideo(estimate, settings), []
    with Pipeline(library, estimate, settings) as pipeline:
        for i, image in enumerate(pictures):
            everyone.append(follow(image, i / rate))
            assert pipeline.follow(pipeline.rgb(image), i / rate) == pl.OK, pipeline.message
            same(pipeline.people, everyone[-1])
            times = library.pose_last_times(pipeline.handle)
            assert times.detections == (follow._since_detection == 0)
            assert times.people >= len(everyone[-1])
            assert (min(times.pose, times.crop, times.decode) > 0) == (times.people > 0)
    return everyone


@pytest.mark.parametrize("smooth", ["one_euro", "ema", "none"])
def test_people_of_the_video(library, estimate, frames, smooth):
    """Joints, boxes, scores and ids in all 284 frames."""
    people = follow_both(library, estimate, FollowSettings(smooth=smooth), frames, 30)
    assert sum(map(len, people)) > 280


def two_by_two(frames: list[np.ndarray], i: int) -> np.ndarray:
    """Four people at different times of the video, who are covered now and then."""
    tiles = [frames[(i + 70 * k) % len(frames)][::2, ::2] for k in range(4)]
    for k in range(4):
        if (i // 9 + k) % 5 == 0:
            tiles[k] = np.zeros_like(tiles[k])
    return np.concatenate([np.concatenate(tiles[:2], axis=1), np.concatenate(tiles[2:], axis=1)])


def test_several_people_who_come_and_go(library, estimate, frames):
    pictures = [two_by_two(frames, i) for i in range(90)]
    people = follow_both(library, estimate, FollowSettings(detect_every=3), pictures, 20)
    assert len({number for each in people for number in each.ids}) >= 4


def yuv_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """JFIF's Y, U and V of an even picture, chroma averaged over 2x2."""
    rgb = image.astype(np.float64)
    y = rgb @ [0.299, 0.587, 0.114]
    u, v = (rgb[..., 2] - y) / 1.772 + 128, (rgb[..., 0] - y) / 1.402 + 128
    halves = [each.reshape(len(y) // 2, 2, -1, 2).mean(axis=(1, 3)) for each in (u, v)]
    return tuple(np.clip(np.round(each), 0, 255).astype(np.uint8) for each in (y, *halves))


def rgb_of(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    y, u, v = (
        each.astype(np.float64) for each in (y, u.repeat(2, 0).repeat(2, 1), v.repeat(2, 0).repeat(2, 1))
    )
    red, blue = y + 1.402 * (v - 128), y + 1.772 * (u - 128)
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.round(np.stack([red, green, blue], axis=-1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("layout", ["nv21", "nv12", "i420", "rgba"])
def test_frames_of_a_camera(library, estimate, shared, layout, rotation):
    """The people of a stored frame are those of the upright picture."""
    image = sample(shared, SAMPLES[0])[:422, :358]
    y, u, v = yuv_of(image)
    turns = rotation // 90  # np.rot90 turns to the left: what a camera that lies on its side stores
    y, u, v = (np.ascontiguousarray(np.rot90(each, turns)) for each in (y, u, v))
    stored = rgb_of(y, u, v)
    height, width = y.shape
    if layout == "rgba":
        raw = np.dstack([stored, np.full_like(y, 7)])
        frame = library.pose_rgba(raw.ctypes.data, width, height, 4 * width, rotation)
    elif layout == "i420":
        raw = np.concatenate([y.ravel(), u.ravel(), v.ravel()])
        frame = library.pose_i420(raw.ctypes.data, width, height, rotation)
    else:
        raw = np.concatenate([y.ravel(), np.stack([v, u] if layout == "nv21" else [u, v], axis=-1).ravel()])
        make = getattr(library, f"pose_{layout}")
        frame = make(raw.ctypes.data, raw.ctypes.data + y.size, width, height, width, rotation)
    expected = estimate(np.ascontiguousarray(np.rot90(stored, -turns)))
    with Pipeline(library, estimate) as pipeline:
        assert pipeline.look(frame) == pl.OK
        same(pipeline.people, expected)


def test_settings_change_on_the_way(library, estimate, frames):
    with Pipeline(library, estimate, FollowSettings(smooth="none")) as pipeline:
        for i, image in enumerate(frames[:12]):
            assert pipeline.follow(pipeline.rgb(image), i / 30) == pl.OK
            assert library.pose_last_times(pipeline.handle).detections == (i % 5 == 0 if i < 8 else 1)
            if i == 7:
                changed = pl.following_of(FollowSettings(detect_every=1, smooth="ema"))
                assert library.pose_set_following(pipeline.handle, ctypes.byref(changed)) == pl.OK
        ids = pipeline.people["ids"].tolist()
        assert ids == [1]
        changed.detect_every = 0
        assert library.pose_set_following(pipeline.handle, ctypes.byref(changed)) == pl.BAD_SETTINGS
        assert "detect_every" in pipeline.message
        library.pose_restart(pipeline.handle)
        assert pipeline.follow(pipeline.rgb(frames[0]), 0.0) == pl.OK
        assert pipeline.people["ids"].tolist() == [1]


def test_a_frame_that_fails_is_as_if_it_had_not_come(library, estimate, frames):
    """Networks that fail, that give another shape or no numbers, frames and times that are wrong."""
    broken = {"pose": None, "detector": None}

    def spoiled(name, run):
        def answer(x):
            if broken[name] == "fails":
                raise RuntimeError
            outputs = run(x)
            if broken[name] == "shape":
                return [each[:, :-1] for each in outputs]
            return [np.full_like(each, np.nan) for each in outputs] if broken[name] == "nan" else outputs

        return pl.run_function(answer)

    runs = {"pose_run": spoiled("pose", estimate.pose.network)}
    runs["detector_run"] = spoiled("detector", estimate.detect.network)
    codes = {"fails": pl.RUN_FAILED, "shape": pl.BAD_OUTPUT, "nan": pl.BAD_OUTPUT}
    with (
        Pipeline(library, estimate) as undisturbed,
        Pipeline(library, estimate, **runs) as pipeline,
    ):
        for i, image in enumerate(frames[:30]):
            for network in ("pose", "detector") if i % 5 == 0 else ("pose",):
                for broken[network], code in codes.items():
                    assert pipeline.follow(pipeline.rgb(image), i / 30) == code
                    assert len(pipeline.people["ids"]) == 0 and len(pipeline.message) > 10
                broken[network] = None
            wrong = pipeline.rgb(image)
            wrong.rotation = 17
            assert pipeline.follow(wrong, i / 30) == pl.BAD_FRAME and "rotation" in pipeline.message
            for time in (float("nan"), *([(i - 1) / 30, -1.0] if i else [])):
                assert (
                    pipeline.follow(pipeline.rgb(image), time) == pl.BAD_FRAME and "time" in pipeline.message
                )
            assert pipeline.follow(pipeline.rgb(image), i / 30) == pl.OK
            assert undisturbed.follow(undisturbed.rgb(image), i / 30) == pl.OK
            for name, value in undisturbed.people.items():
                np.testing.assert_array_equal(pipeline.people[name], value)


@pytest.mark.parametrize(
    "changes",
    [
        {"pose_run": pl.RUN()},
        {"pose_width": 1},
        {"pose_height": 10**6},
        {"pose_std": (ctypes.c_float * 3)(1, 0, 1)},
        {"detector_mean": (ctypes.c_float * 3)(float("nan"), 0, 0)},
        {"detector_width": -416},
        {"joints_joints": 0},
        {"joints_sigmas": (ctypes.c_double * 17)()},
        {"joints_padding": float("inf")},
        {"joints_crop": 2},
        {"joints_codec": 9},
        {"joints_decoding": 3},
        {"joints_blur": 4},
        {"joints_grid": -1},
        {"boxes_person": -1},
        {"boxes_nms": 1.5},
        {"boxes_score": float("nan")},
        {"boxes_most": 0},
        {"boxes_aligned": 2},
        {"following_detect_every": 0},
        {"following_sure": 2.0},
        {"following_patience": -1.0},
        {"following_smooth": 3},
        {"following_cutoff": 0.0},
        {"following_constant": float("nan")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_make_no_sense(library, estimate, changes):
    pipeline = Pipeline(library, estimate, **changes)
    section, field = next(iter(changes)).split("_", 1)
    assert not pipeline.handle
    words = {"pose": "network", "detector": "network"}.get(section, section)
    assert field in pipeline.problem and (words in pipeline.problem or section in pipeline.problem)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.5}, "threshold: expected 0 to 1"),
        ({"most": 0}, "most: expected 1 to 1000"),
        ({"least": -1.0}, "least: expected 0 to 1"),
        ({"higher": 1}, "higher: expected 0, or 1 with POSE_ADAPTIVE"),
        ({"match": 1}, "match: expected 0, or 1 with POSE_DEKR"),
        ({}, "detector: a bottom-up network sees the whole picture"),
    ],
)
def test_bottom_up_settings_that_make_no_sense(library, estimate, changes, message):
    pipeline = Pipeline(library, estimate, joints_codec=2, **{f"joints_{k}": v for k, v in changes.items()})
    assert not pipeline.handle and message in pipeline.problem


@pytest.mark.parametrize("build", ["sanitized", "arm"])
def test_other_builds_find_the_same(request, library, estimate, frames, tmp_path, build):
    """Under sanitizers and as ARM code, with the networks' outputs recorded: the same people and inputs."""
    program = request.getfixturevalue(f"{build}_build") / "people_check"
    count = 20
    pictures = [two_by_two(frames, i) for i in range(count)]
    np.stack(pictures).tofile(tmp_path / "frames.raw")
    expected = []
    with Pipeline(library, estimate, FollowSettings(detect_every=3)) as pipeline:
        for i, image in enumerate(pictures):
            assert pipeline.follow(pipeline.rgb(image), i / 20) == pl.OK
            expected.append(pipeline.people)
        inputs = []
        for name, network in (("pose", pipeline.settings.pose), ("detector", pipeline.settings.detector)):
            with open(tmp_path / f"{name}.net", "wb") as file:
                file.write(np.array([network.width, network.height], np.int32).tobytes())
                for given, outputs in pipeline.calls[name]:
                    inputs.append(given)
                    for each in outputs:
                        file.write(np.array([each.ndim, *each.shape], np.int32).tobytes() + each.tobytes())
    height, width, _ = pictures[0].shape
    sigmas = " ".join(float(each).hex() for each in estimate.skeleton.sigmas)
    line = (
        f"video {tmp_path}/frames.raw {width} {height} {count} 20 {tmp_path}/pose.net {tmp_path}/detector.net"
        f" 3 {tmp_path}/inputs.f32 {sigmas}\n"
    )
    command = [*([EMULATOR] if build == "arm" else []), program]
    done = subprocess.run(
        command,
        input=line,
        capture_output=True,
        text=True,
        timeout=600,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    words = iter(done.stdout.split())
    for people in expected:
        assert int(next(words)) == len(people["ids"])
        for i, number in enumerate(people["ids"]):
            assert int(next(words)) == number
            values = [float.fromhex(next(words)) for _ in range(1 + 4 + 51)]
            wanted = [people["scores"][i], *people["boxes"][i], *people["keypoints"][i].ravel()]
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-3)
    assert next(words, None) is None
    found = np.fromfile(tmp_path / "inputs.f32", np.float32)
    assert found.size == sum(each.size for each in inputs)
    # Calls of both networks alternate in the program's notes; sums tell whether it saw the same.
    np.testing.assert_allclose(
        found.sum(dtype=np.float64), sum(each.sum(dtype=np.float64) for each in inputs), rtol=1e-6
    )
