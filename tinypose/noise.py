"""Pictures of noise, the same every time, and how far two networks are apart on them.

What passes between commands is checked with them: `compress quant` notes the error of its INT8 network,
`lite-deploy export` must find the same error in what it wrote, and `lite-deploy verify` in what it reads.
"""

import cv2
import numpy as np

from tinypose.codecs import Outputs

LARGE = 100_000  # pixels of an input from which one picture says as much as four of a crop


def noise_pictures(width: int, height: int, count: int | None = None, seed: int = 0) -> np.ndarray:
    """Return uint8 RGB [count, height, width, 3]: blots of random colours at three scales.

    Without `count` there are four, or one where pictures are large.
    """
    count = count or (1 if width * height >= LARGE else 4)
    rng = np.random.default_rng(seed)
    pictures = np.zeros((count, height, width, 3), np.float32)
    for picture in pictures:
        for cells, strength in ((3, 0.5), (12, 0.35), (48, 0.15)):
            blots = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
            picture += strength * cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pictures, 0, 255).astype(np.uint8)


def relative_error(expected: Outputs, found: Outputs) -> float:
    """Return sum (found - expected)^2 / sum expected^2 of the worst output; infinite if one is not finite."""
    errors = []
    for true, other in zip(expected, found, strict=True):
        true, other = (np.asarray(each, np.float64) for each in (true, other))
        error = np.square(other - true).sum() / max(np.square(true).sum(), 1e-12)
        errors.append(float(error) if np.isfinite(error) else float("inf"))
    return max(errors)
