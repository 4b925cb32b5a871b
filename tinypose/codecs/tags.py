"""HigherHRNet's and SWAHR's outputs: heatmaps at two resolutions, and tags that tell people apart."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from tinypose.codecs.seen import Seen
from tinypose.section import Section

Size = tuple[int, int]
Outputs = list[np.ndarray]


class TagCodec(Section):
    """Joints of all people in one map each; those with like tags are one person's (Newell et al. 2017)."""

    gives: ClassVar[Literal["people"]] = "people"
    rounds_at_smallest: ClassVar[bool] = True

    name: Literal["tags"]
    sigma: float = Field(2.0, gt=0, description="of the Gaussians, in the pixels of either map")
    scale_aware: bool = Field(False, description="sigma grows with a person's box (SWAHR)")
    tag_weight: float = Field(1e-3, ge=0, le=1000, description="of the tags' part of the loss")
    tag_pull: float = Field(1.0, ge=0, le=1000, description="how much pulling counts beside pushing")
    threshold: float = Field(0.1, gt=0, lt=1, description="of joints that people are made of")
    most: int = Field(30, ge=1, le=1000, description="people of a picture")

    def shapes(self, joints: int, size: Size) -> list[tuple[int, ...]]:
        """Return [(2 J, h, w), (J, 2 h, 2 w)], h and w a quarter of the input."""
        width, height = size
        return [(2 * joints, height // 4, width // 4), (joints, height // 2, width // 2)]

    def map_sizes(self, size: int) -> list[int]:
        """Return the sides of the maps that a square input of this side gives."""
        return [size // 4, size // 2]

    def targets(self, seen: Seen) -> tuple[np.ndarray, ...]:
        """Return what one picture's outputs should be.

        Returns:
            For each map its heatmaps float32 [J, R, R] and mask float32 [1, R, R]; then int32
            [most, J, 2], where tags are read (`tag_places`).
        """
        from tinypose.codecs.bottom_up_targets import grouped_heatmaps, tag_places

        sigmas = self.sigma
        if self.scale_aware:  # a box of 256 pixels, as large as the picture is seen, has the plain sigma
            sigmas = np.maximum(seen.boxes.max(axis=1) / 256 * self.sigma / seen.factor, 1e-3)
        result: list[np.ndarray] = []
        for view in seen.views:
            result += [grouped_heatmaps(view.joints, len(view.mask), sigmas), view.mask[None]]
        coarse = seen.views[0]
        return (*result, tag_places(coarse.joints, len(coarse.mask), self.most))

    def mirrors(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the mirror images [N, 3, H, W] that the flip test looks at."""
        return [np.ascontiguousarray(images[..., ::-1])]

    def with_mirrored(self, outputs: Outputs, mirrored: Outputs, flip_order: np.ndarray) -> Outputs:
        """Return the outputs and the mirrored ones turned back: tags are compared in pairs."""
        joints = len(flip_order)
        coarse, fine = mirrored
        order = np.concatenate([flip_order, joints + flip_order])
        return [*outputs, coarse[:, order, :, ::-1], fine[:, flip_order, :, ::-1]]

    def combine(
        self, scales: Mapping[float, Sequence[np.ndarray]], size: Size
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find everybody in one picture; see `tinypose.codecs.PeopleCodec`."""
        from tinypose.codecs.grouped import aggregate, decode

        heatmaps, tags = aggregate(scales, size)
        return decode(heatmaps, tags, self.threshold, self.most)
