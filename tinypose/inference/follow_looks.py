"""People in video by their looks: FairMOT in every frame, its tracker, and joints on top.

    follow = LooksInVideo(estimate)  # the detector of `estimate` is FairMOT

The halves of a frame, `look` and `take`, are those of `tinypose.inference.follow.PeopleInVideo`.
"""

from dataclasses import replace

import numpy as np

from tinypose.errors import UserError
from tinypose.inference.bottom_up import BottomUp
from tinypose.inference.boxed import BoxedBottomUp
from tinypose.inference.estimator import TopDown
from tinypose.inference.follow import PeopleInVideo
from tinypose.inference.people import People
from tinypose.inference.seen import Seen
from tinypose.inference.settings import FollowSettings
from tinypose.inference.smoothing import Smoothing
from tinypose.tracking.looks import LooksTracker


class LooksInVideo:
    """Follows the people of one video. Keeps what it has seen: not for several threads or videos."""

    def __init__(self, estimate: TopDown | BoxedBottomUp, settings: FollowSettings | None = None):
        """Begin a video.

        Args:
            estimate: finds people and joints, with a detector that gives looks.
            settings: `patience`, and how joints are smoothed; the rest is for keypoints.
        """
        self.estimate = estimate
        self.settings = settings or FollowSettings(tracker="looks")
        self._tracker = LooksTracker(sure=estimate.box_score, patience=self.settings.patience)
        self._smoothing = Smoothing(self.settings)

    def __call__(self, image: np.ndarray, time: float) -> People:
        """Return the people of the next frame, uint8 RGB [H, W, 3] at `time` in seconds, with ids."""
        return self.take(self.look(image, time))

    def look(self, image: np.ndarray, time: float) -> Seen:
        """Run the networks on the next frame; changes nothing.

        Poses that are alike are kept: where one person hides another, looks tell them apart.

        Raises:
            UserError: the detector gives no looks.
        """
        if isinstance(self.estimate, TopDown):
            people = self.estimate.look(image, self.estimate.find(image), merge=False)
        else:
            people = self.estimate(image)
        if people.looks is None:
            raise UserError(
                "tracker 'looks': this detector gives boxes alone; give one that sees people's looks, such "
                "as --detector fairmot_dla34, or --tracker keypoints"
            )
        return Seen(time, people, True, people.boxes)

    def take(self, seen: Seen) -> People:
        """Give ids to the people of a frame; boxes become those of the motion's filter, joints are smoothed.

        Someone new is told from the second frame on.
        """
        people, time = seen.people, seen.time
        known = self._tracker.update(people.boxes, people.box_scores, people.looks, time)
        people = people.take([each.found for each in known])
        boxes = np.array([each.box for each in known], np.float32).reshape(-1, 4)
        people = replace(people, ids=np.array([each.id for each in known], np.int64), boxes=boxes)
        remembered = {each.id for each in (*self._tracker.tracked, *self._tracker.lost)}
        return self._smoothing(people, time, remembered, boxes=False)


def follow_people(
    estimate: TopDown | BottomUp | BoxedBottomUp, settings: FollowSettings
) -> PeopleInVideo | LooksInVideo:
    """Begin a video with the tracker that the settings name."""
    if settings.tracker == "keypoints":
        return PeopleInVideo(estimate, settings)
    if isinstance(estimate, BottomUp):
        raise UserError(
            "tracker 'looks': needs a detector that sees people's looks; give --detector fairmot_dla34"
        )
    return LooksInVideo(estimate, settings)
