"""The course of a training run as a picture, and for VisualDL."""

import importlib.util
from pathlib import Path
from typing import Any

from tinypose.errors import UserError
from tinypose.files import write_whole


def draw_curves(path: Path, history: list[dict[str, Any]], metric: str) -> None:
    """Draw loss, learning rate and accuracy over the epochs as PNG.

    Args:
        path: of the picture.
        history: a record an epoch, with `epoch`, `loss`, `learning_rate` and, where measured, `metric`.
        metric: the name of the accuracy.
    """
    from matplotlib.figure import Figure  # without pyplot: it would keep global state

    epochs = [record["epoch"] for record in history]
    measured = [record for record in history if record.get(metric) is not None]
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    loss, rate, accuracy = figure.subplots(1, 3)
    loss.plot(epochs, [record["loss"] for record in history], ".-")
    loss.set(title="loss", xlabel="epoch", yscale="log")
    rate.plot(epochs, [record["learning_rate"] for record in history], ".-")
    rate.set(title="learning rate", xlabel="epoch", yscale="log")
    accuracy.plot([r["epoch"] for r in measured], [r[metric] for r in measured], ".-")
    accuracy.set(title=metric, xlabel="epoch")
    for axes in (loss, rate, accuracy):
        axes.grid(alpha=0.3)
    with write_whole(path) as temporary:
        figure.savefig(temporary, dpi=100)


def check_visualdl() -> None:
    """Raise a UserError if VisualDL is not installed."""
    if importlib.util.find_spec("visualdl") is None:
        raise UserError("train.visualdl: VisualDL is not installed; pip install visualdl, or leave it out")


def write_visualdl(folder: Path, record: dict[str, Any]) -> None:
    """Add an epoch's numbers to the log that VisualDL shows (`visualdl --logdir FOLDER`)."""
    from visualdl import LogWriter  # an extra

    with LogWriter(logdir=str(folder), file_name="vdlrecords.run.log") as writer:
        for name, value in record.items():
            if isinstance(value, int | float) and name not in ("epoch", "step"):
                writer.add_scalar(tag=name, step=record["epoch"], value=value)
