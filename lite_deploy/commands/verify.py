"""`lite-deploy verify`: does every model of a folder compute what the network computes?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lite_deploy.commands.options import FolderArgument
from tinypose.console import err, out, table


def verify(
    folder: FolderArgument,
    image: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A picture to use as input; repeatable. None: noise.")
    ] = [],  # noqa: B006 (typer copies it)
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of FP32, relative to the largest value.", min=0)
    ] = 1e-4,
) -> None:
    """Run the same inputs through every model and compare with the network as trained.

    Checks every checksum first. The result is noted in pose.json. Exit code 1 if an FP32 model is past the
    tolerance.
    """
    from lite_deploy.verify import noise_crops, picture_crops
    from lite_deploy.verify import verify as compare
    from tinypose.artifact.record import read_artifact, write_artifact

    artifact = read_artifact(folder)
    crops = picture_crops(artifact, image) if image else noise_crops(artifact)
    reference, rows = compare(artifact, folder, crops, tolerance)
    shown = []
    for row in rows:
        parity = row.parity
        verdict = {True: "equal", False: "PAST TOLERANCE", None: "by design"}[row.passed]
        moved = f"{parity.moved} of {parity.joints}"
        numbers = (f"{parity.difference:.1e}", f"{parity.correlation:.6f}", moved)
        shown.append((parity.model, row.how, *numbers, verdict))
    title = f"{folder}: {len(crops)} inputs, against {reference}, tolerance {tolerance:g}"
    columns = ("model", "run by", "largest difference", "correlation", "maxima moved", "verdict")
    out.print(table(escape(title), columns, shown))
    write_artifact(folder, artifact.model_copy(update={"parity": tuple(row.parity for row in rows)}))
    if failed := [row.parity.model for row in rows if row.passed is False]:
        err.print(f"past the tolerance: {', '.join(failed)}", style="red", markup=False)
        raise typer.Exit(1)
