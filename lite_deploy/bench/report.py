"""Results files as one page that can be shown: HTML that needs nothing else, and Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lite_deploy.bench import plots, published, stats
from lite_deploy.bench.analysis import CaseStats, analyse, compare
from lite_deploy.bench.choose import by_times
from lite_deploy.bench.results import Results, counted, model_checksums
from lite_deploy.bench.show import NOT_ARM
from tinypose.errors import UserError
from tinypose.files import write_text

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """One run of the report, ready to be written."""

    results: Results
    cases: list[CaseStats]
    name: str
    arm: bool
    facts: dict[str, str]
    fastest: CaseStats
    in_short: list[str]  # the summary, in sentences
    megabytes: dict[str, float]  # of each model's files
    accuracy: list[tuple[CaseStats, float, dict]]
    instructions: dict[str, dict[str, int]]  # counted on each emulated core, by model


def write_report(every: Sequence[Results], html: Path, markdown: Path) -> None:
    """Write a report of one run or of several side by side.

    Args:
        every: what was measured; runs on emulated cores become a column beside the times of the same models.
        html: one page with the pictures in it, which loads nothing.
        markdown: the same tables.

    Raises:
        UserError: a file without any measurement, or no file with times.
    """
    emulated = [results for results in every if results.counts]
    timed = [results for results in every if not results.counts]
    if not timed:
        raise UserError(
            f"{emulated[0].path}: instructions and no times; give it together with the results of a device"
        )
    sections = [_section(results, emulated) for results in _told_apart(timed)]
    values = {
        "sections": sections,
        "side_by_side": _side_by_side(sections),
        "plots": _plots(sections),
        "published": published,
        "found": " or ".join(sorted({section.results.finds for section in sections}, reverse=True)),
        "not_arm": NOT_ARM,
        "html_name": html.name,
        "label": plots.case_label,
    }
    write_text(html, _environment(html=True).get_template("report.html.j2").render(values))
    write_text(markdown, _environment(html=False).get_template("report.md.j2").render(values))


def _section(results: Results, others: Sequence[Results]) -> Section:
    if not results.visits:
        raise UserError(f"{results.path}: nothing was measured: {_why_empty(results)}")
    cases = analyse(results)
    fastest = min(cases, key=lambda case: case.summary.median)
    accuracy = plots.with_accuracy(results, cases)
    models = results.run.artifact.get("models", ())
    return Section(
        results=results,
        cases=cases,
        name=results.name,
        arm=bool(results.run.machine.get("arm")),
        facts=_facts(results),
        fastest=fastest,
        in_short=_in_short(results, cases, fastest, {case.model: ap for case, ap, _ in accuracy}),
        megabytes={each["name"]: each.get("bytes", 0) / 1e6 for each in models},
        accuracy=accuracy,
        instructions=counted(model_checksums(results), others),
    )


def _told_apart(every: Sequence[Results]) -> list[Results]:
    """Give runs of one name, such as two runs of one device, the names of their files as well."""
    names = [results.name for results in every]
    files = [results.path.stem for results in every]
    if len(set(files)) < len(files):
        files = [str(results.path) for results in every]
    told = []
    for results, name, file in zip(every, names, files, strict=True):
        label = name if names.count(name) == 1 else f"{name} ({file})"
        told.append(replace(results, run=results.run.model_copy(update={"label": label})))
    return told


def _in_short(
    results: Results, cases: Sequence[CaseStats], fastest: CaseStats, ap: dict[str, float]
) -> list[str]:
    """Say in sentences what a reader in a hurry must know of a run."""
    s, network = fastest.summary, fastest.stages["network"]
    said = [
        f"The fastest is {plots.case_label(fastest)}: {_ms(s.median)} ms from the picture to the "
        f"{results.finds} (95 %: {_ms(s.low)} to {_ms(s.high)}), "
        f"of which the network takes {_ms(network)} ms."
    ]
    right = {check.model for check in results.checks if check.passed}
    best = [each for each in by_times(_fastest(cases)) if each.model in right]
    if len(best) > 1:
        others = ", ".join(f"{each.model} {_ms(each.cost)}" for each in best[1:])
        said.append(f"Take {best[0].model} on this device: {_ms(best[0].cost)} ms, against {others}.")
    place = fastest.threads, fastest.cluster, fastest.engine
    rivals = [case for case in cases if (case.threads, case.cluster, case.engine) == place]
    plain = next((case for case in rivals if case.precision == "fp32"), None)
    said += [_against(plain, case, results, ap) for case in rivals if plain and case is not plain]
    passed = {check.model: check.passed for check in results.checks}
    if wrong := [model for model, right in passed.items() if not right]:
        said.append(f"WRONG output, so not measured: {', '.join(wrong)}.")
    else:
        said.append("Each model gives the expected output on this device.")
    if doubtful := sum(bool(case.warnings) for case in cases):
        said.append(f"With reservations, which stand below the numbers: {doubtful} of {len(cases)} cases.")
    if results.failures:
        said.append(f"Failures, which stand below the numbers: {len(results.failures)}.")
    if not doubtful and not results.failures:
        said.append("Nothing speaks against the numbers: no throttling, no noise, medians known well enough.")
    return said


def _fastest(cases: Sequence[CaseStats]) -> dict[str, float]:
    """Return the median of each model's fastest case, in milliseconds."""
    return {
        name: min(case.summary.median for case in cases if case.model == name)
        for name in dict.fromkeys(case.model for case in cases)
    }


def _against(plain: CaseStats, case: CaseStats, results: Results, ap: dict[str, float]) -> str:
    """Say how a case compares with the one in FP32 of the same threads and cores."""
    by_case = results.by_case()
    keys = [(each.model, each.threads, each.cluster) for each in (case, plain)]
    fast, slow = ([visit.total_ms for visit in by_case[key]] for key in keys)
    result = stats.compare(fast, slow, 0.0)
    said = f"{case.model} is {result.ratio:.2f} times as fast as {plain.model}"
    if result.low:
        said += f" (95 %: {result.low:.2f} to {result.high:.2f})"
    if {case.model, plain.model} <= ap.keys():
        said += f"; AP {ap[case.model]:.1f} against {ap[plain.model]:.1f}"
    return said + "."


def _why_empty(results: Results) -> str:
    return results.failures[-1].message if results.failures else "the run was broken off"


def _facts(results: Results) -> dict[str, str]:
    """Return what a reader must know of a run, in order."""
    run, machine = results.run, results.run.machine
    clusters = [
        f"{each['name']}: {len(each['cores'])} x {each['kind'] or 'core'}"
        + (f" at {each['clock']} MHz" if each.get("clock") else "")
        for each in machine.get("clusters", ())
    ]
    governors = sorted({core["governor"] for core in machine.get("cores", ()) if core.get("governor")})
    size = run.artifact.get("input", {})
    versions = sorted({f"{visit.engine} {visit.engine_version}" for visit in results.visits})
    heat = [v.temperature_c["after"] for v in results.visits if v.temperature_c.get("after") is not None]
    made = run.artifact.get("tools", {})
    used = " ".join(("edge-pose", run.tools["edge-pose"])) if "edge-pose" in run.tools else ""
    return {
        "Device": run.device,
        "Model": machine.get("model", ""),
        "SoC": machine.get("soc", ""),
        "System": ", ".join(filter(None, (machine.get("system"), machine.get("kernel")))),
        "Cores": "; ".join(clusters),
        "Instructions": ", ".join(machine.get("instructions", ())) if machine.get("arm") else "not ARM",
        "Governor": ", ".join(governors) or "not told",
        "Memory": f"{machine.get('memory_mb', 0)} MB",
        "Temperature": f"{min(heat):.0f} to {max(heat):.0f} °C after a round" if heat else "not told",
        "Models": f"{run.artifact.get('folder', '')} ({run.artifact.get('config', '')})",
        "Input": f"{size.get('height', '?')}x{size.get('width', '?')}",
        "Engines": ", ".join(versions),
        "Measured by": used,
        "Models made by": ", ".join(f"{name} {version}" for name, version in made.items()),
        "Runner": ", ".join(sorted({visit.runner for visit in results.visits})),
        "Started": run.started,
        "Complete": "yes" if results.complete else "no: broken off; `lite-deploy bench --resume` goes on",
    }


def _side_by_side(sections: Sequence[Section]) -> list[dict]:
    """Return one row a case that all runs have; with two runs, whether they differ."""
    if len(sections) < 2:
        return []
    by_key = [{(c.model, c.threads, c.cluster): c for c in section.cases} for section in sections]
    verdicts = _differences(*(section.results for section in sections)) if len(sections) == 2 else {}
    rows = []
    for key in by_key[0]:
        if all(key in each for each in by_key):
            cases = [each[key] for each in by_key]
            ratios = [case.summary.median / cases[0].summary.median for case in cases]
            rows.append({"cases": cases, "ratios": ratios, "verdict": verdicts.get(key, "")})
    return rows


def _differences(first: Results, second: Results) -> dict[tuple, str]:
    """Say of each case whether the second run is slower, faster, or not significantly either."""
    said = {each.key: each.verdict for each in compare(first, second, 0.0)}
    said |= {each.key: "faster" for each in compare(second, first, 0.0) if each.verdict == "slower"}
    plain = {"fine": "not significant", "undecided": "not significant"}
    return {key: plain.get(verdict, verdict) for key, verdict in said.items()}


def _plots(sections: Sequence[Section]) -> dict:
    runs = [(section.results, section.cases) for section in sections]
    return {
        "latency": Markup(plots.latency(runs)),
        "accuracy": Markup(plots.accuracy(runs)),
        "distributions": [Markup(plots.distributions(run)) for run in runs],
        "stages": [Markup(plots.stages(run)) for run in runs],
        "rounds": [Markup(plots.rounds(run)) for run in runs],
    }


def _environment(html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ms"] = _ms
    environment.filters["megabytes"] = lambda value: f"{value:.2f}" if value else ""
    environment.filters["millions"] = lambda value: f"{value / 1e6:.1f}" if value else ""
    environment.filters["cell"] = _cell
    environment.filters["name"] = lambda path: Path(path).name
    return environment


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _cell(value: object) -> str:
    """Keep text from breaking out of a Markdown table."""
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
