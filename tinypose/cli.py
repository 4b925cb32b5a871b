"""The `tinypose` command."""

import typer

from tinypose.commands import config, data, synth
from tinypose.commands.detect import detect
from tinypose.commands.eval import evaluate
from tinypose.commands.infer import infer
from tinypose.commands.info import info
from tinypose.commands.train import train
from tinypose.console import command_line

app = typer.Typer(
    help="Human pose estimation for phones and ARM boards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")
app.command()(detect)
app.command(name="eval")(evaluate)
app.command()(infer)
app.command()(info)
app.command()(synth.synth)
app.command()(train)

main = command_line(app)
