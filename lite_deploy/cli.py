"""The `lite-deploy` command."""

import typer

from lite_deploy.commands.bench import bench
from lite_deploy.commands.compare import compare
from lite_deploy.commands.doctor import doctor
from lite_deploy.commands.eval import evaluate
from lite_deploy.commands.export import export
from lite_deploy.commands.export_detector import export_detector
from lite_deploy.commands.graph import graph
from lite_deploy.commands.report import report
from lite_deploy.commands.verify import verify
from tinypose.console import command_line

app = typer.Typer(
    help="Pose networks on phones and ARM boards: export, verify, measure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(export)
app.command()(export_detector)
app.command()(verify)
app.command(name="eval")(evaluate)
app.command()(graph)
app.command()(doctor)
app.command()(bench)
app.command()(report)
app.command()(compare)

main = command_line(app)
