"""A detector to INT8: what it is calibrated and measured on, and the guarantee on box AP."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.cli import main
from compress.quant.data import calibration_pictures
from compress.quant.package import read_package
from compress.quant.task import read_task
from tinypose.data.annotations import read_coco
from tinypose.detection.config import DetectorConfig, load_any_config
from tinypose.detection.detector import Detector
from tinypose.detection.weights import load_detector, person_only
from tinypose.metrics.boxes import box_ap, box_truth, detect_all
from tinypose.metrics.resample import ap_parts
from tinypose.network import as_network

CONFIG = "configs/picodet_s_416_coco.yml"


def options(shared, *more: str) -> list[str]:
    """Options for the published network on coco-mini."""
    data = shared / "data" / "coco-mini"
    found = [f"weights={shared}/weights/picodet_s_416_coco.pdparams"]
    for part in ("train", "val"):
        found += [f"data.{part}.annotations={data}/annotations/person_keypoints_{part}2017.json"]
        found += [f"data.{part}.images={data}/{part}2017"]
    return [*found, *more]


def call(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["compress", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def drawn(seed: int, pictures: int) -> tuple[dict, list[dict]]:
    """Draw boxes, some of crowds, and others near them."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, pictures + 1):
        for _ in range(rng.integers(0, 4)):
            box = [*rng.uniform(0, 100, 2), *rng.uniform(10, 60, 2)]
            crowd = int(rng.random() < 0.2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": crowd,
                    "bbox": box,
                }
            )
            if rng.random() < 0.9:
                near = [each + rng.normal(0, rng.choice([1, 5])) for each in box]
                found = {"image_id": image, "category_id": 1, "bbox": near, "score": round(rng.random(), 1)}
                results.append(found)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in range(1, pictures + 1)]
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}, results


@given(seed=st.integers(0, 10**6), pictures=st.integers(1, 8))
@settings(max_examples=20)
def test_box_ap_by_pictures_is_box_ap(tmp_path_factory, seed, pictures):
    content, results = drawn(seed, pictures)
    path = tmp_path_factory.mktemp("boxes") / "annotations.json"
    path.write_text(json.dumps(content))
    parts = ap_parts(box_truth(read_coco(path, None)), results, "bbox")
    expected = max(100 * box_ap(path, results)["AP"], 0)  # -1 where there is nobody
    assert parts.of(range(parts.count)) == pytest.approx(expected, abs=1e-9)


def test_pictures_to_calibrate_on_are_spread_over_all_sets(shared):
    data = shared / "data" / "coco-mini"
    more = ["data.datasets=[a, b]", "quant.people=4"]
    for name, part in (("a", "train2017"), ("b", "val2017")):
        more += [f"data.sets.{name}.annotations={data}/annotations/person_keypoints_{part}.json"]
        more += [f"data.sets.{name}.images={data}/{part}"]
    found = calibration_pictures(load_any_config(CONFIG, options(shared, *more)))
    assert len({path for path, _ in found}) == 4
    assert [path.parent.name for path, _ in found] == ["train2017"] * 2 + ["val2017"] * 2


def test_what_decides_is_what_detect_prints(shared):
    config = load_any_config(CONFIG, options(shared, "input.width=96", "input.height=96", "quant.people=2"))
    task = read_task(config, CONFIG)
    assert task.measure.metric == "box AP" and task.crops.shape == (2, 96, 96, 3)
    net, kept = person_only(load_detector(config), config)
    data = config.data.val
    found = detect_all(Detector(as_network(net), kept.input, kept.codec), data.annotations, data.images)
    expected = 100 * box_ap(data.annotations, found)["AP"]
    assert task.measure.of(as_network(net)) == pytest.approx(expected, abs=1e-6) and expected > 5


def test_a_detector_is_quantised(shared, tmp_path, monkeypatch, capsys):
    small = ["input.width=96", "input.height=96", "quant.people=4", "quant.ranges=abs_max"]
    words = [f"-o{each}" for each in options(shared, *small)]
    assert call(monkeypatch, "quant", "-c", CONFIG, *words, "--keep-fp32", 0, "--output", tmp_path / "q") == 0
    printed = capsys.readouterr().out
    assert "4 pictures calibrated on" in printed and "box AP lost on these 93 people" in printed
    graph, scales, record = read_package(tmp_path / "q")
    assert isinstance(record.loaded_config(), DetectorConfig) and record.people == 4
    assert graph.shapes[graph.outputs[0]] == (1, 33, 12, 12)  # the person alone, and four sides of a box
    assert 0 < len(scales) < sum(node.kind == "conv2d" for node in graph.nodes)


@pytest.mark.parametrize("words", [["--method", "lsq"], ["-oquant.sensitivity=ap"]])
def test_what_needs_crops_is_refused(shared, tmp_path, monkeypatch, capsys, words):
    given = [f"-o{each}" for each in options(shared)]
    assert call(monkeypatch, "quant", "-c", CONFIG, *given, *words, "--output", tmp_path / "q") == 2
    assert "for networks that see crops" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "q").exists()


@pytest.mark.slow  # ten minutes: the published network at its own size
def test_the_published_detector_keeps_its_box_ap(shared, tmp_path, monkeypatch):
    from lite_deploy.evaluation import measure_boxes, on_normalised
    from lite_deploy.export import export
    from lite_deploy.verify import noise_crops, open_or_interpret, verify

    words = [f"-o{each}" for each in options(shared)]
    code = call(monkeypatch, "quant", "-c", CONFIG, *words, "--max-drop", 0.5, "--output", tmp_path / "q")
    record = read_package(tmp_path / "q")[2]
    chosen = next(rung for rung in record.rungs if rung.name == record.chosen)
    assert code == 0 and record.fp32_ap - chosen.accuracy.mean <= 0.5

    config = load_any_config(CONFIG, options(shared))
    models = ["x86_fp32", "arm_fp16", "arm_int8"]
    artifact = export(config, tmp_path / "out", CONFIG, quant=tmp_path / "q", models=models)
    assert artifact.origin.int8_for == "sdot" and artifact.origin.quantised == chosen.quantised
    _, rows = verify(artifact, tmp_path / "out", noise_crops(artifact, 1))
    assert {row.parity.model for row in rows} >= {"onnx_int8", *models}
    assert all(row.passed is not False and row.parity.correlation > 0.95 for row in rows)
    network, _ = open_or_interpret(artifact, tmp_path / "out", artifact.model("arm_int8"))
    found = measure_boxes(artifact, on_normalised(artifact, network))
    assert found.metrics["AP"] == pytest.approx(chosen.accuracy.aps[0], abs=0.5)
