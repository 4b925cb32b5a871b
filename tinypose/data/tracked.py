"""Whole pictures with people's boxes and who they are, to train FairMOT on.

As with people one by one (`tinypose.data.examples`), every draw is a function of (seed, epoch, place).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tinypose.codecs.centres import STRIDE, centre_targets, letterbox
from tinypose.config import DatasetConfig, LetterboxConfig
from tinypose.data.annotations import read_coco, read_top
from tinypose.data.examples import Batch, InBatches, stacked
from tinypose.data.tracks import read_tracks
from tinypose.detection.config import FairMOTDetectorConfig, TrackedConfig
from tinypose.detection.detector import GREY, fit_whole
from tinypose.errors import UserError
from tinypose.images import picture_size, read_image

MOST = 500  # boxes of a picture that count, as published
NOBODY = -1  # identity of somebody who is not told apart
SMALLEST, KEPT, LONGEST = 4, 0.1, 10  # of a varied box: pixels a side, share of its area, ratio of sides


@dataclass(frozen=True)
class TrackedPicture:
    """A picture, its people's boxes float32 [P, 4], left to height in pixels, and who they are, int64 [P]."""

    image_id: int | str
    path: Path
    size: tuple[int, int]
    boxes: np.ndarray
    identities: np.ndarray
    annotation_id: None = None  # of all people together there is none


@dataclass(frozen=True)
class TrackedSet(InBatches):
    """Pictures, and how they become batches. Only plain values, so that it passes between processes.

    Attributes:
        people: the pictures, as of `tinypose.data.whole.WholeSet`.
        identities: how many people are told apart.
        settings: of the network's input.
        vary: how pictures vary; None: not at all.
        seed: of every draw.
        batch_size: pictures a batch, of all processes together.
    """

    people: Sequence[TrackedPicture]
    identities: int
    settings: LetterboxConfig
    vary: TrackedConfig | None
    seed: int
    batch_size: int

    @property
    def most(self) -> int:
        """Places for boxes in a picture's targets: the same in all batches, so that a graph stays one."""
        greatest = max(len(each.boxes) for each in self.people)
        return min(MOST, -(-greatest // 16) * 16)

    def digest(self) -> dict[str, Any]:
        """Return what tells one set from another: how many pictures, and a checksum of what is known."""
        total = hashlib.sha256()
        for each in self.people:
            total.update(json.dumps([str(each.image_id), each.path.name]).encode())
            total.update(each.boxes.tobytes() + each.identities.tobytes())
        return {"count": len(self.people), "sha256": total.hexdigest()}


def load_tracked(
    datasets: Sequence[DatasetConfig], config: FairMOTDetectorConfig
) -> tuple[TrackedSet, list[str]]:
    """Load sets to train on as one; the identities of each are counted on from those before.

    A person is who has the same `track_id` (or `instance_id`) in the same video. Where there is neither, as
    in sets for detection, people are found and not told apart. Crowds are left out.

    Returns:
        The set, and a line about each of the sets in it.

    Raises:
        UserError: a file that cannot be used, or sets in which there are not two people to tell apart.
    """
    pictures: list[TrackedPicture] = []
    known: dict[tuple, int] = {}
    lines = []
    for number, dataset in enumerate(datasets):
        before = len(known)
        loaded = _load(dataset, number, known)
        pictures += loaded
        boxes = sum(len(each.boxes) for each in loaded)
        lines.append(
            f"{Path(dataset.annotations).name}: {len(loaded)} pictures, {boxes} boxes, "
            f"{len(known) - before} people to tell apart"
        )
    if len(known) < 2:
        raise UserError(
            f"{datasets[0].annotations}: nobody to tell apart: expected a `track_id` of people in videos, as "
            "`tinypose synth --video` writes it"
        )
    train = config.train
    batch_size = min(train.batch_size, len(pictures))
    tracked = TrackedSet(pictures, len(known), config.input, config.augment, train.seed, batch_size)
    return tracked, lines


def _load(dataset: DatasetConfig, number: int, known: dict[tuple, int]) -> list[TrackedPicture]:
    if dataset.format == "mot":
        return _load_mot(dataset, number, known)
    if dataset.format != "coco":
        raise UserError(f"{dataset.annotations}: format: expected coco or mot, found {dataset.format}")
    source = read_coco(dataset.annotations, None, dataset.category)
    content = read_top(dataset.annotations)
    video_of = {each["id"]: each.get("video_id", each.get("vid_id")) for each in content["images"]}
    boxes: dict[int | str, list[np.ndarray]] = {}
    identities: dict[int | str, list[int]] = {}
    for entry, raw in zip(source.entries, content["annotations"], strict=True):
        if not source.counts(entry) or entry.crowd or entry.box is None or entry.box[2:].min() <= 0:
            continue
        track = raw.get("track_id", raw.get("instance_id"))
        identity = NOBODY
        if track is not None:
            if not isinstance(track, int | str):
                raise UserError(f"{entry.where}: track_id: expected a number, found {track!r:.40}")
            identity = known.setdefault((number, video_of[entry.image_id], track), len(known))
        boxes.setdefault(entry.image_id, []).append(entry.box)
        identities.setdefault(entry.image_id, []).append(identity)
    pictures = []
    for image_id, found in boxes.items():
        image = source.images[image_id]
        path = Path(dataset.images) / image.file_name
        if not path.is_file():
            raise UserError(f"{path}: no such picture, and {dataset.annotations} speaks of it")
        who = np.array(identities[image_id], np.int64)
        pictures.append(TrackedPicture(image_id, path, image.size, np.float32(found), who))
    if not pictures:
        raise UserError(f"{dataset.annotations}: no picture with a person's box")
    return pictures


def _load_mot(dataset: DatasetConfig, number: int, known: dict[tuple, int]) -> list[TrackedPicture]:
    """Load the MOT challenge's sequences: `annotations` has NAME/gt/gt.txt, `images` NAME/img1/000001.jpg."""
    pictures = []
    for name, tracks in read_tracks(dataset.annotations, truth=True).items():
        folder = Path(dataset.images) / name / "img1"
        for frame in np.unique(tracks.frames[tracks.counts]):
            here = (tracks.frames == frame) & tracks.counts & (tracks.boxes[:, 2:].min(axis=1) > 0)
            who = [known.setdefault((number, name, int(each)), len(known)) for each in tracks.ids[here]]
            path = folder / f"{frame + 1:06d}.jpg"
            if not path.is_file():
                raise UserError(f"{path}: no such picture, and {dataset.annotations} speaks of it")
            boxes = tracks.boxes[here].astype(np.float32)
            size = picture_size(path)
            pictures.append(TrackedPicture(f"{name}/{frame + 1}", path, size, boxes, np.array(who, np.int64)))
    return [each for each in pictures if len(each.boxes)]


def make_tracked_batch(pictures: TrackedSet, epoch: int, numbers: np.ndarray, step: int = 0) -> Batch:
    """Read, vary and encode the pictures with these numbers; see `tinypose.data.examples.make_batch`.

    The targets are heatmap [N, 1, h, w], and of K boxes a picture place, offset, size, there and identity, in
    the order of `tinypose.engine.fairmot_loss.TARGETS`.
    """
    images, targets = [], []
    for number in numbers:
        picture = pictures.people[number]
        rng = np.random.default_rng([pictures.seed, epoch, int(number)])
        image = read_image(picture.path, picture.size)
        image, boxes, who = see(image, picture, pictures.settings, pictures.vary, rng)
        images.append(image)
        targets.append(encode(boxes, who, pictures.settings, pictures.most))
    return stacked(numbers, epoch, step, images, targets, pictures.settings)


def see(
    image: np.ndarray,
    picture: TrackedPicture,
    settings: LetterboxConfig,
    vary: TrackedConfig | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring a picture and its boxes into the network's input, varied as FairMOT's training does.

    Returns:
        uint8 RGB [height, width, 3]; of those who are left corners float64 [P, 4] in input pixels, and
        identities int64 [P].
    """
    size = (settings.width, settings.height)
    if vary is not None and vary.color > 0:
        image = _recolour(image, vary.color, rng)
    seen = fit_whole(image, settings)
    ratio, inner, _ = letterbox(picture.size, size)
    border = (np.array(size) - inner) / 2
    corners = np.concatenate([picture.boxes[:, :2], picture.boxes[:, :2] + picture.boxes[:, 2:]], axis=1)
    corners = corners.astype(np.float64) * ratio + np.tile(border, 2)
    who = picture.identities
    if vary is None:
        return seen, corners, who
    matrix, turn = _affine(vary, size, rng)
    seen = cv2.warpAffine(seen, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)
    moved = _move(corners, matrix, turn)
    kept = _still_there(corners, moved)
    moved, who = moved[kept], who[kept]
    if rng.random() < vary.flip_chance:
        seen = np.ascontiguousarray(seen[:, ::-1])
        moved[:, [0, 2]] = size[0] - moved[:, [2, 0]]
    return seen, moved, who


def encode(
    corners: np.ndarray, who: np.ndarray, settings: LetterboxConfig, most: int
) -> tuple[np.ndarray, ...]:
    """Return the targets of one picture, with room for `most` boxes: see `make_tracked_batch`."""
    corners, who = corners[:most], who[:most]
    size = np.array([settings.width, settings.height])
    middle, sides = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate([middle / size, sides / size], axis=1)
    heatmap, places, offsets, distances = centre_targets(boxes, tuple((size // STRIDE).tolist()))
    count = len(places)
    place, identity = np.zeros(most, np.int64), np.full(most, NOBODY, np.int64)
    offset, reach, there = (np.zeros((most, each), np.float32) for each in (2, 4, 1))
    place[:count], offset[:count], reach[:count], there[:count], identity[:count] = (
        places, offsets, distances, 1, who
    )  # fmt: skip
    return heatmap, place, offset, reach, there[:, 0], identity


def _recolour(image: np.ndarray, bound: float, rng: np.random.Generator) -> np.ndarray:
    """Change saturation and value by factors within `bound` of 1."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    for channel in (1, 2):
        factor = 1 + rng.uniform(-bound, bound)
        hsv[..., channel] = cv2.convertScaleAbs(hsv[..., channel], alpha=factor)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _affine(vary: TrackedConfig, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Draw a turn, a scale, a shear and a shift about the middle: float64 [2, 3], and the turn in radians."""
    degrees, scale = rng.uniform(-vary.rotation, vary.rotation), rng.uniform(*vary.scale)
    turn = np.vstack([cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, scale), [0, 0, 1]])
    shear = np.eye(3)
    shear[0, 1], shear[1, 0] = np.tan(np.radians(rng.uniform(-vary.shear, vary.shear, 2)))
    shift = np.eye(3)
    shift[:2, 2] = rng.uniform(-vary.shift, vary.shift, 2) * size
    return (shear @ shift @ turn)[:2], float(np.radians(degrees))


def _move(corners: np.ndarray, matrix: np.ndarray, turn: float) -> np.ndarray:
    """Return the boxes around moved boxes, a little smaller the more they are turned."""
    points = corners[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    low, high = points.min(axis=1), points.max(axis=1)
    middle, half = (low + high) / 2, (high - low) / 2 * max(abs(np.sin(turn)), abs(np.cos(turn))) ** 0.5
    return np.concatenate([middle - half, middle + half], axis=1)


def _still_there(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which boxes are still of a size and shape to be found, bool [P]."""
    sides, old = after[:, 2:] - after[:, :2], before[:, 2:] - before[:, :2]
    ratio = np.maximum(sides[:, 0] / sides[:, 1], sides[:, 1] / sides[:, 0])
    area = sides.prod(axis=1) / np.maximum(old.prod(axis=1), 1e-9)
    return (sides.min(axis=1) > SMALLEST) & (area > KEPT) & (ratio < LONGEST)
