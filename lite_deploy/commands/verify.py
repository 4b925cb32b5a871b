"""`lite-deploy verify`: does every model of a folder compute what the network computes?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lite_deploy.commands.devices import (
    DeviceOption,
    KeyOption,
    KnownHostsOption,
    PaddleLiteOption,
    PythonOption,
    RunnerOption,
)
from lite_deploy.commands.options import FolderArgument
from tinypose.console import err, out, table


def verify(
    folder: FolderArgument,
    image: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A picture to use as input; repeatable. None: noise.")
    ] = [],  # noqa: B006 (typer copies it)
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of FP32, relative to the largest value.", min=0)
    ] = 1e-4,
    device: DeviceOption = "local",
    runner: RunnerOption = None,
    python: PythonOption = "python3",
    paddle_lite: PaddleLiteOption = None,
    key: KeyOption = None,
    known_hosts: KnownHostsOption = None,
) -> None:
    """Run the same inputs through every model and compare with the network as trained.

    Checks every checksum first. With --device, the models run there, and each is compared with what it must
    give: does it load, does it crash, how far is it? `--device emulator` tries every core that can be
    emulated. The result is noted in pose.json. Exit code 1 if an FP32 model is past the tolerance, an FP16 or
    INT8 model past the error it had when it was exported, or a model does not load, crashes or is wrong on
    the device.
    """
    from lite_deploy.verify import noise_crops, picture_crops
    from tinypose.artifact.record import read_artifact, write_artifact

    artifact = read_artifact(folder)
    crops = picture_crops(artifact, image) if image else noise_crops(artifact)
    if device == "local" and runner is None:
        parity, failed = _here(artifact, folder, crops, tolerance, not image)
        problem = "past the tolerance"
    else:
        from lite_deploy.bench.devices import choose_runner

        chosen = choose_runner(device, runner, python, paddle_lite)
        parity, failed = _there(artifact, folder, crops, tolerance, device, chosen, key, known_hosts)
        problem = "not passed"
    write_artifact(folder, artifact.model_copy(update={"parity": parity}))
    if failed:
        err.print(f"{problem}: {', '.join(failed)}", style="red", markup=False)
        raise typer.Exit(1)


def _here(artifact, folder: Path, crops, tolerance: float, noise: bool) -> tuple[tuple, list[str]]:
    """Compare on this machine; return the whole record of parity, and what is past the tolerance."""
    from lite_deploy.verify import verify as compare

    reference, rows = compare(artifact, folder, crops, tolerance, noise)
    shown = []
    for row in rows:
        if row.limit is None:
            verdict = {True: "equal", False: "PAST TOLERANCE", None: "not known: export again"}[row.passed]
        else:
            verdict = "as expected" if row.passed else f"PAST {row.limit:.2g}"
        error = f"{row.parity.error:.1e}"
        shown.append((row.parity.model, row.how, *_numbers(row.parity), error, verdict))
    title = f"{folder}: {len(crops)} inputs, against {reference}, tolerance {tolerance:g}"
    columns = ("model", "run by", "largest difference", "correlation", "maxima moved", "error", "verdict")
    out.print(table(escape(title), columns, shown))
    others = (each for each in artifact.parity if each.device)
    return (*(row.parity for row in rows), *others), [row.parity.model for row in rows if row.passed is False]


def _there(artifact, folder: Path, crops, tolerance: float, device: str, chosen, key, known_hosts):
    """Compare on devices; return the whole record of parity, and what failed."""
    from lite_deploy.bench.devices import each_device, open_device
    from lite_deploy.verify_device import expecter, verify_on

    expect = expecter(artifact, folder, crops)
    rows = []
    for name in each_device(device):
        opened = open_device(name, key, known_hosts)
        try:
            rows += verify_on(opened, chosen, artifact, folder, crops, expect, tolerance)
        finally:
            opened.close()
    verdicts = {True: "right", False: "WRONG", None: "does not fit"}
    shown = []
    for row in rows:
        if row.parity is None:
            verdict = verdicts[row.passed] if row.passed is None else "FAILED"
            shown.append((row.device, row.model, "", "", "", "", verdict))
        else:
            how = row.parity.reference
            shown.append((row.device, row.model, how, *_numbers(row.parity), verdicts[row.passed]))
    title = f"{folder}: {len(crops)} inputs, each model against what it must give, tolerance {tolerance:g}"
    columns = ("on", "model", "expected by", "largest difference", "correlation", "maxima moved", "verdict")
    out.print(table(escape(title), columns, shown))
    for row in rows:
        if row.note:
            style = {False: "red", True: "", None: "yellow"}[row.passed]
            err.print(f"{row.device}, {row.model}: {row.note}", style=style, markup=False)
    done = {row.device for row in rows}
    kept = tuple(each for each in artifact.parity if each.device not in done)
    parity = (*kept, *(row.parity for row in rows if row.parity is not None))
    return parity, [f"{row.model} on {row.device}" for row in rows if row.passed is False]


def _numbers(parity) -> tuple[str, str, str]:
    return f"{parity.difference:.1e}", f"{parity.correlation:.6f}", f"{parity.moved} of {parity.joints}"
