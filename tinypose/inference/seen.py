"""What the networks saw in one frame of a video, before anyone has an id."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinypose.inference.people import ARRAYS, People, no_people
from tinypose.skeleton import Skeleton


@dataclass(frozen=True)
class Seen:
    """What the networks saw in one frame.

    Attributes:
        time: of the frame, in seconds.
        people: without ids, not smoothed.
        detected: whether the detector ran.
        found: float32 [N, 4], where the detector found them; zeros for whom it did not.
    """

    time: float
    people: People
    detected: bool
    found: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return plain containers from which `from_json` makes the very same."""
        arrays = {name: getattr(self.people, name).tolist() for name in ARRAYS}
        looks = {} if self.people.looks is None else {"looks": self.people.looks.tolist()}
        return {"time": self.time, "detected": self.detected, "found": self.found.tolist(), **arrays, **looks}

    @classmethod
    def from_json(cls, content: dict[str, Any], skeleton: Skeleton) -> "Seen":
        """Make it of what `to_json` returned."""
        empty = no_people(skeleton)
        arrays = {}
        for name in ARRAYS:
            like = getattr(empty, name)
            shape = (len(content["scores"]), *like.shape[1:])
            arrays[name] = np.array(content[name], like.dtype).reshape(shape)
        looks = None
        if "looks" in content:
            looks = np.array(content["looks"], np.float32).reshape(len(arrays["scores"]), -1)
        people = People(**arrays, skeleton=skeleton, looks=looks)
        found = np.array(content["found"], np.float32).reshape(-1, 4)
        return cls(content["time"], people, content["detected"], found)
