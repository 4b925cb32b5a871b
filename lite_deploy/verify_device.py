"""The models of a folder on the device that they are for: do they load, and what do they give?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lite_deploy.bench.device import Device
from lite_deploy.bench.machine import inspect
from lite_deploy.bench.plan import fits
from lite_deploy.bench.remote import on_device
from lite_deploy.bench.runner import RunFailed, Runner
from lite_deploy.bench.scene import LIMITS
from lite_deploy.verify import compare, open_or_interpret
from tinypose.artifact.record import Artifact, ParityRecord
from tinypose.codecs import Outputs
from tinypose.console import track
from tinypose.inference.pose_model import network_input

# How much farther from FP32 than the interpreter a device may be in INT8: its roundings are drawn anew.
ROUNDED_AGAIN = 1.5

Expect = Callable[[str], tuple[Outputs, str]]


@dataclass(frozen=True)
class OnDevice:
    """One row: a model on a device. `passed` is None where it must not run there, which `note` explains."""

    device: str
    model: str
    parity: ParityRecord | None  # against what the model must give
    passed: bool | None
    note: str


def expecter(artifact: Artifact, folder: Path, crops: np.ndarray) -> Expect:
    """Return a function to what a model of a folder must give, and what computes it here.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the files are.
        crops: uint8 RGB [N, H, W, 3], as large as the network's input.
    """
    images = network_input(artifact, crops)

    @cache
    def expect(name: str) -> tuple[Outputs, str]:
        run, how = open_or_interpret(artifact, folder, artifact.model(name))
        return run(images), how

    return expect


def as_near(fp32: Outputs, expected: Outputs, found: Outputs) -> bool:
    """Say whether outputs in INT8 are about as near to FP32 as the ones expected of them.

    Where INT8 and FP32 stand mixed, the last bit of a sum in FP32 turns a rounding now and then, and each of
    those turns others behind it; after a few layers two runs differ by as much as INT8 differs from FP32.
    """
    far, allowed = (
        sum(
            float(np.square(one - other, dtype=np.float64).sum())
            for one, other in zip(each, fp32, strict=True)
        )
        for each in (found, expected)
    )
    return bool(far <= ROUNDED_AGAIN**2 * allowed)


def verify_on(
    device: Device,
    runner: Runner,
    artifact: Artifact,
    folder: Path,
    crops: np.ndarray,
    expect: Expect,
    tolerance: float,
) -> list[OnDevice]:
    """Run the same inputs through every model that a device can run, and compare.

    A model that cannot be loaded or crashes is a row with what it said last, and the others go on. FP32 must
    keep the tolerance, FP16 and INT8 wider limits (`lite_deploy.bench.scene.LIMITS`): devices round each step
    otherwise than the interpreter. INT8 beyond them must be as near to FP32 as the interpreter's (`as_near`).

    Args:
        device: where.
        runner: with what.
        artifact: what the folder's `pose.json` says.
        folder: where the files are.
        crops: uint8 RGB [N, H, W, 3].
        expect: of `expecter`, for these crops.
        tolerance: of FP32, relative to the largest value.

    Raises:
        DeviceLost: the device went away.
    """
    machine = inspect(device)
    target = "arm" if machine.arm else "x86"
    every = [each for each in fits(artifact, folder, machine, runner.kind) if each.model.target == target]
    images = network_input(artifact, crops)
    rows = []
    with on_device(device, runner, folder, [each.model for each in every if each.runs]) as compute:
        for fit in track(every, device.name):
            model = fit.model
            if not fit.runs:
                rows.append(OnDevice(device.name, model.name, None, None, fit.note))
                continue
            reference, how = expect(model.name)
            try:
                found = compute(model, images)
            except RunFailed as error:
                rows.append(OnDevice(device.name, model.name, None, False, str(error)))
                continue
            parity = compare(reference, found, model.name, how)
            parity = parity.model_copy(update={"device": device.name})
            difference, correlation, _ = LIMITS[model.precision]
            difference = tolerance if model.precision == "fp32" else difference
            right = parity.difference <= difference and parity.correlation >= correlation
            if not right and model.precision == "int8":
                right = as_near(expect("paddle_fp32")[0], reference, found)
            rows.append(OnDevice(device.name, model.name, parity, right, fit.note))
    return rows
