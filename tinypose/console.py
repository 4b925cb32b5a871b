"""What every command shares: the way errors end it, progress bars and tables."""

import importlib.metadata
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperCommand

from tinypose.errors import UserError

Item = TypeVar("Item")
LOOK_AGAIN = 0.05  # seconds after a Ctrl-C that could not be answered at once
LINE_SECONDS = 60  # between lines where there is no terminal to draw a bar on

# Into a file or a pipe tables go whole; rich would cut them to 80 characters.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def new_app(help: str, module: str) -> typer.Typer:
    """Make the app of a command, with `-h` and `--version`; help is plain text, so that no name is cut.

    Args:
        help: what the command is for.
        module: a dotted name, whose first part is the program's.
    """
    app = typer.Typer(
        help=help,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def version(asked: bool) -> None:
        if asked:
            print(f"{module} {importlib.metadata.version('edge-pose')}")
            raise typer.Exit()

    @app.callback(help=help)
    def _top(
        version: Annotated[
            bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    return app


def renamed(**names: str) -> type[TyperCommand]:
    """Return a class of commands that still understand old names of options, and say the new ones.

    Args:
        names: old name -> new name, without dashes: `d="output"` reads `-d X` as `--output X`.
    """
    dashed = {
        ("-" if len(old) == 1 else "--") + old.replace("_", "-"): f"--{new}" for old, new in names.items()
    }

    class Renamed(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, [_new_name(each, dashed) for each in args])

    return Renamed


def _new_name(argument: str, names: dict[str, str]) -> str:
    old, separator, value = argument.partition("=")
    if old not in names:
        return argument
    err.print(f"{old} is called {names[old]} now", style="yellow", markup=False)
    return names[old] + separator + value


def command_line(app: typer.Typer) -> Callable[[], None]:
    """Return the entry point of `app`: one message and exit code 2 for what a user can put right.

    That is a UserError, and what the system refuses: a full disk, a file that may not be read. Ctrl-C ends
    every command with exit code 130, also where a library makes another error of it.
    """

    def main() -> None:
        _quiet_libraries()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")  # names of files may hold any bytes
        interrupted: list[int] = []

        def interrupt(number: int, frame: FrameType | None) -> None:
            interrupted.append(number)
            if _within(frame, "paddle"):  # its C++ ends the process where Python's errors come through it
                signal.setitimer(signal.ITIMER_REAL, LOOK_AGAIN)
            else:
                raise KeyboardInterrupt

        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
            signal.signal(signal.SIGALRM, interrupt)
        code: Any = 0
        ended = False
        try:
            app()
        except SystemExit as error:
            code = error.code
            ended = bool(interrupted) and code == 128 + signal.SIGINT  # typer's answer to Ctrl-C
        except UserError as error:
            code = _fail(str(error))
        except KeyboardInterrupt:
            ended = True
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would complain once more at its end
            sys.exit(128 + signal.SIGPIPE)
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            code = _fail(f"{named}{error.strerror or error}")
        except Exception:
            if not interrupted:
                raise
            ended = True
        if ended:
            err.print("interrupted", style="yellow")
            code = 128 + signal.SIGINT
        try:
            sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = _fail(f"cannot print: {error.strerror}")
        sys.exit(code)

    return main


def _within(frame: FrameType | None, package: str) -> bool:
    """Whether a function of a package is among those that are being carried out."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").split(".")[0] == package:
            return True
        frame = frame.f_back
    return False


def _fail(message: str) -> int:
    err.print(f"error: {message}", style="red", markup=False)
    return 2


@contextmanager
def kept(what: Callable[[], str]) -> Iterator[None]:
    """Say what is kept if Ctrl-C ends what is done inside."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(what(), style="yellow", markup=False)
        raise


@contextmanager
def workers_start() -> Iterator[None]:
    """Start processes inside, which Ctrl-C in the terminal does not reach: we end them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 person`, `2 people`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _quiet_libraries() -> None:
    """Leave out what libraries say about themselves: the user can do nothing about it."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    for message in (
        "No ccache found",
        "Tensor do not have 'place' interface",
        "When training, we now always track global mean",
        "Image size .* could be decompression bomb",  # `tinypose.images` has a limit of its own
    ):
        warnings.filterwarnings("ignore", message)
    plain = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any) -> None:
        if category.__module__.startswith("tinypose."):  # for the user, not about the code
            err.print(f"note: {message}", style="yellow", markup=False)
        else:
            plain(message, category, *rest)

    warnings.showwarning = show


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items` under a progress bar on standard error, which vanishes at the end.

    Without a terminal to draw it on, a line a minute says how far it is.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if not err.is_terminal:
        printed = time.monotonic()
        for number, item in enumerate(items):
            if time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                err.print(f"{what}: {number}{'' if total is None else f' of {total}'}", markup=False)
            yield item
        return
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
