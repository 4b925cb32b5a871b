"""CrowdPose's measure: average precision of easy, medium and hard pictures (Li et al., CVPR 2019).

Its annotation files are in COCO's format; each picture has a `crowdIndex` between 0 and 1 besides. The
paper's text parts easy from medium at 0.1; its code, which published tables come from, at 0.2. That code
also takes 0.53 of the box as a person's area, whatever the file says.
"""

from typing import Any

from tinypose.data.coco import AREA_OF_BOX, PeopleSet, ground_truth
from tinypose.errors import UserError
from tinypose.metrics.coco_eval import coco_ap
from tinypose.skeleton import Skeleton

LEVELS = {"AP easy": (0.0, 0.2), "AP medium": (0.2, 0.8), "AP hard": (0.8, 1.1)}  # from the first, below


def crowdpose_truth(people: PeopleSet) -> dict[str, Any]:
    """Return what `coco_ap` measures against, with people's areas as CrowdPose takes them."""
    truth = ground_truth(people)
    for entry in truth["annotations"]:
        entry["area"] = AREA_OF_BOX * entry["bbox"][2] * entry["bbox"][3]
    return truth


def crowdpose_ap(
    people: PeopleSet, results: list[dict[str, Any]], skeleton: Skeleton
) -> dict[str, float | None]:
    """Compute COCO's metrics, and AP by how crowded pictures are.

    Args:
        people: the set that was predicted on.
        results: COCO's results format.
        skeleton: sigmas.

    Returns:
        COCO's metrics and `LEVELS`, in percent; None for a level without anybody.

    Raises:
        UserError: pictures without a `crowdIndex`.
    """
    assert people.source is not None, "a set in COCO's form"
    crowding = {}
    for image in people.source.images.values():
        if image.crowding is None:
            raise UserError(
                f"{people.annotations}: image {image.image_id}: crowdIndex: expected a number from 0 to 1, "
                "found none; with data.val.format=coco it is not needed"
            )
        crowding[image.image_id] = image.crowding
    truth = crowdpose_truth(people)
    metrics = coco_ap(truth, results, skeleton.sigmas)
    for name, (least, below) in LEVELS.items():
        chosen = {i for i, index in crowding.items() if least <= index < below}
        part = {
            **truth,
            "images": [each for each in truth["images"] if each["id"] in chosen],
            "annotations": [each for each in truth["annotations"] if each["image_id"] in chosen],
        }
        found = [each for each in results if each["image_id"] in chosen]
        metrics[name] = coco_ap(part, found, skeleton.sigmas)["AP"] if part["annotations"] else None
    return metrics
