"""Models of a folder as functions, and a pose model in three verbs."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from lite_deploy.engines import open_model
from tinypose.artifact.record import read_artifact
from tinypose.errors import UserError
from tinypose.inference.pose_model import PoseModel

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="runs Paddle-Lite's x86 kernels")


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 100, 3), np.uint8)


@on_x86
def test_results_stay_when_the_next_image_runs(exported):
    run = open_model(read_artifact(exported.folder), exported.folder, "x86_fp32")
    images = np.random.default_rng(0).standard_normal((2, 3, 96, 64)).astype(np.float32)
    (first,) = run(images[:1])
    kept = first.copy()
    (second,) = run(images[1:])
    np.testing.assert_array_equal(first, kept)
    (both,) = run(images)
    np.testing.assert_array_equal(both, np.concatenate([kept, second]))


def test_the_shape_is_checked(exported):
    run = open_model(read_artifact(exported.folder), exported.folder, "onnx_fp32")
    for images in (np.zeros((1, 3, 64, 96), np.float32), np.zeros((1, 3, 96, 64))):
        with pytest.raises(ValueError, match=r"expected float32 \[N, 3, 96, 64\]"):
            run(images)


@on_x86
def test_models_for_arm_do_not_run_here(exported):
    artifact = read_artifact(exported.folder)
    with pytest.raises(UserError, match="unrelated numbers"):
        open_model(artifact, exported.folder, "arm_int8")
    with pytest.raises(UserError, match="built for arm"):
        open_model(artifact, exported.folder, "arm_fp32")
    with pytest.raises(UserError, match="one thread"):
        open_model(artifact, exported.folder, "x86_fp32", threads=2)


@on_x86
def test_another_version_of_the_runtime_is_refused(exported, tmp_path):
    from lite_deploy.nb.read import read_nb
    from lite_deploy.nb.write import write_nb

    folder = exported.copy(tmp_path)
    model = read_nb(folder / "x86_fp32.nb")
    model.version = "v2.14-rc"
    write_nb(model, folder / "x86_fp32.nb")
    with pytest.raises(UserError, match=r"made by Paddle-Lite v2\.14-rc, and the runtime here is v2\.13-rc"):
        open_model(read_artifact(folder, check_files=False), folder, "x86_fp32")


def test_three_verbs(exported, picture):
    model = PoseModel(exported.folder, "onnx_fp32")
    boxes = np.array([[10, 5, 60, 100], [0, 0, 100, 120]], np.float64)
    inputs, matrices = model.preprocess(picture, boxes)
    assert inputs.shape == (2, 3, 96, 64)
    assert inputs.dtype == np.float32
    outputs = model.inference(inputs)
    assert [each.shape for each in outputs] == [(2, 17, 24, 16)]
    keypoints = model.postprocess(outputs, matrices)
    np.testing.assert_array_equal(model(picture, boxes), keypoints)
    assert keypoints.shape == (2, 17, 3)
    np.testing.assert_allclose(keypoints[..., 2], outputs[0].max((2, 3)), rtol=1e-6)


def test_the_library_finds_the_same_joints(exported, picture, tmp_path):
    """Preprocessing and decoding of the runtime are those of training and evaluation."""
    import cv2

    from tinypose.config import load_config
    from tinypose.data.coco import Person
    from tinypose.engine.evaluate import predict
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network
    from tinypose.skeleton import load_skeleton

    config = load_config(exported.config, ["eval.flip=false"])
    net = build_model(config, 17)
    load_weights(net, exported.weights)
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    box, joints = np.array([10, 5, 60, 100], np.float64), np.zeros((17, 3), np.float32)
    size = (picture.shape[1], picture.shape[0])
    person = Person(1, 1, path, size, box, joints, area=6000.0)
    expected = predict(as_network(net), [person], config, load_skeleton(config.skeleton), progress="")
    found = PoseModel(exported.folder, "onnx_fp32")(picture, box[None])
    np.testing.assert_allclose(found[..., :2], expected[..., :2], atol=0.01)
    np.testing.assert_allclose(found[..., 2], expected[..., 2], rtol=1e-3, atol=1e-6)


def test_nobody_in_the_picture(exported, picture):
    assert PoseModel(exported.folder, "onnx_fp32")(picture, []).shape == (0, 17, 3)


@pytest.mark.parametrize("model", ["onnx_fp32", pytest.param("x86_fp32", marks=on_x86)])
def test_neither_paddle_nor_the_training_code_is_imported(exported, model):
    code = (
        "import sys, numpy as np\n"
        "from tinypose.inference.pose_model import PoseModel\n"
        f"model = PoseModel({str(exported.folder)!r}, {model!r})\n"
        "model(np.zeros((50, 40, 3), np.uint8), [[0, 0, 40, 50]])\n"
        "loaded = {name.split('.')[0] for name in sys.modules} | set(sys.modules)\n"
        "bad = {'paddle', 'tinypose.engine', 'tinypose.models', 'pycocotools'} & loaded\n"
        "sys.exit(f'imported: {bad}' if bad else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
