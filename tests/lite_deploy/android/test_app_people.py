"""The app's own classes find the people of `tinypose infer`, by the real Paddle-Lite."""

import json
import shutil

import cv2
import numpy as np
import pytest

from tinypose import PeopleInVideo, PoseEstimator, Video, read_image


@pytest.fixture(scope="module")
def estimate(pose_folder, detector_folder) -> PoseEstimator:
    """Under the engine that the app has."""
    return PoseEstimator.from_artifact(pose_folder, detector_folder, engine="paddle-lite")


def save(image: np.ndarray, path) -> dict:
    np.ascontiguousarray(image).tofile(path)
    return {"image": str(path), "width": image.shape[1], "height": image.shape[0]}


@pytest.mark.parametrize("name", ["hrnet_demo.jpg", "000000014439.jpg"])
def test_people_of_a_picture(ask, catalogue, estimate, shared, tmp_path, name):
    image = read_image(shared / "samples" / name)
    answer = ask("picture", catalogue=str(catalogue), model="x86_fp32", **save(image, tmp_path / "image.rgb"))
    people = estimate(image)
    assert len(answer["people"]) == len(people) >= 1, answer
    assert answer["version"] and min(answer["times"]) > 0
    for found, box, joints, score in zip(
        answer["people"], people.boxes, people.keypoints, people.scores, strict=True
    ):
        np.testing.assert_allclose(found["box"], box, rtol=0, atol=0.01)
        np.testing.assert_allclose(np.reshape(found["joints"], (-1, 3)), joints, rtol=0, atol=0.01)
        assert found["score"] == pytest.approx(float(score), abs=1e-3)


def test_people_of_the_whole_video(ask, catalogue, estimate, shared, tmp_path):
    """The same joints and ids in every frame; the app's file of joints is read as tinypose's own."""
    frames = [frame.image for frame in Video(shared / "samples" / "exercise.mp4")]
    height, width, _ = frames[0].shape
    with open(tmp_path / "frames.rgb", "wb") as file:
        for frame in frames:
            file.write(np.ascontiguousarray(frame).tobytes())
    answer = ask("video", catalogue=str(catalogue), model="x86_fp32", frames=str(tmp_path / "frames.rgb"),
                 width=width, height=height, rate=30, output=str(tmp_path / "joints.json"))  # fmt: skip
    assert answer["frames"] == len(frames), answer
    assert answer["rate"] == pytest.approx(30, rel=1e-3)
    entries = json.loads((tmp_path / "joints.json").read_text())
    follow, expected = PeopleInVideo(estimate), []
    for i, image in enumerate(frames):
        expected += follow(image, i / 30).to_coco(i)
    assert len(entries) == len(expected) >= len(frames)
    for found, right in zip(entries, expected, strict=True):
        assert (found["image_id"], found["track_id"]) == (right["image_id"], right["track_id"])
        assert found["category_id"] == right["category_id"]
        np.testing.assert_allclose(found["keypoints"], right["keypoints"], rtol=0, atol=0.011)
        np.testing.assert_allclose(found["bbox"], right["bbox"], rtol=0, atol=0.011)


def test_self_test(ask, catalogue, tmp_path):
    """Green on the built-in picture; red, with the difference, on a picture that is another."""
    image = cv2.imread(str(catalogue / "picture.png"))[..., ::-1]
    question = {"catalogue": str(catalogue), "model": "x86_fp32"}
    answer = ask("self-test", **question, **save(image, tmp_path / "image.rgb"))
    assert answer["verdict"] == "TEST_PASSED" and answer["farthest"] < 0.1 < answer["allowed"], answer
    moved = np.roll(image, 40, axis=1)
    answer = ask("self-test", **question, **save(moved, tmp_path / "image.rgb"))
    assert answer["verdict"] == "TEST_FAILED" and answer["farthest"] == pytest.approx(40, abs=8), answer
    answer = ask("self-test", **question, **save(np.zeros_like(image), tmp_path / "image.rgb"))
    assert answer["verdict"] == "TEST_MISSED" and answer["found"] == 0, answer


def test_damaged_models_are_refused_before_the_engine_sees_them(ask, catalogue, tmp_path):
    """Every byte counts: by the checksum; and with the checksum made right, by the reader of the format."""
    import hashlib

    folder = shutil.copytree(catalogue, tmp_path / "pose")
    network = next(each for each in folder.iterdir() if (each / "expected_x86_fp32.f32").is_file())
    model, description = network / "x86_fp32.nb", network / "pose.json"
    whole, record = model.read_bytes(), json.loads(description.read_text())
    question = {"folder": str(network), "model": "x86_fp32"}
    sound = ask("model", **question)
    assert sound["operators"][-1] == "fetch" and sound["parameters"] > 100
    model.write_bytes(whole[:-1])
    assert ask("model", **question)["problem"] == "MODEL_DAMAGED"
    rng = np.random.default_rng(0)
    size = int.from_bytes(whole[18:26], "little")
    damaged = [whole[:count] for count in (0, 3, 30, 26 + size // 2, 26 + size, len(whole) - 5)]
    damaged.append(whole + b"\0")
    root = 26 + int.from_bytes(whole[26:30], "little")
    for at in (26, root):  # the program's root, and where the list of its fields is, lead nowhere
        damaged.append(whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :])
    certain = len(damaged)
    for _ in range(60):  # what is found then may still be a model, but nothing is read outside of the file
        at = 26 + int(rng.integers(size))
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
    for i, content in enumerate(damaged):
        model.write_bytes(content)
        file = record["models"][0]["files"][0]
        file["bytes"], file["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        description.write_text(json.dumps(record))
        answer = ask("model", **question)
        assert answer.get("problem", "MODEL_DAMAGED") == "MODEL_DAMAGED", answer
        assert i >= certain or "problem" in answer, i
