"""Outputs of networks that regress joints from people's centres: the adaptive network's and DEKR's."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from tinypose.codecs.seen import Seen, View
from tinypose.section import Section

Size = tuple[int, int]
Outputs = list[np.ndarray]

SMALL = 32**2  # pixels: smaller people have no centre to learn from


class OffsetCodec(Section):
    """Heatmaps of joints and of centres, and where each joint lies from a centre."""

    gives: ClassVar[Literal["people"]] = "people"
    rounds_at_smallest: ClassVar[bool] = False

    name: Literal["offsets"]
    kind: Literal["adaptive", "dekr"]
    higher: bool = Field(False, description="adaptive: heatmaps at 1/2 too, and one for each dilation")
    regression: int = Field(256, ge=8, le=4096, description="adaptive: channels of the branch of offsets")
    background: float = Field(0.1, ge=0, le=1, description="how much pixels far from joints count, at 1/4")
    background_fine: float = Field(0.025, ge=0, le=1, description="higher: the same at 1/2")
    threshold: float = Field(0.01, gt=0, lt=1, description="of centres")
    most: int = Field(30, ge=1, le=1000, description="people of a picture")
    decay: float = Field(0.9, gt=0, le=1, description="dekr: how much people count that other scales find")
    match: bool = Field(False, description="dekr: move joints to the heatmaps' maxima")

    def shapes(self, joints: int, size: Size) -> list[tuple[int, ...]]:
        """Return [(J + 1, h, w), (2 J, h, w)], h and w a quarter of the input; higher: see `AdaptiveHead`."""
        width, height = size[0] // 4, size[1] // 4
        offsets = (2 * joints, height, width)
        if not self.higher:
            return [(joints + 1, height, width), offsets]
        return [(joints + 1, height, width)] * 3 + [(joints, 2 * height, 2 * width), offsets]

    def map_sizes(self, size: int) -> list[int]:
        """Return the sides of the maps that a square input of this side gives."""
        return [size // 4, size // 2] if self.higher else [size // 4]

    def targets(self, seen: Seen) -> tuple[np.ndarray, ...]:
        """Return what one picture's outputs should be.

        Returns:
            Heatmaps float32 [J + 1, R, R] and their weights [1 or J + 1, R, R]; offsets and their
            weights, [2 J, R, R]; with `higher` also heatmaps [J, 2 R, 2 R] and weights [1, 2 R, 2 R].
        """
        from tinypose.codecs.bottom_up_targets import centred_heatmaps, offsets

        dekr = self.kind == "dekr"
        seen_now = (seen.joints[..., 2] > 0)[..., None]
        # As published, DEKR measures a person with all that is not annotated at (0, 0).
        reach = (seen.joints[..., :2] * seen_now).max(axis=1) if len(seen.joints) else np.zeros((0, 2))
        areas = (reach**2).sum(axis=1) if dekr else seen.boxes.prod(axis=1)
        views = [with_centres(view, seen.areas) for view in seen.views]
        size = len(seen.views[0].mask)
        heatmaps, weights = centred_heatmaps(views[0], size, self.background, per_channel=dekr)
        distances, counts = offsets(views[0], np.maximum(areas * seen.zoom**2, 1e-6), size)
        result = [heatmaps, weights * seen.views[0].mask, distances, counts]
        if self.higher:
            fine = seen.views[1]
            heatmaps, weights = centred_heatmaps(views[1], len(fine.mask), self.background_fine, False)
            result += [heatmaps[:-1], weights * fine.mask]
        return tuple(result)

    def mirrors(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the mirror images [N, 3, H, W] that the flip test looks at: one for each resolution."""
        from tinypose.codecs.regressed import mirror

        keep = self.kind == "dekr"
        return [mirror(images, shift, keep) for shift in ((3, 1) if self.higher else (3,))]

    def with_mirrored(self, outputs: Outputs, mirrored: Outputs, flip_order: np.ndarray) -> Outputs:
        """Return heatmaps and offsets averaged with the mirrored ones; `higher`: heatmaps at 1/2."""
        from tinypose.codecs import regressed

        if self.higher:  # the quarter maps of the first mirror image, the half map of the second
            mirrored = [*mirrored[:3], mirrored[8], mirrored[4]]
        pairs = [
            (self._joined([each[i] for each in outputs]), self._joined([each[i] for each in mirrored]))
            for i in range(len(outputs[0]))
        ]
        heatmaps = [regressed.average_heatmaps(plain[0], other[0], flip_order) for plain, other in pairs]
        points = [regressed.average_poses(plain[1], other[1], flip_order) for plain, other in pairs]
        # Offsets and poses are each the grid less the other.
        return [np.stack(heatmaps), np.stack([regressed.offsets_of(each) for each in points])]

    def combine(
        self, scales: Mapping[float, Sequence[np.ndarray]], size: Size
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find everybody in one picture; see `tinypose.codecs.PeopleCodec`."""
        from tinypose.codecs import regressed

        maps = self.maps(scales)
        if self.kind == "dekr":
            return regressed.decode_dekr(maps, size, self.decay, self.match, self.threshold, self.most)
        return regressed.decode_adaptive(maps, size, self.threshold, self.most)

    def maps(
        self, scales: Mapping[float, Sequence[np.ndarray]]
    ) -> dict[float, tuple[np.ndarray, np.ndarray]]:
        """Return heatmaps and poses of each scale, at one resolution, from the largest down."""
        from tinypose.codecs.regressed import double

        maps = {}
        for scale in sorted(scales, reverse=True):
            heatmaps, points = self._joined(scales[scale])
            maps[scale] = (heatmaps, double(points) if self.higher else points)
        return maps

    def _joined(self, outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return one picture's heatmaps, of one kind, and poses [J, 2, h, w]."""
        from tinypose.codecs import regressed

        points = regressed.poses(outputs[-1])
        if len(outputs) == 2:
            return outputs[0], points
        return regressed.join_higher(outputs[:3], outputs[3]), points


def with_centres(view: View, areas: np.ndarray) -> np.ndarray:
    """Return the view's joints with people's centres at the end, float64 [P, J + 1, 3].

    A centre is the mean of the annotated joints; people without any, and small ones, have none.
    """
    seen = view.joints[..., 2] > 0
    count = seen.sum(axis=1)
    centre = (view.joints[..., :2] * seen[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    visible = (count > 0) & (areas >= SMALL)
    return np.concatenate([view.joints, np.column_stack([centre, visible])[:, None]], axis=1)
