"""`compress sensitivity`: how much each convolution alone loses in INT8."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import kept, out, table
from tinypose.cpu import prepare_cpu
from tinypose.errors import UserError
from tinypose.files import claim_folder

SHOWN = 15


def sensitivity(
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--output", help="The folder to write.", show_default=False)],
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    by: Annotated[
        Literal["heatmap", "ap"],
        typer.Option(help="ap: also AP or PCKh on data.val, which takes longer."),
    ] = "heatmap",
    plain: Annotated[bool, typer.Option("--plain", help="Of the network before equalisation.")] = False,
) -> None:
    """Measure what quantising each convolution alone does to the outputs, and on request to AP or PCKh.

    Writes sensitivity.json and a bar chart. What is measured is kept in the folder: a command that was
    interrupted goes on where it was.
    """
    from tinypose.detection.config import load_any_config

    loaded = load_any_config(config, override)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: a file of that name is there; give the name of a folder")

    prepare_cpu()
    from compress.quant.chart import write_sensitivity
    from compress.quant.climb import SENSITIVITY_PEOPLE, calibrated, equalised, in_int8, some_batches
    from compress.quant.data import batches_of
    from compress.quant.gains import noise_gains
    from compress.quant.observe import channel_statistics
    from compress.quant.scales import only
    from compress.quant.sensitivity import sensitivity as measure_errors
    from compress.quant.simulate import Simulation
    from compress.quant.task import read_task

    with (
        claim_folder(output),
        kept(lambda: f"kept: what was measured, in {output}; the same command goes on"),
    ):
        task = read_task(loaded, config)
        metric = task.measure.metric
        if by == "ap" and task.measure.alone is None:
            raise UserError("--by ap: is for networks that see crops; without it the outputs are compared")
        graph, few = task.graph, some_batches(task, SENSITIVITY_PEOPLE)
        statistics = channel_statistics(graph, batches_of(task.crops, task.config))
        gains = noise_gains(graph, few)
        gains = {name: gains[name] for name in in_int8(task)}
        if not plain:
            graph, statistics, gains = equalised(graph, statistics, gains)
        scales = only(calibrated(task, graph, statistics, gains), gains)
        errors = measure_errors(graph, scales, few, output / "sensitivity.npz")
        aps, fp32_ap = {}, None
        if by == "ap":
            aps = task.measure.alone(graph, scales, output / "sensitivity_ap.npz")
            fp32_ap = task.measure.of(Simulation(graph, {}))
        write_sensitivity(output, errors, aps, fp32_ap, metric=metric)

    names = list(aps or errors)[:SHOWN]
    columns = ("convolution", "output error", *((metric, f"{metric} lost") if aps else ()))
    rows = [
        (name, f"{errors[name]:.2g}", *((f"{aps[name]:.2f}", f"{fp32_ap - aps[name]:.2f}") if aps else ()))
        for name in names
    ]
    out.print(table(f"the most sensitive of {len(errors)} convolutions", columns, rows))
    out.print(f"written: {output}/sensitivity.json, {output}/sensitivity.png", markup=False)
