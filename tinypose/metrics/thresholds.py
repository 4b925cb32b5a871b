"""From which score on is a joint there? A threshold a joint, chosen on annotated people.

A network gives each joint a score whether or not it can be seen. The threshold is the one with the best F1 of
"there, and found where it is": a joint that is annotated and found within OKS 0.5 should be above it, one
that is not annotated or found elsewhere below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from tinypose.data.coco import Person
from tinypose.errors import UserError
from tinypose.files import content_digest, read_json, write_json
from tinypose.section import Section
from tinypose.skeleton import Skeleton
from tinypose.validation import validate

RIGHT = 0.5  # OKS of a single joint from which it counts as found
FEWEST = 10  # joints found, and joints not, below which a threshold is not chosen
UNKNOWN = 0.2  # where it is not, what drawing takes without thresholds


@dataclass(frozen=True)
class Chosen:
    """The threshold of one joint, and what it gives: shares of 1; None where there were too few to choose."""

    threshold: float
    found: int
    absent: int
    precision: float | None
    recall: float | None


class Thresholds(Section):
    """The file that `tinypose eval --thresholds` writes."""

    format: str = Field("edge-pose joint thresholds", pattern="^edge-pose joint thresholds$")
    skeleton: str
    thresholds: dict[str, float] = Field(
        description="by joint; scores from it on mean that the joint is there"
    )


def choose_thresholds(
    keypoints: np.ndarray, people: Sequence[Person], skeleton: Skeleton
) -> dict[str, Chosen]:
    """Choose a threshold for each joint.

    Args:
        keypoints: float [P, J, 3], found: x and y in image pixels, score.
        people: [P], as annotated; a joint with v of 0 is not there.
        skeleton: names the joints, and their sigmas, which say how exactly they can be annotated.
    """
    joints = np.stack([person.joints for person in people]).astype(np.float64)
    areas = np.array([person.area for person in people], np.float64)[:, None]
    squared = np.square(keypoints[..., :2] - joints[..., :2]).sum(-1)
    likeness = np.exp(-squared / (2 * areas * np.square(2 * np.asarray(skeleton.sigmas))))
    good = (joints[..., 2] > 0) & (likeness >= RIGHT)
    return {
        name: _choose(keypoints[:, number, 2].astype(np.float64), good[:, number])
        for number, name in enumerate(skeleton.joints)
    }


def write_thresholds(path: str | Path, chosen: dict[str, Chosen], skeleton: Skeleton) -> None:
    """Write thresholds for `read_thresholds`, with a checksum over the content."""
    values = {name: round(each.threshold, 4) for name, each in chosen.items()}
    content = Thresholds(skeleton=skeleton.name, thresholds=values).model_dump(mode="json")
    write_json(path, {**content, "sha256": content_digest(content)})


def read_thresholds(path: str | Path, skeleton: Skeleton) -> tuple[float, ...]:
    """Return a threshold for each joint of a skeleton, in its order.

    Raises:
        UserError: missing, damaged, edited, or of other joints.
    """
    content = read_json(path, "file of thresholds; expected what `tinypose eval --thresholds` writes")
    sealed = content.pop("sha256", None) if isinstance(content, dict) else None
    record = validate(Thresholds, content, {}, str(path))
    if sealed != content_digest(content):
        raise UserError(f"{path}: damaged or edited: its content does not match its checksum; make it again")
    if set(record.thresholds) != set(skeleton.joints):
        raise UserError(
            f"{path}: thresholds of the joints of skeleton '{record.skeleton}', and this network has those "
            f"of '{skeleton.name}'; make them with this config"
        )
    return tuple(record.thresholds[name] for name in skeleton.joints)


def with_thresholds(skeleton: Skeleton, path: str | Path | None) -> Skeleton:
    """Return a skeleton with the thresholds of a file, or as it is without one."""
    if path is None:
        return skeleton
    return skeleton.model_copy(update={"thresholds": read_thresholds(path, skeleton)})


def _choose(scores: np.ndarray, good: np.ndarray) -> Chosen:
    found, absent = int(good.sum()), int((~good).sum())
    if min(found, absent) < FEWEST:
        return Chosen(UNKNOWN, found, absent, None, None)
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(good[order])
    taken = np.arange(1, len(scores) + 1)
    f1 = 2 * right / (taken + found)
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # equal scores cannot be told apart
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    threshold = float(ranked[best] + max(below, 0.0)) / 2
    return Chosen(threshold, found, absent, float(right[best] / taken[best]), float(right[best] / found))
