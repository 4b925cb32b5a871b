"""The report's pictures, as SVG that stands in the page itself."""

import io
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from lite_deploy.bench.analysis import CaseStats
from lite_deploy.bench.published import FIGURES
from lite_deploy.bench.results import Results

# Colours that people with any colour vision can tell apart (Okabe and Ito).
PRECISION = {"fp32": "#0072B2", "fp16": "#009E73", "int8": "#D55E00"}
STAGES = {"crop": "#56B4E9", "network": "#0072B2", "decode": "#E69F00"}
RUNS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#5b6573"

Run = tuple[Results, list[CaseStats]]


def latency(runs: Sequence[Run]) -> str:
    """Draw the median, its confidence interval, and minimum to p99, for each case of each run."""
    labels = list(dict.fromkeys(case_label(case) for _, cases in runs for case in cases))
    row = _row(labels, 0.35, 0.12) + _row(labels, 0.45, 0.28) * len(runs)
    figure, axes = _figure(len(labels) * row + 1)
    step = 0.72 / len(runs)
    for number, (_, cases) in enumerate(runs):
        for case in cases:
            y = labels.index(case_label(case)) + (number - (len(runs) - 1) / 2) * step
            color = RUNS[number % len(RUNS)] if len(runs) > 1 else _precision_color(case)
            s = case.summary
            axes.plot([s.minimum, s.p99], [y, y], color=color, linewidth=1.2, alpha=0.55)
            axes.plot([s.low, s.high], [y, y], color=color, linewidth=7, alpha=0.45, solid_capstyle="butt")
            axes.plot(s.median, y, "o", color=color, markersize=6)
            _note(axes, f"{s.median:.3g}", (s.median, y), (0, 5), ha="center")
    _cases_axis(axes, labels)
    # A straggler or two would squeeze all else: their lines run to the edge.
    summaries = [case.summary for _, cases in runs for case in cases]
    axes.set_xlim(right=1.08 * max(max(s.high, min(s.p99, 3 * s.median)) for s in summaries))
    if len(runs) > 1:
        marks = [Line2D([], [], color=RUNS[i % len(RUNS)], marker="o") for i in range(len(runs))]
        names = [_plain(results.name) for results, _ in runs]
        axes.legend(marks, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return _svg(figure, "latency")


def distributions(run: Run) -> str:
    """Draw how the latencies of each case are spread, all runs of all rounds."""
    results, cases = run
    by_case = results.by_case()
    figure, axes = _figure(len(cases) * _row(cases, 0.9, 0.5) + 1)
    for y, case in enumerate(cases):
        times = np.concatenate([v.total_ms for v in by_case[case.model, case.threads, case.cluster]])
        # A few stragglers would squeeze all else: they are counted at the edge.
        shown = times[times <= np.percentile(times, 98) * 1.0001]
        color = _precision_color(case)
        if len(np.unique(shown)) > 2:
            parts = axes.violinplot([shown], [y], orientation="horizontal", widths=0.75, showextrema=False)
            for body in parts["bodies"]:
                body.set(facecolor=color, alpha=0.35, edgecolor="none")
        jitter = np.random.default_rng(0).uniform(-0.16, 0.16, len(shown))
        axes.plot(shown, y + jitter, ".", color=color, markersize=2.4, alpha=0.5)
        axes.plot([case.summary.median] * 2, [y - 0.3, y + 0.3], color="black", linewidth=1.4)
    _cases_axis(axes, [case_label(case) for case in cases])
    return _svg(figure, f"distributions {results.path}")


def stages(run: Run) -> str:
    """Draw what each stage takes of the median."""
    results, cases = run
    figure, axes = _figure(len(cases) * _row(cases, 0.62, 0.36) + 1.2)
    for y, case in enumerate(cases):
        left = 0.0
        total = sum(case.stages.values())
        for name, color in STAGES.items():
            value = case.stages[name]
            axes.barh(y, value, left=left, color=color, height=0.55, label=name if y == 0 else None)
            if value > 0.12 * total:
                where = (left + value / 2, y)
                _note(axes, f"{value:.3g}", where, (0, 0), ha="center", va="center", color="white")
            left += value
    _cases_axis(axes, [case_label(case) for case in cases])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return _svg(figure, f"stages {results.path}")


def rounds(run: Run) -> str:
    """Draw each round's median against its case's: drift, throttling and noise show here."""
    results, cases = run
    by_case = results.by_case()
    figure, axes = _figure(max(3.2, 0.24 * len(cases)))
    for number, case in enumerate(cases):
        visits = by_case[case.model, case.threads, case.cluster]
        values = [100 * (np.median(v.total_ms) / case.summary.median - 1) for v in visits]
        color = RUNS[number % len(RUNS)]
        style = ("-", "--", ":")[number // len(RUNS) % 3]
        axes.plot([v.round for v in visits], values, style, marker="o", markersize=3.5, color=color)
        axes.plot([], [], style, marker="o", markersize=3.5, color=color, label=case_label(case))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("round")
    axes.set_ylabel("from the median, %")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return _svg(figure, f"rounds {results.path}")


def accuracy(runs: Sequence[Run]) -> str:
    """Draw AP against the network's latency, ours filled, published figures hollow and so labelled.

    Of pose networks: a detector's AP counts boxes and stands in the tables alone.
    """
    figure, axes = _figure(4.2)
    for each in FIGURES:
        where, color = (each.latency_ms, each.ap), PRECISION[each.precision]
        axes.plot(*where, "D", mfc="none", mec=color, markersize=8, mew=1.6)
        name = f"{each.height}x{each.width} {each.precision} (published)"
        _note(axes, name, where, (8, -12 if each.precision == "fp32" else 7), color=GREY)
    for number, (results, cases) in enumerate(runs):
        for case, ap, _ in with_accuracy(results, cases) if results.finds == "joints" else ():
            where = (case.stages["network"], ap)
            axes.plot(*where, "os^vP*"[number % 6], color=_precision_color(case), markersize=7)
            side = (8, 4) if number % 2 == 0 else (8, -12)
            _note(axes, f"{case.model}, {case.threads} thr.", where, side)
    if len(runs) > 1:
        marks = [Line2D([], [], color=GREY, marker="os^vP*"[i % 6], linestyle="") for i in range(len(runs))]
        names = [_plain(results.name) for results, _ in runs]
        axes.legend(marks, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    axes.set_xlabel("network alone, milliseconds (logarithmic)")
    axes.set_ylabel("COCO AP, %")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.22, 0.18)
    return _svg(figure, "accuracy")


def with_accuracy(results: Results, cases: Sequence[CaseStats]) -> list[tuple[CaseStats, float, dict]]:
    """Return the fastest case of each model whose AP was measured, its AP in percent, and how."""
    found = []
    for record in results.run.artifact.get("accuracy", ()):
        of_model = [case for case in cases if case.model == record["model"]]
        ap = record["metrics"].get("AP")
        if of_model and ap is not None:
            found.append((min(of_model, key=lambda case: case.stages["network"]), ap, record))
    return found


def case_label(case: CaseStats) -> str:
    """Return how to name a case in a picture."""
    place = "" if case.cluster == "any" else f", {case.cluster}"
    return f"{case.model}, {case.threads} thread{'s' * (case.threads > 1)}{place}"


def _precision_color(case: CaseStats) -> str:
    return PRECISION.get(case.precision, GREY)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, max(2.2, height)), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _row(rows: Sequence, roomy: float, dense: float) -> float:
    """Return the height of a row in inches: many rows stand closer, so that they can be seen at once."""
    return roomy if len(rows) <= 8 else dense


def _note(axes: Axes, text: str, at: tuple, offset: tuple, **style) -> None:
    axes.annotate(_plain(text), at, offset, textcoords="offset points", fontsize=8.5, **style)


def _cases_axis(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [_plain(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds")
    axes.grid(axis="y", visible=False)


def _plain(text: str) -> str:
    """Keep matplotlib from reading a name as a formula."""
    return text.replace("$", r"\$")


def _svg(figure: Figure, salt: str) -> str:
    """Return a figure as an SVG element: text stays text; ids differ from those of other figures."""
    buffer = io.StringIO()
    style = {"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 10}
    with matplotlib.rc_context(style):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # The page sets the size; the picture keeps its proportions.
    start, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", start) + ">" + rest
