"""From people to batches to train on, every draw a function of (seed, epoch, place in the set).

Which people make up a batch, and how each crop is varied, depends on nothing else: not on how many
processes make batches, not on which ones were made before. So a run resumes anywhere exactly.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinypose.codecs import JointCodec
from tinypose.config import AugmentConfig, InputConfig, LetterboxConfig
from tinypose.data.augment import Variation, draw, move_joints, render
from tinypose.data.coco import Person
from tinypose.errors import UserError
from tinypose.preprocess import normalise
from tinypose.skeleton import Skeleton


@dataclass(frozen=True)
class Batch:
    """What one step trains on.

    Attributes:
        numbers: int64 [N], the places of the people in the set.
        epoch: from 0.
        step: from 0, of the epoch.
        images: float32 [N, 3, H, W], normalised.
        targets: what the codec says of each person (`JointCodec.targets`), stacked; the last float32 [N, J],
            1 where a joint counts.
        wide: float32 [N, 3, H', W'], the same crops at `TrainingSet.second`'s size, or None.
    """

    numbers: np.ndarray
    epoch: int
    step: int
    images: np.ndarray
    targets: tuple[np.ndarray, ...]
    wide: np.ndarray | None = None


class InBatches:
    """What every training set has that consists of `people`, of whom `batch_size` are a batch."""

    people: Sequence[Any]
    batch_size: int

    @property
    def steps(self) -> int:
        """Batches an epoch. Who does not fill the last one is left out of it; others each epoch."""
        return max(len(self.people) // self.batch_size, 1)


@dataclass(frozen=True)
class TrainingSet(InBatches):
    """People, and how they become batches. Only plain values, so that it passes between processes.

    Attributes:
        people: joints in the order of `skeleton`.
        skeleton: mirror order and upper body.
        crop: size, padding and normalisation.
        codec: how joints become what the network should give.
        augment: how crops vary; None: not at all.
        seed: of every draw.
        batch_size: people a batch, of all processes together.
        second: another crop of the same variation, such as a teacher's input; None: no other.
        variants: so many variations a person, which come again; None: a new one each epoch.
        late: from which epoch on, counted from 0, crops vary otherwise, and how; None: never.
    """

    people: Sequence[Person]
    skeleton: Skeleton
    crop: InputConfig
    codec: JointCodec
    augment: AugmentConfig | None
    seed: int
    batch_size: int
    second: InputConfig | None = None
    variants: int | None = None
    late: tuple[int, AugmentConfig] | None = None

    def digest(self) -> dict[str, Any]:
        """Return what tells one set of people from another: how many, and a checksum of what is known."""
        total = hashlib.sha256()
        for person in self.people:
            name = [str(person.image_id), str(person.annotation_id), person.path.name]
            total.update(json.dumps(name).encode())
            total.update(np.asarray(person.box, np.float64).tobytes())
            total.update(np.asarray(person.joints, np.float32).tobytes())
        return {"count": len(self.people), "sha256": total.hexdigest()}


def batch_numbers(people: TrainingSet, epoch: int, step: int, share: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Return which people make up a batch, int64 [N].

    Args:
        people: the set.
        epoch: from 0; each has its own order.
        step: from 0, of the epoch.
        share: (rank, processes): every how-manieth of the batch this process takes.
    """
    order = np.random.default_rng([people.seed, epoch]).permutation(len(people.people))
    start = step * people.batch_size
    return order[start : start + people.batch_size][share[0] :: share[1]]


def make_batch(people: TrainingSet, epoch: int, numbers: np.ndarray, step: int = 0) -> Batch:
    """Read, vary, crop and encode the people with these numbers.

    Args:
        people: the set.
        epoch: from 0; it decides the variation.
        numbers: places of people in the set.
        step: only noted in the batch.

    Raises:
        UserError: a picture that cannot be read; the person's annotation is named.
    """
    crop, second, size = people.crop, people.second, people.crop.size
    crops, seconds, targets = [], [], []
    for number in numbers:
        person = people.people[number]
        image = read_person(person)
        variation = vary(people, epoch, int(number))
        crops.append(render(image, variation, size, crop.padding, crop.crop))
        if second is not None:
            seconds.append(render(image, variation, second.size, second.padding, second.crop))
        joints = move_joints(person.joints, variation, size, crop.padding, people.skeleton, crop.crop)
        targets.append(people.codec.targets(joints, size))
    batch = stacked(numbers, epoch, step, crops, targets, crop)
    return batch if second is None else replace(batch, wide=normalise(np.stack(seconds), second))


def stacked(
    numbers: np.ndarray,
    epoch: int,
    step: int,
    images: Sequence[np.ndarray],
    targets: Sequence[tuple[np.ndarray, ...]],
    settings: InputConfig | LetterboxConfig,
) -> Batch:
    """Return a batch of what was made of each of its examples.

    Args:
        numbers: places of the examples in the set.
        epoch: only noted, as `step` is.
        step: of the epoch.
        images: uint8 RGB [H, W, 3] of each.
        targets: of each, as the codec gives them.
        settings: mean and deviation.
    """
    return Batch(
        numbers=np.asarray(numbers, np.int64),
        epoch=epoch,
        step=step,
        images=normalise(np.stack(images), settings),
        targets=tuple(np.stack(each) for each in zip(*targets, strict=True)),
    )


def vary(people: TrainingSet, epoch: int, number: int) -> Variation:
    """Return how a person's crop is varied in an epoch: always the same for the same arguments."""
    person = people.people[number]
    if people.augment is None:
        return Variation(np.asarray(person.box, np.float64))
    rng = np.random.default_rng([people.seed, variant(people, epoch), number])
    late = people.late is not None and epoch >= people.late[0]
    augment = people.late[1] if late else people.augment
    return draw(rng, person.box, person.joints, augment, people.crop, people.skeleton)


def variant(people: TrainingSet, epoch: int) -> int:
    """Return which variation of its people an epoch sees."""
    return epoch if people.variants is None else epoch % people.variants


def read_person(person: Person) -> np.ndarray:
    """Return the person's picture, uint8 RGB [H, W, 3]; an error names the annotation too."""
    try:
        return person.read()
    except UserError as error:
        raise UserError(f"{error} (annotation {person.annotation_id}, image {person.image_id})") from None
