"""COCO annotations and detections: what is read, what is left out and said, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinypose.data.coco import AREA_OF_BOX, cut_box, ground_truth, load_detections, load_people
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")
JOINTS = [float(v) for joint in range(17) for v in (10 + joint, 20 + joint, 2)]


def person(**changes):
    entry = {
        "id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 500.0, "num_keypoints": 17,
        "bbox": [10.0, 20.0, 31.0, 41.0], "keypoints": JOINTS,
    }  # fmt: skip
    entry.update(changes)
    return {key: value for key, value in entry.items() if value is not ...}


def write_set(folder, people, **changes):
    """Write a set with one picture of 100 x 80 pixels."""
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.joints)}],
        **changes,
    }
    path = folder / "people.json"
    path.write_text(json.dumps(content))
    return path


def load(folder, people, **changes):
    return load_people(write_set(folder, people, **changes), folder, COCO)


def refused(folder, people, match, **changes):
    with pytest.raises(UserError, match=match) as caught:
        load(folder, people, **changes)
    assert "people.json" in str(caught.value)


def test_a_person_as_annotated(tmp_path):
    loaded = load(tmp_path, [person()])
    (one,) = loaded.people
    assert (one.image_id, one.annotation_id, one.size, one.area, one.score) == (1, 7, (100, 80), 500.0, 1.0)
    assert one.path == tmp_path / "a.png" and one.read().shape == (80, 100, 3)
    np.testing.assert_allclose(one.box, [10, 20, 30, 40])  # measured between pixel centres
    assert one.joints.shape == (17, 3) and one.joints.dtype == np.float32
    assert one.joints[3].tolist() == [13, 23, 2]
    assert loaded.summary == "1 people in 1 of 1 pictures"


def test_what_is_left_out_is_counted_and_said(tmp_path):
    loaded = load(
        tmp_path,
        [
            person(),
            person(iscrowd=1),
            person(num_keypoints=0, keypoints=[0] * 51),
            person(keypoints=...),
            person(keypoints=[]),
            person(bbox=[200, 10, 20, 20]),
            person(bbox=[10, 10, 0, 0]),
            person(category_id=18, keypoints=...),
        ],
    )
    assert len(loaded.people) == 1
    assert loaded.skipped == {
        "crowd": 1,
        "without keypoints": 3,
        "with a box of no extent in the picture": 2,
        "of another category": 1,
    }
    for words in ("1 crowd", "3 without keypoints", "2 with a box of no extent", "1 of another category"):
        assert words in loaded.summary


@pytest.mark.parametrize("area", [0, 0.0, None, ...])
def test_area_zero_or_missing_is_estimated_from_the_box_and_said(tmp_path, area):
    loaded = load(tmp_path, [person(area=area)])
    expected = AREA_OF_BOX * 31 * 41
    assert loaded.people[0].area == pytest.approx(expected)
    assert "area missing or 0, estimated from the box: 1" in loaded.summary
    assert ground_truth(loaded)["annotations"][0]["area"] == pytest.approx(expected)


def test_area_of_box_is_what_coco_shows(shared):
    parts = []
    for name in ("train2017", "val2017"):
        folder = shared / "data/coco-mini"
        loaded = load_people(folder / f"annotations/person_keypoints_{name}.json", folder / name, COCO)
        parts += [each.area / each.box[2:].prod() for each in loaded.people]
    assert np.median(parts) == pytest.approx(AREA_OF_BOX, abs=0.03)


@given(
    st.tuples(st.floats(-50, 150), st.floats(-50, 150), st.floats(0, 300), st.floats(0, 300)).map(np.array)
)
def test_cut_boxes_lie_in_the_picture(box):
    cut = cut_box(box, (100, 80))
    if cut is not None:
        assert (cut[:2] >= 0).all() and (cut[2:] >= 0).all() and cut[2:].max() > 0
        assert (cut[:2] + cut[2:] <= np.array([99, 79]) + 1e-9).all()
    inside = (box[:2] >= 0).all() and (box[2:] >= 2).all() and (box[:2] + box[2:] <= [100, 80]).all()
    if inside:
        np.testing.assert_allclose(cut, [*box[:2], *(box[2:] - 1)])


def test_boxes_are_cut_to_the_picture(tmp_path):
    loaded = load(tmp_path, [person(bbox=[-10, 70, 300, 50])])
    np.testing.assert_allclose(loaded.people[0].box, [0, 70, 99, 9])


def test_ground_truth_keeps_whom_the_evaluation_ignores(tmp_path):
    loaded = load(tmp_path, [person(), person(iscrowd=1), person(keypoints=[0] * 51, num_keypoints=...)])
    entries = ground_truth(loaded)["annotations"]
    assert [each["iscrowd"] for each in entries] == [0, 1, 0]
    assert [each["num_keypoints"] for each in entries] == [17, 17, 0]


def test_a_category_of_another_number(tmp_path):
    categories = [{"id": 1, "name": "dog"}, {"id": 5, "name": "worker", "keypoints": list(COCO.joints)}]
    loaded = load(tmp_path, [person(category_id=5), person(category_id=1)], categories=categories)
    assert len(loaded.people) == 1 and loaded.skipped == {"of another category": 1}
    assert [each["category_id"] for each in ground_truth(loaded)["annotations"]] == [1]


def test_the_annotation_file_is_missing_or_no_coco(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: no such annotation file"):
        load_people(tmp_path / "none.json", tmp_path, COCO)
    path = tmp_path / "people.json"
    path.write_text("{broken")
    with pytest.raises(UserError, match="not valid JSON"):
        load_people(path, tmp_path, COCO)
    for content in ([], {"images": []}, {"images": {}, "annotations": []}, 3):
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="not COCO's format: expected a list"):
            load_people(path, tmp_path, COCO)


def test_missing_pictures_are_named_and_counted(tmp_path):
    images = [{"id": n, "file_name": f"{n}.png", "width": 100, "height": 80} for n in range(1, 9)]
    everybody = [person(image_id=n) for n in range(1, 9)]
    refused(
        tmp_path, everybody, r"(?s)8 of 8 pictures are not there.*1\.png.*5\.png\n  and 3 more", images=images
    )
    # A picture that nobody needs may be missing.
    images = [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}, images[2]]
    assert len(load(tmp_path, [person()], images=images).people) == 1


def test_another_skeletons_annotations_are_refused(tmp_path):
    refused(tmp_path, [person(keypoints=JOINTS[:42])], r"id 7\): keypoints: expected 3 numbers.* found 42")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"keypoints": ["x"] * 51}, "keypoints: expected numbers"),
        ({"keypoints": [[1, 2], [3]]}, "keypoints: expected numbers"),
        ({"keypoints": [float("nan"), 1, 2] * 17}, "finite x and y"),
        ({"keypoints": [1, 1, 3] * 17}, "v of 0, 1 or 2"),
        ({"bbox": ...}, "key 'bbox'"),
        ({"bbox": [1, 2, 3]}, "bbox: expected left, top, width, height"),
        ({"bbox": [1, 2, 3, None]}, "bbox: expected left, top, width, height"),
        ({"area": "large"}, "area: expected a number"),
        ({"image_id": ...}, "key 'image_id'"),
        ({"image_id": 99}, "image_id 99 is not among `images`"),
        ({"image_id": [1]}, "image_id: expected a number"),
    ],
)
def test_annotations_that_contradict_themselves_are_named(tmp_path, changes, match):
    refused(tmp_path, [person(**changes)], r"annotations\[0\] \(id 7\): .*" + match)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        ([{"id": 1, "file_name": "a.png", "width": 100}], "key 'height'"),
        ([{"id": 1, "file_name": "a.png", "width": 0, "height": 80}], "width and height"),
        ([{"file_name": "a.png", "width": 100, "height": 80}], "key 'id'"),
        ([{"id": 1, "file_name": "a.png", "width": 100, "height": 80}] * 2, "id 1 stands twice"),
        (["a.png"], "expected an object"),
    ],
)
def test_pictures_that_are_badly_described_are_named(tmp_path, images, match):
    refused(tmp_path, [person()], r"images\[\d\]: .*" + match, images=images)


def test_nobody_with_keypoints(tmp_path):
    refused(tmp_path, [person(iscrowd=1)], "nobody with keypoints in it.*1 crowd")
    refused(tmp_path, [], "nobody with keypoints in it")


@pytest.mark.parametrize(
    ("file", "images", "skeleton", "count"),
    [
        ("coco-mini/annotations/person_keypoints_val2017.json", "coco-mini/val2017", "coco17", 68),
        ("coco-mini/annotations/person_keypoints_train2017.json", "coco-mini/train2017", "coco17", 86),
        ("crowdpose-mini/test_crowdpose.json", "crowdpose-mini", "crowdpose14", 4),
        ("aic-mini/test_aic.json", "aic-mini", "aic14", 9),
    ],
)
def test_real_sets(shared, file, images, skeleton, count):
    folder = shared / "data"
    loaded = load_people(folder / file, folder / images, load_skeleton(skeleton))
    assert len(loaded.people) == count
    assert loaded.people[0].read().shape[2] == 3


def boxes(folder, entries):
    path = folder / "bbox.json"
    path.write_text(json.dumps(entries))
    return path


def detection(**changes):
    return {"image_id": 1, "category_id": 1, "bbox": [10, 20, 31, 41], "score": 0.9, **changes}


def test_detections_take_the_peoples_place(tmp_path):
    people = load(tmp_path, [person()])
    entries = [
        detection(),
        detection(score=0.1),
        detection(category_id=3),
        detection(image_id=5),
        detection(bbox=[300, 0, 5, 5]),
    ]
    found = load_detections(boxes(tmp_path, entries), people, threshold=0.5)
    (one,) = found.people
    np.testing.assert_allclose(one.box, [10, 20, 30, 40])
    assert one.score == 0.9 and one.annotation_id is None and not one.joints.any()
    assert sum(found.skipped.values()) == 4 and "1 with a score below 0.5" in found.summary
    assert ground_truth(found) == ground_truth(people)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"a": 1}, "expected a list of boxes"),
        ([{"image_id": 1}], r"\[0\]: expected an object with the key 'score'"),
        ([detection(score="high")], "score: expected a number"),
        ([detection(bbox=[1, 2])], "bbox: expected left, top, width, height"),
        ([detection(image_id=9)], "no box left.*1 for pictures of other sets"),
        ([], "no box left"),
    ],
)
def test_bad_detections_are_named(tmp_path, content, match):
    people = load(tmp_path, [person()])
    with pytest.raises(UserError, match=match) as caught:
        load_detections(boxes(tmp_path, content), people)
    assert "bbox.json" in str(caught.value)
