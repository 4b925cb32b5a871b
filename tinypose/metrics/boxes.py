"""Run a detector over annotated pictures, and measure its boxes as COCO does."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.config import DatasetConfig
from tinypose.data.annotations import Annotations, Category, read_coco
from tinypose.data.coco import PERSON
from tinypose.detection.detector import Detector
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.metrics.coco_eval import paired, summary


def detect_all(
    detector: Detector,
    annotations: str | Path,
    images: str | Path,
    track: Callable[[Iterable], Iterable] = iter,
    category: Category = None,
) -> list[dict[str, Any]]:
    """Find the people in every picture of an annotation file.

    Args:
        detector: what finds them.
        annotations: COCO's JSON; only its pictures are looked at.
        images: the folder that its file names start at.
        track: wraps the loop over pictures, for a progress bar.
        category: of the people in the file; see `tinypose.data.annotations.choose`.

    Returns:
        COCO's results: a list of {image_id, category_id, bbox, score}.

    Raises:
        UserError: the file is not COCO's, or a picture is missing or unreadable.
    """
    return detect_pictures(detector, read_coco(annotations, None, category), images, track)


def detect_pictures(
    detector: Detector,
    source: Annotations,
    images: str | Path,
    track: Callable[[Iterable], Iterable] = iter,
    batch: int = 1,
) -> list[dict[str, Any]]:
    """Find the people in pictures, `batch` of them at once; see `detect_all`."""
    # The number of people where the file has one of its own for them.
    number = PERSON if PERSON not in source.others else next(iter(source.chosen))
    pictures = list(source.images.values())
    results: list[dict[str, Any]] = []
    for start in track(range(0, len(pictures), batch)):
        part = pictures[start : start + batch]
        inputs = [detector.preprocess(read_image(Path(images) / each.file_name, each.size)) for each in part]
        outputs = detector.network(np.concatenate(inputs))
        for place, image in enumerate(part):
            found = detector.postprocess([each[place : place + 1] for each in outputs], *image.size)
            for box, score in zip(found.boxes, found.scores, strict=True):
                # Not rounded: a hundredth of a pixel is seen in the AP of a small set.
                bbox = [float(value) for value in box]
                results.append(
                    {"image_id": image.image_id, "category_id": number, "bbox": bbox, "score": float(score)}
                )
    return results


def annotated_boxes(data: DatasetConfig | None) -> DatasetConfig:
    """Return a set to measure boxes on.

    Raises:
        UserError: it is not set, or of a format without boxes of everybody.
    """
    if data is None:
        raise UserError("data.val: not set; give -o data.val.annotations=FILE -o data.val.images=FOLDER")
    if data.format == "mpii":
        raise UserError(f"{data.annotations}: MPII's format has no boxes of everybody; expected COCO's")
    return data


def box_truth(source: Annotations) -> dict[str, Any]:
    """Return everyone annotated in COCO's form, with keypoints or without, of category 1."""
    people = [
        {
            "id": number,
            "image_id": entry.image_id,
            "category_id": PERSON,
            "iscrowd": int(entry.crowd),
            "bbox": entry.box.tolist(),
            "area": entry.area or float(entry.box[2] * entry.box[3]),
        }
        for number, entry in enumerate(source.entries, start=1)
        if source.counts(entry) and entry.box is not None
    ]
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in source.images],
        "annotations": people,
        "categories": [{"id": PERSON, "name": "person"}],
    }


def box_ap(
    annotations: str | Path, results: list[dict[str, Any]], category: Category = None
) -> dict[str, float]:
    """Measure person boxes as COCO does: everyone annotated counts, with keypoints or without.

    Args:
        annotations: COCO's JSON.
        results: COCO's results (`detect_all`).
        category: of the people in the file; see `tinypose.data.annotations.choose`.

    Returns:
        AP, AP50, AP75, APS, APM, APL and AR (100 boxes a picture), 0 to 1; -1 where nobody is that size.

    Raises:
        UserError: the file is not COCO's.
    """
    truth = box_truth(read_coco(annotations, None, category))
    names = ("AP", "AP50", "AP75", "APS", "APM", "APL")
    if not results:
        return dict.fromkeys((*names, "AR"), 0.0)
    found = [{**each, "category_id": PERSON} for each in results]
    numbers = summary(paired(truth, found, "bbox"))
    return {**dict(zip(names, numbers[:6].tolist(), strict=True)), "AR": float(numbers[8])}
