"""What every command shares: the way errors end it, progress bars and tables."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tinypose.errors import UserError

Item = TypeVar("Item")

# Into a file or a pipe tables go whole; rich would cut them to 80 characters.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def command_line(app: typer.Typer) -> Callable[[], None]:
    """Return the entry point of `app`: a UserError ends it with one message and exit code 2."""

    def main() -> None:
        _quiet_paddle()
        try:
            app()
        except UserError as error:
            err.print(f"error: {error}", style="red", markup=False)
            sys.exit(2)
        except KeyboardInterrupt:
            err.print("interrupted", style="yellow")
            sys.exit(130)

    return main


def _quiet_paddle() -> None:
    """Leave out what Paddle says about itself: the user can do nothing about it."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    for message in (
        "No ccache found",
        "Tensor do not have 'place' interface",
        "When training, we now always track global mean",
    ):
        warnings.filterwarnings("ignore", message)


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` under a progress bar on standard error, which vanishes at the end."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        yield from progress.track(items, total=total, description=what)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Make a table whose first column is left-aligned and whose others are right-aligned."""
    result = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        result.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        result.add_row(*(str(cell) for cell in row))
    return result
