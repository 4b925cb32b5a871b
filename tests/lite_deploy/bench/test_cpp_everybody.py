"""Bottom-up networks' outputs decoded in C++, against Python's decoding and the published code's."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lite_deploy.bench.results import read_results
from lite_deploy.cli import app
from tinypose import PeopleInVideo
from tinypose.codecs.bottom_up_targets import centred_heatmaps, grouped_heatmaps, offsets
from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.tags import TagCodec
from tinypose.data.synthetic import draw_picture
from tinypose.inference.bottom_up import BottomUp
from tinypose.skeleton import load_skeleton

CODECS = {"tags": 2, "adaptive": 3, "dekr": 4}  # the numbers of pose.h
JOINTS, WIDTH, HEIGHT = 17, 160, 128

examples = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def decoded(ask, folder, codec, outputs) -> tuple[np.ndarray, np.ndarray]:
    """Decode in C++: outputs of one picture; returns joints [P, J, 3] and scores [P]."""
    np.concatenate([each.ravel() for each in outputs]).astype(np.float32).tofile(folder / "maps.f32")
    kind = codec.name if codec.name == "tags" else codec.kind
    higher = int(getattr(codec, "higher", False))
    joints = outputs[-1].shape[0] // (1 if codec.name == "tags" else 2)
    height, width = (4 * side for side in outputs[0].shape[1:])
    words = ask(
        f"everybody {folder}/maps.f32 {width} {height} {joints} {CODECS[kind]}"
        f" {float(codec.threshold).hex()} {codec.most} {higher} {int(getattr(codec, 'match', False))}"
    )
    assert words != ["wrong"]
    rows = np.array([float.fromhex(word) for word in words]).reshape(-1, 1 + 3 * joints)
    return rows[:, 1:].reshape(-1, joints, 3), rows[:, 0]


def assert_pythons(ask, folder, codec, outputs) -> np.ndarray:
    """Decode in C++ and in Python and compare; returns what Python found."""
    height, width = (4 * side for side in outputs[0].shape[1:])
    expected, scores = codec.combine({1.0: outputs}, (width, height))
    found, found_scores = decoded(ask, folder, codec, outputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(found_scores, scores, rtol=1e-4, atol=1e-5)
    return expected


def crowd(rng, people: int, missing: float) -> np.ndarray:
    """People who may lie over each other, float [P, J, 3] in input pixels; some joints are not seen."""
    middle = rng.uniform((30, 30), (WIDTH - 30, HEIGHT - 30), (people, 1, 2))
    joints = (middle + rng.normal(0, 12, (people, JOINTS, 2))).clip(4, (WIDTH - 5, HEIGHT - 5))
    return np.concatenate([joints, rng.random((people, JOINTS, 1)) >= missing], axis=2)


def apart(rng, people: int, missing: float) -> np.ndarray:
    """As `crowd`, but nobody's joint near another's: of equally cheap groupings the last bit chooses."""
    middles = np.array([(35, 32), (80, 32), (125, 32), (35, 96), (80, 96)])[:people, None]
    joints = middles + rng.normal(0, 4, (people, JOINTS, 2)).clip(-10, 10)
    return np.concatenate([joints, rng.random((people, JOINTS, 1)) >= missing], axis=2)


def square(maps: np.ndarray, factor: int) -> np.ndarray:
    """Cut maps made for a square picture to the picture's size."""
    return maps[..., : HEIGHT // factor, : WIDTH // factor]


def scaled(joints: np.ndarray, factor: int) -> np.ndarray:
    return joints / [factor, factor, 1]


def tagged(rng, joints: np.ndarray) -> list[np.ndarray]:
    """HigherHRNet's outputs: heatmaps with noise, tags of two for each person on, apart by noise."""
    coarse = square(grouped_heatmaps(scaled(joints, 4), WIDTH // 4), 4) * 0.8
    fine = square(grouped_heatmaps(scaled(joints, 2), WIDTH // 2), 2) * 0.8
    tags = rng.normal(0, 1, coarse.shape)
    for person, points in enumerate(scaled(joints, 4)):
        for joint, (x, y, seen) in enumerate(points):
            if seen:
                x, y = int(x), int(y)
                tags[joint, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 2 * person + rng.normal(0, 0.1)
    noise = [rng.normal(0, 0.01, each.shape) for each in (coarse, fine)]
    outputs = [np.concatenate([coarse + noise[0], tags]), fine + noise[1]]
    return [each.astype(np.float32) for each in outputs]


def centred(rng, joints: np.ndarray, higher: bool) -> list[np.ndarray]:
    """The outputs of a network that regresses joints from centres, with noise; `higher`: five."""

    def maps(factor: int) -> np.ndarray:
        small = scaled(joints, factor)
        heatmaps, _ = centred_heatmaps(
            np.concatenate([small, small.mean(axis=1, keepdims=True)], axis=1), WIDTH // factor, 0.1, False
        )
        return square(heatmaps, factor) * 0.8

    small = scaled(joints, 4)
    small = np.concatenate([small, small.mean(axis=1, keepdims=True)], axis=1)
    small[:, -1, 2] = 1
    distances, _ = offsets(small, np.full(len(small), 4000.0), WIDTH // 4)
    outputs = [maps(4)] * (3 if higher else 1)
    if higher:
        outputs.append(maps(2)[:-1])
    outputs = [each + rng.normal(0, 0.01, each.shape) for each in outputs]
    distances = square(distances, 4)
    outputs.append(distances + rng.normal(0, 0.2, distances.shape))
    return [each.astype(np.float32) for each in outputs]


@examples
@given(rng=seeds, people=st.integers(0, 5), missing=st.sampled_from([0.0, 0.3]))
def test_tags_are_decoded_as_in_python(ask, tmp_path_factory, rng, people, missing):
    """Joints that are not seen are looked for in the whole map."""
    codec = TagCodec(name="tags", most=5)
    outputs = tagged(rng, apart(rng, people, missing))
    assert_pythons(ask, tmp_path_factory.getbasetemp(), codec, outputs)


@examples
@given(
    rng=seeds,
    people=st.integers(0, 6),
    kind=st.sampled_from(["adaptive", "higher", "dekr", "match"]),
)
def test_offsets_are_decoded_as_in_python(ask, tmp_path_factory, rng, people, kind):
    codec = OffsetCodec(
        name="offsets",
        kind="adaptive" if kind in ("adaptive", "higher") else "dekr",
        higher=kind == "higher",
        match=kind == "match",
    )
    outputs = centred(rng, crowd(rng, people, 0.0), codec.higher)
    assert_pythons(ask, tmp_path_factory.getbasetemp(), codec, outputs)


@pytest.mark.parametrize("kind", ["adaptive", "dekr"])
@pytest.mark.parametrize("name", ["coco", "crowdpose"])
def test_offsets_of_the_published_code(ask, shared, tmp_path, kind, name):
    """Its outputs, averaged with the mirrored ones, decode to its people: case `final`, without flips."""
    case = np.load(shared / "reference" / f"case_{kind}_decode_{name}.npz")
    order = load_skeleton("crowdpose14" if name == "crowdpose" else "coco17").flip_order
    codec = OffsetCodec(name="offsets", kind=kind)
    plain, mirrored = (
        [case[f"{each}{flip}_s1.0"].astype(np.float32) for each in ("heatmap", "offset")]
        for flip in ("", "_flip")
    )
    outputs = [each[0] for each in codec.with_mirrored(plain, mirrored, order)]
    assert len(assert_pythons(ask, tmp_path, codec, outputs)) == len(case["truth_centre"])


def test_people_over_each_other(ask, tmp_path):
    rng = np.random.default_rng(5)
    outputs = centred(rng, crowd(rng, 12, 0.0), False)
    found = assert_pythons(ask, tmp_path, OffsetCodec(name="offsets", kind="dekr"), outputs)
    assert len(found) >= 6


@pytest.mark.parametrize("codec", [TagCodec(name="tags"), OffsetCodec(name="offsets", kind="adaptive")])
def test_values_that_are_not_numbers(ask, tmp_path, codec):
    outputs = [np.zeros(shape, np.float32) for shape in codec.shapes(JOINTS, (WIDTH, HEIGHT))]
    assert len(decoded(ask, tmp_path, codec, outputs)[0]) == 0
    outputs[-1][0, 0, 0] = np.inf
    with pytest.raises(AssertionError):
        decoded(ask, tmp_path, codec, outputs)


@pytest.fixture(scope="module", params=["higherhrnet_synthetic", "adaptive_synthetic"])
def network_folder(request, lively, tmp_path_factory) -> Path:
    """A small bottom-up network, exported for this machine.

    It sees people everywhere; with few of them no choice hangs on the last bit of a tag.
    """
    folder = tmp_path_factory.mktemp(request.param)
    words = ["export", *lively(request.param, folder), "-o", "output.most=4"]
    words += ["--output", folder / "artifact", "--model", "x86_fp32"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder / "artifact"


def run(device_folder, folder, *options, raw: bytes = b"") -> list[dict]:
    command = [device_folder / "pose_runner", "--pose", folder / "pose.json", "--model", "x86_fp32", *options]
    done = subprocess.run([str(word) for word in command], input=raw, capture_output=True, timeout=600)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_runner_finds_pythons_people(device_folder, network_folder, tmp_path):
    """In a picture, which it measures, and in the frames of a video, with ids, by the same engine."""
    image = draw_picture(seed=6, index=0, size=(96, 72), people=(3, 3)).image
    estimate = BottomUp.from_artifact(network_folder, engine="paddle-lite", score=0.0)
    expected = estimate(image)
    assert len(expected) >= 2
    (tmp_path / "picture.ppm").write_bytes(b"P6 96 72 255\n" + image.tobytes())
    words = ("--image", tmp_path / "picture.ppm", "--runs", "1", "--warmup-seconds", "0")
    (line,) = run(device_folder, network_folder, *words)
    found = sorted(line["people"], key=lambda person: -person["score"])
    assert len(found) == len(expected) and line["kind"] == "visit"
    for person, keypoints in zip(found, expected.keypoints, strict=True):
        np.testing.assert_allclose(person["keypoints"], keypoints, rtol=1e-3, atol=0.01)

    frames = [np.roll(image, 2 * i, axis=1) for i in range(4)]
    follow = PeopleInVideo(BottomUp.from_artifact(network_folder, engine="paddle-lite"))
    *lines, last = run(
        device_folder, network_folder, "--frames", "rgb", "--size", "96x72", "--rate", "10",
        raw=np.stack(frames).tobytes(),
    )  # fmt: skip
    assert last["kind"] == "video" and last["detections"] == 0
    seen = 0
    for i, (line, frame) in enumerate(zip(lines, frames, strict=True)):
        people = follow(frame, i / 10)
        seen += len(people)
        assert [each["track_id"] for each in line["people"]] == people.ids.tolist()
        for found, wanted in zip(line["people"], people.to_coco(0), strict=True):
            np.testing.assert_allclose(found["keypoints"], wanted["keypoints"], rtol=1e-3, atol=0.02)
            np.testing.assert_allclose(found["bbox"], wanted["bbox"], rtol=1e-3, atol=0.02)
    assert seen


def test_what_the_runner_refuses(device_folder, network_folder, tmp_path):
    (line,) = run(
        device_folder, network_folder, "--frames", "rgb", "--size", "8x8",
        "--detector", network_folder / "pose.json", "--detector-model", "x86_fp32",
    )  # fmt: skip
    assert "a bottom-up network sees the whole picture" in line["message"]
    content = json.loads((network_folder / "pose.json").read_text())
    content["output"]["most"] = 0
    (tmp_path / "pose.json").write_text(json.dumps(content))
    (line,) = run(device_folder, tmp_path)
    assert "most: expected 1 to 1000" in line["message"]


def test_measured_by_the_runner(device_folder, network_folder, tmp_path):
    out = tmp_path / "results.jsonl"
    words = ["bench", network_folder, "--runner", device_folder, "--model", "x86_fp32", "--threads", 1,
             "--rounds", 1, "--max-rounds", 1, "--runs", 2, "--warmup-seconds", 0, "--cool-seconds", 0,
             "--output", out]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    results = read_results(out)
    assert results.complete and all(check.passed and check.moved == 0 for check in results.checks)
    assert {visit.runner for visit in results.visits} == {"pose_runner"}
