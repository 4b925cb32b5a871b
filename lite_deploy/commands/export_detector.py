"""`lite-deploy export-detector`: from a detector's config and weights to an artifact folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OldFolder, OverrideOption, folder_of
from tinypose.console import out, table


def export_detector(
    config: ConfigOption,
    folder: OldFolder = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The artifact folder to make.")
    ] = None,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    model: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="A .nb to make, such as arm_fp16; repeatable. None: all there are."
        ),
    ] = [],  # noqa: B006 (typer copies it)
) -> None:
    """Make the artifact folder of a person detector: Paddle, ONNX and Paddle-Lite models, pose.json.

    Of its classes the person alone is kept.
    """
    folder = folder_of(folder, output)
    from tinypose.detection.config import load_detector_config

    loaded = load_detector_config(config, override)

    from lite_deploy.export import export as make

    artifact = make(loaded, folder, str(config), models=model or None)
    rows = []
    for record in artifact.models:
        size = f"{sum(each.bytes for each in record.files) / 1e6:.2f}"
        files = ", ".join(each.file for each in record.files)
        rows.append((record.name, record.engine, record.target, record.precision, files, size))
    columns = ("model", "engine", "for", "precision", "files", "MB")
    out.print(table(escape(str(folder)), columns, rows))
