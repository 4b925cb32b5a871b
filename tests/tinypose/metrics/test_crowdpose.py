"""CrowdPose's measure against its own code's numbers."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.data.coco import load_people
from tinypose.metrics.crowdpose import crowdpose_ap
from tinypose.metrics.oks import oks
from tinypose.skeleton import load_skeleton


def test_equals_crowdposes_own_code(shared, tmp_path):
    case = json.loads((shared / "reference" / "case_crowdpose_metric.json").read_text())
    (tmp_path / "truth.json").write_text(json.dumps(case["gt"]))
    skeleton = load_skeleton("crowdpose14")
    people = load_people(tmp_path / "truth.json", tmp_path, skeleton, present=False)
    metrics = crowdpose_ap(people, case["dt"], skeleton)
    for name, expected in case["stats"].items():
        # Its levels are rounded to four digits.
        tolerance = 0.00501 if "_" in name else 1e-9
        assert metrics[name.replace("_", " ")] == pytest.approx(100 * expected, abs=tolerance)


def test_likenesses_are_crowdposes(shared):
    case = json.loads((shared / "reference" / "case_crowdpose_metric.json").read_text())
    sigmas = load_skeleton("crowdpose14").sigmas
    for image, expected in case["oks"].items():
        truth = [each for each in case["gt"]["annotations"] if str(each["image_id"]) == image]
        found = [each for each in case["dt"] if str(each["image_id"]) == image]
        found.sort(key=lambda each: -each["score"])
        joints = [np.reshape(each["keypoints"], (14, 3)) for each in truth]
        for row, each in zip(expected, found, strict=True):
            points = np.reshape(each["keypoints"], (14, 3))[:, :2]
            for value, person, target in zip(row, truth, joints, strict=True):
                if not target[:, 2].any():
                    continue  # COCO measures these by their box, in pycocotools
                area = 0.53 * person["bbox"][2] * person["bbox"][3]
                assert oks(points, target[:, :2], area, sigmas, target[:, 2]) == pytest.approx(
                    value, abs=1e-9
                )


def small(image, annotation, **more):
    person = {
        "id": annotation,
        "image_id": image,
        "category_id": 1,
        "bbox": [1, 2, 30, 40],
        "keypoints": [5, 6, 2] * 14,
        "iscrowd": 0,
    }
    images = [{"id": image, "file_name": f"{image}.jpg", "width": 60, "height": 50, "crowdIndex": 0.3}]
    return {"images": images, "annotations": [person], "categories": [{"id": 1, "name": "person"}], **more}


def merge(folder, *contents):
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(content))
    output = folder / "all.json"
    arguments = ["data", "merge", *map(str, paths), "--output", str(output)]
    return CliRunner().invoke(app, arguments), output


def test_files_become_one(tmp_path):
    result, output = merge(tmp_path, small(1, 7), small(2, 7), small(3, 8))
    assert result.exit_code == 0, result.output
    assert "3 pictures, 3 annotations" in result.output
    content = json.loads(output.read_text())
    assert [each["id"] for each in content["images"]] == [1, 2, 3]
    assert [each["crowdIndex"] for each in content["images"]] == [0.3] * 3
    assert len({each["id"] for each in content["annotations"]}) == 3
    people = load_people(output, tmp_path, load_skeleton("crowdpose14"), present=False)
    assert [person.image_id for person in people.people] == [1, 2, 3]


def test_files_that_do_not_go_together_are_named(tmp_path):
    result, output = merge(tmp_path, small(1, 7), small(1, 8))
    assert result.exit_code != 0 and "1.json: image 1 stands in" in str(result.exception)
    other = small(2, 8, categories=[{"id": 3, "name": "person"}])
    result, output = merge(tmp_path, small(1, 7), other)
    assert result.exit_code != 0 and "other categories" in str(result.exception)
    assert not output.exists()
