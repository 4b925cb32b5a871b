"""The options that name a machine, for the commands that need one."""

from pathlib import Path
from typing import Annotated

import typer

DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="adb, adb:SERIAL, ssh:[USER@]HOST[:PORT], emulator:CORE (A53, A73, A76, A78), or local: this "
        "machine.",
    ),
]
KeyOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, metavar="FILE", help="ssh: the private key.")
]
KnownHostsOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, metavar="FILE", help="ssh: host keys, if not ~/.ssh/known_hosts."
    ),
]
RunnerOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|python",
        help="What measures: the folder `device` of a build of lite_deploy/cpp, or `python` where this "
        "package is installed. None, for this machine only: python.",
    ),
]
PythonOption = Annotated[
    str, typer.Option(metavar="PROGRAM", help="The device's Python, for --runner python.")
]
PaddleLiteOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        metavar="FOLDER",
        help="emulator: an unpacked ARM Linux release of Paddle-Lite, the folder that holds cxx/.",
    ),
]
