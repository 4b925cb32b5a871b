"""The detector on real pictures: COCO's numbers, the artifact, and what is wrong with either."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.cli import app as lite_deploy
from tinypose.artifact.record import read_artifact
from tinypose.cli import app
from tinypose.config import CONFIGS
from tinypose.detection.config import load_detector_config
from tinypose.detection.detector import Detector
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.inference.pose_model import PoseModel
from tinypose.metrics.boxes import box_ap, detect_all

CONFIG = str(CONFIGS / "picodet_s_416_coco.yml")


def coco(shared):
    data = shared / "data" / "coco-mini"
    return data / "annotations" / "person_keypoints_val2017.json", data / "val2017"


def test_person_box_ap_of_the_artifact(shared, detector_folder):
    detector = Detector.from_artifact(detector_folder, engine="onnxruntime")
    metrics = box_ap(coco(shared)[0], detect_all(detector, *coco(shared)))
    assert round(100 * metrics["AP"], 1) == 53.3
    assert round(100 * metrics["AP50"], 1) == 82.2


def test_the_command_writes_boxes_that_eval_reads(shared, tmp_path):
    annotations, images = coco(shared)
    content = json.loads(annotations.read_text())
    content["images"] = [each for each in content["images"] if each["id"] in (397133, 349860)]
    ids = {each["id"] for each in content["images"]}
    assert ids
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in ids]
    few = tmp_path / "few.json"
    few.write_text(json.dumps(content))
    data = ["-o", f"data.val.annotations={few}", "-o", f"data.val.images={images}"]
    weights = f"weights={shared / 'weights' / 'picodet_s_416_coco.pdparams'}"
    boxes = tmp_path / "bbox.json"
    result = CliRunner().invoke(app, ["detect", "-c", CONFIG, "-o", weights, *data, "--boxes", str(boxes)])
    assert result.exit_code == 0, result.output
    found = json.loads(boxes.read_text())
    assert {each["image_id"] for each in found} == ids
    assert all(each["category_id"] == 1 and each["score"] > 0.02 for each in found)
    config = str(CONFIGS / "tinypose_128x96.yml")
    weights = f"weights={shared / 'weights' / 'tinypose_128x96.pdparams'}"
    options = ["-o", f"eval.boxes={boxes}", "-o", "eval.box_threshold=0.3"]
    result = CliRunner().invoke(app, ["eval", "-c", config, "-o", weights, *data, *options])
    assert result.exit_code == 0, result.output
    assert "AP50" in result.output


def test_exporting_the_person_alone_changes_no_box(shared, detector_folder):
    from tinypose.detection.weights import load_detector
    from tinypose.network import as_network

    weights = shared / "weights" / "picodet_s_416_coco.pdparams"
    config = load_detector_config(CONFIG, [f"weights={weights}"])
    trained = Detector(as_network(load_detector(config)), config.input, config.codec)
    image = read_image(shared / "samples" / "000000014439.jpg")
    expected, found = trained(image), Detector.from_artifact(detector_folder, "onnxruntime")(image)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize("form, index", [("esnet", 2), ("lcnet", 0)])
def test_any_class_can_be_kept(form, index):
    import paddle

    from tinypose.detection.config import PicoDetDetectorConfig
    from tinypose.detection.picodet import PicoDet
    from tinypose.detection.weights import person_only
    from tinypose.network import as_network

    paddle.seed(0)
    config = PicoDetDetectorConfig(
        model={"name": "picodet", "form": form, "classes": 3},
        input={"width": 64, "height": 64},
        output={"person": index, "score": 0.0},
    )
    net = PicoDet(form, 3)
    small, kept = person_only(net, config)
    image = np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8)
    expected, found = (
        Detector(as_network(net), config.input, config.codec)(image),
        Detector(as_network(small), kept.input, kept.codec)(image),
    )
    assert len(expected) > 5 and kept.model.classes == 1
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)


def test_a_higher_score_only_leaves_boxes_out(shared, detector_folder):
    image = read_image(shared / "samples" / "000000014439.jpg")
    low = Detector.from_artifact(detector_folder, "onnxruntime")(image).above(0.4)
    high = Detector.from_artifact(detector_folder, "onnxruntime", score=0.4)(image)
    np.testing.assert_array_equal(high.boxes, low.boxes)


def test_boxes_lie_in_the_picture(shared, detector_folder):
    detector = Detector.from_artifact(detector_folder, "onnxruntime")
    image = read_image(shared / "samples" / "000000014439.jpg")[100:340, 380:560]
    found = detector(np.ascontiguousarray(image))
    assert len(found) and (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, :2] + found.boxes[:, 2:] <= [180, 240]).all() and (found.boxes[:, 2:] > 0).all()


def test_a_damaged_or_foreign_folder_is_refused(detector_folder, pose_folder, tmp_path):
    with pytest.raises(UserError, match="a pose network's folder; expected a detector's, as `lite-"):
        Detector.from_artifact(pose_folder)
    with pytest.raises(UserError, match="a detector's folder; expected a pose network's, as `lite-"):
        PoseModel(detector_folder)
    text = (detector_folder / "pose.json").read_text()
    (tmp_path / "pose.json").write_text(text.replace('"nms": 0.6', '"nms": 0.5'))
    with pytest.raises(UserError, match="does not match its checksum"):
        read_artifact(tmp_path)
    (tmp_path / "pose.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.onnx: missing"):
        read_artifact(tmp_path)


def test_a_folder_of_an_older_version_is_answered(tmp_path):
    (tmp_path / "detector.json").write_text("{}")
    with pytest.raises(UserError, match=r"detector\.json: a folder of an older version; export it again"):
        read_artifact(tmp_path)


def test_the_commands_take_a_detectors_folder_as_a_pose_networks(shared, detector_folder, tmp_path):
    folder = tmp_path / "detector"
    shutil.copytree(detector_folder, folder)
    result = CliRunner().invoke(lite_deploy, ["verify", str(folder)])
    assert result.exit_code == 0, result.output
    assert "dygraph" in result.output
    parity = {each.model: each.difference for each in read_artifact(folder).parity}
    assert set(parity) == {"paddle_fp32", "onnx_fp32", "x86_fp32"} and max(parity.values()) < 1e-4

    result = CliRunner().invoke(lite_deploy, ["graph", str(folder)])
    assert result.exit_code == 0, result.output
    assert "conv2d" in result.output and "instructions" in result.output

    annotations, images = map(str, coco(shared))
    command = ["eval", str(folder), "--data", annotations, images, "--model", "onnx_fp32"]
    result = CliRunner().invoke(lite_deploy, command)
    assert result.exit_code == 0, result.output
    (record,) = read_artifact(folder).accuracy
    assert round(record.metrics["AP"], 1) == 53.3 and record.people > 68  # everybody, with joints or without
    result = CliRunner().invoke(lite_deploy, [*command, "--flip"])
    assert isinstance(result.exception, UserError) and "for pose networks" in str(result.exception)


def test_an_engine_that_is_not_there_is_named(detector_folder):
    with pytest.raises(UserError, match="expected one of: paddle-lite, onnxruntime, paddle-inference"):
        Detector.from_artifact(detector_folder, "tensorrt")


def test_int8_is_refused(shared, tmp_path):
    from lite_deploy.export import export

    with pytest.raises(UserError, match="needs the ranges that `compress quant` finds"):
        export(load_detector_config(CONFIG, ["weights=x"]), tmp_path / "out", models=["arm_int8"])
    with pytest.raises(UserError, match="weights: not set"):
        export(load_detector_config(CONFIG), tmp_path / "out")


def test_nothing_found_is_ap_zero(shared):
    assert box_ap(coco(shared)[0], [])["AP"] == 0


def test_the_detector_is_a_value(detector_folder):
    detector = Detector.from_artifact(detector_folder, "onnxruntime")
    with pytest.raises(dataclasses.FrozenInstanceError):
        detector.codec = None
