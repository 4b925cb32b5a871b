"""The `compress` command."""

import typer

from compress.commands import distill, quant, sensitivity
from tinypose.console import command_line

app = typer.Typer(
    help="Make a pose network smaller and faster, and keep it accurate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Make a pose network smaller and faster, and keep it accurate."""


app.command(name="distill")(distill.distill)
app.command(name="quant")(quant.quant)
app.command(name="sensitivity")(sensitivity.sensitivity)

main = command_line(app)
