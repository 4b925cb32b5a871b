"""The people, or pictures, that a network is calibrated on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from compress.quant.observe import Batches
from tinypose.config import Config
from tinypose.console import track
from tinypose.data.annotations import read_coco
from tinypose.data.coco import Person
from tinypose.data.merge import load_training, training_sets
from tinypose.detection.config import DetectorConfig
from tinypose.detection.detector import fit_whole
from tinypose.errors import UserError
from tinypose.geometry import crop_image
from tinypose.images import read_image
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import Skeleton
from tinypose.whole_picture import inside_matrix

Item = TypeVar("Item")


def calibration_crops(config: Config | DetectorConfig, skeleton: Skeleton | None) -> np.ndarray:
    """Return what a network is calibrated on as it sees it, before normalising: uint8 RGB [N, H, W, 3].

    Networks that see whole pictures get those of the people to calibrate on, and detectors all of the
    pictures, with people or without.

    Args:
        config: sections `data`, `input`, and `quant.people`: how many, at most.
        skeleton: of the joints it finds; None: it finds boxes.

    Raises:
        UserError: the config names no training set, or one cannot be read.
    """
    if isinstance(config, DetectorConfig):
        pictures = calibration_pictures(config)
        return np.stack(
            [fit_whole(read_image(*each), config.input) for each in track(pictures, "reading pictures")]
        )
    people = calibration_people(config, skeleton)
    if config.output.gives == "people":
        first = list({person.path: person for person in people}.values())
        return np.stack(
            [
                crop_image(person.read(), inside_matrix(person.size, config.input.size), config.input.size)
                for person in track(first, "reading pictures")
            ]
        )
    return np.stack(
        [
            crop_person(person.read(), person.box, config.input)[0]
            for person in track(people, "cutting people out")
        ]
    )


def calibration_people(config: Config, skeleton: Skeleton) -> list[Person]:
    """Return at most `quant.people` of the people that `tinypose train` trains on, spread evenly over them.

    Raises:
        UserError: the config names no training set, or one cannot be read.
    """
    people, _ = load_training(config.data, skeleton)
    return _spread(people, config.quant.people)


def calibration_pictures(config: DetectorConfig) -> list[tuple[Path, tuple[int, int]]]:
    """Return at most `quant.people` pictures of the training sets, each with width and height.

    Raises:
        UserError: the config names no training set, or one that cannot be read or has no picture.
    """
    pictures = []
    for dataset in training_sets(config.data):
        source = read_coco(dataset.annotations, None, dataset.category)
        pictures += [(Path(dataset.images) / each.file_name, each.size) for each in source.images.values()]
    if not pictures:
        raise UserError("data.train: no pictures to calibrate on")
    return _spread(pictures, config.quant.people)


def batches_of(crops: np.ndarray, config: Config | DetectorConfig) -> Batches:
    """Return a function that yields the crops as the network reads them, `quant.batch_size` at a time."""

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(crops), config.quant.batch_size):
            yield normalise(crops[start : start + config.quant.batch_size], config.input)

    return batches


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many of the items, spread evenly over them."""
    count = min(most, len(items))
    return [items[index] for index in np.linspace(0, len(items) - 1, count).round().astype(int)]
