"""Write what `tinypose.data.convert` found: COCO's form, and YOLO-pose."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from tinypose.data.convert_found import Found, Person
from tinypose.errors import UserError
from tinypose.files import write_json, write_text
from tinypose.skeleton import Skeleton

MARGIN = 0.1  # of the extent of the joints: what a box made from them has around them


def write_coco(found: Found, skeleton: Skeleton, output: Path) -> int:
    """Write COCO's form; returns how many boxes were made from joints."""
    images, annotations, made = [], [], 0
    for number, (name, size) in enumerate(found.sizes.items(), start=1):
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for person in found.people.get(name, []):
            made += person.box is None
            box = box_of(person, size)
            values = [
                round(float(v), 2) if i % 3 < 2 else int(v) for i, v in enumerate(person.joints.ravel())
            ]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [round(float(v), 2) for v in box],
                    "area": round(float(box[2] * box[3]), 2),
                    "num_keypoints": int((person.joints[:, 2] > 0).sum()),
                    "keypoints": values,
                }
            )
    limbs = [[i + 1, j + 1] for i, j in skeleton.limb_indices]
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(skeleton.joints)}
    write_json(
        output,
        {"images": images, "annotations": annotations, "categories": [{**category, "skeleton": limbs}]},
    )
    return made


def write_yolo(found: Found, skeleton: Skeleton, output: Path) -> int:
    """Write YOLO-pose into a folder, labels/*.txt and data.yaml; returns how many boxes were made."""
    import yaml

    made = 0
    places = label_places(found.sizes)
    for name, size in found.sizes.items():
        lines = []
        for person in found.people.get(name, []):
            made += person.box is None
            x, y, w, h = box_of(person, size)
            box = np.array([x + w / 2, y + h / 2, w, h]) / [*size, *size]
            joints = person.joints / [*size, 1]
            numbers = [f"{v:.6f}" for v in box]
            numbers += [f"{v:.6f}" if i < 2 else f"{int(v)}" for row in joints for i, v in enumerate(row)]
            lines.append(" ".join(["0", *numbers]))
        write_text(output / "labels" / places[name], "".join(line + "\n" for line in lines))
    content = {"path": ".", "train": "images", "val": "images", "names": {0: "person"},
               "kpt_shape": [len(skeleton.joints), 3], "flip_idx": skeleton.flip_order.tolist()}  # fmt: skip
    write_text(output / "data.yaml", yaml.safe_dump(content, sort_keys=False))
    return made


def label_places(names: Iterable[str]) -> dict[str, PurePosixPath]:
    """Return the file of each picture's labels within their folder, whatever its name leads out of.

    Raises:
        UserError: two pictures, such as a.jpg and a.png, would have one file of labels.
    """
    places: dict[str, PurePosixPath] = {}
    taken: dict[PurePosixPath, str] = {}
    for name in names:
        parts = [each for each in PurePosixPath(name.replace("\\", "/")).parts if each not in ("/", "..")]
        place = PurePosixPath(*parts[:-1], PurePosixPath(parts[-1] if parts else "picture").stem + ".txt")
        if place in taken:
            raise UserError(
                f"{name} and {taken[place]}: YOLO names labels by the picture without its ending, and both "
                f"would have {place}; rename one"
            )
        places[name] = place
        taken[place] = name
    return places


def box_of(person: Person, size: tuple[int, int]) -> np.ndarray:
    """Return a person's box, or one around the joints, [4], cut to the picture."""
    if person.box is not None:
        return person.box
    there = person.joints[person.joints[:, 2] > 0, :2]
    low, high = there.min(axis=0), there.max(axis=0)
    room = MARGIN * max((high - low).max(), 1)
    low, high = np.maximum(low - room, 0), np.minimum(high + room, size)
    return np.concatenate([low, high - low])
