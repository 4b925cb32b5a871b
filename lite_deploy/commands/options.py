"""The options that every command of lite-deploy spells alike."""

from pathlib import Path
from typing import Annotated

import typer

from tinypose.artifact import artifact_folder

FolderArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", callback=artifact_folder, help="An artifact folder, made by `lite-deploy export`."
    ),
]
