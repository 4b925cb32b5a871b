"""Start a measurement, or go on with one: its runner, its description, its results file."""

import time
from pathlib import Path
from typing import Any

from lite_deploy.bench.device import Device
from lite_deploy.bench.machine import Machine
from lite_deploy.bench.results import Results, RunLine, append, drop_half_line, read_results
from lite_deploy.bench.runner import Runner
from lite_deploy.engines import tool_versions
from tinypose.artifact.record import FILE, Artifact
from tinypose.errors import UserError
from tinypose.files import sha256


def open_results(
    path: Path, line: RunLine, device: Device, resume: bool = False, overwrite: bool = False
) -> Results:
    """Begin a results file, or open the one of a measurement that was broken off.

    Args:
        path: the file.
        line: what is to be measured (`describe`).
        device: gets a new folder, unless a run is resumed.
        resume: go on with the file if it is there.
        overwrite: begin anew if the file is there.

    Raises:
        UserError: the file is there already, or what is to be resumed was another measurement.
    """
    if path.exists() and resume:
        drop_half_line(path)
        results = read_results(path)
        _check_same(path, results.run, line)
        return results
    check_new(path, overwrite)
    return begin_results(path, line.model_copy(update={"folder": device.make_folder()}))


def check_new(path: Path, overwrite: bool) -> None:
    """Raise UserError if a results file is there that must not be overwritten."""
    if path.exists() and not overwrite:
        raise UserError(f"{path}: is there already; go on with it (--resume), or --overwrite it")


def begin_results(path: Path, line: RunLine) -> Results:
    """Begin a results file, in place of one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    append(path, line)
    return Results(path, line)


def describe(
    artifact: Artifact,
    folder: Path,
    device: Device,
    machine: Machine,
    runner: Runner,
    options: dict[str, Any],
    label: str = "",
) -> RunLine:
    """Describe a run: the first line of its file, but for the folder on the device.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the models are.
        device: where it is measured.
        machine: what that is.
        runner: with what.
        options: how; a run that is resumed must have the same.
        label: the user's name for it.
    """
    return RunLine(
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        device=device.name,
        label=label,
        machine=machine.as_dict(),
        artifact=describe_artifact(artifact, folder),
        tools=tool_versions(),
        options={**options, "runner": runner.kind},
        folder="",
    )


def describe_artifact(artifact: Artifact, folder: Path) -> dict[str, Any]:
    """Describe what is measured: `artifact` of the run's line."""
    models = [
        {
            "name": model.name,
            "engine": model.engine,
            "target": model.target,
            "precision": model.precision,
            "bytes": sum(file.bytes for file in model.files),
            "sha256": model.files[0].sha256,
        }
        for model in artifact.models
    ]
    about = artifact.model_dump(mode="json", include={"input", "output", "tools", "accuracy", "parity"})
    return {
        "folder": folder.resolve().name,
        "sha256": sha256(folder / FILE),
        "config": artifact.origin.config_file,
        **about,
        "models": models,
    }


def _check_same(path: Path, before: RunLine, now: RunLine) -> None:
    """Refuse to mix two measurements in one file."""
    pairs = {
        "device": (before.device, now.device),
        "machine": (before.machine.get("model"), now.machine.get("model")),
        "artifact": (before.artifact.get("sha256"), now.artifact["sha256"]),
        **{key: (before.options.get(key), value) for key, value in now.options.items()},
    }
    for what, (old, new) in pairs.items():
        if old != new:
            raise UserError(
                f"{path}: --resume: {what} was {old} and is now {new}; measure into another --output"
            )
