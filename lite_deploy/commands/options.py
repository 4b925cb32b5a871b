"""The options that every command of lite-deploy spells alike."""

from pathlib import Path
from typing import Annotated

import typer

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="An artifact folder, made by `lite-deploy export`.")
]
