"""FairMOT to INT8: calibrated and measured on different drawn frames, with the guarantee on box AP."""

import json
import sys

import numpy as np
import paddle
import pytest

from compress.cli import main
from compress.quant.package import read_package
from lite_deploy.evaluation import measure_boxes, on_normalised
from lite_deploy.export import export
from lite_deploy.verify import noise_crops, open_or_interpret, verify
from tinypose.data.annotations import read_coco
from tinypose.data.synthetic.video_set import draw_videos
from tinypose.detection.config import load_any_config
from tinypose.detection.detector import Detector
from tinypose.detection.weights import build_detector, load_detector, person_only
from tinypose.metrics.boxes import detect_pictures
from tinypose.models.weights import write_params
from tinypose.network import as_network

THIN = ["model.width=8", "model.looks=8", "input.width=96", "input.height=64", "output.score=0.05"]


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> list[str]:
    """Overrides: a thin network with random weights, frames to calibrate on, and others to measure on.

    What it finds in these in FP32 is the truth there: so its AP is 100, and INT8 is asked for the same boxes.
    """
    folder = tmp_path_factory.mktemp("thin")
    options = [*THIN, f"weights={folder / 'thin.pdparams'}", "quant.ranges=abs_max"]
    for part, seed in (("train", 5), ("val", 6)):
        draw_videos(folder / part, 1, seed=seed, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
        options += [f"data.{part}.annotations={folder / part / 'annotations.json'}"]
        options += [f"data.{part}.images={folder / part / 'sequences'}"]
    config = load_any_config("fairmot_synthetic", options)
    paddle.seed(3)
    params = {key: tensor.numpy() for key, tensor in build_detector(config, 5).state_dict().items()}
    params["detector.head.size.2.conv.bias"] = np.full(4, 3, np.float32)  # boxes of a size
    params["detector.head.heatmap.2.conv.weight"] *= 8  # and scores that differ
    write_params(folder / "thin.pdparams", params)
    net, kept = person_only(load_detector(config), config)
    data = config.data.val
    content = json.loads(data.annotations.read_text())
    detector = Detector(as_network(net), kept.input, kept.codec)
    found = detect_pictures(detector, read_coco(data.annotations, None), data.images)
    content["annotations"] = [
        {"id": number, "iscrowd": 0, "area": each["bbox"][2] * each["bbox"][3], **each}
        for number, each in enumerate(found, 1)
    ]
    data.annotations.write_text(json.dumps(content))
    return options


def test_int8_keeps_its_box_ap_and_the_file_has_it(given, tmp_path, monkeypatch):
    words = [f"-o{each}" for each in given]
    words = ["compress", "quant", "-c", "fairmot_synthetic", *words, "--max-drop", "25"]
    monkeypatch.setattr(sys, "argv", [*words, "--output", str(tmp_path / "q")])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    graph, scales, record = read_package(tmp_path / "q")
    chosen = next(rung for rung in record.rungs if rung.name == record.chosen)
    assert record.people == 8 and record.fp32_ap > 99
    assert 0 < record.fp32_ap - chosen.accuracy.mean <= 25
    assert 10 < len(scales) < sum(node.kind == "conv2d" for node in graph.nodes)

    config = load_any_config("fairmot_synthetic", given)
    artifact = export(config, tmp_path / "out", quant=tmp_path / "q", models=["arm_fp16", "arm_int8"])
    _, rows = verify(artifact, tmp_path / "out", noise_crops(artifact, 1))
    assert {row.parity.model for row in rows} >= {"onnx_int8", "arm_fp16", "arm_int8"}
    assert all(row.passed is not False for row in rows)
    network, how = open_or_interpret(artifact, tmp_path / "out", artifact.model("arm_int8"))
    found = measure_boxes(artifact, on_normalised(artifact, network))
    assert how == "interpreted"
    assert found.metrics["AP"] == pytest.approx(chosen.accuracy.aps[0], abs=0.01)
