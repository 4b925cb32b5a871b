"""Measure a model of an artifact folder: joints by AP or PCKh, boxes by AP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lite_deploy.bench.device import Device
from lite_deploy.bench.machine import inspect
from lite_deploy.bench.plan import fits
from lite_deploy.bench.remote import on_device
from lite_deploy.bench.runner import RunFailed, Runner
from lite_deploy.verify import exported_config
from tinypose.artifact.record import Artifact
from tinypose.config import Config, DataConfig, DatasetConfig
from tinypose.console import track
from tinypose.data.annotations import read_coco
from tinypose.detection.detector import Detector
from tinypose.engine.evaluate import people_to_evaluate
from tinypose.engine.measure import measure
from tinypose.errors import UserError
from tinypose.metrics.boxes import annotated_boxes, box_ap, detect_all
from tinypose.network import Network


@dataclass(frozen=True)
class Measured:
    """What came of measuring a model.

    Attributes:
        data: the annotation file.
        people: how many it was measured on.
        summary: one line about them.
        metrics: in percent.
        predictions: COCO's results.
    """

    data: str
    people: int
    summary: str
    metrics: dict[str, float | None]
    predictions: list[dict[str, Any]]


def evaluation_config(
    artifact: Artifact,
    data: DatasetConfig | None = None,
    flip: bool | None = None,
    boxes: Path | None = None,
    batch: int | None = None,
) -> Config:
    """Return a pose network's exported config with what a command changes; crop and codec are the artifact's.

    Args:
        artifact: of a pose network.
        data: what to measure on; None: as exported, as all that follows.
        flip: whether to average with the mirrored picture.
        boxes: a detector's boxes.
        batch: people a batch.
    """
    config = exported_config(artifact)
    # A model takes pictures of one size.
    changes = {"flip": flip, "boxes": boxes, "batch_size": batch, "scales": (1.0,)}
    changes = {key: value for key, value in changes.items() if value is not None}
    return config.model_copy(
        update={
            "input": artifact.input.config(),
            "output": artifact.output,
            "data": config.data if data is None else DataConfig(val=data),
            "eval": config.eval.model_copy(update=changes),
        }
    )


def measure_joints(artifact: Artifact, network: Network, config: Config) -> Measured:
    """Measure a pose network as `tinypose eval` does.

    Args:
        artifact: what the folder's `pose.json` says.
        network: on normalised images.
        config: of `evaluation_config`.
    """
    people = people_to_evaluate(config, artifact.skeleton)
    fixed = artifact.output.gives == "people"
    metrics, predictions = measure(network, people, config, artifact.skeleton, fixed=fixed)
    return Measured(
        str(config.data.val.annotations), len(people.people), people.summary, metrics, predictions
    )


def measure_boxes(artifact: Artifact, network: Network, data: DatasetConfig | None = None) -> Measured:
    """Measure a detector: AP of people's boxes.

    Args:
        artifact: what the folder's `pose.json` says.
        network: on normalised images.
        data: what to measure on; None: `data.val` of the exported config.

    Raises:
        UserError: nothing to measure on, or a data set of another format than COCO's.
    """
    data = data or exported_config(artifact).data.val
    if data is None:
        raise UserError("data.val: not set when this was exported; give --data ANNOTATIONS IMAGES")
    data = annotated_boxes(data)
    detector = Detector(network, artifact.input.config(), artifact.output)
    found = detect_all(
        detector, data.annotations, data.images, lambda items: track(items, "detecting"), data.category
    )
    metrics = {
        key: None if value < 0 else 100 * value
        for key, value in box_ap(data.annotations, found, data.category).items()
    }
    source = read_coco(data.annotations, None, data.category)
    people = sum(map(source.counts, source.entries))
    line = f"{people} people in {len(source.images)} pictures; {len(found)} boxes found"
    return Measured(str(data.annotations), people, line, metrics, found)


def on_normalised(artifact: Artifact, run: Network) -> Network:
    """Return a function on normalised images, made of one on what the network reads."""
    if artifact.input.normalise == "caller":
        return run
    mean, std = (
        np.array(each, np.float32).reshape(3, 1, 1) for each in (artifact.input.mean, artifact.input.std)
    )
    return lambda images: run(np.ascontiguousarray((images * std + mean) * 255))


@contextmanager
def open_on_device(
    artifact: Artifact, folder: Path, name: str, device: Device, runner: Runner
) -> Iterator[Network]:
    """Bring a model to a device; give it as `tinypose.engine.evaluate` runs it, a process for each batch.

    Raises:
        UserError: the model must not run there, does not load or crashes, with what it said last.
    """
    model = artifact.model(name)
    fit = next(e for e in fits(artifact, folder, inspect(device), runner.kind) if e.model.name == name)
    if not fit.runs:
        raise UserError(f"{device.name}: {name}: {fit.note}")

    with on_device(device, runner, folder, [model]) as compute:

        def run(images: np.ndarray) -> list[np.ndarray]:
            try:
                return compute(model, images)
            except RunFailed as error:
                raise UserError(f"{device.name}: {name}: {error}") from None

        yield on_normalised(artifact, run)
