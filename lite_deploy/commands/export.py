"""`lite-deploy export`: from a config and weights to an artifact folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OldFolder, OverrideOption, folder_of
from tinypose.console import out, table


def export(
    config: ConfigOption,
    folder: OldFolder = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The artifact folder to make.")
    ] = None,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    rewrite: Annotated[
        bool,
        typer.Option("--rewrite/--no-rewrite", help="Rewrite the network for the phone, or not, to compare."),
    ] = True,
    quant: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|NAME",
            help="Export INT8 as well: what `compress quant` wrote, or settings that ship, by name.",
        ),
    ] = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Let the network take pixels, 0 to 255, and normalise itself.")
    ] = False,
    model: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="A .nb to make, such as arm_fp16; repeatable. None: all there are."
        ),
    ] = [],  # noqa: B006 (typer copies it)
    engine: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Models for openvino, mnn or ncnn as well; repeatable."),
    ] = [],  # noqa: B006
) -> None:
    """Make the artifact folder of a pose network or a detector: its models for every engine, and pose.json.

    FP32, FP16 and, with --quant, INT8 for ARM, and FP32 for x86; Paddle and ONNX. Combinations that are known
    to give wrong numbers are refused. Of a detector's classes the person alone is kept.
    """
    folder = folder_of(folder, output)
    from tinypose.detection.config import load_any_config

    loaded = load_any_config(config, override)

    from lite_deploy.export import export as make
    from lite_deploy.nb.read import read_nb

    artifact = make(loaded, folder, str(config), rewrite, quant, model or None, normalise, engine)
    rows = []
    for record in artifact.models:
        lite = record.engine == "paddle-lite"
        operators = len(read_nb(folder / record.files[0].file).operators) if lite else ""
        size = f"{sum(each.bytes for each in record.files) / 1e6:.2f}"
        files = ", ".join(each.file for each in record.files)
        rows.append((record.name, record.engine, record.target, record.precision, files, size, operators))
    columns = ("model", "engine", "for", "precision", "files", "MB", "operators")
    out.print(table(escape(str(folder)), columns, rows))
    if kept := artifact.origin.kept_fp32:
        out.print(f"in FP32 within INT8: {', '.join(kept)}", markup=False)
