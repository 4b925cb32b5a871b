"""What `tinypose.engine.evaluate` needs to measure a model of an artifact folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lite_deploy.bench.device import Device
from lite_deploy.bench.machine import inspect
from lite_deploy.bench.plan import fits
from lite_deploy.bench.remote import on_device
from lite_deploy.bench.runner import RunFailed, Runner
from lite_deploy.verify import open_or_interpret
from tinypose.artifact.record import Artifact
from tinypose.config import Config
from tinypose.errors import UserError
from tinypose.network import Network


def evaluation_config(
    artifact: Artifact,
    data: tuple[Path, Path] | None = None,
    flip: bool | None = None,
    boxes: Path | None = None,
    batch: int | None = None,
) -> Config:
    """Return the exported config with what a command changes; the crop and decoding are the artifact's."""
    content = dict(artifact.origin.config)
    content["input"] = artifact.input.config().model_dump()
    content["output"] = artifact.output.model_dump()
    if data is not None:
        content["data"] = {"val": {"annotations": data[0], "images": data[1]}}
    changes = {"flip": flip, "boxes": boxes, "batch_size": batch}
    content["eval"] = content["eval"] | {key: value for key, value in changes.items() if value is not None}
    return Config.model_validate(content)


def open_for_evaluation(artifact: Artifact, folder: str | Path, name: str) -> tuple[Network, str]:
    """Return a model as `tinypose.engine.evaluate` runs it, on normalised images, and what runs it."""
    run, how = open_or_interpret(artifact, folder, artifact.model(name))
    return on_normalised(artifact, run), how


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
