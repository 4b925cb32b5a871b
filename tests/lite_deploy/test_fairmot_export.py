"""FairMOT's artifact folder: every model gives the network's numbers, and the same people and looks."""

import numpy as np
import paddle
import pytest

from lite_deploy.export import export
from lite_deploy.verify import compare, exported_config, noise_crops, open_or_interpret, reference_network
from tinypose.artifact.record import read_artifact
from tinypose.data.synthetic import draw_picture
from tinypose.detection.config import load_detector_config
from tinypose.detection.detector import Detector
from tinypose.detection.weights import build_detector, load_detector, person_only
from tinypose.inference.pose_model import network_input
from tinypose.models.weights import write_params
from tinypose.network import as_network


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A thin network with deformable convolutions whose places are not the usual ones."""
    overrides = ["model.deformable=true", "model.width=8", "model.identities=5", "output.score=0.05"]
    overrides += ["input.width=160", "input.height=96"]
    config = load_detector_config("fairmot_synthetic", overrides)
    paddle.seed(3)
    rng = np.random.default_rng(3)
    params = {}
    for key, tensor in build_detector(config).state_dict().items():
        params[key] = tensor.numpy()
        if "conv_offset" in key:
            params[key] = rng.normal(0, 0.05, params[key].shape).astype(np.float32)
        if key == "detector.head.size.2.conv.bias":
            params[key] = np.full(4, 3, np.float32)  # boxes of a size
    path = tmp_path_factory.mktemp("weights") / "fairmot.pdparams"
    write_params(path, params)
    return config.model_copy(update={"weights": str(path)})


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("fairmot") / "artifact"
    export(config, path, models=["arm_fp32", "x86_fp32"])
    return path


def test_every_model_gives_the_networks_numbers(folder):
    artifact = read_artifact(folder, gives="boxes")
    inputs = network_input(artifact, noise_crops(artifact, count=2))
    network, how = reference_network(artifact)
    expected = network(inputs)
    assert how == "dygraph" and [each.shape[1] for each in expected] == [1, 4, 2, artifact.output.looks]
    for model in artifact.models:
        run, how = open_or_interpret(artifact, folder, model)
        assert compare(expected, run(inputs), model.name, how).difference < 1e-4, model.name


def test_pose_json_says_how_to_look_and_to_read(folder, config):
    artifact = read_artifact(folder, gives="boxes")
    assert artifact.input.fit == "letterbox" and artifact.input.config() == config.input
    assert artifact.output == config.codec and artifact.skeleton is None
    assert exported_config(artifact) == config
    deformable = {model.name: model.extra for model in artifact.models if model.target == "arm"}
    assert deformable == {"arm_fp32": ("deformable_conv",)}


def test_the_same_people_with_the_same_looks(folder, config):
    image = draw_picture(4, 0, (300, 200), (3, 3)).image
    net, kept = person_only(load_detector(config), config)
    expected = Detector(as_network(net), kept.input, kept.codec)(image)
    found = Detector.from_artifact(folder, "onnxruntime")(image)
    assert len(found) == len(expected) > 3
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    np.testing.assert_allclose(found.looks, expected.looks, atol=1e-3)
