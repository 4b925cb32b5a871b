"""Tables for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from lite_deploy.bench.analysis import CaseStats, analyse
from lite_deploy.bench.choose import Choice
from lite_deploy.bench.machine import Machine
from lite_deploy.bench.plan import Fit
from lite_deploy.bench.results import Results
from tinypose.console import count, out, table

NOT_ARM = "not ARM: these numbers say nothing about phones"


def show_machine(name: str, machine: Machine) -> None:
    """Print what a machine is."""
    clusters = "; ".join(
        f"{each.name}: {len(each.cores)} x {each.kind or 'core'}"
        + (f" at {each.clock} MHz" if each.clock else "")
        for each in machine.clusters
    )
    governors = sorted({core.governor for core in machine.cores if core.governor})
    held = [f"core {c.number} to {c.limit} MHz" for c in machine.cores if 0 < c.limit < c.clock]
    heat = sorted(machine.temperatures.items(), key=lambda item: -item[1])
    facts = {
        "device": name + ("" if machine.arm else f" ({NOT_ARM})"),
        "model": machine.model,
        "SoC": machine.soc,
        "system": f"{machine.system}, {machine.kernel}".strip(", "),
        "architecture": f"{machine.architecture}, {machine.bits}-bit system",
        "cores": clusters,
        "instructions": ", ".join(machine.instructions)
        if machine.instructions
        else "none of fp16, dotprod, i8mm",
        "governor": ", ".join(governors),
        "clock held down": ", ".join(held) or ("no" if any(core.limit for core in machine.cores) else ""),
        "memory": f"{machine.memory_mb} MB, {machine.free_mb} MB free",
        "hottest sensors": ", ".join(f"{sensor} {value:g} °C" for sensor, value in heat[:4]),
        "battery": machine.battery,
    }
    width = max(map(len, facts))
    for key, value in facts.items():
        out.print(f"{key:{width}}  {value or 'not told'}", markup=False)


def show_fits(folder: Path, fits: Sequence[Fit]) -> None:
    """Print which models can run, and why others cannot."""
    out.print(f"\n{folder}:", markup=False)
    width = max(len(fit.model.name) for fit in fits)
    for fit in fits:
        mark = "[green]can run[/]" if fit.runs else "[red]cannot [/]"
        out.print(f"  {fit.model.name:{width}}  {mark}  {escape(fit.note)}".rstrip())


def show_choices(choices: Sequence[Choice]) -> None:
    """Print which model to take, and what the others cost."""
    for place, each in enumerate(choices):
        out.print(f"  {'take' if place == 0 else 'not '} {each.model}: {each.why}", markup=False)


def show_results(results: Results) -> None:
    """Print the latencies of each case and what speaks against them."""
    cases = analyse(results)
    title = f"{results.name}: milliseconds from picture to {results.finds}"
    if not results.run.machine.get("arm"):
        title += f"\n{NOT_ARM}"
    columns = (
        "model",
        "threads",
        "cores",
        "median",
        "95 %",
        "p90",
        "p99",
        "min",
        "first",
        "load",
        "peak MB",
        "runs",
    )
    out.print(table(escape(title), columns, [_row(case) for case in cases]))
    for case in cases:
        for warning in case.warnings:
            where = f"{case.model}, {count(case.threads, 'thread')}, {case.cluster}"
            out.print(f"{where}: {warning}", style="yellow", markup=False)


def _row(case: CaseStats) -> list[str]:
    s = case.summary
    interval = f"{s.low:.2f} to {s.high:.2f}"
    times = [f"{each:.2f}" for each in (s.p90, s.p99, s.minimum, case.first_ms, case.load_ms)]
    counts = [f"{case.peak_mb:.0f}", f"{s.runs} in {s.rounds}"]
    return [case.model, str(case.threads), case.cluster, f"{s.median:.2f}", interval, *times, *counts]


def show_counts(results: Results) -> None:
    """Print the instructions of each model, by class and by kind of operator."""
    counts = results.counts
    core = counts[0].core
    title = f"{results.name}: million instructions of one inference, one thread, emulated {core}: no times"
    names = ("total", *(name.replace("_", " ") for name in counts[0].counts))
    rows = [(c.model, *(_millions(each) for each in (c.total, *c.counts.values()))) for c in counts]
    out.print(table(escape(title), ("model", *names), rows))
    kinds: dict[str, dict[str, int]] = {}
    for line in counts:
        for op in line.operators:
            of_kind = kinds.setdefault(op.name, {})
            of_kind[line.model] = of_kind.get(line.model, 0) + sum(op.counts.values())
    ordered = sorted(kinds.items(), key=lambda item: -max(item[1].values()))
    rows = [
        (kind, *(_millions(of[line.model]) if line.model in of else "" for line in counts))
        for kind, of in ordered
    ]
    if rows:
        out.print(table("the same by kind of operator", ("kind", *(line.model for line in counts)), rows))
    for line in counts:
        if not line.operators:
            out.print(f"{line.model}: not told by operator: no call of the engine's runs once for each")
        if line.again != line.total:
            out.print(f"{line.model}: another inference of the same process took {line.again:,} instructions")


def _millions(value: int) -> str:
    return f"{value / 1e6:.2f}"
