"""From the lines of a results file to numbers to show, with what speaks against trusting them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lite_deploy.bench import stats
from lite_deploy.bench.results import Results, VisitLine
from tinypose.errors import UserError

CLOCK_FELL = 0.9  # of what it was before the runs
OTHERS = 0.25, 0.1  # cores that other programs may keep busy: so many, or this share of all, if that is more


@dataclass(frozen=True)
class CaseStats:
    """One case: latencies in milliseconds from picture to joints or boxes, and what happened meanwhile."""

    model: str
    precision: str
    threads: int
    cluster: str
    engine: str
    summary: stats.Quantiles
    stages: dict[str, float]  # median by stage: crop, network, decode
    load_ms: float
    first_ms: float
    peak_mb: float
    warnings: tuple[str, ...]


def analyse(results: Results) -> list[CaseStats]:
    """Sum up each case of a results file, in the order of models, clusters and threads."""
    confidence = results.run.options.get("confidence", 0.95)
    precision = results.run.options.get("precision", 0.03)
    precisions = {each["name"]: each.get("precision", "") for each in results.run.artifact.get("models", ())}
    models = list(precisions)
    clusters = [each["name"] for each in results.run.machine.get("clusters", ())]  # fastest first

    def place(key: tuple[str, int, str]) -> tuple:
        model, threads, cluster = key
        named = (models, model), (clusters, cluster)
        ranks = [names.index(each) if each in names else len(names) for names, each in named]
        return *ranks, model, cluster, threads

    by_case = results.by_case()
    cores = core_count(results)
    found = []
    for key in sorted(by_case, key=place):
        visits, warnings = by_case[key], _warnings(by_case[key], confidence, precision, cores)
        found.append(_case(visits, precisions.get(key[0], ""), confidence, warnings))
    return found


def is_quiet(visit: VisitLine, cores: int) -> bool:
    """Say whether other programs left a machine of so many cores alone during a round."""
    least, share = OTHERS
    return (visit.others or 0) <= max(least, share * cores)


def core_count(results: Results) -> int:
    """Return how many cores the machine has."""
    return len(results.run.machine.get("cores", ())) or 1


@dataclass(frozen=True)
class Compared:
    """One case of two results files. `verdict` is that of `stats.compare`, or `missing` or `disturbed`."""

    key: tuple[str, int, str]
    verdict: str
    result: stats.Comparison | None


def compare(old: Results, new: Results, max_slowdown: float) -> list[Compared]:
    """Compare the cases of `old` with those of `new`; rounds beside busy programs are left out.

    Args:
        old: what to compare with.
        new: what to judge.
        max_slowdown: 0.05 allows five per cent.
    """
    rows = []
    for key, visits in old.by_case().items():
        others = new.by_case().get(key)
        if others is None:
            rows.append(Compared(key, "missing", None))
            continue
        quiet = [
            [visit.total_ms for visit in each if is_quiet(visit, core_count(results))]
            for results, each in ((old, visits), (new, others))
        ]
        if min(map(len, quiet)) < stats.MIN_ROUNDS <= min(len(visits), len(others)):
            rows.append(Compared(key, "disturbed", None))
            continue
        result = stats.compare(*quiet, max_slowdown) if all(quiet) else None
        rows.append(Compared(key, result.verdict if result else "undecided", result))
    return rows


@dataclass(frozen=True)
class ComparedCount:
    """One model's instructions in two results files; `verdict`: fine, more or missing."""

    model: str
    core: str
    before: int
    after: int | None
    verdict: str


def compare_counts(old: Results, new: Results, max_more: float) -> list[ComparedCount]:
    """Compare the counted instructions of `old`'s models with those of `new`: exact numbers, so no test.

    Args:
        old: what to compare with.
        new: what to judge.
        max_more: 0.01 allows one per cent more.

    Raises:
        UserError: they are of different cores.
    """
    cores = {line.core for results in (old, new) for line in results.counts}
    if len(cores) > 1:
        raise UserError(
            f"{old.path} and {new.path}: counted on {' and '.join(sorted(cores))}; expected one core"
        )
    after = {line.model: line.total for line in new.counts}
    rows = []
    for line in old.counts:
        found = after.get(line.model)
        more = found is not None and found > line.total * (1 + max_more)
        verdict = "missing" if found is None else "more" if more else "fine"
        rows.append(ComparedCount(line.model, line.core, line.total, found, verdict))
    return rows


def _case(
    visits: Sequence[VisitLine], precision: str, confidence: float, warnings: Sequence[str]
) -> CaseStats:
    first = visits[0]
    stages = {
        name: float(np.median(np.concatenate([getattr(each, f"{name}_ms") for each in visits])))
        for name in ("crop", "network", "decode")
    }
    return CaseStats(
        model=first.model,
        precision=precision,
        threads=first.threads,
        cluster=first.cluster,
        engine=f"{first.engine} {first.engine_version}",
        summary=stats.summarise([each.total_ms for each in visits], confidence),
        stages=stages,
        load_ms=float(np.median([each.load_ms for each in visits])),
        first_ms=float(np.median([each.first_ms for each in visits])),
        peak_mb=max(each.peak_kb for each in visits) / 1024,
        warnings=tuple(warnings),
    )


def _warnings(visits: Sequence[VisitLine], confidence: float, precision: float, cores: int) -> list[str]:
    rounds = [each.total_ms for each in visits]
    found = []
    if (slower := max(stats.slowed_down(each) for each in rounds)) > 0:
        found.append(f"throttling: within a round it got {slower:.0%} slower")
    if (slower := stats.drifted(rounds)) > 0:
        found.append(f"throttling: the last rounds were {slower:.0%} slower than the first")
    clocks = [[max(each.clocks_khz[when], default=0) for when in ("before", "after")] for each in visits]
    fell = [(before, after) for before, after in clocks if 0 < after < CLOCK_FELL * before]
    if fell:
        before, after = min(fell, key=lambda pair: pair[1] / pair[0])
        found.append(f"throttling: the clock fell from {before // 1000} to {after // 1000} MHz")
    if (share := max(stats.interrupted(each) for each in rounds)) > 0:
        found.append(f"noise: {share:.0%} of a round's runs took over {stats.OUTLIER:g} times its median")
    if not all(is_quiet(each, cores) for each in visits):
        others = max((each.others or 0) for each in visits)
        found.append(f"noise: other programs kept up to {others:.1f} of {cores} cores busy")
    if cold := sum(not each.warm for each in visits):
        found.append(f"unsteady: no steady latency after the warm-up in {cold} of {len(visits)} rounds")
    if len(visits) < stats.MIN_ROUNDS:
        found.append(f"{len(visits)} of at least {stats.MIN_ROUNDS} rounds: the interval promises too much")
    elif not stats.enough(rounds, precision, confidence):
        found.append(f"the median is not known to within {precision:.0%}; more rounds would tell")
    return found
