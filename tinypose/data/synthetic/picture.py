"""One picture of the synthetic set: who stands where, drawn back to front, and the truth about it."""

from dataclasses import dataclass

import numpy as np

from tinypose.data.synthetic import person, scene
from tinypose.data.synthetic.canvas import Canvas
from tinypose.data.synthetic.look import sample_look
from tinypose.data.synthetic.person import JOINTS, PARTS, Camera
from tinypose.data.synthetic.pose import Posed, sample_body, sample_posed

VERSION = 1  # of the pictures: raise it with any change that draws other pixels or tells another truth
LEAST_SEEN = 0.2  # of a silhouette inside the picture; of somebody less visible no joints are told


@dataclass(frozen=True)
class Person:
    """The truth about one person of a picture."""

    joints: np.ndarray  # float64 [17, 3]: x, y in pixels and 0 (outside), 1 (hidden) or 2 (visible)
    box: tuple[float, float, float, float]  # x, y, width, height of the silhouette inside the picture
    area: int  # pixels of it that are seen


@dataclass(frozen=True)
class Picture:
    """A picture uint8 RGB [H, W, 3], the label of each pixel uint8 [H, W], and the people, farthest first."""

    image: np.ndarray
    labels: np.ndarray
    people: list[Person]


def draw_picture(
    seed: int,
    index: int,
    size: tuple[int, int] = (320, 320),
    people: tuple[int, int] = (1, 5),
    yaw: float | None = None,
) -> Picture:
    """Draw picture `index` of the set of `seed`; it depends on no other picture.

    Args:
        seed: of the set.
        index: of the picture, from 0.
        size: width and height, pixels.
        people: fewest and most people.
        yaw: turns everybody this way, degrees, 0 facing the camera; none: each drawn.

    Returns:
        The picture. Label 0 is background, 255 a thing; person i (in the order of `people`) has
        1 + i * len(PARTS) and the labels that follow, one a part.
    """
    rng = np.random.default_rng(np.random.SeedSequence([VERSION, seed], spawn_key=(index,)))
    width, height = size
    canvas = Canvas(scene.background(rng, width, height), np.zeros((height, width), np.uint8))
    light = rng.uniform(0.15, 0.85) * np.pi
    count = int(rng.integers(people[0], people[1] + 1))
    scales = np.sort(_heights(rng, count)) * height
    taken: list[np.ndarray] = []
    drawn = []
    for number, scale in enumerate(scales):
        first = 1 + number * len(PARTS)
        body = sample_body(rng)
        posed = sample_posed(rng, body, yaw)
        camera = _place(rng, posed.points, float(scale), size, taken)
        if rng.random() < 0.5:
            flat = camera.project(np.stack(list(posed.points.values())))
            scene.draw_shadow(canvas, flat[flat[:, 1].argmax()], 0.2 * scale)
        canvas.corners.clear()
        person.draw_person(canvas, body, posed, sample_look(rng, float(scale)), camera, first, light)
        outline = np.concatenate(canvas.corners)
        box = clipped(outline, width, height)
        alone = int(np.count_nonzero(owned(canvas.labels, first)))  # before anything comes in front
        drawn.append((first, posed, camera, box, alone))
        if rng.random() < 0.22:
            scene.draw_object(rng, canvas, np.array(box))
    truth = [tell_truth(canvas.labels, *each) for each in drawn]
    return Picture(scene.photograph(rng, canvas.image), canvas.labels, truth)


def _heights(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw how tall people are, in heights of the picture: one alone fills more of it, some do not fit."""
    if count == 1:
        heights = rng.uniform(0.5, 0.95, 1)
    else:
        heights = rng.uniform(0.38, 0.68, 1) * rng.uniform(0.75, 1.3, count)
    return np.where(rng.random(count) < 0.1, heights * rng.uniform(1.3, 2.0, count), heights)


def _place(
    rng: np.random.Generator, points: dict[str, np.ndarray], scale: float, size: tuple[int, int], taken: list
) -> Camera:
    """Find a place for somebody: mostly inside the picture, and not just in front of somebody else."""
    camera = Camera(scale, np.zeros(2), rng.uniform(0.05, 0.28))
    flat = camera.project(np.stack(list(points.values())))
    low, high = flat.min(0) - 0.05 * scale, flat.max(0) + 0.05 * scale
    room = np.array(size) - (high - low)
    for _ in range(6):
        spare = np.where(room > 0, room, 0.5 * room)
        corner = np.where(room > 0, 0, 0.25 * room) + rng.random(2) * spare
        if rng.random() < 0.08:
            corner = corner + rng.normal(0, 0.15 * scale, 2)
        box = np.concatenate([corner, corner + high - low])
        if all(_overlap(box, other) < 0.4 for other in taken):
            break
    taken.append(box)
    return Camera(scale, corner - low, camera.nearness)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of the smaller box that the other covers."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(np.prod(np.maximum(sides, 0)) / smaller)


def clipped(outline: np.ndarray, width: int, height: int) -> tuple[float, float, float, float]:
    """Return the part of an outline's box that lies in the picture: x, y, width, height in pixels."""
    low = np.clip(np.floor(outline.min(0)), 0, (width, height))
    high = np.clip(np.ceil(outline.max(0)) + 1, 0, (width, height))
    return (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def owned(labels: np.ndarray, first: int) -> np.ndarray:
    """Return bool [H, W]: the pixels of the person whose first label is `first`."""
    return (labels >= first) & (labels < first + len(PARTS))


def tell_truth(
    labels: np.ndarray, first: int, posed: Posed, camera: Camera, box: tuple, alone: int
) -> Person:
    """Look up in the finished labels what of a person can be seen."""
    height, width = labels.shape
    area = int(np.count_nonzero(owned(labels, first)))
    joints = np.zeros((len(JOINTS), 3))
    if area >= LEAST_SEEN * alone and area > 0:
        flat = camera.project(np.stack([posed.points[name] for name in JOINTS])).tolist()
        for index, (name, (x, y)) in enumerate(zip(JOINTS, flat, strict=True)):
            at = (round(x), round(y))
            if 0 <= at[0] < width and 0 <= at[1] < height:
                seen = person.visible(name, posed, labels, at, first)
                joints[index] = (min(max(x, 0), width - 1), min(max(y, 0), height - 1), 2 if seen else 1)
    return Person(joints, box, area)
