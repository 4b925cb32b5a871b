"""Joints smoothed over time, for each person of a video by a filter of its own."""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from tinypose.inference.people import People
from tinypose.inference.settings import FollowSettings
from tinypose.tracking.smooth import Ema, Filter, OneEuro


class Smoothing:
    """Keeps a filter for each person who is remembered."""

    def __init__(self, settings: FollowSettings):
        """Begin a video."""
        self.settings = settings
        self._filters: dict[int, Filter] = {}

    def __call__(
        self, people: People, time: float, remembered: Collection[int], boxes: bool = True
    ) -> People:
        """Return the people of a frame with smoothed joints.

        Args:
            people: with ids.
            time: of the frame in seconds, later than the last one.
            remembered: ids whose filters are kept.
            boxes: smooth the boxes too, together with the joints.
        """
        self._filters = {key: each for key, each in self._filters.items() if key in remembered}
        if self.settings.smooth == "none" or not len(people):
            return people
        smoothed = [
            self._smooth(*each, time) for each in zip(people.ids, people.keypoints, people.boxes, strict=True)
        ]
        keypoints, moved = (np.stack(each).astype(np.float32) for each in zip(*smoothed, strict=True))
        return replace(people, keypoints=keypoints, boxes=moved if boxes else people.boxes)

    def _smooth(
        self, number: int, joints: np.ndarray, box: np.ndarray, time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the joints [J, 3] and the box [4] of person `number`, smoothed together."""
        if number not in self._filters:
            self._filters[number] = self._filter()
        corners = np.stack([box[:2], box[:2] + box[2:]])
        points = self._filters[number](
            np.concatenate([joints[:, :2], corners]), time, float(np.sqrt(box[2] * box[3]))
        )
        low, high = points[-2:]
        return np.column_stack([points[:-2], joints[:, 2]]), np.concatenate([low, high - low])

    def _filter(self) -> Filter:
        makers: dict[str, Callable[[], Filter]] = {
            "one_euro": lambda: OneEuro(cutoff=self.settings.cutoff, beta=self.settings.beta),
            "ema": lambda: Ema(constant=self.settings.constant),
        }
        return makers[self.settings.smooth]()
