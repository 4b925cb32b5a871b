"""Load the sets of a config: one, or several merged into one, with their joints brought together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.config import Config, DataConfig, DatasetConfig, InputConfig
from tinypose.data.annotations import read_top
from tinypose.data.coco import PeopleSet, Person, load_people
from tinypose.data.examples import TrainingSet
from tinypose.data.mpii import load_mpii
from tinypose.data.whole import WholePicture, WholeSet, gather_pictures
from tinypose.errors import UserError
from tinypose.skeleton import Skeleton, load_skeleton


def training_sets(data: DataConfig) -> list[DatasetConfig]:
    """Return the sets to train on: those that `data.datasets` names, or `data.train`."""
    if data.datasets:
        return [data.sets[name] for name in data.datasets]
    if data.train is None:
        raise UserError(
            "data.train: not set; give -o data.train.annotations=FILE -o data.train.images=FOLDER"
        )
    return [data.train]


def load_training_set(
    config: Config, skeleton: Skeleton, second: InputConfig | None = None, variants: int | None = None
) -> tuple[TrainingSet | WholeSet, list[str]]:
    """Load what a config trains on, ready to make batches of.

    Args:
        config: sections `data`, `input`, `output`, `augment` or `whole`, and `train`.
        skeleton: of the network.
        second: see `TrainingSet`.
        variants: see `TrainingSet`.

    Returns:
        The set, and a line about each of the sets in it.
    """
    if config.output.gives == "people":
        return load_whole_set(config, skeleton)
    people, lines = load_training(config.data, skeleton)
    batch_size = min(config.train.batch_size, len(people))
    late = None
    if config.late_augment is not None:
        late = round(config.train.late * config.train.epochs), config.late_augment
    training = TrainingSet(
        people,
        skeleton,
        config.input,
        config.output,
        config.augment,
        config.train.seed,
        batch_size,
        second,
        variants,
        late,
    )
    return training, lines


def load_whole_set(config: Config, skeleton: Skeleton) -> tuple[WholeSet, list[str]]:
    """Load the pictures that a bottom-up network trains on; see `load_training_set`."""
    width, height = config.input.size
    if width != height:
        raise UserError(f"input: expected a square to train on whole pictures, found {width}x{height}")
    pictures: list[WholePicture] = []
    lines = []
    for dataset in training_sets(config.data):
        loaded = load_set(dataset, skeleton)
        pictures += gather_pictures(loaded, dataset)
        lines.append(f"{Path(dataset.annotations).name}: {loaded.summary}")
    batch_size = min(config.train.batch_size, len(pictures))
    whole = WholeSet(
        pictures, skeleton, config.input, config.output, config.whole, config.train.seed, batch_size
    )
    return whole, lines


def load_training(data: DataConfig, skeleton: Skeleton) -> tuple[list[Person], list[str]]:
    """Load all people to train on, set after set.

    Returns:
        The people, with joints in the order of `skeleton`, and a line about each set.

    Raises:
        UserError: no set, or one that cannot be used.
    """
    people: list[Person] = []
    lines = []
    for dataset in training_sets(data):
        loaded = load_set(dataset, skeleton)
        people += loaded.people
        lines.append(f"{Path(dataset.annotations).name}: {loaded.summary}")
    return people, lines


def load_set(dataset: DatasetConfig, skeleton: Skeleton, present: bool = True) -> PeopleSet:
    """Load one set, with its joints in the order of `skeleton`.

    Args:
        dataset: the set.
        skeleton: of the result.
        present: check that all pictures are there; MPII's have to be, their size is nowhere else.

    Raises:
        UserError: a file that cannot be used, or a set that has no joint of `skeleton`.
    """
    own = skeleton if dataset.skeleton is None else load_skeleton(dataset.skeleton)
    if dataset.format == "mpii":
        people = load_mpii(dataset.annotations, dataset.images, own)
    else:
        people = load_people(dataset.annotations, dataset.images, own, present, dataset.category)
    if own.joints == skeleton.joints:
        return people
    return map_people(people, own, skeleton)


def map_people(people: PeopleSet, source: Skeleton, target: Skeleton) -> PeopleSet:
    """Bring the joints of a set to another skeleton by their names.

    Joints that the set does not have are left unannotated, and so are masked while training. People
    who keep no annotated joint are left out and counted.

    Raises:
        UserError: the two skeletons have no joint in common, or nobody is left.
    """
    order = joint_map(source.joints, target.joints)
    if not order:
        raise UserError(
            f"{people.annotations}: skeletons '{source.name}' and '{target.name}' have no joint in common"
        )
    mapped, lost = [], 0
    for person in people.people:
        joints = np.zeros((len(target.joints), 3), np.float32)
        for here, there in order:
            joints[here] = person.joints[there]
        if (joints[:, 2] > 0).any():
            mapped.append(replace(person, joints=joints))
        else:
            lost += 1
    if not mapped:
        raise UserError(f"{people.annotations}: nobody with a joint of skeleton '{target.name}'")
    skipped = dict(people.skipped)
    if lost:
        skipped[f"without a joint of {target.name}"] = lost
    return replace(people, people=mapped, skipped=skipped)


def merge_files(paths: Sequence[Path]) -> dict[str, Any]:
    """Merge annotation files in COCO's format, such as CrowdPose's train and val, whose pictures differ.

    Returns:
        The first file's content with the others' pictures and annotations. Annotations' ids that stand
        twice are given anew.

    Raises:
        UserError: a file that cannot be read, other categories than the first file's, a picture twice.
    """
    merged = {**read_top(paths[0]), "images": [], "annotations": []}
    home: dict[int | str, Path] = {}  # of each picture
    used: set[int] = set()
    free = 1  # no whole number from here on is used
    for path in paths:
        content = read_top(path)
        if content.get("categories") != merged.get("categories"):
            raise UserError(f"{path}: has other categories than {paths[0]}; merge files of one kind")
        for number, entry in enumerate(content["images"]):
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), int | str):
                raise UserError(f"{path}: images[{number}]: expected an object with an `id`")
            if entry["id"] in home:
                raise UserError(f"{path}: image {entry['id']} stands in {home[entry['id']]} too")
            home[entry["id"]] = path
            merged["images"].append(entry)
        for number, entry in enumerate(content["annotations"]):
            if not isinstance(entry, dict):
                raise UserError(f"{path}: annotations[{number}]: expected an object")
            own = entry.get("id")
            own = own if isinstance(own, int) and own not in used else free
            free = max(free, own + 1)
            used.add(own)
            merged["annotations"].append({**entry, "id": own})
    return merged


def joint_map(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    """Return (place in `target`, place in `source`) of each joint that both have."""
    return [(here, source.index(name)) for here, name in enumerate(target) if name in source]
