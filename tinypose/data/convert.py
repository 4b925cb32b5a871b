"""Annotations of other tools to COCO's form and back: labelme, CVAT, Label Studio, YOLO-pose, and in
`tinypose.data.convert_projects` Supervisely and VIA.

Each reader returns `Found`: people by picture, with joints by name. What cannot be used is counted.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinypose.config_file import read_yaml
from tinypose.data.annotations import read_coco
from tinypose.data.convert_found import Found, Person, list_of, numbers_of, person_of, size_of, take_joint
from tinypose.data.convert_projects import read_supervisely, read_via
from tinypose.errors import UserError
from tinypose.files import read_json, read_text
from tinypose.images import picture_size
from tinypose.skeleton import Skeleton

Form = Literal["labelme", "cvat", "label-studio", "yolo", "coco", "supervisely", "via"]
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def detect_form(source: Path) -> Form:
    """Tell by its content which tool wrote a file or folder.

    Raises:
        UserError: it is of none that is known.
    """
    if source.is_dir():
        if (source / "meta.json").is_file() and any(source.rglob("ann/*.json")):
            return "supervisely"
        if any(source.rglob("*.yaml")) or any(source.rglob("labels")):
            return "yolo"
        if any(source.glob("*.json")):
            return "labelme"
    elif source.suffix == ".xml":
        return "cvat"
    elif source.suffix in (".yaml", ".yml"):
        return "yolo"
    elif source.suffix == ".json":
        content = read_json(source, "file of annotations")
        if isinstance(content, list):
            return "label-studio"
        if isinstance(content, dict):
            if "_via_img_metadata" in content or any(
                isinstance(each, dict) and "regions" in each for each in content.values()
            ):
                return "via"
            return "labelme" if "shapes" in content else "coco"
    raise UserError(
        f"{source}: of no tool that is known here; expected a folder of labelme's JSON files, CVAT's XML, "
        "Label Studio's or VIA's JSON, a YOLO-pose folder or its .yaml, a Supervisely project, or "
        "COCO's JSON; --from says which"
    )


def read_source(source: Path, form: Form, skeleton: Skeleton, images: Path | None) -> Found:
    """Read a source of a form; `images` is where its pictures are, if it does not say how large they are."""
    readers: dict[str, Callable[[Path, Skeleton, Path | None], Found]] = {
        "labelme": read_labelme,
        "cvat": read_cvat,
        "label-studio": read_label_studio,
        "yolo": read_yolo,
        "coco": read_coco_people,
        "supervisely": read_supervisely,
        "via": read_via,
    }
    return readers[form](source, skeleton, images)


def read_labelme(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read labelme's files: points named by joint, people told apart by `group_id`, boxes as rectangles."""
    found = Found()
    paths = sorted(source.glob("*.json")) if source.is_dir() else [source]
    for path in paths:
        content = read_json(path, "file of labelme")
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            raise UserError(f"{path}: not labelme's form: expected an object with a list `shapes`")
        groups: dict[Any, dict[str, Any]] = {}
        for place, shape in enumerate(content["shapes"]):
            where = f"{path}: shapes[{place}]"
            points = [numbers_of(point, 2, where) for point in list_of(shape, "points", where)]
            kind, name = shape.get("shape_type", "polygon"), str(shape.get("label"))
            group = groups.setdefault(str(shape.get("group_id")), {"joints": {}, "box": None})
            if kind == "point" and points:
                take_joint(group["joints"], name, (*points[0], 2), skeleton, found)
            elif kind == "rectangle" and len(points) == 2:
                low, high = np.min(points, axis=0), np.max(points, axis=0)
                group["box"] = np.concatenate([low, high - low])
            else:
                found.left_out[f"shape of kind {kind}"] += 1
        people = [
            person_of(each["joints"], each["box"], skeleton) for each in groups.values() if each["joints"]
        ]
        found.left_out["box without joints"] += sum(not each["joints"] for each in groups.values())
        name = Path(str(content.get("imagePath") or path.with_suffix(".jpg").name).replace("\\", "/")).name
        size = (content.get("imageWidth"), content.get("imageHeight"))
        found.add(name, size_of(size, images, name, str(path)), people)
    if not paths:
        raise UserError(f"{source}: no .json files of labelme in it")
    return found


def read_cvat(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read CVAT for images 1.1: skeletons, or points named by joint that share a `group_id`."""
    text = read_text(source, "XML file of CVAT")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{source}: holds a DOCTYPE, which CVAT does not write; entities are not followed")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise UserError(f"{source}: not XML: {error}") from None
    found = Found()
    for image in root.iter("image"):
        name = image.get("name", "")
        where = f"{source}: image {name!r:.60}"
        size = tuple(
            int(side) if side.isdecimal() else None
            for side in (image.get("width", ""), image.get("height", ""))
        )
        people, groups = [], {}
        for body in image.iter("skeleton"):
            joints: dict[str, Any] = {}
            for points in body.iter("points"):
                _take_cvat(joints, points, where, skeleton, found)
            people += [person_of(joints, None, skeleton)] if joints else []
        for points in image.findall("points"):
            group = groups.setdefault(points.get("group_id", "0"), {})
            _take_cvat(group, points, where, skeleton, found)
        people += [person_of(joints, None, skeleton) for joints in groups.values() if joints]
        for kind in ("box", "polygon", "polyline", "ellipse", "mask", "cuboid", "tag"):
            found.left_out[f"shape of kind {kind}"] += len(image.findall(kind))
        found.add(name, size_of(size, images, name, where), people)
    if not found.sizes:
        raise UserError(f"{source}: no <image> in it; expected an export `CVAT for images 1.1`")
    return found


def read_label_studio(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read Label Studio's JSON: keypoint labels in percent, people told apart by their parent rectangle."""
    found = Found()
    tasks = read_json(source, "JSON export of Label Studio")
    if not isinstance(tasks, list):
        raise UserError(f"{source}: not Label Studio's form: expected a list of tasks")
    for place, task in enumerate(tasks):
        where = f"{source}: [{place}]"
        data = task.get("data") if isinstance(task, dict) else None
        url = next((v for v in data.values() if isinstance(v, str)), None) if isinstance(data, dict) else None
        if url is None:
            raise UserError(f"{where}: expected `data` with the name of a picture")
        name = url.replace("\\", "/").split("?d=")[-1].split("/")[-1]
        size: tuple[Any, Any] = (None, None)
        groups: dict[Any, dict[str, Any]] = {}
        for annotation in list_of(task, "annotations", where)[:1]:  # of several annotators the first
            for result in list_of(annotation, "result", where):
                value = result.get("value") if isinstance(result, dict) else None
                if not isinstance(value, dict):
                    found.left_out["result without a value"] += 1
                    continue
                size = (result.get("original_width"), result.get("original_height"))
                w, h = numbers_of(list(size), 2, where)
                kind = result.get("type")
                if kind == "keypointlabels":
                    x, y = numbers_of([value.get("x"), value.get("y")], 2, where)
                    group = groups.setdefault(str(result.get("parentID")), {"joints": {}, "box": None})
                    label = str((value.get("keypointlabels") or [""])[0])
                    take_joint(group["joints"], label, (x * w / 100, y * h / 100, 2), skeleton, found)
                elif kind == "rectanglelabels":
                    sides = numbers_of([value.get(key) for key in ("x", "y", "width", "height")], 4, where)
                    group = groups.setdefault(str(result.get("id")), {"joints": {}, "box": None})
                    group["box"] = np.array(sides) * [w, h, w, h] / 100
                else:
                    found.left_out[f"result of type {kind}"] += 1
        people = [
            person_of(each["joints"], each["box"], skeleton) for each in groups.values() if each["joints"]
        ]
        found.left_out["box without joints"] += sum(not each["joints"] for each in groups.values())
        found.add(name, size_of(size, images, name, where), people)
    return found


def read_yolo(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read YOLO-pose: a line a person, class, box and joints as parts of the picture; joints in order."""
    found = Found()
    folder = source if source.is_dir() else source.parent
    if source.is_file():
        shape = read_yaml(source, "YOLO description of a set").get("kpt_shape")
        if not isinstance(shape, list) or len(shape) != 2 or shape[0] != len(skeleton.joints):
            raise UserError(
                f"{source}: kpt_shape: expected [{len(skeleton.joints)}, 2 or 3] for skeleton "
                f"'{skeleton.name}', found {shape!r:.60}"
            )
    count = len(skeleton.joints)
    labels = sorted(path for path in folder.rglob("*.txt") if "labels" in path.parts or path.parent == folder)
    for path in labels:
        name, size = _yolo_picture(path, images)
        people = []
        for number, line in enumerate(read_text(path, "YOLO labels").split("\n"), start=1):
            where = f"{path}: line {number}"
            if not line.strip():
                continue
            try:
                values = [float(word) for word in line.split()]
            except ValueError:
                raise UserError(f"{where}: expected numbers") from None
            depth = (len(values) - 5) / count
            if depth not in (2, 3):
                if len(values) == 5:
                    found.left_out["box without joints"] += 1
                    continue
                raise UserError(
                    f"{where}: expected 5 numbers and 2 or 3 for each of the {count} joints of skeleton "
                    f"'{skeleton.name}', found {len(values)}"
                )
            numbers_of(values, len(values), where)
            x, y, w, h = np.array(values[1:5]) * [*size, *size]
            joints = np.zeros((count, 3))
            given = np.array(values[5:]).reshape(count, int(depth))
            joints[:, :2] = given[:, :2] * size
            joints[:, 2] = (
                np.clip(np.round(given[:, 2]), 0, 2) if depth == 3 else np.where(given.any(axis=1), 2, 0)
            )
            joints[joints[:, 2] == 0] = 0
            people.append(Person(joints, np.array([x - w / 2, y - h / 2, w, h])))
        found.add(name, size, people)
    if not labels:
        raise UserError(f"{source}: no .txt files in a folder `labels`")
    return found


def read_coco_people(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read COCO's form; joints are in the order of the skeleton."""
    content = read_coco(source, skeleton)
    found = Found()
    for image in content.images.values():
        found.add(image.file_name, image.size, [])
    for entry in content.entries:
        if not content.counts(entry):
            found.left_out["of another category"] += 1
        elif entry.crowd or not entry.annotated:
            found.left_out["crowd" if entry.crowd else "without keypoints"] += 1
        else:
            found.people[content.images[entry.image_id].file_name].append(Person(entry.joints, entry.box))
    return found


def _take_cvat(
    joints: dict[str, Any], points: ET.Element, where: str, skeleton: Skeleton, found: Found
) -> None:
    if points.get("outside") == "1":
        return
    texts = points.get("points", "").split(";")[0].split(",")
    try:
        x, y = numbers_of([float(text) for text in texts], 2, where)
    except ValueError:
        raise UserError(f"{where}: points: expected x,y, found {points.get('points', '')!r:.40}") from None
    visible = 1 if points.get("occluded") == "1" else 2
    take_joint(joints, points.get("label", ""), (x, y, visible), skeleton, found)


def _yolo_picture(labels: Path, images: Path | None) -> tuple[str, tuple[int, int]]:
    folders = [images] if images else [labels.parent, Path(str(labels.parent).replace("labels", "images"))]
    for folder in folders:
        for suffix in SUFFIXES:
            path = folder / f"{labels.stem}{suffix}"
            if path.is_file():
                return path.name, picture_size(path)
    raise UserError(
        f"{labels}: no picture of that name in {folders[-1]}; --images says where the pictures are"
    )
