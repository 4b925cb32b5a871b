"""The picture being drawn, and beside it the map of who owns each pixel."""

from dataclasses import dataclass, field

import cv2
import numpy as np

Color = tuple[int, int, int]

SHIFT = 4  # OpenCV takes sub-pixel coordinates as integers with this many fractional bits
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)


@dataclass(frozen=True)
class Cloth:
    """A colour, and perhaps a second one in a pattern with the given period in pixels.

    Patterns: plain, stripes (across the limb), pinstripes (along it), checks, dots.
    """

    color: Color
    pattern: str = "plain"
    second: Color = (0, 0, 0)
    period: float = 8.0


@dataclass
class Canvas:
    """An RGB picture uint8 [H, W, 3] and the label of the frontmost part uint8 [H, W]; 0 is the background.

    Pixel centres have whole coordinates. `corners` collects the outlines drawn since it was last emptied.
    """

    image: np.ndarray
    labels: np.ndarray
    corners: list[np.ndarray] = field(default_factory=list)

    def fill(self, outline: np.ndarray, color: Color, label: int | None = None) -> None:
        """Fill a convex outline (float [n, 2], pixels); a label also takes over the labels there."""
        fixed = np.rint(outline * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(self.image, fixed, color, cv2.LINE_AA, SHIFT)
        if label is not None:
            cv2.fillConvexPoly(self.labels, fixed, label, cv2.LINE_8, SHIFT)
            self.corners.append(outline)

    def fill_cloth(
        self, outline: np.ndarray, cloth: Cloth, axis: np.ndarray, label: int | None = None
    ) -> None:
        """Fill a convex outline with cloth whose stripes lie across `axis` (float [2], unit length)."""
        self.fill(outline, cloth.color, label)
        if cloth.pattern == "plain":
            return
        height, width = self.labels.shape
        (left, top), (right, bottom) = outline.min(0), outline.max(0)
        x0, y0 = max(0, int(left)), max(0, int(top))
        x1, y1 = min(width, int(right) + 2), min(height, int(bottom) + 2)
        if x0 >= x1 or y0 >= y1:
            return
        inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
        fixed = np.rint((outline - [x0, y0]) * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(inside, fixed, 255, cv2.LINE_AA, SHIFT)
        center = outline.mean(0)
        x = np.arange(x0, x1, dtype=np.float32) - np.float32(center[0])
        y = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(center[1])
        turn = np.float32(2 * np.pi / cloth.period)
        along = (x * np.float32(axis[0]) + y * np.float32(axis[1])) * turn
        across = (x * np.float32(-axis[1]) + y * np.float32(axis[0])) * turn
        if cloth.pattern == "stripes":
            wave = np.sin(along)
        elif cloth.pattern == "pinstripes":
            wave = np.sin(across) - 0.4
        elif cloth.pattern == "checks":
            wave = np.sin(along) * np.sin(across)
        else:  # dots
            wave = np.cos(along) + np.cos(across) - 0.9
        share = np.clip(wave * 3 + 0.5, 0, 1) * (inside * np.float32(1 / 255))
        patch = self.image[y0:y1, x0:x1]
        patch[:] = patch + (np.array(cloth.second, np.float32) - patch) * share[..., None]

    def line(self, start: np.ndarray, end: np.ndarray, color: Color, thickness: int) -> None:
        """Draw a line that leaves the labels alone."""
        a, b = (tuple(int(round(v * (1 << SHIFT))) for v in point) for point in (start, end))
        cv2.line(self.image, a, b, color, thickness, cv2.LINE_AA, SHIFT)


def around(points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the convex outline float32 [n, 2] around circles at `points` [k, 2] with `radii` [k]."""
    rims = points[:, None, :] + radii[:, None, None] * CIRCLE
    return cv2.convexHull(rims.reshape(-1, 2).astype(np.float32))[:, 0]


def pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """Draw one of the names, each as often as its share of the sum says."""
    at = rng.random() * sum(shares.values())
    *others, last = shares
    for name in others:
        at -= shares[name]
        if at < 0:
            return name
    return last


def shade(color: Color, gain: float) -> Color:
    """Return the colour made lighter (gain above 1) or darker."""
    return tuple(min(255, int(c * gain)) for c in color)  # type: ignore[return-value]
