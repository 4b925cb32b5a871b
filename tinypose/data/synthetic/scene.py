"""What surrounds the people: backgrounds, things in front of them, and what a camera does to a picture."""

import cv2
import numpy as np

from tinypose.data.synthetic.canvas import Canvas, around, pick, shade
from tinypose.data.synthetic.person import OBJECT


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Draw a room, a street, a field or a mere texture, with clutter: uint8 RGB [height, width, 3]."""
    small = (width + 1) // 2, (height + 1) // 2  # soft as it is, half the size is enough
    kind = pick(rng, {"texture": 0.25, "room": 0.3, "outdoors": 0.3, "gradient": 0.15})
    if kind == "texture":
        image = _noise(rng, *small, int(rng.integers(2, 24)), rng.uniform(30, 120)) + _any(rng)
    elif kind == "gradient":
        corners = np.stack([_any(rng) for _ in range(4)]).reshape(2, 2, 3)
        image = cv2.resize(corners, small, interpolation=cv2.INTER_LINEAR)
    else:
        above, below = _any(rng), _any(rng)
        if kind == "outdoors":
            above = np.array([150, 180, 215], np.float32) + rng.normal(0, 35, 3).astype(np.float32)
            below = np.array([110, 125, 85], np.float32) + rng.normal(0, 35, 3).astype(np.float32)
        image = _noise(rng, *small, int(rng.integers(3, 30)), rng.uniform(5, 45))
        horizon = int(small[1] * rng.uniform(0.35, 0.8))
        image[:horizon] += above
        image[horizon:] += below
    pixels = cv2.convertScaleAbs(np.maximum(image, 0))
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    canvas = Canvas(pixels, np.zeros((height, width), np.uint8))
    for _ in range(int(rng.integers(0, 14))):
        _clutter(rng, canvas)
    if rng.random() < 0.3:  # out of focus
        return cv2.GaussianBlur(canvas.image, (0, 0), rng.uniform(0.8, 2.2))
    return canvas.image


def draw_object(rng: np.random.Generator, canvas: Canvas, box: np.ndarray) -> None:
    """Put a table, pole, crate, ball or bush in front of a person whose box is (x, y, width, height)."""
    x, y, w, h = box
    color = tuple(int(c) for c in _any(rng))
    kind = pick(rng, {"table": 0.25, "pole": 0.2, "crate": 0.25, "ball": 0.1, "bush": 0.2})
    at = np.array([x + w * rng.uniform(0.1, 0.9), y + h * rng.uniform(0.2, 0.9)])
    if kind == "table":
        top = y + h * rng.uniform(0.5, 0.85)
        span = w * rng.uniform(0.6, 1.6)
        thick = h * rng.uniform(0.03, 0.3)
        corners = [
            [at[0] - span, top],
            [at[0] + span, top],
            [at[0] + span, top + thick],
            [at[0] - span, top + thick],
        ]
        canvas.fill(np.array(corners), color, OBJECT)
        canvas.line(np.array(corners[0]), np.array(corners[1]), shade(color, 1.3), 2)
    elif kind == "pole":
        lean = rng.normal(0, h * 0.08)
        ends = np.array([[at[0] - lean, y - h * 0.4], [at[0] + lean, y + h * 1.2]])
        radius = h * rng.uniform(0.012, 0.035)
        canvas.fill(around(ends, np.full(2, radius)), color, OBJECT)
        canvas.fill(around(ends - [radius * 0.3, 0], np.full(2, radius * 0.4)), shade(color, 1.25))
    elif kind == "bush":
        for _ in range(12):
            spot = at + rng.normal(0, h * 0.09, 2)
            leaf = (int(rng.integers(20, 80)), int(rng.integers(60, 150)), int(rng.integers(20, 70)))
            canvas.fill(around(spot[None], np.array([h * rng.uniform(0.03, 0.08)])), leaf, OBJECT)
    elif kind == "ball":
        radius = h * rng.uniform(0.06, 0.14)
        canvas.fill(around(at[None], np.array([radius])), shade(color, 0.8), OBJECT)
        canvas.fill(around(at[None] - radius * 0.2, np.array([radius * 0.7])), color)
    else:
        half = np.array([w * rng.uniform(0.12, 0.4), h * rng.uniform(0.06, 0.2)])
        turn = rng.normal(0, 0.2)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ rotation.T + at
        canvas.fill(corners, color, OBJECT)
        canvas.line(corners[0], corners[1], shade(color, 1.3), 1)
        canvas.line((corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2, shade(color, 0.7), 2)


def draw_shadow(canvas: Canvas, at: np.ndarray, radius: float) -> None:
    """Darken the ground where somebody stands; the labels stay."""
    soft = np.zeros(canvas.labels.shape, np.uint8)
    center = tuple(int(v) for v in np.clip(at, -9999, 9999))
    cv2.ellipse(
        soft, center, (max(1, int(radius)), max(1, int(radius * 0.25))), 0, 0, 360, 110, -1, cv2.LINE_AA
    )
    x, y, w, h = cv2.boundingRect(soft)
    patch = canvas.image[y : y + h, x : x + w]
    patch -= (patch.astype(np.uint16) * soft[y : y + h, x : x + w, None] >> 8).astype(np.uint8)


def photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light the picture unevenly, and blur and grain it as cameras do: uint8 RGB in, uint8 RGB out."""
    height, width = image.shape[:2]
    if rng.random() < 0.15:
        factor = rng.uniform(0.35, 0.8)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4))
    elif rng.random() < 0.1:
        image = _shake(rng, image)
    # Brighter on one side than the other, and no lamp is quite white.
    light = rng.uniform(0.65, 1.2, (2, 2, 1)) * rng.uniform(0.8, 1.1) * rng.uniform(0.88, 1.12, 3)
    light = cv2.resize(np.uint8(light * 128), (width, height), interpolation=cv2.INTER_LINEAR)
    image = cv2.multiply(image, light, scale=1 / 128)
    if rng.random() < 0.6:
        grain = np.frombuffer(rng.bytes(height * width), np.uint8).reshape(height, width)
        strength = rng.uniform(1, 18)
        image = cv2.addWeighted(image, 1.0, cv2.merge([grain] * 3), strength / 128, -strength)
    return image


def _shake(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = [tuple(int(round(v)) for v in (length - 1) / 2 + sign * half) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _clutter(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw one thing of the background: a window, a trunk, a line, a blob, a limb-like bar."""
    height, width = canvas.labels.shape
    at = rng.uniform([0, 0], [width, height])
    size = rng.uniform(0.03, 0.3) * min(width, height)
    color = tuple(int(c) for c in _any(rng))
    kind = int(rng.integers(5))
    if kind == 0:
        half = size * rng.uniform(0.3, 1.2, 2)
        canvas.fill(at + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half, color)
        canvas.fill(
            at + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half * 0.85,
            shade(color, rng.uniform(0.6, 1.4)),
        )
    elif kind == 1:
        canvas.fill(around(at[None], np.array([size * 0.6])), color)
    elif kind == 2:
        canvas.line(at, at + rng.normal(0, size * 2, 2), color, int(rng.integers(1, 4)))
    elif kind == 3:
        canvas.fill(around(at + rng.normal(0, size, (3, 2)), rng.uniform(0.05, 0.3, 3) * size), color)
    else:
        ends = np.stack([at, at + rng.normal(0, size, 2)])
        canvas.fill(around(ends, rng.uniform(0.08, 0.25, 2) * size), color)


def _any(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour, rather grey than bright: float32 [3]."""
    return np.clip(rng.uniform(25, 215) + rng.normal(0, 26, 3), 0, 255).astype(np.float32)


def _noise(rng: np.random.Generator, width: int, height: int, cells: int, strength: float) -> np.ndarray:
    """Draw smooth noise of about `cells` bumps across, standard deviation about `strength` / 2."""
    coarse = rng.standard_normal((cells, cells, 3), dtype=np.float32)
    coarse = coarse * 0.3 + coarse.mean(-1, keepdims=True)
    return cv2.resize(coarse * np.float32(strength / 2), (width, height), interpolation=cv2.INTER_CUBIC)
