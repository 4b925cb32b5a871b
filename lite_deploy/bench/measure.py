"""Measure the cases of a plan on a device, round by round, and write each result down at once."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from lite_deploy.bench import results as lines
from lite_deploy.bench import stats
from lite_deploy.bench.device import Device, DeviceLost
from lite_deploy.bench.machine import Machine, hottest, temperatures
from lite_deploy.bench.plan import Case, order
from lite_deploy.bench.results import Results, append
from lite_deploy.bench.runner import RunFailed, Runner, push, start, stop_leftover
from lite_deploy.bench.scene import Scene, check, expected_outputs
from lite_deploy.nb.combinations import check_libraries
from lite_deploy.nb.read import read_nb
from tinypose.artifact.record import FILE, Artifact, ModelRecord
from tinypose.console import count, err, track
from tinypose.errors import UserError

PICTURE, HEATMAPS = "picture.ppm", "heatmaps.f32"
PATIENCE = 120.0  # seconds beyond warm-up and runs after which a process is stuck
WARMER = 5.0  # degrees above the start at which a device should cool down first
TRIES = 2  # a case that failed so often is given up


@dataclass(frozen=True)
class Options:
    """How to measure; times in seconds."""

    rounds: int = 5  # of each case at least
    max_rounds: int = 15  # of each case, if its median is still not known well enough
    precision: float = 0.03  # well enough: plus or minus three per cent
    confidence: float = 0.95
    runs: int = 50  # in a round
    seconds: float = 10.0  # for the runs of a round
    warmup_seconds: float = 10.0  # for its warm-up
    cool_seconds: float = 60.0  # to wait for the device to cool down before a round
    seed: int = 0  # of the order


@dataclass(frozen=True)
class Job:
    """All that a measurement needs: what, where, with what, and the file that takes the results."""

    artifact: Artifact
    folder: Path
    device: Device
    machine: Machine
    runner: Runner
    scene: Scene
    options: Options
    results: Results

    @property
    def there(self) -> str:
        """The folder on the device."""
        return self.results.run.folder


def bench(job: Job, cases: Sequence[Case]) -> None:
    """Measure, and append to the results; what is there already is not measured again.

    Whatever ends it, the device's folder is removed if the device is still there.

    Raises:
        UserError: something could not be copied to the device, or no model is right.
        DeviceLost: the device went away; what was measured so far is in the file.
    """
    reason = "interrupted"
    try:
        job.device.make_folder(job.there.rpartition("/")[2])
        stop_leftover(job.device, job.there)
        _push(job, {case.model.name: case.model for case in cases}.values())
        _measure_rounds(job, _sound_cases(job, cases))
        reason = "complete"
    except DeviceLost:
        reason = "lost"
        raise
    finally:
        append(job.results.path, lines.EndLine(reason=reason))
        with suppress(DeviceLost):
            stop_leftover(job.device, job.there)
            job.device.remove(job.there)


def _push(job: Job, models: Iterable[ModelRecord]) -> None:
    """Bring to the device what it does not have yet."""
    models = list(models)
    check_libraries(models, job.runner.files)
    names = dict.fromkeys(file.file for model in models for file in model.files)
    files = [job.folder / FILE, *(job.folder / name for name in names), *job.runner.files]
    with tempfile.TemporaryDirectory() as temporary:
        picture = Path(temporary) / PICTURE
        job.scene.write(picture)
        push(job.device, [*files, picture], job.there)


def _sound_cases(job: Job, cases: Sequence[Case]) -> list[Case]:
    """Compare each model's output with the expected one; return the cases of the models that are right."""
    passed = {each.model for each in job.results.checks if each.passed}
    first_cases = {case.model.name: case for case in reversed(cases)}
    for name in track([name for name in first_cases if name not in passed], "checking the output"):
        try:
            line = _check(job, first_cases[name])
        except RunFailed as error:
            _note_failure(job, first_cases[name], str(error))
            continue
        append(job.results.path, line)
        job.results.checks.append(line)
        if line.passed:
            passed.add(name)
            continue
        far = f"outputs off by {line.difference:.2g} (correlation {line.correlation:.3f})"
        message = f"wrong output: {far}, {job.results.finds} by {line.moved:.1f} pixels"
        _note_failure(job, first_cases[name], f"{message}, against {line.expected_by}; not measured")
    if not passed & set(first_cases):
        raise UserError(f"{job.device.name}: no model gives the expected output; see {job.results.path}")
    return [each for each in cases if each.model.name in passed]


def _check(job: Job, case: Case) -> lines.CheckLine:
    model = case.model
    expected, how = expected_outputs(job.artifact, job.folder, model, job.scene)
    once = replace(job.options, runs=1, warmup_seconds=0.0)
    values = _run(job, case, once, ["--heatmaps", f"{job.there}/{HEATMAPS}"])
    if job.runner.kind == "cpp" and model.engine == "paddle-lite":
        made, runs = read_nb(job.folder / model.files[0].file).version, values.get("engine_version")
        if made != runs:
            message = f"{model.name}: made by Paddle-Lite {made}, and the device has {runs}; use one version"
            err.print(message, style="yellow", markup=False)
    with tempfile.TemporaryDirectory() as temporary:
        job.device.pull(f"{job.there}/{HEATMAPS}", Path(temporary) / HEATMAPS)
        found = np.fromfile(Path(temporary) / HEATMAPS, "<f4")
    sizes = [each.size for each in expected]
    if found.size != sum(sizes):
        raise RunFailed(f"the runner wrote {found.size} values, expected {sum(sizes)}")
    parts = np.split(found, np.cumsum(sizes)[:-1])  # one output after the other
    outputs = [part.reshape(each.shape) for part, each in zip(parts, expected, strict=True)]
    return check(job.artifact, model, job.scene, expected, outputs, how)


def _measure_rounds(job: Job, cases: Sequence[Case]) -> None:
    options, results = job.options, job.results
    done = {(each.round, each.key) for each in results.visits}
    failed = Counter()
    for number in range(1, options.max_rounds + 1):
        wanted = [c for c in cases if failed[c.key] < TRIES and not _known(results, c, number, options)]
        todo = [c for c in order(wanted, number, options.seed) if (number, c.key) not in done]
        for case in track(todo, f"round {number}"):
            try:
                line = _visit(job, case, number)
            except RunFailed as error:
                failed[case.key] += 1
                _note_failure(job, case, str(error))
                continue
            append(results.path, line)
            results.visits.append(line)


def _visit(job: Job, case: Case, number: int) -> lines.VisitLine:
    before, cooled = _cool_down(job.device, hottest(job.machine.temperatures), job.options.cool_seconds)
    values = _run(job, case, job.options)
    after = hottest(temperatures(job.device))
    values |= {"round": number, "cluster": case.cluster, "cooled_s": round(cooled, 1)}
    values["temperature_c"] = {"before": before, "after": after}
    try:
        return lines.VisitLine.model_validate(values)
    except ValidationError as error:
        raise RunFailed(f"the runner's line is not as expected: {error.errors()[0]}") from None


def _known(results: Results, case: Case, number: int, options: Options) -> bool:
    """Say whether a case needs no more rounds."""
    rounds = [each.total_ms for each in results.visits if each.key == case.key and each.round < number]
    return len(rounds) >= options.rounds and stats.enough(rounds, options.precision, options.confidence)


def _cool_down(device: Device, start: float | None, seconds: float) -> tuple[float | None, float]:
    """Wait until the device is about as cool as at the start; return its temperature and the wait."""
    began = time.monotonic()
    while True:
        now = hottest(temperatures(device))
        waited = time.monotonic() - began
        if now is None or start is None or now <= start + WARMER or waited >= seconds:
            return now, waited
        time.sleep(min(2.0, seconds))


def _run(job: Job, case: Case, options: Options, more: Sequence[str] = ()) -> dict:
    """Start the runner once and return the line it prints.

    Raises:
        RunFailed: it was stuck, crashed or says why it cannot.
    """
    scene, there = job.scene, job.there
    words = ["--pose", f"{there}/{FILE}", "--model", case.model.name]
    words += ["--image", f"{there}/{PICTURE}", "--box", ",".join(f"{each:g}" for each in scene.box)]
    words += ["--threads", str(case.threads), "--runs", str(options.runs)]
    words += ["--seconds", f"{options.seconds:g}", "--warmup-seconds", f"{options.warmup_seconds:g}"]
    if case.cores:
        words += ["--cores", ",".join(map(str, case.cores))]
    timeout = options.warmup_seconds + options.seconds + PATIENCE
    return start(job.device, job.runner, there, [*words, *more], timeout, "visit")


def _note_failure(job: Job, case: Case, message: str) -> None:
    model, threads, cluster = case.key
    line = lines.FailureLine(model=model, threads=threads, cluster=cluster, message=message)
    append(job.results.path, line)
    job.results.failures.append(line)
    err.print(f"{model}, {count(threads, 'thread')}, {cluster}: {message}", style="yellow", markup=False)
