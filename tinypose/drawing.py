"""Skeletons drawn on pictures, and several pictures joined into one."""

from collections.abc import Sequence

import cv2
import numpy as np

from tinypose.skeleton import Skeleton

LINE = 0.012  # width of a limb, in sizes of the person
SHIFT = 4  # OpenCV takes sub-pixel coordinates as integers with this many fractional bits
FARTHEST = 30_000  # pixels; beyond it OpenCV's fixed-point coordinates overflow
FAINT = 0.05  # joints that score less are the heatmap's noise, and not drawn
WHITE = (255, 255, 255)
# Of boxes and ids: bright, so that black letters can be read on them.
PALETTE = (
    (255, 225, 0),
    (255, 80, 180),
    (70, 230, 90),
    (180, 130, 255),
    (0, 225, 225),
    (255, 130, 90),
    (200, 255, 140),
    (235, 200, 255),
)


def draw_people(
    image: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    threshold: float | Sequence[float] = 0.2,
    boxes: np.ndarray | None = None,
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> np.ndarray:
    """Draw people on a copy of a picture.

    A limb shows where both its joints score at least `threshold`. Joints that do are discs, those that
    score less are circles, under the limbs; those that score less than 0.05 (or than a lower threshold), or
    are not finite, are left out. The lines' width follows the size of each person: its box, or else the
    extent of its joints.

    Args:
        image: uint8 RGB [H, W, 3].
        keypoints: [N, J, 3]: x, y in pixels (whole numbers are pixel centres) and score.
        skeleton: names the joints, the limbs and their colours.
        threshold: what a joint must score to count as found; or one for each joint.
        boxes: [N, 4]: x, y, width, height in pixels; drawn too.
        colors: RGB of each box; none: white.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ValueError: an array has another shape or type than said above.
    """
    keypoints = np.asarray(keypoints, np.float64)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected a picture uint8 [H, W, 3], found {image.dtype} {list(image.shape)}")
    if keypoints.ndim != 3 or keypoints.shape[1:] != (len(skeleton.joints), 3):
        expected = f"[N, {len(skeleton.joints)}, 3]"
        raise ValueError(f"{skeleton.name}: expected keypoints {expected}, found {list(keypoints.shape)}")
    if boxes is not None and np.shape(boxes) != (len(keypoints), 4):
        raise ValueError(f"expected boxes [{len(keypoints)}, 4], found {list(np.shape(boxes))}")
    result = image.copy()
    for number, joints in enumerate(keypoints):
        box = None if boxes is None else np.asarray(boxes[number], np.float64)
        _draw_person(result, joints, skeleton, threshold, box, WHITE if colors is None else colors[number])
    return result


def label(
    image: np.ndarray,
    text: str,
    corner: tuple[float, float],
    scale: float,
    color: tuple[int, int, int] = WHITE,
    ground: tuple[int, int, int] = (0, 0, 0),
) -> None:
    """Write text on a filled box into a picture, in place, its lower left at `corner`, kept inside.

    Args:
        image: uint8 RGB [H, W, 3].
        text: ASCII.
        corner: x and y in pixels.
        scale: size of the letters; 1 is 22 pixels high.
        color: RGB of the letters.
        ground: RGB behind them.
    """
    scale = min(max(scale, 0.35), max(image.shape) / 300)
    thickness = max(1, round(scale * 1.5))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    gap = 1 + thickness
    x = round(min(max(corner[0], 0), max(image.shape[1] - width - 2 * gap, 0)))
    y = round(min(max(corner[1], height + 2 * gap), image.shape[0]))
    cv2.rectangle(image, (x, y - height - 2 * gap), (x + width + 2 * gap, y - 1), ground, -1)
    place = (x + gap, y - 1 - gap)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thickness, cv2.LINE_AA)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, gap: int = 4, color: tuple[int, int, int] = WHITE
) -> np.ndarray:
    """Lay pictures out in rows, each in the middle of a cell as large as the largest of them.

    Args:
        images: one or more, uint8 RGB [H, W, 3] of any sizes.
        columns: pictures a row, at least 1.
        gap: pixels between cells.
        color: RGB of what no picture covers.

    Returns:
        uint8 RGB [rows * (height + gap) - gap, columns * (width + gap) - gap, 3]; with fewer pictures than
        columns, only as many columns as pictures.

    Raises:
        ValueError: no pictures, or `columns` below 1.
    """
    if not len(images) or columns < 1:
        raise ValueError(f"expected pictures and a column at least, found {len(images)} and {columns}")
    columns = min(columns, len(images))
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    rows = -(-len(images) // columns)
    sheet = np.empty((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    sheet[:] = color
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top = row * (height + gap) + (height - image.shape[0]) // 2
        left = column * (width + gap) + (width - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def _draw_person(
    image: np.ndarray,
    joints: np.ndarray,
    skeleton: Skeleton,
    threshold: float | Sequence[float],
    box: np.ndarray | None,
    box_color: tuple[int, int, int],
) -> None:
    """Draw one person, in place: the box, over it the circles of uncertain joints, then limbs and discs."""
    there = np.isfinite(joints).all(axis=1) & (joints[:, 2] >= np.minimum(FAINT, threshold))
    found = there & (joints[:, 2] >= threshold)
    if box is not None and np.isfinite(box).all():
        size = float(max(box[2:]))
    elif there.any():
        size = float(np.ptp(joints[there, :2], axis=0).max())
    else:
        return
    width = max(1, round(min(size, 4 * max(image.shape)) * LINE))
    if box is not None and np.isfinite(box).all():
        thin = max(1, width // 2)
        cv2.rectangle(image, _fixed(box[:2]), _fixed(box[:2] + box[2:]), box_color, thin, cv2.LINE_AA, SHIFT)
    colors = {index: limb.color for limb, pair in zip(skeleton.limbs, skeleton.limb_indices, strict=True)
              for index in pair}  # fmt: skip
    radius = round((width + 1) * (1 << SHIFT))
    for index in np.flatnonzero(there & ~found).tolist():
        color = colors.get(index, WHITE)
        cv2.circle(image, _fixed(joints[index]), radius, color, max(1, width // 2), cv2.LINE_AA, SHIFT)
    for (i, j), limb in zip(skeleton.limb_indices, skeleton.limbs, strict=True):
        if found[i] and found[j]:
            cv2.line(image, _fixed(joints[i]), _fixed(joints[j]), limb.color, width, cv2.LINE_AA, SHIFT)
    for index in np.flatnonzero(found).tolist():
        cv2.circle(image, _fixed(joints[index]), radius, colors.get(index, WHITE), -1, cv2.LINE_AA, SHIFT)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Return a point in OpenCV's fixed-point coordinates."""
    x, y = np.clip(point[:2], -FARTHEST, FARTHEST) * (1 << SHIFT)
    return round(x), round(y)
