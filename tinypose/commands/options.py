"""The options that every command spells alike."""

from pathlib import Path
from typing import Annotated

import typer

from tinypose.console import err
from tinypose.errors import UserError

ConfigOption = Annotated[
    Path,
    typer.Option("-c", "--config", help="A YAML config, or the name of one that ships.", show_default=False),
]
OverrideOption = Annotated[
    list[str],
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Override a key of the config; repeatable."),
]
OldFolder = Annotated[Path | None, typer.Argument(hidden=True, show_default=False)]


def folder_of(position: Path | None, output: Path | None) -> Path:
    """Return where results go: --output, or the position that stood for it once."""
    if (position is None) == (output is None):
        raise UserError("expected --output FOLDER, once")
    if position is not None:
        err.print(f"the folder is called --output {position} now", style="yellow", markup=False)
    return position or output
