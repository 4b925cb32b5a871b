"""`lite-deploy doctor`: what a device is, and which models can run on it."""

from pathlib import Path
from typing import Annotated

import typer

from lite_deploy.commands.devices import DeviceOption, KeyOption, KnownHostsOption, RunnerOption


def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="An artifact folder: which of its models can run?"),
    ] = None,
    device: DeviceOption = "local",
    runner: RunnerOption = None,
    key: KeyOption = None,
    known_hosts: KnownHostsOption = None,
    counts: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="What `bench --device emulator:CORE` wrote for a core of the device's kind; repeatable. "
            "None: instructions are estimated.",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what broken-off runs left there; not during a run.")
    ] = False,
) -> None:
    """Print what a device is: processor, clocks, instructions, heat; what can run on it; what to take.

    Nothing is copied to it. Exit code 1 if a folder is given and none of its models can run.
    """
    from lite_deploy.bench.choose import by_instructions
    from lite_deploy.bench.devices import open_device
    from lite_deploy.bench.machine import inspect
    from lite_deploy.bench.plan import fits
    from lite_deploy.bench.show import show_choices, show_fits, show_machine
    from tinypose.artifact.record import read_artifact
    from tinypose.console import out

    artifact = read_artifact(folder) if folder else None
    opened = open_device(device, key, known_hosts)
    try:
        machine = inspect(opened)
        leftovers = opened.leftovers()
        for name in leftovers if clean else ():
            opened.remove(name)
    finally:
        opened.close()
    show_machine(opened.name, machine)
    for name in leftovers:
        said = "removed" if clean else "under way, or left by a run that was broken off (then use --clean)"
        out.print(f"{said}: {name}", style="yellow", markup=False)
    if artifact is not None and folder is not None:
        kind = "python" if runner == "python" or (runner is None and device == "local") else "cpp"
        found = fits(artifact, folder, machine, kind)
        show_fits(folder, found)
        if machine.arm and kind == "cpp":
            size = (artifact.input.height, artifact.input.width)
            show_choices(by_instructions(found, machine, folder, size, _counted(artifact, machine, counts)))
        if not any(fit.runs for fit in found):
            raise typer.Exit(1)


def _counted(artifact, machine, paths: list[Path]) -> dict[str, int]:
    """Return the instructions that were counted for a folder's models on a core such as the machine has."""
    from lite_deploy.bench.results import counted, read_results
    from tinypose.errors import UserError

    every = [read_results(each) for each in paths]
    kinds = {core.kind for core in machine.cores}
    for each in every:
        if not each.counts or f"Cortex-{each.counts[0].core}" not in kinds:
            raise UserError(
                f"--counts {each.path}: expected counts of `bench --device emulator:CORE` for a core that "
                f"the device has: {', '.join(sorted(kinds)) or 'none is told'}"
            )
    ours = {model.name: model.files[0].sha256 for model in artifact.models}
    return {model: total for of in counted(ours, every).values() for model, total in of.items()}
