"""One drawn video: people who walk to and fro before a background that stays, and hide one another.

Everybody keeps body, clothes and gait; who it is is known in each frame.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinypose.data.synthetic import person, scene
from tinypose.data.synthetic.canvas import Canvas, pick
from tinypose.data.synthetic.look import Look, sample_look
from tinypose.data.synthetic.person import PARTS, Camera
from tinypose.data.synthetic.picture import Person, clipped, owned, tell_truth
from tinypose.data.synthetic.pose import Body, sample_body, walking_posed

VERSION = 1  # of the videos: raise it with any change that draws other pixels or tells another truth
SMALLEST = (4, 8)  # pixels, width and height of who still counts as being in the picture
TURN = 0.5  # seconds that turning round takes


@dataclass(frozen=True)
class Seen:
    """Somebody in a frame: number from 1, the truth, and which share of the silhouette can be seen."""

    number: int
    truth: Person
    visible: float


@dataclass(frozen=True)
class Drawn:
    """A frame: picture uint8 RGB [H, W, 3], its time in seconds, and who is in it, farthest first."""

    image: np.ndarray
    time: float
    people: list[Seen]


@dataclass(frozen=True)
class Walker:
    """Somebody who walks to and fro between two places, or stands.

    Attributes:
        legs: `stand`, `walk` or `run`.
        scale: pixels a height.
        ground: pixels from the top, where the feet are.
        ends: pixels from the left, between which the walk goes.
        speed: pixels a second.
        start: how far along the way to and fro, in parts of it, at the first frame.
        yaw: degrees, of somebody who stands.
        way: seed of the gait.
    """

    body: Body
    look: Look
    legs: str
    scale: float
    ground: float
    ends: tuple[float, float]
    speed: float
    start: float
    yaw: float
    way: int

    def at(self, time: float) -> tuple[float, float, float]:
        """Return x in pixels, yaw in degrees and phase of the stride in radians at a time in seconds."""
        if self.legs == "stand":
            return self.ends[0], self.yaw + 12 * math.sin(1.3 * time + self.start * 6), 0.0
        length = self.ends[1] - self.ends[0]
        gone = self.start * 2 * length + self.speed * time
        along = gone % (2 * length)
        x = self.ends[0] + (along if along < length else 2 * length - along)
        # Towards the camera on the way round, over the time that turning takes.
        near = min(along, length - along if along < length else along - length, 2 * length - along)
        turned = min(1.0, near / (self.speed * TURN / 2))
        yaw = 90 * turned * (1 if along < length else -1)
        stride = 0.75 if self.legs == "walk" else 1.1  # heights, of a step with each leg
        return x, yaw, 2 * math.pi * gone / (stride * self.scale)


def draw_video(
    seed: int, index: int, size: tuple[int, int], people: tuple[int, int], seconds: float, rate: float
) -> Iterator[Drawn]:
    """Yield the frames of video `index` of the set of `seed`; it depends on no other video.

    Args:
        seed: of the set.
        index: of the video, from 0.
        size: width and height, pixels.
        people: fewest and most people.
        seconds: how long it lasts.
        rate: frames a second.
    """
    rng = np.random.default_rng(np.random.SeedSequence([VERSION, seed, 1], spawn_key=(index,)))
    background = scene.background(rng, *size)
    light = rng.uniform(0.15, 0.85) * np.pi
    count = int(rng.integers(people[0], people[1] + 1))
    walkers = sorted((_walker(rng, size) for _ in range(count)), key=lambda each: each.ground)
    camera, thing = (int(value) for value in rng.integers(0, 2**31, 2))
    in_front = rng.random() < 0.3
    for number in range(round(seconds * rate)):
        time = number / rate
        canvas = Canvas(background.copy(), np.zeros(size[::-1], np.uint8))
        drawn = []
        for place, walker in enumerate(walkers):
            drawn.append(_draw(canvas, walker, 1 + place * len(PARTS), time, light))
        if in_front:
            low = np.array([size[0] * 0.3, size[1] * 0.35, size[0] * 0.3, size[1] * 0.6])
            scene.draw_object(np.random.default_rng(thing), canvas, low)
        seen = []
        for place, (first, posed, view, box, alone) in enumerate(drawn, start=1):
            if box[2] < SMALLEST[0] or box[3] < SMALLEST[1]:
                continue
            truth = tell_truth(canvas.labels, first, posed, view, box, alone)
            seen.append(Seen(place, truth, truth.area / max(alone, 1)))
        # The same light, blur and grain in each frame, as of one camera that stands still.
        yield Drawn(scene.photograph(np.random.default_rng(camera), canvas.image), time, seen)


def _walker(rng: np.random.Generator, size: tuple[int, int]) -> Walker:
    width, height = size
    depth = rng.random()
    body = sample_body(rng)
    scale = height * (0.42 + 0.16 * depth) * rng.uniform(0.95, 1.05)
    legs = pick(rng, {"walk": 0.75, "stand": 0.15, "run": 0.1})
    pace = rng.uniform(1.3, 2.0) if legs == "run" else rng.uniform(0.45, 1.0)  # heights a second
    left, right = width * rng.uniform(-0.15, 0.3), width * rng.uniform(0.7, 1.15)
    if legs == "stand":
        left = right = width * rng.uniform(0.1, 0.9)
    return Walker(
        body=body,
        look=sample_look(rng, float(scale)),
        legs=legs,
        scale=float(scale),
        ground=height * (0.72 + 0.22 * depth),
        ends=(float(left), float(right)),
        speed=float(pace * scale),
        start=float(rng.random()),
        yaw=float(rng.normal(0, 50)),
        way=int(rng.integers(0, 2**31)),
    )


def _draw(canvas: Canvas, walker: Walker, first: int, time: float, light: float) -> tuple:
    """Draw somebody; return what `tell_truth` needs to know later."""
    x, yaw, phase = walker.at(time)
    posed = walking_posed(np.random.default_rng(walker.way), walker.body, walker.legs, yaw, phase)
    hip = walker.ground - walker.scale * (walker.body.thigh + walker.body.shin)
    view = Camera(walker.scale, np.array([x, hip]), 0.1)
    flat = view.project(np.stack(list(posed.points.values())))
    scene.draw_shadow(canvas, np.array([x, flat[:, 1].max()]), 0.2 * walker.scale)
    canvas.corners.clear()
    person.draw_person(canvas, walker.body, posed, walker.look, view, first, light)
    height, width = canvas.labels.shape
    box = clipped(np.concatenate(canvas.corners), width, height)
    return first, posed, view, box, int(np.count_nonzero(owned(canvas.labels, first)))
