"""Annotations of other tools: the same people from each of them, and there and back again."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import DatasetConfig
from tinypose.data.annotations import read_coco
from tinypose.data.check import check_set
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")
SIZE = (200, 100)
PEOPLE = [  # joint -> x, y
    {"nose": (50.0, 20.0), "left_eye": (53.0, 18.0), "right_eye": (47.0, 18.0), "left_hip": (55.0, 60.0)},
    {"nose": (150.0, 30.0), "right_hip": (140.0, 70.0), "left_knee": (150.0, 90.0)},
]


def call(*arguments):
    return CliRunner().invoke(app, ["data", "convert", *map(str, arguments)])


def converted(source, tmp_path, *options):
    result = call(source, "--output", tmp_path / "out.json", *options)
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output, read_coco(tmp_path / "out.json", COCO)


def same(content, visible=2):
    assert [image.size for image in content.images.values()] == [SIZE]
    assert len(content.entries) == len(PEOPLE)
    for entry, person in zip(content.entries, PEOPLE, strict=True):
        expected = np.zeros((17, 3))
        for name, (x, y) in person.items():
            expected[COCO.index(name)] = (x, y, visible)
        np.testing.assert_allclose(entry.joints, expected, atol=0.01)
        x, y, w, h = entry.box
        there = entry.joints[entry.joints[:, 2] > 0]
        assert (there[:, 0] >= x).all() and (there[:, 0] <= x + w).all()
        assert (there[:, 1] >= y).all() and (there[:, 1] <= y + h).all()


def test_labelme(tmp_path):
    shapes = [
        {"label": name.replace("_", " "), "shape_type": "point", "points": [list(place)], "group_id": number}
        for number, person in enumerate(PEOPLE)
        for name, place in person.items()
    ]
    shapes.append({"label": "tail", "shape_type": "point", "points": [[1, 1]], "group_id": 0})
    shapes.append(
        {"label": "person", "shape_type": "rectangle", "points": [[40, 10], [60, 70]], "group_id": 0}
    )
    folder = tmp_path / "in"
    folder.mkdir()
    content = {"shapes": shapes, "imagePath": "a.jpg", "imageWidth": SIZE[0], "imageHeight": SIZE[1]}
    (folder / "a.json").write_text(json.dumps(content))
    output, found = converted(folder, tmp_path)
    same(found)
    assert found.entries[0].box.tolist() == [40, 10, 20, 60]
    assert "1 x joint 'tail'" in output and "boxes made from joints: 1" in output


def test_cvat(tmp_path):
    bodies = "".join(
        "<skeleton label='person'>"
        + "".join(
            f"<points label='{name}' outside='0' occluded='1' points='{x},{y}'/>"
            for name, (x, y) in each.items()
        )
        + "<points label='left_ear' outside='1' points='0,0'/></skeleton>"
        for each in PEOPLE
    )
    image = (
        f"<image id='0' name='a.jpg' width='{SIZE[0]}' height='{SIZE[1]}'>{bodies}<box label='x'/></image>"
    )
    (tmp_path / "in.xml").write_text(f"<annotations><version>1.1</version>{image}</annotations>")
    output, found = converted(tmp_path / "in.xml", tmp_path)
    same(found, visible=1)
    assert "1 x shape of kind box" in output


def test_label_studio(tmp_path):
    size = {"original_width": SIZE[0], "original_height": SIZE[1]}
    results = []
    for number, person in enumerate(PEOPLE):
        for name, (x, y) in person.items():
            value = {"x": 100 * x / SIZE[0], "y": 100 * y / SIZE[1], "width": 1, "keypointlabels": [name]}
            results.append({**size, "type": "keypointlabels", "parentID": str(number), "value": value})
    tasks = [{"data": {"img": "/data/local-files/?d=set/a.jpg"}, "annotations": [{"result": results}]}]
    (tmp_path / "in.json").write_text(json.dumps(tasks))
    same(converted(tmp_path / "in.json", tmp_path)[1])


def test_to_yolo_and_back(tmp_path):
    test_cvat(tmp_path)
    (tmp_path / "yolo" / "images").mkdir(parents=True)
    Image.new("RGB", SIZE).save(tmp_path / "yolo" / "images" / "a.jpg")
    result = call(tmp_path / "out.json", "--to", "yolo", "--output", tmp_path / "yolo")
    assert result.exit_code == 0, result.output + str(result.exception)
    before = read_coco(tmp_path / "out.json", COCO)
    result = call(tmp_path / "yolo", "--output", tmp_path / "back.json")
    assert result.exit_code == 0, result.output + str(result.exception)
    after = read_coco(tmp_path / "back.json", COCO)
    for one, two in zip(before.entries, after.entries, strict=True):
        np.testing.assert_allclose(one.joints, two.joints, atol=0.02)
        np.testing.assert_allclose(one.box, two.box, atol=0.02)
    dataset = DatasetConfig(annotations=tmp_path / "back.json", images=tmp_path / "yolo" / "images")
    assert check_set(dataset, COCO).findings == []


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.xml", "<annotations><image name='a' width='9' height='9'>", "not XML"),
        ("a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "DOCTYPE"),
        ("a.xml", "<a/>", "no <image>"),
        ("a.json", "[1]", "expected `data`"),
        ("a.json", "[]", "nobody with a joint"),
        ("a.json", '{"shapes": [{"points": [["x", 1]]}]}', "expected 2 finite numbers"),
        ("a.txt", "", "of no tool that is known"),
    ],
)
def test_what_is_none_of_them_is_named(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    result = call(tmp_path / name, "--output", tmp_path / "out.json")
    assert isinstance(result.exception, UserError) and match in str(result.exception)
    assert not (tmp_path / "out.json").exists()


def test_supervisely(tmp_path):
    folder = tmp_path / "project"
    (folder / "set" / "ann").mkdir(parents=True)
    nodes = {f"n{i}": {"label": name.replace("_", " "), "loc": [0, 0]} for i, name in enumerate(COCO.joints)}
    meta = {"classes": [{"title": "person", "shape": "graph", "geometry_config": {"nodes": nodes}},
                        {"title": "car", "shape": "rectangle"}]}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    objects = [
        {"classTitle": "person", "geometryType": "graph", "instance": f"i{number}",
         "nodes": {f"n{COCO.index(name)}": {"loc": list(place)} for name, place in person.items()}}
        for number, person in enumerate(PEOPLE)
    ]  # fmt: skip
    objects[0]["nodes"]["n9"] = {"loc": [1, 1], "disabled": True}
    corners = {"exterior": [[40, 10], [60, 70]], "interior": []}
    objects.append({"geometryType": "rectangle", "instance": "i0", "points": corners})
    objects.append({"geometryType": "rectangle", "points": corners})
    objects.append({"geometryType": "bitmap"})
    ann = folder / "set" / "ann" / "a.jpg.json"
    ann.write_text(json.dumps({"size": {"width": SIZE[0], "height": SIZE[1]}, "objects": objects}))
    output, content = converted(folder, tmp_path)
    same(content)
    assert content.entries[0].box.tolist() == [40, 10, 20, 60]
    assert "box without joints" in output and "object of type bitmap" in output
    lost = {"geometryType": "graph", "nodes": {"n0": {"loc": "x"}}}
    half = {"geometryType": "rectangle", "points": {"exterior": [[1, 2]]}}
    for bad in ([], {"objects": 3}, {"objects": [3]}, {"objects": [lost]}, {"objects": [half]}):
        ann.write_text(json.dumps(bad))
        result = call(folder, "--output", tmp_path / "bad.json")
        assert isinstance(result.exception, UserError), bad


def test_via(tmp_path):
    Image.new("RGB", SIZE).save(tmp_path / "a.jpg")
    regions = [
        {"shape_attributes": {"name": "point", "cx": place[0], "cy": place[1]},
         "region_attributes": {"joint": name, "person": str(number)}}
        for number, person in enumerate(PEOPLE) for name, place in person.items()
    ]  # fmt: skip
    box = {"name": "rect", "x": 40, "y": 10, "width": 20, "height": 60}
    regions.append({"shape_attributes": box, "region_attributes": {"person": "0"}})
    regions.append({"shape_attributes": {"name": "circle"}, "region_attributes": {}})
    files = {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": regions, "file_attributes": {}}}
    for number, content in enumerate((files, {"_via_settings": {}, "_via_img_metadata": files})):
        source = tmp_path / f"via{number}.json"
        source.write_text(json.dumps(content))
        output, read = converted(source, tmp_path, "--images", tmp_path, "--overwrite")
        same(read)
        assert read.entries[0].box.tolist() == [40, 10, 20, 60]
        assert "region of shape circle" in output
    result = call(source, "--output", tmp_path / "b.json")
    assert isinstance(result.exception, UserError) and "--images says" in str(result.exception)
    for bad in ({"a": {"filename": "a.jpg", "regions": 3}}, {"a": {"filename": [], "regions": []}},
                {"a": {"filename": "a.jpg", "regions": [3]}}):  # fmt: skip
        source.write_text(json.dumps(bad))
        result = call(source, "--output", tmp_path / "b.json", "--images", tmp_path)
        assert isinstance(result.exception, UserError), bad


def test_labels_stay_in_their_folder(tmp_path):
    """Names of pictures that lead elsewhere do not; two that would have one file of labels are named."""
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    people = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "keypoints": [5, 5, 2] * 17}]
    content = {
        "images": [{"id": 1, "file_name": str(tmp_path / "victim.jpg"), "width": 20, "height": 20},
                   {"id": 2, "file_name": "../../victim.jpg", "width": 20, "height": 20}],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.joints)}],
    }  # fmt: skip
    source = tmp_path / "people.json"
    source.write_text(json.dumps(content))
    result = call(source, "--to", "yolo", "--output", tmp_path / "deep" / "set")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert victim.read_text() == "mine"
    assert (tmp_path / "deep" / "set" / "labels" / "victim.txt").is_file()
    content["images"][1]["file_name"] = str(tmp_path / "victim.png")
    source.write_text(json.dumps(content))
    result = call(source, "--to", "yolo", "--output", tmp_path / "other")
    assert isinstance(result.exception, UserError) and "both would have" in str(result.exception)
    assert not list((tmp_path / "other").rglob("*.*"))
