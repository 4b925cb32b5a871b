"""The options that every command spells alike."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path,
    typer.Option("-c", "--config", help="A YAML config, or the name of one that ships.", show_default=False),
]
OverrideOption = Annotated[
    list[str],
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Override a key of the config; repeatable."),
]
