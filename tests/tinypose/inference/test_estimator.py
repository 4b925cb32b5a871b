"""Pictures in, people out: three engines, odd pictures, several threads."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest

from tinypose import PoseEstimator, Video, read_image
from tinypose.artifact.engines import choose_model, open_engine
from tinypose.artifact.record import read_artifact
from tinypose.config import DatasetConfig
from tinypose.data.coco import load_people
from tinypose.detection.detector import Detector
from tinypose.engine.evaluate import evaluate
from tinypose.errors import UserError
from tinypose.metrics.boxes import detect_all
from tinypose.skeleton import load_skeleton


@pytest.fixture(scope="module")
def several(shared):
    return read_image(shared / "samples" / "000000014439.jpg")


@pytest.mark.parametrize("engine", ["paddle-lite", "paddle-inference"])
def test_engines_agree(shared, estimate, pose_folder, detector_folder, engine):
    """Keypoints within half a pixel is what was asked; they are within a hundredth."""
    other = PoseEstimator.from_artifact(pose_folder, detector_folder, engine=engine)
    samples = shared / "samples"
    images = [read_image(samples / name) for name in ("000000014439.jpg", "hrnet_demo.jpg")]
    images += [frame.image for frame in islice(Video(samples / "exercise.mp4"), 0, None, 71)]
    for image in images:
        same_people(other(image), estimate(image))


def same_people(found, expected):
    assert len(found) == len(expected) >= 1
    np.testing.assert_allclose(found.keypoints[..., :2], expected.keypoints[..., :2], atol=0.01)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


def test_people_of_a_picture(several, estimate):
    people = estimate(several)
    assert len(people) == 11
    assert (np.diff(people.scores) <= 0).all() and (people.ids == -1).all()
    arrays = people.to_numpy()
    assert {name: each.dtype for name, each in arrays.items()} == {
        "boxes": np.float32,
        "keypoints": np.float32,
        "box_scores": np.float32,
        "scores": np.float32,
        "ids": np.int64,
    }
    assert arrays["keypoints"].shape == (11, 17, 3)
    entry = people.to_coco(7)[0]
    assert entry["image_id"] == 7 and len(entry["keypoints"]) == 51 and "track_id" not in entry
    json.dumps(people.to_coco(7))
    drawn = people.draw(several)
    assert drawn.shape == several.shape and (drawn != several).any(axis=2).mean() > 0.01
    # Sure joints lie in their box, give or take a tenth of it.
    margin = people.boxes[:, None, 2:] / 10
    low, high = (
        people.boxes[:, None, :2] - margin,
        people.boxes[:, None, :2] + people.boxes[:, None, 2:] + margin,
    )
    points = people.keypoints[..., :2]
    inside = ((points >= low) & (points <= high)).all(axis=2)
    assert inside[people.keypoints[..., 2] > 0.3].mean() > 0.97


def test_pose_ap_with_detected_boxes_beside_annotated_ones(shared, pose_folder, detector_folder, tmp_path):
    """On coco-mini val2017, boxes that score over 0.2, no flip test."""
    from lite_deploy.evaluation import evaluation_config
    from tinypose.data.coco import load_detections

    data = shared / "data" / "coco-mini"
    annotations, images = data / "annotations" / "person_keypoints_val2017.json", data / "val2017"
    skeleton, artifact = load_skeleton("coco17"), read_artifact(pose_folder)
    config = evaluation_config(artifact, DatasetConfig(annotations=annotations, images=images), flip=False)
    engine = open_engine(artifact, pose_folder, choose_model(artifact, "onnxruntime"))
    people = load_people(annotations, images, skeleton)
    detector = Detector.from_artifact(detector_folder, "onnxruntime", score=0.2)
    boxes = tmp_path / "bbox.json"
    boxes.write_text(json.dumps(detect_all(detector, annotations, images)))
    aps = []
    for each in (people, load_detections(boxes, people)):
        metrics, _ = evaluate(engine, each, config, skeleton, progress="")
        aps.append(metrics["AP"])
    assert aps[0] == pytest.approx(56.5, abs=0.3)
    assert aps[1] == pytest.approx(49.0, abs=3.0)


def test_given_boxes_are_looked_at_in_their_order(several, estimate):
    detected = estimate(several)
    boxes = detected.boxes[[4, 0, 0]]
    people = estimate(several, boxes)
    np.testing.assert_array_equal(people.boxes, boxes)
    np.testing.assert_allclose(people.keypoints[1:], detected.keypoints[[0, 0]], atol=1e-3)
    assert (people.box_scores == 1).all()


def test_without_a_detector_the_picture_is_one_person(shared, pose_folder, estimate):
    image = read_image(shared / "samples" / "hrnet_demo.jpg")
    alone = PoseEstimator.from_artifact(pose_folder, engine="onnxruntime")
    people = alone(image)
    assert people.boxes.tolist() == [[0, 0, image.shape[1], image.shape[0]]]
    shoulders = people.keypoints[0, 5:7, :2] - estimate(image).keypoints[0, 5:7, :2]
    assert np.abs(shoulders).max() < 0.05 * image.shape[0]


def test_a_detector_within_the_folder_is_found(pose_folder, detector_folder, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for path in pose_folder.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "detector").symlink_to(detector_folder)
    assert PoseEstimator.from_artifact(folder, engine="onnxruntime").detect is not None


def test_threads_get_what_one_thread_gets(shared, several, estimate):
    pictures = [several, read_image(shared / "samples" / "hrnet_demo.jpg")] * 3
    expected = [estimate(each) for each in pictures[:2]]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(estimate, pictures))
    for number, people in enumerate(found):
        np.testing.assert_array_equal(people.keypoints, expected[number % 2].keypoints)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (3000, 2, 3), (200, 12_000, 3)])
def test_pictures_of_odd_shapes(estimate, shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    people = estimate(image)
    assert people.keypoints.shape == (len(people), 17, 3) and np.isfinite(people.keypoints).all()


def test_a_wide_picture_with_a_person_in_it(shared, estimate):
    image = read_image(shared / "samples" / "hrnet_demo.jpg")
    wide = np.full((image.shape[0], 12_000, 3), 128, np.uint8)
    box = estimate(image).boxes
    wide[:, 6000 : 6000 + image.shape[1]] = image
    people = estimate(wide, box + [6000, 0, 0, 0])
    np.testing.assert_allclose(
        people.keypoints[0, :, 0], estimate(image, box).keypoints[0, :, 0] + 6000, atol=1.5
    )


def test_forty_people(several, estimate):
    tile = np.ascontiguousarray(several[70:300, 390:640])
    count = len(estimate(tile))
    sheet = np.concatenate([np.concatenate([tile] * 5, axis=1)] * 4)
    boxes = np.concatenate(
        [estimate(tile).boxes[:2] + [250 * i, 230 * j, 0, 0] for i in range(5) for j in range(4)]
    )
    people = estimate(sheet, boxes)
    assert count >= 2 and len(people) == 40
    spread = people.keypoints.reshape(20, 2, 17, 3)[:, :, :, 2].std(axis=0).max()
    assert spread < 0.2, "the same two people are found alike everywhere"
    found = estimate(sheet)  # squeezed to 416 pixels, most of them are too small for the detector
    assert 10 < len(found) <= 60
    people.draw(sheet)


def test_no_people(estimate):
    grey = np.full((300, 400, 3), 127, np.uint8)
    people = estimate(grey)
    assert len(people) == 0 and people.to_coco(1) == []
    np.testing.assert_array_equal(people.draw(grey), grey)
    assert len(estimate(grey, [])) == 0


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))]
)
def test_what_is_no_picture_is_refused(estimate, image):
    with pytest.raises(ValueError, match="expected a picture uint8"):
        estimate(image)


def test_artifacts_need_no_training_code(shared, pose_folder, detector_folder):
    """Nor Paddle, under the other engines."""
    script = f"""
import sys
import tinypose
assert not [m for m in sys.modules if m.startswith(("numpy", "cv2", "tinypose."))], "import tinypose is free"
from tinypose import PoseEstimator, Video, read_image
image = read_image({str(shared / "samples" / "hrnet_demo.jpg")!r})
for engine in ("onnxruntime", "paddle-lite"):
    people = PoseEstimator.from_artifact({str(pose_folder)!r}, {str(detector_folder)!r}, engine=engine)(image)
    assert len(people) == 1
import tinypose.commands.infer, tinypose.inference.files  # what the command loads
heavy = ("paddle.", "scipy.optimize", "tinypose.models", "tinypose.engine", "compress", "lite_deploy")
heavy += ("matplotlib",)
print([m for m in sys.modules if m.startswith(heavy)])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_what_an_engine_cannot_do_is_said(pose_folder, detector_folder, monkeypatch):
    with pytest.raises(UserError, match="one thread; 2 were asked for"):
        PoseEstimator.from_artifact(pose_folder, detector_folder, engine="paddle-lite", threads=2)
    artifact = read_artifact(pose_folder)
    older = artifact.model_copy(update={"tools": artifact.tools | {"paddlelite": "2.12"}})
    with pytest.raises(UserError, match="made by Paddle-Lite 2.12"):
        open_engine(older, pose_folder, "x86_fp32")
    without = artifact.model_copy(update={"models": artifact.models[:1]})
    with pytest.raises(UserError, match="no FP32 model for onnxruntime"):
        choose_model(without, "onnxruntime")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UserError, match="no FP32 model for paddle-lite on aarch64"):
        choose_model(artifact)
    with pytest.raises(UserError, match="is built for x86, and this is aarch64"):
        open_engine(artifact, pose_folder, "x86_fp32")
