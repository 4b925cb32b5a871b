"""`lite-deploy android`: networks into an app."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.artifact import artifact_folder
from tinypose.console import err, out, table


def android(
    folder: Annotated[
        list[Path],
        typer.Argument(metavar="POSE_FOLDER...", help="Pose networks, made by `lite-deploy export`."),
    ],
    detector: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The detector's, made by `lite-deploy export`.")
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The app.")] = Path("pose.apk"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --output.")] = False,
    paddle_lite: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            metavar="FOLDER",
            help="The engine: an unpacked release of Paddle-Lite for Android, the folder that holds java/.",
        ),
    ] = None,
    library: Annotated[
        list[Path],
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Another library to pack, such as the NDK's libc++_shared.so; repeatable.",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    key: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="The key store to sign with; its password is in $EDGE_POSE_KEY_PASSWORD, or is asked for. "
            "None: a debug key.",
        ),
    ] = None,
    key_alias: Annotated[str | None, typer.Option(help="The key in --key. None: the only one.")] = None,
    picture: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="People for the self-test. None: a person is drawn."),
    ] = None,
    allow_4k: Annotated[
        bool,
        typer.Option("--allow-4k", help="Take libraries that devices with pages of 16 KB cannot load."),
    ] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Send it to the phone behind adb, and start it.")
    ] = False,
    serial: Annotated[
        str | None, typer.Option(help="--install: which phone, as `adb devices` shows it.")
    ] = None,
) -> None:
    """Make an Android app of a detector and one pose network or several, with all their precisions for ARM.

    Checks every file; packs, aligns, signs and verifies. What Python finds in a built-in picture goes into
    it, so that the app can tell whether it finds the same.
    """
    from lite_deploy.android.library import GET_ONE, NONE, read_library
    from lite_deploy.android.pack import install as send
    from lite_deploy.android.pack import make_app, version_problem
    from lite_deploy.android.tools import find_tools
    from tinypose.errors import UserError
    from tinypose.files import check_new, check_output
    from tinypose.images import read_image

    poses = [artifact_folder(each) for each in folder]
    detector = artifact_folder(detector)
    if key_alias is not None and key is None:
        raise UserError("--key-alias: needs --key")
    if library and paddle_lite is None:
        raise UserError("--library: needs --paddle-lite")
    check_new([output], overwrite)
    check_output(output, [key, picture, *library])
    engine = NONE if paddle_lite is None else read_library(paddle_lite, library)
    if warning := version_problem(engine, [*poses, detector]):
        err.print(warning, style="yellow", markup=False)
    image = None if picture is None else read_image(picture, as_shown=True)
    facts = make_app(find_tools(), output, poses, detector, engine, image, key, key_alias, allow_4k)
    out.print(table(escape(str(output)), ("", ""), facts.items()))
    if not engine.present:
        err.print(
            f"no engine in it: {GET_ONE}, and name the folder with --paddle-lite",
            style="yellow",
            markup=False,
        )
    if install:
        send(output, serial)
        out.print("installed and started", markup=False)
