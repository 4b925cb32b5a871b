"""Joints as two one-dimensional vectors each (SimCC: Li et al., "SimCC: a Simple Coordinate Classification
Perspective for Human Pose Estimation", ECCV 2022), as RTMPose uses them.

Bin i of an axis stands for the crop coordinate i / split; pixel centres are whole numbers.
"""

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from tinypose.section import Section

Pair = tuple[np.ndarray, np.ndarray]


class SimccCodec(Section):
    """Two vectors a joint, one over the bins of x and one over those of y."""

    gives: ClassVar[Literal["joints"]] = "joints"

    name: Literal["simcc"] = "simcc"
    split: float = Field(2.0, ge=1, le=8, description="bins a pixel")
    sigma: tuple[float, float] = Field((4.9, 5.66), description="of the Gaussians in x and in y, in bins")
    decode: Literal["max", "dark"] = "max"
    blur: tuple[int, int] = Field((29, 35), description="DARK's Gaussian kernels in x and in y, in bins, odd")

    @field_validator("sigma")
    @classmethod
    def _positive(cls, sigma: tuple[float, float]) -> tuple[float, float]:
        if not all(0 < each < 1000 for each in sigma):
            raise ValueError("expected two numbers above 0 and below 1000")
        return sigma

    @field_validator("blur")
    @classmethod
    def _odd(cls, blur: tuple[int, int]) -> tuple[int, int]:
        if not all(each % 2 == 1 and 3 <= each < 1000 for each in blur):
            raise ValueError("expected two odd numbers from 3 to 999")
        return blur

    def bins(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return how many bins x and y have in a crop of this width and height."""
        return round(size[0] * self.split), round(size[1] * self.split)

    def shapes(self, joints: int, size: tuple[int, int]) -> list[tuple[int, ...]]:
        """Return [(J, bins in x), (J, bins in y)]; see `tinypose.codecs.PoseCodec`."""
        return [(joints, bins) for bins in self.bins(size)]

    def targets(self, joints: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return labels in x and in y, float32 [J, bins], and weights float32 [J]; see `JointCodec`."""
        return encode(joints[:, :2], joints[:, 2] > 0, size, self.sigma, self.split)

    def keypoints(self, outputs: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Return float64 [N, J, 3]: x and y in input pixels, and the score, the smaller of both maxima."""
        return decode(*outputs, self.split, self.blur if self.decode == "dark" else None).astype(np.float64)

    def with_mirrored(
        self, outputs: list[np.ndarray], mirrored: list[np.ndarray], flip_order: np.ndarray
    ) -> list[np.ndarray]:
        """Return the mean of both; see `tinypose.codecs.PoseCodec`."""
        back = flip_back(*mirrored, flip_order)
        return [(one + other) / 2 for one, other in zip(outputs, back, strict=True)]


def encode(
    joints: np.ndarray,
    visible: np.ndarray,
    input_size: tuple[int, int],
    sigma: tuple[float, float],
    split: float = 2.0,
    normalize: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw each coordinate as a Gaussian over the bins of its axis.

    Args:
        joints: float [J, 2], x and y in crop pixels.
        visible: [J], 0.5 or more where the joint is annotated.
        input_size: width and height of the crop.
        sigma: standard deviation in x and in y, in bins.
        split: bins a pixel.
        normalize: whether the sum of a Gaussian is 1 instead of its peak.

    Returns:
        float32 [J, bins in x], float32 [J, bins in y], and weights float32 [J]: 1, or 0 for a joint that is
        not annotated, or that lies more than three sigma outside the crop. Labels are zero where it is 0.
    """
    centers = np.round(np.asarray(joints, np.float32) * np.float32(split))  # half to even, as published
    bins = np.array([round(size * split) for size in input_size])
    reach = 3 * np.asarray(sigma, np.float64)
    inside = ((centers - reach < bins) & (centers + reach + 1 >= 0)).all(axis=1)
    weights = (inside & (np.asarray(visible) >= 0.5)).astype(np.float32)
    labels = []
    for axis in (0, 1):
        places = np.arange(bins[axis])
        label = np.exp(-((places - centers[:, axis : axis + 1]) ** 2) / (2 * sigma[axis] ** 2))
        if normalize:
            label /= sigma[axis] * np.sqrt(2 * np.pi)
        labels.append((label * weights[:, None]).astype(np.float32))
    return labels[0], labels[1], weights


def decode(
    x: np.ndarray, y: np.ndarray, split: float = 2.0, dark: tuple[int, int] | None = None
) -> np.ndarray:
    """Find each joint: the largest bin of either axis, the first of equals.

    Args:
        x: float [N, J, bins in x].
        y: float [N, J, bins in y].
        split: bins a pixel.
        dark: sizes of the smoothing kernels in x and y, odd, to refine both coordinates by a Newton step on
            the logarithm (DARK: Zhang et al., CVPR 2020); none: the bin itself.

    Returns:
        float32 [N, J, 3]: x and y in crop pixels, and the score, the smaller of both maxima. Where it is not
        above 0, x and y are -1 bin.
    """
    places = np.stack([x.argmax(axis=2), y.argmax(axis=2)], axis=-1).astype(np.float32)
    score = np.minimum(x.max(axis=2), y.max(axis=2))
    if dark is not None:
        for axis, (values, kernel) in enumerate(zip((x, y), dark, strict=True)):
            places[..., axis] += _dark_offset(values, kernel)
    places[score <= 0] = -1
    return np.concatenate([places / np.float32(split), score[..., None]], axis=-1).astype(np.float32)


def flip_back(x: np.ndarray, y: np.ndarray, flip_order: np.ndarray) -> Pair:
    """Return the vectors of a mirrored crop as vectors of the crop itself.

    The bins of x are reversed as they are. A mirrored pixel lies one bin further left than that; published
    networks are measured without the shift.

    Args:
        x: float [N, J, bins in x], of the mirrored crop.
        y: float [N, J, bins in y].
        flip_order: int [J] (`Skeleton.flip_order`).
    """
    return x[:, flip_order, ::-1], y[:, flip_order]


def _dark_offset(values: np.ndarray, kernel: int) -> np.ndarray:
    """Return the Newton step from the largest bin, float64 [N, J], within the inner bins."""
    smooth = _smoothed(values.astype(np.float64), kernel)
    best = values.argmax(axis=2)
    logs = np.log(np.clip(smooth, 1e-3, 50))
    padded = np.pad(logs, ((0, 0), (0, 0), (2, 2)), mode="edge")
    around = np.take_along_axis(padded, best[..., None] + np.arange(5), axis=2)
    slope = (around[..., 3] - around[..., 1]) / 2
    curvature = (around[..., 4] - 2 * around[..., 2] + around[..., 0]) / 4
    return -np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature != 0)


def _smoothed(values: np.ndarray, kernel: int) -> np.ndarray:
    """Convolve with a Gaussian, zeros outside, and bring each vector back to its old peak."""
    weights = _gaussian(kernel)
    border = kernel // 2
    padded = np.pad(values, ((0, 0), (0, 0), (border, border)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)
    smooth = windows @ weights
    peak = smooth.max(axis=2, keepdims=True)
    return smooth * np.divide(
        values.max(axis=2, keepdims=True), peak, out=np.ones_like(peak), where=peak != 0
    )


@cache
def _gaussian(kernel: int) -> np.ndarray:
    if kernel % 2 == 0:
        raise ValueError(f"kernel: expected an odd number, found {kernel}")
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8  # what OpenCV takes for a kernel of this size
    weights = np.exp(-((np.arange(kernel) - kernel // 2) ** 2) / (2 * sigma**2))
    return weights / weights.sum()
