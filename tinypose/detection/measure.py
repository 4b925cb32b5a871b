"""Run a detector over annotated pictures, and measure its boxes as COCO does."""

import contextlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.coco import person_categories, read_annotations
from tinypose.detection.detector import Boxes
from tinypose.errors import UserError
from tinypose.images import read_image

PERSON = 1  # COCO's category


def detect_all(
    detect: Callable[[np.ndarray], Boxes],
    annotations: str | Path,
    images: str | Path,
    track: Callable[[Iterable], Iterable] = iter,
) -> list[dict[str, Any]]:
    """Find the people in every picture of an annotation file.

    Args:
        detect: turns a picture, uint8 RGB [H, W, 3], into boxes.
        annotations: COCO's JSON; only its list of pictures is read.
        images: the folder that its file names start at.
        track: wraps the loop over pictures, for a progress bar.

    Returns:
        COCO's results: a list of {image_id, category_id, bbox, score}.

    Raises:
        UserError: the file is not COCO's, or a picture is missing or unreadable.
    """
    results: list[dict[str, Any]] = []
    for number, entry in enumerate(track(read_annotations(annotations)["images"])):
        if not isinstance(entry, dict) or not {"id", "file_name", "width", "height"} <= entry.keys():
            raise UserError(
                f"{annotations}: images[{number}]: expected an object with id, file_name, width and height"
            )
        found = detect(read_image(Path(images) / entry["file_name"], (entry["width"], entry["height"])))
        for box, score in zip(found.boxes, found.scores, strict=True):
            # Not rounded: a hundredth of a pixel is seen in the AP of a small set.
            bbox = [float(value) for value in box]
            results.append(
                {"image_id": entry["id"], "category_id": PERSON, "bbox": bbox, "score": float(score)}
            )
    return results


def box_ap(annotations: str | Path, results: list[dict[str, Any]]) -> dict[str, float]:
    """Measure person boxes as COCO does: everyone annotated counts, with keypoints or without.

    Args:
        annotations: COCO's JSON.
        results: COCO's results (`detect_all`), in category 1.

    Returns:
        AP, AP50, AP75, APS, APM, APL and AR (100 boxes a picture), 0 to 1; -1 where nobody is that size.

    Raises:
        UserError: the file is not COCO's.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content = read_annotations(annotations)
    categories = person_categories(content)
    people = [
        {**entry, "category_id": PERSON}
        for entry in content["annotations"]
        if entry.get("category_id", min(categories)) in categories
    ]
    names = ("AP", "AP50", "AP75", "APS", "APM", "APL")
    if not results:
        return dict.fromkeys((*names, "AR"), 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports every step
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": entry["id"]} for entry in content["images"]],
            "annotations": people,
            "categories": [{"id": PERSON, "name": "person"}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {**dict(zip(names, evaluation.stats[:6].tolist(), strict=True)), "AR": float(evaluation.stats[8])}
