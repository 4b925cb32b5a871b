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
    images: Annotated[
        int | None, typer.Option(help="How many pictures (2000), or with --video videos (20).")
    ] = None,
    video: Annotated[
        bool, typer.Option("--video", help="Draw videos of people who cross each other's way.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Of a video.")] = 6.0,
    rate: Annotated[float, typer.Option(help="Of a video, frames a second.")] = 15.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pictures.")] = 0,
    width: Annotated[int | None, typer.Option(help="Of a picture (320) or video (480), pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Of a picture (320) or video (288), pixels.")] = None,
    fewest: Annotated[int | None, typer.Option(help="People a picture (1) or video (3), at least.")] = None,
    most: Annotated[int | None, typer.Option(help="People a picture (5) or video (8), at most.")] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0: one a core.")] = 0,
) -> None:
    """Draw synthetic people in COCO's format: images/ and annotations.json in the folder --output.

    With --video also videos/ and sequences/, in the MOT challenge's layout, with who is who.

    Interrupted, the same command goes on where it stopped.
    """
    folder = folder_of(folder, output)
    from tinypose.data.synthetic import draw_set
    from tinypose.data.synthetic.video_set import draw_videos

    defaults = (20, 480, 288, 3, 8) if video else (2000, 320, 320, 1, 5)
    given = (images, width, height, fewest, most)
    images, width, height, fewest, most = (
        default if each is None else each for each, default in zip(given, defaults, strict=True)
    )
    size, people = (width, height), (fewest, max(fewest, most) if given[4] is None else most)
    with kept(lambda: f"kept: the pictures in {folder}; the same command goes on there"):
        if video:
            draw_videos(folder, images, seed, size, people, seconds, rate, workers or cores())
        else:
            draw_set(folder, images, seed, size, people, workers or cores())
    if video:
        out.print(f"{images} videos in {folder / 'videos'}, who is who in {folder / 'annotations.json'}")
        return
    out.print(f"{images} pictures in {folder / 'images'}, annotations in {folder / 'annotations.json'}")
