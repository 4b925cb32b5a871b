"""`compress quant`: a network to INT8, with its accuracy measured as the phone computes."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.commands.train import end_stopped
from tinypose.console import err, kept, out, table
from tinypose.cpu import prepare_cpu
from tinypose.errors import UserError
from tinypose.files import check_new, claim_folder

if TYPE_CHECKING:
    from tinypose.config_train import QuantConfig


def quant(
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--output", help="The folder to write.", show_default=False)],
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    keep_fp32: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Convolutions to leave in FP32; auto: as --max-drop needs."),
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(metavar="AP", help="How much AP `auto` may lose on data.val.")
    ] = None,
    method: Annotated[
        Literal["auto", "ptq", "pact", "lsq"] | None,
        typer.Option(help="ptq: never train; auto: lsq, if nothing else is enough."),
    ] = None,
    target: Annotated[
        Literal["sdot", "no-sdot", "any"] | None,
        typer.Option("--for", help="The core: what is dearer in INT8 there stays in FP32."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a quantised network that is there already.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in the folder.")] = False,
    no_rewrite: Annotated[
        bool, typer.Option("--no-rewrite", help="Leave channel shuffles as they are, to compare.")
    ] = False,
) -> None:
    """Quantise a trained network to INT8, where that is cheaper than FP32.

    Calibrates on what `tinypose train` trains on, measures AP, or PCKh where data.val is MPII's, or a
    detector's box AP, on data.val without flip test, as on a device, and writes a folder for `lite-deploy
    export --quant`. Ends with exit code 1 if the accuracy asked for is not reached; the best found is written
    all the same.
    """
    if keep_fp32 not in (None, "auto") and not re.fullmatch("[0-9]{1,9}", keep_fp32):
        raise UserError(f"--keep-fp32 {keep_fp32}: expected auto or a whole number")
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise UserError(f"--max-drop {max_drop}: expected AP from 0 to 100")
    options = [*override]
    options += [] if keep_fp32 is None else [f"quant.keep_fp32={keep_fp32}"]
    options += [] if max_drop is None else [f"quant.max_drop={max_drop}"]
    options += [] if method is None else [f"quant.method={method}"]
    options += [] if target is None else [f"quant.target={target}"]
    from tinypose.detection.config import load_any_config

    loaded = load_any_config(config, options)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: a file of that name is there; give the name of a folder")
    if (output / "training").exists() and not resume and loaded.quant.method != "ptq":
        raise UserError(
            f"{output}: holds a training; --resume goes on with it, --method ptq does without it; or give "
            "another folder"
        )

    if not resume:
        check_new([output / "quant.json"], overwrite)

    prepare_cpu()
    from compress.quant.climb import quantise
    from compress.quant.result import columns, rows, sentences, write_result
    from compress.quant.task import read_task
    from tinypose.engine.train import Stopped

    with claim_folder(output), kept(lambda: f"kept: what is in {output}; of a training, --resume goes on"):
        task = read_task(loaded, config, rewritten=not no_rewrite)
        try:
            climb = quantise(task, output, resume)
        except Stopped as stopped:
            end_stopped(stopped)
        write_result(climb, output, str(config), rewritten=not no_rewrite)

    measure, settings = task.measure, task.config.quant
    title = f"{loaded.weights}: {len(task.crops)} {task.seen} calibrated on, {measure.people} people measured"
    out.print(table(title, columns(climb), rows(climb)))
    for line in sentences(climb):
        out.print(line, markup=False)
    out.print(f"written: {output}", markup=False)
    drop = climb.fp32.ap - climb.chosen.accuracy.ap
    if settings.keep_fp32 == "auto" and drop > settings.max_drop:
        err.print(
            f"not reached: lost {drop:.2f} {measure.metric}, more than the {settings.max_drop:g} allowed; "
            f"the best setting is written. {_why(settings)}",
            markup=False,
        )
        raise typer.Exit(1)


def _why(settings: "QuantConfig") -> str:
    """Say what stopped the climb, and what could go on."""
    left = f"{settings.max_fp32} convolutions may stay in FP32; more, with -o quant.max_fp32=N, lose less."
    if settings.method == "ptq":
        return f"{left} Training with fake quantisation, --method lsq, wins more back."
    epochs = settings.train.epochs
    return f"{left} It was trained for {epochs} epochs; more of them, or more people in data.train, may help."
