"""One reader of annotations: what it takes, which category counts, and what it refuses by name."""

import json
import time

import numpy as np
import pytest
from PIL import Image

from tinypose.config import DatasetConfig
from tinypose.data.annotations import read_coco
from tinypose.data.check import check_set
from tinypose.data.coco import ground_truth, load_detections, load_people
from tinypose.errors import UserError
from tinypose.metrics.boxes import box_ap
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")
JOINTS = [float(v) for joint in range(17) for v in (10 + joint, 20 + joint, 2)]
PERSON = {"id": 1, "name": "person", "keypoints": list(COCO.joints)}


def entry(**changes):
    whole = {
        "id": 7,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 20, 31, 41],
        "keypoints": JOINTS,
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not ...}


def write(folder, entries, categories=(PERSON,), text=None):
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": entries,
        "categories": list(categories),
    }
    path = folder / "people.json"
    path.write_text(text or json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("changes", "people"),
    [
        ({"iscrowd": None}, 1),
        ({"iscrowd": 1.0}, 0),
        ({"keypoints": [JOINTS[i : i + 3] for i in range(0, 51, 3)]}, 1),
        ({"keypoints": [0] * 51, "bbox": ...}, 0),
        ({"keypoints": [0] * 51, "bbox": []}, 0),
        ({"keypoints": None, "bbox": None}, 0),
        ({"area": None, "id": ..., "category_id": ...}, 1),
    ],
)
def test_what_exports_write_is_read_the_same_everywhere(tmp_path, changes, people):
    path = write(tmp_path, [entry(), entry(**{"id": 8, **changes})])
    loaded = load_people(path, tmp_path, COCO)
    assert len(loaded.people) == 1 + people
    assert all(each["iscrowd"] in (0, 1) for each in ground_truth(loaded)["annotations"])
    box_ap(path, [])
    assert len(check_set(DatasetConfig(annotations=path, images=tmp_path), COCO).counts) == 4


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"iscrowd": "no"}, "iscrowd: expected 0 or 1"),
        ({"iscrowd": 2}, "iscrowd: expected 0 or 1"),
        ({"iscrowd": [0]}, "iscrowd: expected 0 or 1"),
        ({"keypoints": [str(v) for v in JOINTS]}, "keypoints: expected numbers"),
        ({"keypoints": "nose"}, "keypoints: expected numbers"),
        ({"keypoints": [10**30, *JOINTS[1:]]}, "keypoints: expected finite"),
        ({"keypoints": {"nose": [1, 2, 2]}}, "keypoints: expected numbers"),
        ({"bbox": {"x": 1}}, "bbox: expected left, top, width, height"),
        ({"bbox": [1, 2, 3, 10**400]}, "number of 401 digits"),
        ({"bbox": [1, 2, 3, 10**300]}, "bbox: expected left, top, width, height"),
        ({"bbox": [1, 2, 3, True]}, "bbox: expected left, top, width, height"),
        ({"category_id": [1]}, "category_id: expected a number"),
        ({"id": [7]}, "id: expected a number"),
        ({"id": 7.5}, "id: expected a number"),
        ({"num_keypoints": "17"}, "num_keypoints: expected a number"),
        ({"area": [3]}, "area: expected a number"),
    ],
)
def test_every_command_stops_at_the_same_entry(tmp_path, changes, match):
    path = write(tmp_path, [entry(), entry(**{"id": 8, **changes})])
    for read in (
        lambda: load_people(path, tmp_path, COCO),
        lambda: check_set(DatasetConfig(annotations=path, images=tmp_path), COCO),
    ):
        with pytest.raises(UserError, match=match) as caught:
            read()
        assert "people.json" in str(caught.value)


@pytest.mark.parametrize(
    ("categories", "ids", "wanted", "people"),
    [
        ([{"id": 0, "name": "hand"}], [0, 0], None, 2),
        ([{"id": 2, "name": "Person"}, {"id": 1, "name": "car"}], [2, 1], None, 1),
        ([PERSON, {"id": 2, "name": "dog", "keypoints": ["a", "b"]}], [1, 2], None, 1),
        ([{"id": 4, "name": "dog", "keypoints": ["a"]}, {**PERSON, "id": 3, "name": "x"}], [3, 4], None, 1),
        ([{**PERSON, "name": "man"}, {**PERSON, "id": 2, "name": "woman"}], [1, 2], "woman", 1),
        ([{**PERSON, "name": "man"}, {**PERSON, "id": 2, "name": "woman"}], [1, 2], ("man", 2), 2),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], [2, 2], None, 2),
        ([], [5, 5], None, 2),
    ],
)
def test_which_category_counts(tmp_path, categories, ids, wanted, people):
    entries = [entry(id=number, category_id=each) for number, each in enumerate(ids)]
    for each in entries:
        if any(c["id"] == each["category_id"] and len(c.get("keypoints", JOINTS)) < 17 for c in categories):
            each["keypoints"] = [1, 2, 2, 3, 4, 2]
    loaded = load_people(write(tmp_path, entries, categories), tmp_path, COCO, category=wanted)
    assert len(loaded.people) == people


def test_several_that_could_be_meant_are_listed(tmp_path):
    categories = [{**PERSON, "name": "man"}, {**PERSON, "id": 2, "name": "woman"}]
    path = write(tmp_path, [entry(), entry(id=8, category_id=2)], categories)
    with pytest.raises(UserError, match=r"category=NAME.*1 'man' \(17 joints\), 2 'woman'"):
        load_people(path, tmp_path, COCO)
    with pytest.raises(UserError, match="no category 'child'; there are: 1 'man'"):
        load_people(path, tmp_path, COCO, category="child")


def test_a_detectors_category_is_not_the_sets(tmp_path):
    """Number 1 is COCO's person, unless the set has something else of that number."""
    boxes = tmp_path / "bbox.json"
    found = [{"image_id": 1, "category_id": n, "bbox": [10, 20, 30, 40], "score": 0.9} for n in (0, 1, 2)]
    boxes.write_text(json.dumps(found))
    people = load_people(write(tmp_path, [entry(category_id=0)], [{"id": 0, "name": "hand"}]), tmp_path, COCO)
    assert len(load_detections(boxes, people).people) == 2
    categories = [{"id": 1, "name": "car"}, {**PERSON, "id": 2}]
    people = load_people(write(tmp_path, [entry(category_id=2)], categories), tmp_path, COCO)
    assert len(load_detections(boxes, people).people) == 1


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"images": ' * 3000, '{"a": ' + "9" * 5000 + "}", "\ufeff{}", "nul"]
)
def test_what_json_readers_choke_on(tmp_path, text):
    with pytest.raises(UserError, match=r"people\.json"):
        read_coco(write(tmp_path, [], text=text), COCO)


@pytest.mark.parametrize(
    "categories",
    [[{"name": "person"}], [1], {"id": 1}, [{"id": [1]}], [{"id": 1, "keypoints": "nose"}], [PERSON] * 2],
)
def test_odd_categories_are_named(tmp_path, categories):
    path = write(
        tmp_path, [entry()], text=json.dumps({"images": [], "annotations": [], "categories": categories})
    )
    with pytest.raises(UserError, match="categories"):
        read_coco(path, COCO)


def test_doubles_among_a_crowd_are_found_without_looking_at_all_pairs(tmp_path):
    """4,000 people in one picture are 8 million pairs, which took a minute; one is twice there."""
    rng = np.random.default_rng(0)
    entries = []
    for number in range(4000):
        joints = np.column_stack([rng.uniform(0, 20_000, (17, 2)), np.full(17, 2)])
        entries.append(entry(id=number, bbox=[0, 0, 20_000, 20_000], keypoints=joints.ravel().tolist()))
    entries[3000]["keypoints"] = [v + 0.3 * (v != 2) for v in entries[10]["keypoints"]]
    image = {"id": 1, "file_name": "a.png", "width": 20_000, "height": 20_000}
    path = write(
        tmp_path, [], text=json.dumps({"images": [image], "annotations": entries, "categories": [PERSON]})
    )
    from tinypose.data.check import check_doubles

    people = load_people(path, tmp_path, COCO, present=False)
    start = time.process_time()
    (found,) = check_doubles(people)
    assert found.where == "annotations 10 and 3000"
    assert time.process_time() - start < 60


def test_the_parts_of_coco_wholebody_stand_behind_the_body(tmp_path):
    """Its lists of feet, face and hands; v there is a score."""
    parts = {
        "foot_kpts": [1.0, 2.0, 2] * 6, "face_kpts": [3.0, 4.0, 0.7] * 68,
        "lefthand_kpts": [5.0, 6.0, 0.3] * 21, "righthand_kpts": [0, 0, 0] * 21,
    }  # fmt: skip
    path = write(tmp_path, [entry(**parts)])
    (found,) = read_coco(path, load_skeleton("wholebody133")).entries
    assert found.joints.shape == (133, 3)
    np.testing.assert_array_equal(found.joints[:17].ravel(), JOINTS)
    for which, expected in (
        (slice(17, 23), [1, 2, 2]), (slice(23, 91), [3, 4, 2]),
        (slice(91, 112), [5, 6, 2]), (slice(112, 133), [0, 0, 0]),
    ):  # fmt: skip
        assert (found.joints[which] == expected).all()
    assert read_coco(path, load_skeleton("feet23")).entries[0].joints.shape == (23, 3)
    assert read_coco(path, COCO).entries[0].joints.shape == (17, 3)
    path = write(tmp_path, [entry(**parts | {"face_kpts": [1.0, 2.0, 2] * 67})])
    with pytest.raises(UserError, match="expected 3 numbers for each of the 133 joints"):
        read_coco(path, load_skeleton("wholebody133"))
