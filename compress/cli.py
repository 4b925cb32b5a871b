"""The `compress` command."""

from compress.commands import distill, quant, sensitivity
from tinypose.console import command_line, new_app

app = new_app("Make a pose network smaller and faster, and keep it accurate.", "compress")
app.command(name="distill")(distill.distill)
app.command(name="quant")(quant.quant)
app.command(name="sensitivity")(sensitivity.sensitivity)

main = command_line(app)
