"""What a training run shows, and how it hears that it should stop."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tinypose.console import LINE_SECONDS, err


class StopRequest:
    """While entered, Ctrl-C and SIGTERM only leave a note; a second Ctrl-C interrupts as usual."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        err.print("stopping after this step, and saving where the run stands", style="yellow")


class TrainingBar:
    """A bar over all steps with the loss, people a second and the time left; a line an epoch above it."""

    def __init__(self, done: int, steps: int, epochs: int, quiet: bool):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]}  {task.fields[rate]} images/s"),
            TimeRemainingColumn(),
        )
        self.steps, self.epochs, self.quiet = steps, epochs, quiet
        self.lines = not quiet and not err.is_terminal
        self.printed = time.monotonic()
        self.progress = Progress(*columns, console=err, transient=True, disable=quiet)
        self.task = self.progress.add_task(
            self._epoch(done), total=steps * epochs, completed=done, loss="-", rate="-"
        )

    def __enter__(self) -> "TrainingBar":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def step(self, done: int, loss: float, rate: float) -> None:
        """Show that `done` steps are done, with the mean loss of the epoch and people a second."""
        epoch, shown = self._epoch(done - 1), (f"{loss:.3g}", f"{rate:.3g}")
        self.progress.update(self.task, completed=done, description=epoch, loss=shown[0], rate=shown[1])
        if self.lines and time.monotonic() - self.printed >= LINE_SECONDS:
            self.printed = time.monotonic()
            place = f"step {(done - 1) % self.steps + 1}/{self.steps}"
            err.print(f"{epoch}  {place}  loss {shown[0]}  {shown[1]} images/s", markup=False)

    def epoch(self, record: dict[str, Any], metric: str, better: bool, how: str = "") -> None:
        """Print a line about an epoch; `how` says how it was measured."""
        if self.quiet:
            return
        line = f"epoch {record['epoch']}/{self.epochs}  loss {record['loss']:.4g}"
        line += f"  rate {record['learning_rate']:.2g}  {record['images_per_second']:.3g} images/s"
        if record.get(metric) is not None:
            line += f"  {metric} {record[metric]:.1f}{how}{'  best' if better else ''}"
        err.print(line, markup=False)

    def _epoch(self, step: int) -> str:
        return f"epoch {min(step // self.steps, self.epochs - 1) + 1}/{self.epochs}"
