"""Joints as heatmaps, in both directions.

Crop pixels and heatmap pixels are continuous, with pixel centres at whole numbers. How the two
belong together is the `grid`; the first pixels' centres coincide in both:

- `stride`: crop = heatmap * (input - 1) / heatmap size. That is nearly the network's stride, 3.98 of
  4, so a strided convolution finds a joint where its target is. A mirrored heatmap of a mirrored crop
  lies exactly one pixel too far left. Networks that PaddleDetection published are measured so.
- `udp`: crop = heatmap * (input - 1) / (heatmap size - 1); the last pixels' centres coincide too, and
  mirrored heatmaps need no shift (Huang et al., CVPR 2020). The network has to learn the stretch.
"""

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from tinypose.section import Section

Grid = Literal["stride", "udp"]
Encoding = Literal["unbiased", "rounded"]
Decoding = Literal["dark", "shift", "max"]
Size = tuple[int, int]


class HeatmapCodec(Section):
    """One map a joint; how joints become heatmaps and heatmaps become joints."""

    gives: ClassVar[Literal["joints"]] = "joints"

    name: Literal["heatmap"] = "heatmap"
    stride: int = Field(4, ge=1, le=64, description="input pixels a heatmap pixel")
    sigma: float = Field(2.0, gt=0, le=100, description="of the Gaussian, in heatmap pixels")
    encode: Encoding = Field("unbiased", description="where the Gaussian is centred")
    grid: Grid = Field("stride", description="how heatmap pixels lie on the crop")
    decode: Decoding = "dark"
    blur: int = Field(3, ge=3, le=101, description="DARK's Gaussian kernel, in heatmap pixels, odd")

    @field_validator("blur")
    @classmethod
    def _odd(cls, blur: int) -> int:
        if blur % 2 == 0:
            raise ValueError("expected an odd number")
        return blur

    def heatmap_size(self, size: Size) -> Size:
        """Return the width and height of the heatmaps of a crop of this width and height."""
        return size[0] // self.stride, size[1] // self.stride

    def shapes(self, joints: int, size: Size) -> list[tuple[int, ...]]:
        """Return [(J, h, w)]; see `tinypose.codecs.PoseCodec`."""
        width, height = self.heatmap_size(size)
        return [(joints, height, width)]

    def targets(self, joints: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
        """Return heatmaps float32 [J, h, w] and weights float32 [J]; see `tinypose.codecs.JointCodec`."""
        small = self.heatmap_size(size)
        return encode(joints[:, :2], joints[:, 2], size, small, self.sigma, self.encode, self.grid)

    def keypoints(self, outputs: list[np.ndarray], size: Size) -> np.ndarray:
        """Return float64 [N, J, 3]: x and y in input pixels, and the score, which is the largest value."""
        height, width = outputs[0].shape[2:]
        return to_crop(decode(outputs[0], self.decode, self.blur), size, (width, height), self.grid)

    def with_mirrored(
        self, outputs: list[np.ndarray], mirrored: list[np.ndarray], flip_order: np.ndarray
    ) -> list[np.ndarray]:
        """Return the mean of both; see `tinypose.codecs.PoseCodec`."""
        return [(outputs[0] + flip_back(mirrored[0], flip_order, self.grid)) / 2]


def grid_step(input_size: Size, heatmap_size: Size, grid: Grid = "stride") -> np.ndarray:
    """Return how many crop pixels lie between two heatmap pixels, float64 [2] (x, y)."""
    crop, heatmap = np.array(input_size, np.float64), np.array(heatmap_size, np.float64)
    if grid == "stride":
        return (crop - 1) / heatmap
    if grid == "udp":
        return (crop - 1) / (heatmap - 1)
    raise ValueError(f"grid: expected 'stride' or 'udp', found {grid!r}")


def encode(
    joints: np.ndarray,
    visible: np.ndarray,
    input_size: Size,
    heatmap_size: Size,
    sigma: float,
    encoding: Encoding = "unbiased",
    grid: Grid = "stride",
) -> tuple[np.ndarray, np.ndarray]:
    """Draw each joint as a Gaussian of height 1.

    Args:
        joints: float [J, 2], x and y in crop pixels.
        visible: [J], above 0 where the joint is annotated.
        input_size: width and height of the crop.
        heatmap_size: width and height of the heatmaps.
        sigma: standard deviation in heatmap pixels.
        encoding: `unbiased` centres the Gaussian on the joint (UDP, DARK), `rounded` on the nearest
            heatmap pixel (Simple Baselines: Xiao et al., ECCV 2018).
        grid: how heatmap pixels lie on the crop.

    Returns:
        heatmaps float32 [J, height, width], zero where the weight is; and weights float32 [J]: 1, or
        0 for a joint that is not annotated or whose Gaussian, cut at three sigma, misses the heatmap.
    """
    width, height = heatmap_size
    centers = to_heatmap(joints, input_size, heatmap_size, grid)[:, :2]
    if encoding == "rounded":
        centers = np.floor(centers + 0.5)
    elif encoding != "unbiased":
        raise ValueError(f"encoding: expected 'unbiased' or 'rounded', found {encoding!r}")
    beyond = np.maximum(-centers, centers - (np.array(heatmap_size) - 1)).max(axis=1)
    weights = ((np.asarray(visible) > 0) & (beyond <= 3 * sigma)).astype(np.float32)
    columns = np.exp(-((np.arange(width) - centers[:, :1]) ** 2) / (2 * sigma**2))
    rows = np.exp(-((np.arange(height) - centers[:, 1:]) ** 2) / (2 * sigma**2))
    maps = rows[:, :, None] * columns[:, None, :] * weights[:, None, None]
    return maps.astype(np.float32), weights


def decode(heatmaps: np.ndarray, method: Decoding = "dark", blur: int = 3) -> np.ndarray:
    """Find each heatmap's joint.

    Args:
        heatmaps: float [N, J, height, width].
        method: `max`, the largest pixel; `shift`, that moved a quarter pixel towards its larger
            neighbour (Newell et al., ECCV 2016); `dark`, the summit of a Gaussian through the
            neighbourhood (DARK: Zhang et al., "Distribution-Aware Coordinate Representation for
            Human Pose Estimation", CVPR 2020).
        blur: DARK's smoothing kernel in heatmap pixels, odd.

    Returns:
        float32 [N, J, 3]: x and y in heatmap pixels, and the score, which is the largest value.
    """
    count, joints, height, width = heatmaps.shape
    maps = np.ascontiguousarray(heatmaps, np.float32).reshape(-1, height, width)
    best = maps.reshape(len(maps), -1).argmax(axis=1)
    y, x = np.divmod(best, width)
    score = maps[np.arange(len(maps)), y, x]
    if method == "max":
        offset = np.zeros((len(maps), 2))
    elif method == "shift":
        offset = _quarter_shift(maps, x, y)
    elif method == "dark":
        offset = _dark_offset(maps, x, y, blur)
    else:
        raise ValueError(f"method: expected 'dark', 'shift' or 'max', found {method!r}")
    result = np.column_stack([x + offset[:, 0], y + offset[:, 1], score])
    return result.astype(np.float32).reshape(count, joints, 3)


def to_heatmap(joints: np.ndarray, input_size: Size, heatmap_size: Size, grid: Grid = "stride") -> np.ndarray:
    """Return joints [..., 2 or more] (x, y, ...) with x and y in heatmap pixels instead of crop pixels."""
    moved = np.array(joints, np.float64)
    moved[..., :2] /= grid_step(input_size, heatmap_size, grid)
    return moved


def to_crop(keypoints: np.ndarray, input_size: Size, heatmap_size: Size, grid: Grid = "stride") -> np.ndarray:
    """Return keypoints [..., 2 or more] (x, y, ...) with x and y in crop pixels instead of heatmap pixels."""
    moved = np.array(keypoints, np.float64)
    moved[..., :2] *= grid_step(input_size, heatmap_size, grid)
    return moved


def flip_back(heatmaps: np.ndarray, flip_order: np.ndarray, grid: Grid = "stride") -> np.ndarray:
    """Return the heatmaps of a mirrored crop as heatmaps of the crop itself.

    Args:
        heatmaps: float [N, J, height, width], of the mirrored crop.
        flip_order: int [J] (`Skeleton.flip_order`).
        grid: with `stride` the result is moved one pixel to the right; its first column stays.
    """
    flipped = heatmaps[:, flip_order, :, ::-1]
    if grid == "stride":
        flipped = np.concatenate([flipped[..., :1], flipped[..., :-1]], axis=-1)
    return flipped


def _quarter_shift(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a quarter pixel towards the larger neighbour, float [M, 2]; none at the border."""
    around = _patches(maps, x, y, 1)
    height, width = maps.shape[1:]
    slope_x = np.where((x > 0) & (x < width - 1), around[:, 1, 2] - around[:, 1, 0], 0)
    slope_y = np.where((y > 0) & (y < height - 1), around[:, 2, 1] - around[:, 0, 1], 0)
    return 0.25 * np.sign(np.column_stack([slope_x, slope_y]))


def _dark_offset(maps: np.ndarray, x: np.ndarray, y: np.ndarray, blur: int) -> np.ndarray:
    """Return one Newton step on the logarithm of the smoothed maps, float [M, 2] (x, y).

    Smoothing is wanted in the 5x5 pixels around the maximum only, so only these are smoothed.
    """
    if blur % 2 == 0:
        raise ValueError(f"blur: expected an odd number, found {blur}")
    height, width = maps.shape[1:]
    smooth = _smoothing(blur)
    logs = np.log(np.maximum(smooth @ _patches(maps, x, y, 2 + blur // 2) @ smooth.T, 1e-10))
    dx = (logs[:, 2, 3] - logs[:, 2, 1]) / 2
    dy = (logs[:, 3, 2] - logs[:, 1, 2]) / 2
    dxx = (logs[:, 2, 4] - 2 * logs[:, 2, 2] + logs[:, 2, 0]) / 4
    dyy = (logs[:, 4, 2] - 2 * logs[:, 2, 2] + logs[:, 0, 2]) / 4
    dxy = (logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy**2
    # A step towards a summit needs one: elsewhere, and where the 5x5 pixels leave the map, stay.
    summit = (determinant > 0) & (dxx < 0) & (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    determinant = np.where(summit, determinant, 1)
    step = np.column_stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy]) / determinant[:, None]
    return np.where(summit[:, None], step, 0)


@cache
def _smoothing(blur: int) -> np.ndarray:
    """Return float64 [5, blur + 4]: the Gaussian kernel at five places, one after another."""
    import cv2  # not above: configs are read without it

    kernel = cv2.getGaussianKernel(blur, 0)[:, 0]
    return np.stack([np.roll(np.pad(kernel, (0, 4)), shift) for shift in range(5)])


def _patches(maps: np.ndarray, x: np.ndarray, y: np.ndarray, radius: int) -> np.ndarray:
    """Return the square of pixels around each (x, y), zero outside: float64 [M, 2r+1, 2r+1]."""
    count, height, width = maps.shape
    span = np.arange(-radius, radius + 1)
    rows, columns = y[:, None] + span, x[:, None] + span
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    places = (np.arange(count)[:, None] * height + rows)[:, :, None] * width + columns[:, None]
    return np.where(inside, maps.ravel().take(places, mode="clip"), 0).astype(np.float64)
