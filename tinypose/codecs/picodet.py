"""People's boxes as PicoDet's raw maps hold them (Yu et al. 2021; generalized focal loss: Li et al. 2020).

Boxes are left, top, width, height in pixels.
"""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from tinypose.boxes import clip_boxes, suppress
from tinypose.section import Section

STRIDES = (8, 16, 32, 64)
BINS = 8


class BoxConfig(Section):
    """Which boxes count as people."""

    person: int = Field(0, ge=0, lt=10_000, description="the class that is a person, counted from 0")
    score: float = Field(
        0.02, ge=0, le=1, description="boxes that score no more are dropped; 0.02 to measure"
    )
    nms: float = Field(0.6, gt=0, le=1, description="IoU above which the weaker of two boxes is dropped")
    most: int = Field(100, ge=1, le=10_000, description="people in a picture, at most")


class PicoDetCodec(BoxConfig):
    """Four maps, for strides 8 to 64: in each cell class logits and distributions of the box's sides."""

    gives: ClassVar[Literal["boxes"]] = "boxes"

    name: Literal["picodet"] = "picodet"
    aligned: bool = Field(description="whether an alignment logit stands behind the rest, as in `lcnet`")

    def boxes(
        self, outputs: list[np.ndarray], size: tuple[int, int], picture: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return boxes float32 [K, 4] and scores float32 [K]; see `tinypose.codecs.BoxCodec`."""
        boxes, scores = decode_boxes(list(outputs), self.person, self.aligned, self.score)
        boxes = boxes * np.array([picture[0] / size[0], picture[1] / size[1]] * 2, np.float32)
        kept = suppress(boxes, scores, self.nms, self.most)
        # Cut to the picture after suppression: so were the published numbers made.
        boxes, scores = clip_boxes(boxes[kept], *picture), scores[kept]
        inside = boxes[:, 2:].min(axis=1, initial=np.inf) > 0
        return boxes[inside], scores[inside]


def decode_boxes(
    levels: list[np.ndarray],
    person: int,
    aligned: bool,
    score: float,
    distances: ArrayLike = range(BINS),
) -> tuple[np.ndarray, np.ndarray]:
    """Turn PicoDet's raw maps for one picture into the boxes of one class.

    A box is an anchor (the middle of its cell) and the distances to its four sides, each the mean of
    a distribution over 8 bins (generalized focal loss: Li et al. 2020).

    Args:
        levels: for strides 8, 16, 32 and 64 one float32 [1, classes + 32 (+ 1), h, w]: class logits,
            logits of the four distributions, and the alignment logit in the `lcnet` form.
        person: the class to decode, counted from 0.
        aligned: whether the alignment logit is there; the score is then the geometric mean of both.
        score: boxes that score no more are left out.
        distances: what each bin stands for, in strides.

    Returns:
        boxes float32 [K, 4] in input pixels, and scores float32 [K], in no order.
    """
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    bins = np.asarray(distances, np.float32)
    for maps, stride in zip(levels, STRIDES, strict=True):
        maps = maps[0]
        first_bin = len(maps) - 4 * BINS - aligned
        level_scores = _sigmoid(maps[person])
        if aligned:
            level_scores = np.sqrt(level_scores * _sigmoid(maps[-1]) + np.float32(1e-9))
        rows, columns = np.nonzero(level_scores > score)
        logits = maps[first_bin : first_bin + 4 * BINS, rows, columns].reshape(4, BINS, -1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        left, top, right, bottom = np.einsum("sbk,b->sk", weights / weights.sum(axis=1, keepdims=True), bins)
        x, y = columns.astype(np.float32) + 0.5, rows.astype(np.float32) + 0.5
        boxes.append(np.stack([x - left, y - top, left + right, top + bottom], axis=1) * np.float32(stride))
        scores.append(level_scores[rows, columns])
    return np.concatenate(boxes), np.concatenate(scores)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
