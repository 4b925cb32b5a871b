"""The instructions of one inference, counted exactly, by class and by operator.

The count does not depend on the PC or on how busy it is: two runs give the same number, so a change of a
thousandth is a change. It is not a time: an instruction that waits for memory counts as much as any other.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lite_deploy.bench import results as lines
from lite_deploy.bench.emulator.build import plugin
from lite_deploy.bench.emulator.device import Emulator
from lite_deploy.bench.machine import inspect
from lite_deploy.bench.plan import Fit
from lite_deploy.bench.remote import Compute, on_device
from lite_deploy.bench.results import Results, append
from lite_deploy.bench.runner import RunFailed, Runner
from lite_deploy.bench.scene import Scene, check, expected_outputs, scene_input
from lite_deploy.bench.session import begin_results, describe
from lite_deploy.nb.file import LiteModel
from lite_deploy.nb.read import read_nb
from tinypose.artifact.record import Artifact, ModelRecord
from tinypose.codecs import Outputs
from tinypose.console import err, track
from tinypose.files import sha256

# In the order of count.c.
CLASSES = (
    "fp32_multiply_add",
    "fp16_multiply_add",
    "dot_product",
    "int8_multiply",
    "other_vector",
    "load_store",
    "branch",
    "other",
)
# The first inference prepares what later ones find ready, and the second still finds memory otherwise than
# those after it. The third shows the plugin where operators begin; the fourth is counted, and equals it.
INFERENCES = 4


def bench_counts(
    artifact: Artifact,
    folder: Path,
    device: Emulator,
    runner: Runner,
    scene: Scene,
    fits: Sequence[Fit],
    path: Path,
    label: str = "",
) -> Results:
    """Count one inference of each model, after its output was found right, and write a results file.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the models are.
        device: the emulated core.
        runner: built for ARM.
        scene: the picture to compute.
        fits: the models to count; those that do not run on this core are left out.
        path: the results file, which is begun anew.
        label: the user's name for this run.

    Raises:
        UserError: the plugin cannot be built, or a model's output has not the expected shape.
    """
    program, library = plugin()
    engine = next((sha256(each) for each in runner.files if each.name.startswith("libpaddle")), "")
    options = {"core": device.core.name, "caches_kb": list(device.core.caches), "engine_sha256": engine}
    line = describe(artifact, folder, device, inspect(device), runner, options, label)
    results = begin_results(path, line)
    models = [fit.model for fit in fits if fit.runs]
    reason = "interrupted"
    try:
        with on_device(device, runner, folder, models) as compute:
            for model in track(models, f"counting on {device.name}"):
                try:
                    _count_model(artifact, folder, device, program, library, scene, model, compute, results)
                except RunFailed as error:
                    _note_failure(results, model, str(error))
        reason = "complete"
    finally:
        append(path, lines.EndLine(reason=reason))
    results.complete = True
    return results


def _count_model(
    artifact: Artifact,
    folder: Path,
    device: Emulator,
    program: str,
    library: Path,
    scene: Scene,
    model: ModelRecord,
    compute: Compute,
    results: Results,
) -> None:
    image = scene_input(artifact, scene)
    network = read_nb(folder / model.files[0].file)
    line, found = count(device, program, library, model, network, image, compute)
    expected, how = expected_outputs(artifact, folder, model, scene)
    checked = check(artifact, model, scene, expected, found, how)
    append(results.path, checked)
    results.checks.append(checked)
    if not checked.passed:
        far = f"outputs off by {checked.difference:.2g} (correlation {checked.correlation:.3f})"
        raise RunFailed(f"wrong output: {far}, against {checked.expected_by}; not counted")
    append(results.path, line)
    results.counts.append(line)


def count(
    device: Emulator,
    program: str,
    library: Path,
    model: ModelRecord,
    network: LiteModel,
    image: np.ndarray,
    compute: Compute,
) -> tuple[lines.CountLine, Outputs]:
    """Count one inference.

    Args:
        device: the emulated core.
        program: QEMU with plugins.
        library: the plugin.
        model: of the folder that `compute` was opened with.
        network: what its file holds.
        image: float32 [1, 3, H, W].
        compute: of `lite_deploy.bench.remote.on_device`, for this device.

    Returns:
        The line for the results file, and the network's outputs for the image.

    Raises:
        RunFailed: the model does not load, crashes, or was not counted.
    """
    operators = [each for each in network.operators if each.type not in ("feed", "fetch")]
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "counts.json"
        with device.counting(program, library, out, len(operators)):
            found = compute(model, np.repeat(image, INFERENCES, axis=0))
        try:
            counted = json.loads(out.read_text())
        except (OSError, ValueError) as error:
            raise RunFailed(f"QEMU's plugin wrote no counts: {error}") from None
    inferences = [dict(zip(CLASSES, each, strict=True)) for each in counted["inferences"]]
    if len(inferences) != INFERENCES:
        raise RunFailed(f"{len(inferences)} inferences were counted, expected {INFERENCES}: an old runner?")
    by_operator = [
        lines.OperatorCount(
            type=op.type,
            kernel=op.kernel,
            precision=op.precision,
            counts=dict(zip(CLASSES, each, strict=True)),
        )
        for op, each in zip(operators, counted["operators"], strict=bool(counted["operators"]))
    ]
    line = lines.CountLine(
        model=model.name,
        core=device.core.name,
        engine_version=network.version,
        total=sum(inferences[-1].values()),
        counts=inferences[-1],
        again=sum(inferences[-2].values()),
        operators=by_operator,
    )
    return line, [each[-1:] for each in found]


def _note_failure(results: Results, model: ModelRecord, message: str) -> None:
    line = lines.FailureLine(model=model.name, threads=1, cluster="any", message=message)
    append(results.path, line)
    results.failures.append(line)
    err.print(f"{model.name}: {message}", style="yellow", markup=False)
