"""People's boxes and looks as FairMOT's raw maps hold them (Zhang et al., IJCV 2021).

Boxes are left, top, width, height in pixels.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from tinypose.codecs.centres import decode_centres, letterbox
from tinypose.section import Section


class CentreConfig(Section):
    """Which middles count as people."""

    score: float = Field(
        0.02, ge=0, le=1, description="boxes that score no more are dropped; 0.02 to measure"
    )
    most: int = Field(500, ge=1, le=10_000, description="people in a picture, at most")


class FairMOTCodec(CentreConfig):
    """Four maps at a quarter of the input: logits of middles, sizes, offsets, and vectors of looks.

    The picture lies whole in the input's middle (`tinypose.codecs.centres.letterbox`).
    """

    gives: ClassVar[Literal["boxes"]] = "boxes"

    name: Literal["fairmot"] = "fairmot"
    looks: int = Field(128, ge=1, le=4096, description="numbers in the vector of someone's looks")

    def boxes(
        self, outputs: list[np.ndarray], size: tuple[int, int], picture: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes float32 [K, 4], scores float32 [K] and looks float32 [K, looks] of length 1.

        Boxes reach out of the picture where people do. There is no suppression: a middle that is the
        greatest among its neighbours is someone. See `tinypose.codecs.BoxCodec`.
        """
        logits, *maps = (each[0] for each in outputs)
        ratio, inner, _ = letterbox(picture, size)
        # Middles are sought among the logits: where scores round to 1, neighbours would be alike.
        corners, logits, looks = decode_centres(logits, *maps, inner, ratio, self.most)
        scores = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
        there = scores > self.score
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        there &= boxes[:, 2:].min(axis=1, initial=np.inf) > 0
        return boxes[there], scores[there], _unit(looks[there])


def _unit(looks: np.ndarray) -> np.ndarray:
    """Return vectors of length 1; of nothing, nothing."""
    length = np.linalg.norm(looks, axis=1, keepdims=True)
    return looks / np.maximum(length, 1e-12)
