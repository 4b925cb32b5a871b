"""`tinypose synth`: draw a set of people to train and test on where there is no data."""

from pathlib import Path
from typing import Annotated

import typer

from tinypose.commands.options import OldFolder, folder_of
from tinypose.console import kept, out
from tinypose.cpu import cores


def synth(
    folder: OldFolder = None,
    output: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A new or empty folder.")] = None,
    images: Annotated[int, typer.Option(help="How many pictures.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pictures.")] = 0,
    width: Annotated[int, typer.Option(help="Of a picture, pixels.")] = 320,
    height: Annotated[int, typer.Option(help="Of a picture, pixels.")] = 320,
    fewest: Annotated[int, typer.Option(help="People a picture, at least.")] = 1,
    most: Annotated[int, typer.Option(help="People a picture, at most.")] = 5,
    workers: Annotated[int, typer.Option(help="Processes; 0: one a core.")] = 0,
) -> None:
    """Draw synthetic people in COCO's format: images/ and annotations.json in the folder --output.

    Interrupted, the same command goes on where it stopped.
    """
    folder = folder_of(folder, output)
    from tinypose.data.synthetic import draw_set

    with kept(lambda: f"kept: the pictures in {folder}; the same command goes on there"):
        draw_set(folder, images, seed, (width, height), (fewest, most), workers or cores())
    out.print(f"{images} pictures in {folder / 'images'}, annotations in {folder / 'annotations.json'}")
