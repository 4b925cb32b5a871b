"""Human pose estimation for phones and ARM boards.

from tinypose import PoseEstimator

estimate = PoseEstimator.from_artifact("artifacts/tinypose_256x192", "artifacts/picodet_s_416")
people = estimate(image)  # uint8 RGB [H, W, 3]
"""

from importlib import import_module
from typing import Any

# Looked up when first asked for, so that `import tinypose` costs nothing.
_PUBLIC = {
    "People": "tinypose.inference.people",
    "PeopleInVideo": "tinypose.inference.follow",
    "PoseEstimator": "tinypose.inference.estimator",
    "Video": "tinypose.video",
    "VideoWriter": "tinypose.video",
    "read_image": "tinypose.images",
}
__all__ = list(_PUBLIC)  # noqa: PLE0605 (the names are those of _PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tinypose' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
