"""`tinypose track`: measure who is who over time."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.console import err, out, table

app = typer.Typer(help="Who is who over time.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Who is who over time."""


@app.command(name="eval")
def evaluate(
    truth: Annotated[
        Path,
        typer.Option(
            metavar="PATH", help="MOT text, JSON with videos and track ids, or a folder of sequences."
        ),
    ],
    results: Annotated[
        Path, typer.Option(metavar="PATH", help="Of `tinypose infer`: NAME.mot.txt, NAME.json, or a folder.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the numbers as JSON, too.")
    ] = None,
) -> None:
    """Measure tracks: HOTA, MOTA, IDF1, and how often someone's id changed.

    Videos are matched by name; where both sides have one alone, they are taken for the same. With a folder of
    results every video of the truth counts, with one file that video.
    """
    from tinypose.data.tracks import read_tracks
    from tinypose.files import check_output, write_json
    from tinypose.metrics.track_eval import COLUMNS, track_metrics

    if output is not None:
        check_output(output, [truth, results])
    real, found = read_tracks(truth, truth=True), read_tracks(results, truth=False)
    if len(real) == len(found) == 1:
        found = dict(zip(real, found.values(), strict=True))
    elif results.is_file():
        real = {name: each for name, each in real.items() if name in found} or real
    elif missing := sorted(set(real) - set(found)):
        err.print(f"without results, so nobody was found: {', '.join(missing[:10])}", markup=False)
    rows, everything = track_metrics(real, found)
    named = [*rows.items(), ("all", everything)] if len(rows) > 1 else list(rows.items())
    shown = [(name, *(_shown(row[column]) for column in COLUMNS)) for name, row in named]
    out.print(table(escape(f"{results}, against {truth}; percent and counts"), ("video", *COLUMNS), shown))
    if output is not None:
        write_json(output, {"videos": rows, "all": everything})
        out.print(f"numbers: {output}", markup=False)


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.1f}"
