"""`lite-deploy compare`: is the new measurement slower, or does it take more instructions?"""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Results to compare with.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Results to judge.")],
    max_slowdown: Annotated[
        str, typer.Option(metavar="PERCENT", help="How much slower it may be, for example 5%.")
    ] = "5%",
    max_more_instructions: Annotated[
        str, typer.Option(metavar="PERCENT", help="How many more instructions it may take, for example 1%.")
    ] = "1%",
    strict: Annotated[bool, typer.Option("--strict", help="Also fail where it cannot be told.")] = False,
) -> None:
    """Test, case by case, whether NEW is slower than OLD by more than allowed. For continuous integration.

    Results of `bench --device emulator:CORE` are counts, which are exact: there NEW may not take more
    instructions than allowed.

    Exit code 1 if a case is slower beyond doubt (a permutation test over rounds: at most one false alarm in
    twenty, right at the limit), if a model takes too many instructions, or if NEW lacks what OLD has.
    """
    from lite_deploy.bench.results import read_results
    from tinypose.console import err
    from tinypose.errors import UserError

    limit = _share("--max-slowdown", max_slowdown)
    more = _share("--max-more-instructions", max_more_instructions)
    before, after = read_results(old), read_results(new)
    if not before.visits and not before.counts:
        raise UserError(f"{old}: nothing was measured, so there is nothing to compare with")
    for each in (before, after):
        if not each.complete:
            err.print(f"{each.path}: broken off before its end", style="yellow", markup=False)
    failed = _times(before, after, limit, strict) if before.visits else []
    failed += _instructions(before, after, more) if before.counts else []
    if failed:
        err.print(f"not passed: {'; '.join(failed)}", style="red", markup=False)
        raise typer.Exit(1)


def _times(before, after, limit: float, strict: bool) -> list[str]:
    """Print how the times compare; return the cases that do not pass."""
    from lite_deploy.bench.analysis import compare as test
    from tinypose.console import count, err, out, table

    if before.run.machine.get("model") != after.run.machine.get("model"):
        err.print(f"different machines: {before.name} and {after.name}", style="yellow", markup=False)
    rows, named = [], {}
    for each in test(before, after, limit):
        model, threads, cluster = each.key
        name = f"{model}, {count(threads, 'thread')}, {cluster}"
        named.setdefault(each.verdict, []).append(name)
        numbers = ["", "", ""]
        if (result := each.result) is not None:
            interval = f"{result.low - 1:+.1%} to {result.high - 1:+.1%}" if result.low else "unknown"
            numbers = [f"{result.ratio - 1:+.1%}", interval, f"{result.p_value:.3f}"]
        rows.append((name, *numbers, each.verdict))
    columns = ("case", "slower by", "95 %", "p", "verdict")
    out.print(table(f"{len(rows)} cases, allowed: {100 * limit:g} % slower", columns, rows))
    advice = {
        "undecided": "more rounds (--rounds, --max-rounds) would tell",
        "disturbed": "other programs kept the processor busy; measure again on a quiet device",
    }
    for verdict, hint in advice.items():
        if verdict in named:
            err.print(f"{verdict}: {'; '.join(named[verdict])}: {hint}", style="yellow", markup=False)
    fatal = ("slower", "missing", *(advice if strict else ()))
    return [name for verdict in fatal for name in named.get(verdict, ())]


def _instructions(before, after, more: float) -> list[str]:
    """Print how the counted instructions compare; return the models that do not pass."""
    from lite_deploy.bench.analysis import compare_counts
    from tinypose.console import err, out, table

    engines = [results.run.options.get("engine_sha256") for results in (before, after)]
    if after.counts and engines[0] != engines[1]:
        err.print("counted with different builds of Paddle-Lite", style="yellow", markup=False)
    compared = compare_counts(before, after, more)
    rows = []
    for each in compared:
        change = "" if each.after is None else f"{each.after / each.before - 1:+.2%}"
        now = "" if each.after is None else f"{each.after:,}"
        rows.append((each.model, f"{each.before:,}", now, change, each.verdict))
    title = f"instructions, emulated {compared[0].core}, allowed: {100 * more:g} % more"
    out.print(table(title, ("model", "old", "new", "more by", "verdict"), rows))
    return [f"{each.model}, instructions" for each in compared if each.verdict != "fine"]


def _share(option: str, text: str) -> float:
    from tinypose.errors import UserError

    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value < 10:
        raise UserError(f"{option} {text}: expected a percentage such as 5%")
    return value
