"""The `tinypose` command."""

from tinypose.commands import config, data, rescore, synth, track, zoo
from tinypose.commands.detect import detect
from tinypose.commands.doctor import doctor
from tinypose.commands.eval import evaluate
from tinypose.commands.infer import infer
from tinypose.commands.info import info
from tinypose.commands.train import train
from tinypose.console import command_line, new_app, renamed

app = new_app("Human pose estimation for phones and ARM boards.", "tinypose")
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")
app.add_typer(rescore.app, name="rescore")
app.add_typer(track.app, name="track")
app.add_typer(zoo.app, name="zoo")
app.command(cls=renamed(boxes="output"))(detect)
app.command(name="eval", cls=renamed(save_predictions="output"))(evaluate)
app.command(cls=renamed(d="output"))(infer)
app.command()(doctor)
app.command()(info)
app.command()(synth.synth)
app.command()(train)

main = command_line(app)
