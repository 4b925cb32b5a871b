"""Whole pictures with everybody in them, to train bottom-up networks on.

As with people one by one (`tinypose.data.examples`), every draw is a function of (seed, epoch, place).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from tinypose.codecs import PeopleCodec
from tinypose.codecs.seen import Seen, View
from tinypose.config import DatasetConfig, InputConfig, WholeConfig
from tinypose.data.annotations import read_top
from tinypose.data.coco import PeopleSet, Person
from tinypose.data.examples import Batch, InBatches, stacked
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.skeleton import Skeleton
from tinypose.whole_picture import (
    WholeVariation,
    draw_variation,
    move_varied,
    render_mask,
    render_varied,
)


@dataclass(frozen=True)
class WholePicture:
    """A picture with its people.

    Attributes:
        image_id: number in the annotation file.
        path: where it is.
        size: width and height.
        people: those with annotated joints.
        unlabelled: COCO's segmentations (or boxes) of crowds and of people without annotated joints.
    """

    image_id: int | str
    path: Path
    size: tuple[int, int]
    people: tuple[Person, ...]
    unlabelled: tuple[Any, ...]
    annotation_id: None = None  # of all people together there is none

    def mask(self) -> np.ndarray:
        """Return bool [H, W]: False where there are people whose joints nobody has annotated."""
        width, height = self.size
        mask = np.ones((height, width), bool)
        for shape in self.unlabelled:
            mask &= ~drawn_shape(shape, width, height)
        return mask


def drawn_shape(shape: Any, width: int, height: int) -> np.ndarray:
    """Return bool [H, W] of a COCO segmentation (polygons, or runs) or a box [4]."""
    if isinstance(shape, dict):
        runs = coco_mask.frPyObjects(shape, height, width) if isinstance(shape["counts"], list) else shape
        return coco_mask.decode(runs).astype(bool)
    if isinstance(shape[0], list):
        if any(len(polygon) < 6 or len(polygon) % 2 for polygon in shape):
            raise ValueError("polygons have three points or more")
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(shape, height, width))).astype(bool)
    x, y, w, h = shape
    inside = np.zeros((height, width), bool)
    inside[max(int(y), 0) : max(int(np.ceil(y + h)), 0), max(int(x), 0) : max(int(np.ceil(x + w)), 0)] = True
    return inside


def gather_pictures(people: PeopleSet, dataset: DatasetConfig) -> list[WholePicture]:
    """Bring the people of a set together by picture; pictures without people are left out.

    Args:
        people: of `tinypose.data.merge.load_set`.
        dataset: where they come from. Of CrowdPose everybody counts as annotated, as published.

    Raises:
        UserError: an annotation whose segmentation and box cannot be used.
    """
    if dataset.format == "mpii":
        raise UserError(f"{dataset.annotations}: MPII annotates a few people of a picture; use COCO's format")
    by_picture: dict[int | str, list[Person]] = {}
    for person in people.people:
        by_picture.setdefault(person.image_id, []).append(person)
    unlabelled = {} if dataset.format == "crowdpose" else unlabelled_shapes(people)
    return [
        WholePicture(
            image_id=image_id,
            path=people.pictures[image_id].path,
            size=people.pictures[image_id].size,
            people=tuple(group),
            unlabelled=tuple(unlabelled.get(image_id, ())),
        )
        for image_id, group in by_picture.items()
    ]


def unlabelled_shapes(people: PeopleSet) -> dict[int | str, list[Any]]:
    """Return the segmentations of crowds and of people without joints, or their boxes, by picture."""
    shapes: dict[int | str, list[Any]] = {}
    found = read_top(people.annotations)["annotations"]
    for entry, raw in zip(people.source.entries, found, strict=True):
        if not people.source.counts(entry) or (entry.annotated and not entry.crowd):
            continue
        shape = raw.get("segmentation") or raw.get("bbox")
        try:
            drawn_shape(shape, *people.pictures[entry.image_id].size)
        except (TypeError, ValueError, KeyError, IndexError):
            raise UserError(
                f"{entry.where}: segmentation, bbox: expected COCO's polygons, runs or a box for people "
                f"without joints, found {shape!r:.60}"
            ) from None
        shapes.setdefault(entry.image_id, []).append(shape)
    return shapes


@dataclass(frozen=True)
class WholeSet(InBatches):
    """Pictures, and how they become batches. Only plain values, so that it passes between processes.

    Attributes:
        people: the pictures; a name that `TrainingSet` shares, as all that is asked is how many.
        skeleton: mirror order.
        settings: size of the square that is seen, and normalisation.
        codec: how people become what the network should give.
        vary: how pictures vary; None: not at all.
        seed: of every draw.
        batch_size: pictures a batch, of all processes together.
    """

    people: Sequence[WholePicture]
    skeleton: Skeleton
    settings: InputConfig
    codec: PeopleCodec
    vary: WholeConfig | None
    seed: int
    batch_size: int

    def digest(self) -> dict[str, Any]:
        """Return what tells one set from another: how many pictures, and a checksum of what is known."""
        total = hashlib.sha256()
        for picture in self.people:
            total.update(
                json.dumps([str(picture.image_id), picture.path.name, len(picture.unlabelled)]).encode()
            )
            for person in picture.people:
                total.update(np.asarray(person.box, np.float64).tobytes())
                total.update(np.asarray(person.joints, np.float32).tobytes())
        return {"count": len(self.people), "sha256": total.hexdigest()}


def make_whole_batch(pictures: WholeSet, epoch: int, numbers: np.ndarray, step: int = 0) -> Batch:
    """Read, vary and encode the pictures with these numbers; see `tinypose.data.examples.make_batch`."""
    images, targets = [], []
    for number in numbers:
        picture = pictures.people[number]
        variation = variation_of(pictures, epoch, int(number))
        image = read_image(picture.path, picture.size)
        images.append(render_varied(image, variation, pictures.settings.width))
        targets.append(pictures.codec.targets(seen(pictures, picture, variation)))
    return stacked(numbers, epoch, step, images, targets, pictures.settings)


def variation_of(pictures: WholeSet, epoch: int, number: int) -> WholeVariation:
    """Return how a picture is varied in an epoch: always the same for the same arguments."""
    if pictures.vary is None:
        return WholeVariation()
    rng = np.random.default_rng([pictures.seed, epoch, number])
    vary = pictures.vary
    size = pictures.people[number].size
    return draw_variation(rng, size, vary.scale, vary.rotation, vary.shift, vary.flip_chance)


def seen(pictures: WholeSet, picture: WholePicture, variation: WholeVariation) -> Seen:
    """Return a picture's people as they are seen at the resolutions of the network's maps."""
    order = pictures.skeleton.flip_order
    joints = np.stack([person.joints for person in picture.people]).astype(np.float64)
    mask = picture.mask()
    side = pictures.settings.width
    views = tuple(
        View(move_varied(joints, picture.size, variation, size, order), render_mask(mask, variation, size))
        for size in pictures.codec.map_sizes(side)
    )
    boxes = np.stack([person.box[2:] for person in picture.people])
    areas = np.array([person.area for person in picture.people])
    zoom = side / (min(picture.size) * variation.factor)
    return Seen(views, joints, boxes, areas, variation.factor, zoom)
