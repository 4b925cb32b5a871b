"""`lite-deploy bench`: how fast are the models of a folder on a device?"""

import re
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lite_deploy.commands.devices import (
    DeviceOption,
    KeyOption,
    KnownHostsOption,
    PaddleLiteOption,
    PythonOption,
    RunnerOption,
)
from lite_deploy.commands.options import FolderArgument

CROWD = 5  # people in the drawn picture that bottom-up networks are measured with


def bench(
    folder: FolderArgument,
    device: DeviceOption = "local",
    runner: RunnerOption = None,
    python: PythonOption = "python3",
    paddle_lite: PaddleLiteOption = None,
    key: KeyOption = None,
    known_hosts: KnownHostsOption = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The results file. None: bench-DEVICE-DATE.jsonl.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results file --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin --output anew.")] = False,
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="A model; repeatable. None: all that can run."),
    ] = [],  # noqa: B006 (typer copies it)
    threads: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of threads.")] = "1,2,4",
    cluster: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="big, middle, little or any; repeatable. None: each there is."),
    ] = [],  # noqa: B006 (typer copies it)
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each case, at least; 3 for any verdict.")] = 5,
    max_rounds: Annotated[int, typer.Option(min=1, help="Rounds at most, if the noise asks for more.")] = 15,
    precision: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="How well the median is to be known.")
    ] = 0.03,
    runs: Annotated[int, typer.Option(min=1, help="Runs in a round, at most.")] = 50,
    seconds: Annotated[float, typer.Option(min=0, help="For the runs of a round, at most.")] = 10.0,
    warmup_seconds: Annotated[float, typer.Option(min=0, help="For the warm-up of a round, at most.")] = 10.0,
    cool_seconds: Annotated[float, typer.Option(min=0, help="To let the device cool down, at most.")] = 60.0,
    image: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A picture to measure with. None: a drawn one."),
    ] = None,
    box: Annotated[
        str | None, typer.Option(metavar="L,T,W,H", help="The person in --image. None: the whole picture.")
    ] = None,
    label: Annotated[str, typer.Option(help="What reports are to call this run.")] = "",
) -> None:
    """Measure the models of a folder on a device.

    Each model's output is compared with the expected one first. Then the cases are measured in rounds, in
    another order each time, until each median is known well enough. Results are on disk as soon as they are
    there: --resume goes on after a lost cable, Ctrl-C or a killed process.

    On `emulator:CORE` nothing is timed: the instructions of one inference are counted, exactly, by class and
    by operator; of the other options only --model, --image, --box, --label, --output and --overwrite act.

    Exit code 1 if a case could not be measured: its output was wrong, or it crashed.
    """
    from lite_deploy.bench.devices import choose_runner, open_device
    from lite_deploy.bench.emulator.device import Emulator
    from lite_deploy.bench.machine import inspect
    from lite_deploy.bench.measure import Job, Options
    from lite_deploy.bench.measure import bench as measure
    from lite_deploy.bench.plan import cases, fits
    from lite_deploy.bench.session import describe, open_results
    from lite_deploy.bench.show import show_fits, show_machine, show_results
    from tinypose.artifact.record import read_artifact
    from tinypose.console import count, err, out
    from tinypose.errors import UserError

    artifact = read_artifact(folder)
    for name in model:
        artifact.model(name)
    counts = _counts(threads)
    everybody = artifact.output.gives == "people"
    if box is not None and artifact.input.fit != "person":
        raise UserError("--box: this network sees the whole picture")
    scene = _scene(image, box, people=CROWD if everybody else 1)
    if resume and (output is None or overwrite):
        raise UserError("--resume: expected the file to go on with, --output FILE, and no --overwrite")
    if max_rounds < rounds:
        raise UserError(f"--max-rounds {max_rounds}: expected {rounds} (--rounds) or more")
    chosen = choose_runner(device, runner, python, paddle_lite)
    options = Options(
        rounds=rounds,
        max_rounds=max_rounds,
        precision=precision,
        runs=runs,
        seconds=seconds,
        warmup_seconds=warmup_seconds,
        cool_seconds=cool_seconds,
    )
    opened = open_device(device, key, known_hosts)
    # A polite kill, or a terminal that is closed, is to end as Ctrl-C does: with the device left clean.
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, signal.default_int_handler)
    name = re.sub("[^A-Za-z0-9.]+", "-", opened.name)
    path = output or Path(f"bench-{name}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")
    try:
        machine = inspect(opened)
        show_machine(opened.name, machine)
        every = fits(artifact, folder, machine, chosen.kind)
        found = [fit for fit in every if not model or fit.model.name in model]
        show_fits(folder, found)
        if isinstance(opened, Emulator):
            _count(artifact, folder, opened, chosen, scene, found, path, label, resume, overwrite)
            return
        planned = cases([fit for fit in found if fit.runs], machine, counts, cluster, chosen.kind)
        about = {**asdict(options), "cases": [list(case.key) for case in planned]}
        line = describe(artifact, folder, opened, machine, chosen, about, label)
        results = open_results(path, line, opened, resume, overwrite)
        job = Job(artifact, folder, opened, machine, chosen, scene, options, results)
        try:
            measure(job, planned)
        except BaseException:
            err.print(f"\nso far: {path}; go on with: --resume --output {path}", style="yellow", markup=False)
            raise
    finally:
        opened.close()
    if not results.visits:
        raise UserError(f"{path}: nothing was measured: {results.failures[-1].message}")
    show_results(results)
    out.print(f"{path}: for a page to show, run: lite-deploy report {path}", markup=False)
    measured = {visit.key for visit in results.visits}
    if missed := [case.key for case in planned if case.key not in measured]:
        named = "; ".join(f"{model}, {count(used, 'thread')}, {place}" for model, used, place in missed)
        err.print(f"not measured, for the reasons above: {named}", style="red", markup=False)
        raise typer.Exit(1)


def _count(artifact, folder, device, runner, scene, found, path, label, resume, overwrite) -> None:
    """Count on an emulated core, and print."""
    from lite_deploy.bench.emulator.count import bench_counts
    from lite_deploy.bench.session import check_new
    from lite_deploy.bench.show import show_counts
    from tinypose.console import out as console
    from tinypose.errors import UserError

    if resume:
        raise UserError("--resume: counting takes a minute and is not resumed; use --overwrite")
    check_new(path, overwrite)
    results = bench_counts(artifact, folder, device, runner, scene, found, path, label)
    if results.counts:
        show_counts(results)
        console.print(f"{path}: compare it with another by: lite-deploy compare OLD NEW", markup=False)
    if not results.counts or results.failures:
        raise typer.Exit(1)


def _counts(text: str) -> list[int]:
    from tinypose.errors import UserError

    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise UserError(f"--threads {text}: expected numbers such as 1,2,4")
    return sorted({int(each) for each in text.split(",")})


def _scene(image: Path | None, box: str | None, people: int):
    from lite_deploy.bench.scene import Scene, default_scene
    from tinypose.errors import UserError
    from tinypose.images import read_image

    if image is None:
        if box is not None:
            raise UserError("--box: needs --image")
        return default_scene(people)
    picture = read_image(image)
    if box is None:
        return Scene(picture, (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])))
    try:
        left, top, width, height = (float(each) for each in box.split(","))
    except ValueError:
        raise UserError(f"--box {box}: expected left,top,width,height in pixels") from None
    if not (width > 0 and height > 0):
        raise UserError(f"--box {box}: expected a width and a height above 0")
    return Scene(picture, (left, top, width, height))
