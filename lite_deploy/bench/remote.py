"""Models of a folder on a device, as functions: many inputs, one process."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lite_deploy.bench.device import LONG, Device, DeviceLost
from lite_deploy.bench.runner import RunFailed, Runner, push, start, stop_leftover
from lite_deploy.nb.combinations import check_libraries
from tinypose.artifact.record import FILE, ModelRecord

Compute = Callable[[ModelRecord, np.ndarray], list[np.ndarray]]

INPUTS, OUTPUTS = "inputs.npy", "outputs"
EACH = 60.0  # seconds for an input, after which the runner is stuck: an emulator is slow


@contextmanager
def on_device(
    device: Device, runner: Runner, folder: Path, models: Sequence[ModelRecord]
) -> Iterator[Compute]:
    """Bring models to a device and give a function that computes with them there.

    Args:
        device: where.
        runner: with what.
        folder: the artifact folder.
        models: those of its models that will be used.

    Yields:
        A function from a model and its inputs, float32 [N, 3, H, W], to all its outputs, float32 [N, ...]. It
        raises `RunFailed` if the model does not load, crashes or gives something else; `DeviceLost` if the
        device went away.

    Raises:
        UserError: a model needs more than the library that the runner brings along.
    """
    check_libraries(models, runner.files)
    there = device.make_folder()
    try:
        files = dict.fromkeys(folder / file.file for model in models for file in model.files)
        push(device, [folder / FILE, *files, *runner.files], there)
        yield lambda model, images: _compute(device, runner, there, model, images)
    finally:
        with suppress(DeviceLost):
            stop_leftover(device, there)
            device.remove(there)


def _compute(
    device: Device, runner: Runner, there: str, model: ModelRecord, images: np.ndarray
) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as temporary:
        local = Path(temporary) / INPUTS
        np.save(local, np.ascontiguousarray(images, "<f4"))
        device.push(local, f"{there}/{INPUTS}")
        words = ["--pose", f"{there}/{FILE}", "--model", model.name]
        words += ["--batch", f"{there}/{INPUTS}", "--outputs", f"{there}/{OUTPUTS}"]
        line = start(device, runner, there, words, LONG + EACH * len(images), "batch")
        outputs = []
        for name in line["outputs"]:
            device.pull(name, local)
            outputs.append(np.load(local, allow_pickle=False))
    if not all(len(each) == len(images) for each in outputs):
        raise RunFailed(f"the runner gave {[list(each.shape) for each in outputs]} for {len(images)} inputs")
    return outputs
