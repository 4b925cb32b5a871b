"""Start a measurement, or go on with one: its runner, its description, its results file."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lite_deploy.bench.device import Device
from lite_deploy.bench.machine import Machine
from lite_deploy.bench.measure import Options
from lite_deploy.bench.plan import Case
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
    if path.exists() and not overwrite:
        raise UserError(f"{path}: is there already; go on with it (--resume), or --overwrite it")
    line = line.model_copy(update={"folder": device.make_folder()})
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
    cases: Sequence[Case],
    options: Options,
    label: str = "",
) -> RunLine:
    """Describe a run: the first line of its file, but for the folder on the device."""
    models = [
        {
            "name": model.name,
            "engine": model.engine,
            "target": model.target,
            "precision": model.precision,
            "bytes": sum(file.bytes for file in model.files),
        }
        for model in artifact.models
    ]
    about = artifact.model_dump(mode="json", include={"input", "output", "tools", "accuracy", "parity"})
    return RunLine(
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        device=device.name,
        label=label,
        machine=machine.as_dict(),
        artifact={
            "folder": folder.resolve().name,
            "sha256": sha256(folder / FILE),
            "config": artifact.origin.config_file,
            **about,
            "models": models,
        },
        tools=tool_versions(),
        options={**asdict(options), "runner": runner.kind, "cases": [list(case.key) for case in cases]},
        folder="",
    )


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
                f"{path}: --resume: {what} was {old} and is now {new}; measure into another --out"
            )
