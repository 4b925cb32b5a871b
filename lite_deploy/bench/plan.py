"""What to measure: which models can run on a machine, with how many threads, where, in what order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lite_deploy.bench.machine import Machine
from lite_deploy.nb.combinations import check_run
from lite_deploy.nb.read import read_nb
from tinypose.artifact.record import Artifact, ModelRecord
from tinypose.errors import UserError


@dataclass(frozen=True)
class Fit:
    """Whether a model can be measured on a machine; `note` says why not, or what to expect."""

    model: ModelRecord
    runs: bool
    note: str


@dataclass(frozen=True)
class Case:
    """One thing to measure; no `cores`: wherever the system puts it."""

    model: ModelRecord
    threads: int
    cluster: str
    cores: tuple[int, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells cases apart, as in the results file."""
        return self.model.name, self.threads, self.cluster


def fits(artifact: Artifact, folder: Path, machine: Machine, runner: str) -> list[Fit]:
    """Say of each model of a folder whether it can be measured on a machine, and why not.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the models are.
        machine: of `lite_deploy.bench.machine.inspect`.
        runner: `cpp`, with Paddle-Lite, or `python`, with the engines that Python has there.
    """
    return [Fit(model, *_fit(model, folder, machine, runner)) for model in artifact.models]


def _fit(model: ModelRecord, folder: Path, machine: Machine, runner: str) -> tuple[bool, str]:
    if model.engine == "paddle-inference":
        return False, "the reference for `lite-deploy verify`, not for devices"
    if model.engine != "paddle-lite":
        return runner == "python", "" if runner == "python" else "needs --runner python on the device"
    path = folder / model.files[0].file
    try:
        check_run(read_nb(path), path.name, machine.architecture, "fp16" in machine.instructions)
    except UserError as error:
        return False, str(error)
    if machine.bits == 32 and machine.architecture == "aarch64":
        return False, "the system is 32-bit on a 64-bit processor; install a 64-bit one"
    if model.precision == "int8" and machine.arm and "dotprod" not in machine.instructions:
        return True, "no dotprod here: INT8 will hardly be faster than FP32"
    return True, ""


def cases(
    usable: Sequence[Fit], machine: Machine, threads: Sequence[int], clusters: Sequence[str], runner: str
) -> list[Case]:
    """Combine models, threads and clusters.

    Args:
        usable: the models to measure.
        machine: where.
        threads: numbers of threads; those above the cores of a cluster are left out.
        clusters: names of `machine.clusters`, or `any`; none: each cluster, where there are several.
        runner: Paddle-Lite's Python package has one thread only.

    Raises:
        UserError: an unknown cluster, or nothing to measure.
    """
    named = {each.name: each.cores for each in machine.clusters if each.name != "all"}
    places = {"any": (), **named}
    wanted = list(clusters) or list(named) or ["any"]
    if unknown := [each for each in wanted if each not in places]:
        raise UserError(f"--cluster {unknown[0]}: no such cluster; there are: {', '.join(places)}")
    every_core = len(machine.cores)
    result = []
    for place in wanted:
        for count in threads:
            if count > (len(places[place]) or every_core):
                continue
            for fit in usable:
                if runner == "python" and fit.model.engine == "paddle-lite" and count > 1:
                    continue
                result.append(Case(fit.model, count, place, places[place]))
    if not result:
        raise UserError(
            f"nothing to measure with --threads {','.join(map(str, threads))} on {every_core} cores; see "
            "`lite-deploy doctor`"
        )
    return result


def order(cases: Sequence[Case], round_number: int, seed: int) -> list[Case]:
    """Return the cases in the order of a round: another one each time, so that drift hits all alike."""
    shuffled = list(cases)
    random.Random(f"{seed} {round_number}").shuffle(shuffled)
    return shuffled
