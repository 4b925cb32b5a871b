"""`tinypose doctor`: is this machine fit to train on?"""

import platform

import typer

from tinypose.console import err, out, table
from tinypose.cpu import cores, prepare_cpu


def doctor() -> None:
    """Print versions and devices, and take a training step on each device in each precision.

    Exit code 1 if versions are known not to go together, or a step on a GPU is not what the CPU computes.
    """
    prepare_cpu()
    from tinypose.engine.device import choose_device, gpus
    from tinypose.engine.doctor import bad_pairs, steps, versions

    found = versions()
    rows = [("python", platform.python_version()), *found.items()]
    out.print(table("versions", ("package", "version"), rows))
    device = choose_device()
    graphic = f"{gpus()} GPUs" if gpus() else "no GPU that this Paddle can use"
    out.print(f"{cores()} cores, {graphic}; training would use: {device.name}", markup=False)
    taken = steps(device.name)
    rows = [
        (
            each.device,
            each.precision,
            f"{each.loss:.6f}",
            f"{each.difference:.1e}",
            "yes" if each.good else "NO",
        )
        for each in taken
    ]
    columns = ("device", "precision", "loss", "furthest from the CPU", "near enough")
    out.print(table("a training step", columns, rows))
    if not device.is_gpu:
        out.print(
            "not run: a step on a GPU, in FP32, in mixed precision and with channels last, from pinned "
            "memory: there is none here"
        )
    wrong = bad_pairs(found)
    for line in wrong:
        err.print(line, style="red", markup=False)
    if wrong or not all(each.good for each in taken):
        raise typer.Exit(1)
