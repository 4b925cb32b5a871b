"""`tinypose eval` with the configs of MPII, CrowdPose and AI Challenger, on real people of each.

No published weights for these sets are at hand. TinyPose's for COCO find most of their joints: its last layer
is made to give them, a neck as the middle between shoulders, a head by the nose.
"""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import load_config
from tinypose.models import build_model
from tinypose.models.weights import load_weights, write_params
from tinypose.skeleton import load_skeleton

MEANT = {  # joints that COCO lacks, by those between which they lie
    **dict.fromkeys(("neck", "thorax", "upper_neck"), ("left_shoulder", "right_shoulder")),
    **dict.fromkeys(("head", "head_top"), ("nose",)),
    "pelvis": ("left_hip", "right_hip"),
}


@pytest.fixture
def evaluate(shared, tmp_path):
    """Call the command for a config and a set's file; return its words, the predictions, and the file."""

    def call(config, annotations):
        coco = load_skeleton("coco17")
        net = build_model(load_config("tinypose_256x192"), len(coco.joints))
        load_weights(net, shared / "weights" / "tinypose_256x192.pdparams")
        params = {name: value.numpy() for name, value in net.state_dict().items()}
        joints = load_skeleton(load_config(config).skeleton).joints
        rows = [[coco.index(each) for each in MEANT.get(name, (name,))] for name in joints]
        for name in ("final_conv.weight", "final_conv.bias"):
            params[name] = np.stack([params[name][each].mean(axis=0) for each in rows])
        weights, saved, data = tmp_path / "w.pdparams", tmp_path / "found.json", shared / "data" / annotations
        write_params(weights, params)
        options = ["model={name: lite_hrnet, variant: wider_naive}", f"weights={weights}", "eval.flip=false"]
        options += [f"data.val.annotations={data}", f"data.val.images={data.parent}"]
        overrides = [word for each in options for word in ("-o", each)]
        result = CliRunner().invoke(app, ["eval", "-c", config, *overrides, "--output", str(saved)])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output, json.loads(saved.read_text()), json.loads(data.read_text())

    return call


def printed(output):
    """Return the numbers of the table's rows, by their names."""
    rows = re.findall(r"^\W*([A-Za-z][\w@.]*(?: \w+)?)\s+│?\s*(\d+\.\d)\W*$", output, re.M)
    return {name: float(value) for name, value in rows}


def test_pckh_of_each_joint_on_mpii(evaluate):
    """The numbers are what the predictions are worth by PCKh's definition."""
    output, predictions, people = evaluate("hrnet_w32_256x256_mpii", "mpii-mini/test_mpii.json")
    names = load_skeleton("mpii16").joints
    found = np.array([each["keypoints"] for each in predictions]).reshape(len(people), 16, 3)[..., :2]
    joints = np.array([each["joints"] for each in people]) - 1  # the file counts pixels from 1
    seen = np.array([each["joints_vis"] for each in people]) > 0
    head = [joints[:, names.index(each)] for each in ("head_top", "upper_neck")]
    parts = np.linalg.norm(found - joints, axis=2) / np.linalg.norm(head[0] - head[1], axis=1)[:, None]
    counted = np.array([name not in ("pelvis", "thorax") for name in names])
    rows = printed(output)
    for title, limit in (("PCKh", 0.5), ("PCKh@0.1", 0.1)):
        for number, name in enumerate(names):
            expected = 100 * (parts[seen[:, number], number] <= limit).mean()
            assert rows[f"{title} {name}"] == pytest.approx(expected, abs=0.051)
        assert rows[title] == pytest.approx(100 * (parts <= limit)[seen & counted].mean(), abs=0.051)
    assert rows["PCKh"] > 50


def test_ap_on_crowdpose_by_crowding(evaluate):
    output, predictions, _ = evaluate("hrnet_w32_256x192_crowdpose", "crowdpose-mini/test_crowdpose.json")
    rows = printed(output)
    assert rows["AP"] > 30 and {"AP easy", "AP medium", "AP hard"} & rows.keys()
    assert len(predictions) == 4 and {len(each["keypoints"]) for each in predictions} == {42}


def test_ap_on_ai_challenger(evaluate):
    output, predictions, _ = evaluate("hrnet_w32_256x192_aic", "aic-mini/test_aic.json")
    assert "9 people in 3 of 3 pictures" in output
    assert len(predictions) == 9 and {len(each["keypoints"]) for each in predictions} == {42}
    assert float(re.findall(r"\d+\.\d", output.split("AR large")[1])[1]) > 20  # AP50
