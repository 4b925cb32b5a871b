"""`tinypose train`: from a config to checkpoints."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import err, out
from tinypose.cpu import prepare_cpu
from tinypose.errors import UserError

OutputOption = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="The run's folder.", show_default=False)
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder, or start it.")
]


def train(
    config: ConfigOption,
    output: OutputOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    resume: ResumeOption = False,
) -> None:
    """Train a pose network, or FairMOT, on data.train, or on the sets that data.datasets names.

    The folder gets best.pdparams and last.pdparams (each beside JSON with the config), epochs.jsonl,
    curves.png, and state.npz, from which --resume goes on exactly.
    """
    from tinypose.detection.config import DetectorConfig, FairMOTDetectorConfig, load_any_config

    loaded = load_any_config(config, override)
    if isinstance(loaded, DetectorConfig) and not isinstance(loaded, FairMOTDetectorConfig):
        raise UserError(f"{config}: {loaded.model.name} is not trained here; its weights are published")
    prepare_cpu()
    from tinypose.engine.train import Stopped
    from tinypose.engine.train import train as train_pose
    from tinypose.engine.train_fairmot import train_fairmot

    run = train_fairmot if isinstance(loaded, FairMOTDetectorConfig) else train_pose
    try:
        run(loaded, output, resume)
    except Stopped as stopped:
        end_stopped(stopped)
    out.print(f"weights: {output / 'best.pdparams'}", markup=False)


def end_stopped(stopped: Exception) -> None:
    """End the command as a shell expects of one that a signal has ended."""
    err.print(str(stopped), style="yellow", markup=False)
    raise typer.Exit(128 + (getattr(stopped, "signal", 0) or signal.SIGINT))
