"""What `tinypose.engine.evaluate` needs to measure a model of an artifact folder."""

from pathlib import Path

import numpy as np

from lite_deploy.verify import open_or_interpret
from tinypose.artifact.record import Artifact
from tinypose.config import Config
from tinypose.network import Network


def evaluation_config(
    artifact: Artifact,
    data: tuple[Path, Path] | None = None,
    flip: bool | None = None,
    boxes: Path | None = None,
) -> Config:
    """Return the exported config with what a command changes; the crop and decoding are the artifact's."""
    content = dict(artifact.origin.config)
    content["input"] = artifact.input.config().model_dump()
    content["output"] = artifact.output.model_dump()
    if data is not None:
        content["data"] = {"val": {"annotations": data[0], "images": data[1]}}
    changes = {"flip": flip, "boxes": boxes}
    content["eval"] = content["eval"] | {key: value for key, value in changes.items() if value is not None}
    return Config.model_validate(content)


def open_for_evaluation(artifact: Artifact, folder: str | Path, name: str) -> tuple[Network, str]:
    """Return a model as `tinypose.engine.evaluate` runs it, on normalised images, and what runs it."""
    run, how = open_or_interpret(artifact, folder, artifact.model(name))
    if artifact.input.normalise == "caller":
        return run, how
    mean, std = (
        np.array(each, np.float32).reshape(3, 1, 1) for each in (artifact.input.mean, artifact.input.std)
    )
    return lambda images: run(np.ascontiguousarray((images * std + mean) * 255)), how
