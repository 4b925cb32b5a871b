"""The `lite-deploy` command."""

from lite_deploy.commands.android import android
from lite_deploy.commands.bench import bench
from lite_deploy.commands.compare import compare
from lite_deploy.commands.doctor import doctor
from lite_deploy.commands.eval import evaluate
from lite_deploy.commands.export import export
from lite_deploy.commands.graph import graph
from lite_deploy.commands.report import report
from lite_deploy.commands.verify import verify
from tinypose.console import command_line, new_app, renamed

app = new_app("Pose networks on phones and ARM boards: export, verify, measure.", "lite-deploy")
app.command()(export)
app.command(name="export-detector")(export)  # its name before `export` took either config
app.command()(verify)
app.command(name="eval", cls=renamed(save_predictions="output"))(evaluate)
app.command()(graph)
app.command()(doctor)
app.command(cls=renamed(out="output"))(bench)
app.command(cls=renamed(out="output"))(report)
app.command()(compare)
app.command()(android)

main = command_line(app)
