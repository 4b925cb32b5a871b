"""`compress distill`: a small network learns from a large one."""

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.commands.train import OutputOption, ResumeOption, end_stopped
from tinypose.console import out
from tinypose.cpu import prepare_cpu


def distill(
    config: ConfigOption,
    output: OutputOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    resume: ResumeOption = False,
) -> None:
    """Train a network on data.train and on what the teacher of `distill.teacher` finds there.

    The folder is one of `tinypose train`, with ordinary checkpoints of the student. First the teacher's
    accuracy on data.val is printed.
    """
    from tinypose.config import load_config

    loaded = load_config(config, override)
    prepare_cpu()
    from compress.distill.run import distill as run
    from tinypose.engine.train import Stopped

    try:
        run(loaded, output, resume)
    except Stopped as stopped:
        end_stopped(stopped)
    out.print(f"weights: {output / 'best.pdparams'}", markup=False)
