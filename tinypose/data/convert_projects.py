"""Annotations of Supervisely and of the VGG Image Annotator (VIA); see `tinypose.data.convert`."""

from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.convert_found import Found, list_of, numbers_of, person_of, size_of, take_joint
from tinypose.errors import UserError
from tinypose.files import read_json
from tinypose.skeleton import Skeleton


def read_supervisely(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read a Supervisely project: `meta.json` names the nodes of graphs, `*/ann/*.json` are the pictures.

    A rectangle is the box of the graph that has the same `instance`.
    """
    folder = source if source.is_dir() else source.parent
    meta = read_json(folder / "meta.json", "description of a Supervisely project")
    names: dict[str, str] = {}
    for place, each in enumerate(list_of(meta, "classes", f"{folder / 'meta.json'}")):
        settings = each.get("geometry_config") if isinstance(each, dict) else None
        nodes = settings.get("nodes") if isinstance(settings, dict) else None
        for key, node in nodes.items() if isinstance(nodes, dict) else ():
            if not isinstance(node, dict) or not isinstance(node.get("label"), str):
                raise UserError(f"{folder / 'meta.json'}: classes[{place}]: node {key!r:.40} has no label")
            names[key] = node["label"]
    found = Found()
    for path in sorted(folder.rglob("ann/*.json")):
        content = read_json(path, "annotation of Supervisely")
        groups: dict[str, dict[str, Any]] = {}
        for place, item in enumerate(list_of(content, "objects", str(path))):
            where = f"{path}: objects[{place}]"
            if not isinstance(item, dict):
                raise UserError(f"{where}: expected an object")
            group = groups.setdefault(str(item.get("instance") or f"[{place}]"), {"joints": {}, "box": None})
            kind = item.get("geometryType")
            if kind == "graph":
                nodes = item.get("nodes")
                for key, node in nodes.items() if isinstance(nodes, dict) else ():
                    if not isinstance(node, dict) or node.get("disabled"):
                        continue
                    x, y = numbers_of(node.get("loc"), 2, f"{where}: node {key!r:.40}")
                    take_joint(group["joints"], names.get(key, key), (x, y, 2), skeleton, found)
            elif kind == "rectangle":
                corners = item.get("points")
                corners = list_of(corners, "exterior", where) if isinstance(corners, dict) else []
                points = [numbers_of(each, 2, where) for each in corners]
                if len(points) != 2:
                    raise UserError(f"{where}: expected two corners in points.exterior")
                low, high = np.min(points, axis=0), np.max(points, axis=0)
                group["box"] = np.concatenate([low, high - low])
            else:
                found.left_out[f"object of type {kind!s:.40}"] += 1
        _add(found, path.name.removesuffix(".json"), content.get("size"), groups, skeleton, images, str(path))
    if not found.sizes:
        raise UserError(f"{source}: no annotations in folders `ann` of this Supervisely project")
    return found


def read_via(source: Path, skeleton: Skeleton, images: Path | None = None) -> Found:
    """Read VIA 2's project or export: points whose attributes name the joint, and tell people apart.

    Of a region's attributes the one that is a joint's name says which joint; the values of the others, if
    there are any, say whose. VIA does not know how large a picture is, so `images` is needed.
    """
    content = read_json(source, "project or export of VIA")
    files = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(files, dict) or not files:
        raise UserError(f"{source}: not VIA's form: expected pictures with `regions`")
    found = Found()
    for key, file in files.items():
        where = f"{source}: {key!r:.60}"
        if not isinstance(file, dict) or not isinstance(file.get("filename"), str):
            raise UserError(f"{where}: expected an object with a `filename`")
        regions = file.get("regions")
        regions = list(regions.values()) if isinstance(regions, dict) else list_of(file, "regions", where)
        groups: dict[str, dict[str, Any]] = {}
        for region in regions:
            parts = [region.get(f"{each}_attributes") if isinstance(region, dict) else None
                     for each in ("shape", "region")]  # fmt: skip
            if not all(isinstance(each, dict) for each in parts):
                raise UserError(f"{where}: expected regions with shape_attributes and region_attributes")
            shape, attributes = parts
            values = [str(value) for _, value in sorted(attributes.items())]
            named = [value for value in values if _joint(value) in skeleton.joints]
            label = named[0] if named else (values or [""])[0]
            point = shape.get("name") == "point"
            others = [value for value in values if value != label] if point else values
            group = groups.setdefault(others[0] if others else "", {"joints": {}, "box": None})
            if point:
                x, y = numbers_of([shape.get("cx"), shape.get("cy")], 2, where)
                take_joint(group["joints"], label, (x, y, 2), skeleton, found)
            elif shape.get("name") == "rect":
                sides = [shape.get(side) for side in ("x", "y", "width", "height")]
                group["box"] = np.array(numbers_of(sides, 4, where))
            else:
                found.left_out[f"region of shape {shape.get('name')!s:.40}"] += 1
        _add(found, Path(file["filename"]).name, None, groups, skeleton, images, where)
    return found


def _joint(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _add(
    found: Found,
    name: str,
    size: Any,
    groups: dict[str, dict[str, Any]],
    skeleton: Skeleton,
    images: Path | None,
    where: str,
) -> None:
    """Add a picture with the people whose joints were found; count boxes without any."""
    sides = (size.get("width"), size.get("height")) if isinstance(size, dict) else (None, None)
    people = [person_of(each["joints"], each["box"], skeleton) for each in groups.values() if each["joints"]]
    lonely = sum(each["box"] is not None and not each["joints"] for each in groups.values())
    if lonely:
        found.left_out["box without joints"] += lonely
    found.add(name, size_of(sides, images, name, where), people)
