"""The people that a network is calibrated on."""

from collections.abc import Iterator

import numpy as np

from compress.quant.observe import Batches
from tinypose.config import Config
from tinypose.console import track
from tinypose.data.coco import Person
from tinypose.data.merge import load_training
from tinypose.geometry import crop_image
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import Skeleton
from tinypose.whole_picture import inside_matrix


def calibration_people(config: Config, skeleton: Skeleton) -> list[Person]:
    """Return at most `quant.people` of the people that `tinypose train` trains on, spread evenly over them.

    Raises:
        UserError: the config names no training set, or one cannot be read.
    """
    people, _ = load_training(config.data, skeleton)
    count = min(config.quant.people, len(people))
    return [people[index] for index in np.linspace(0, len(people) - 1, count).round().astype(int)]


def crops_of(people: list[Person], config: Config) -> np.ndarray:
    """Cut the people out of their pictures as evaluation does: uint8 RGB [N, H, W, 3].

    Networks that see whole pictures get those of these people, as devices see them.
    """
    if config.output.gives == "people":
        pictures = {person.path: person for person in people}.values()
        return np.stack(
            [
                crop_image(person.read(), inside_matrix(person.size, config.input.size), config.input.size)
                for person in track(list(pictures), "reading pictures")
            ]
        )
    return np.stack(
        [
            crop_person(person.read(), person.box, config.input)[0]
            for person in track(people, "cutting people out")
        ]
    )


def batches_of(crops: np.ndarray, config: Config) -> Batches:
    """Return a function that yields the crops as the network reads them, `quant.batch_size` at a time."""

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(crops), config.quant.batch_size):
            yield normalise(crops[start : start + config.quant.batch_size], config.input)

    return batches
