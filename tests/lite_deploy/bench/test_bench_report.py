"""The report, opened in a real browser, and the comparison of two results."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.bench.analysis import analyse
from lite_deploy.bench.published import FIGURES
from lite_deploy.bench.results import (
    CheckLine,
    EndLine,
    FailureLine,
    RunLine,
    VisitLine,
    append,
    read_results,
)
from lite_deploy.cli import app
from tinypose.errors import UserError

HOSTILE = "<script>fetch('http://example.invalid/')</script> | $\\frac{1}{2}$ & \"x\""
MODELS = {"arm_fp32": 9.0, "arm_fp16": 7.0, "arm_int8": 6.0}


def write_results(
    path, factor=1.0, arm=True, label="", models=MODELS, others=0.02, rounds=5, seed=0, between=0.005
):
    """Write the results of a run as a device would give them: 5 rounds of 40 runs for each model."""
    rng = np.random.default_rng(seed)
    machine = {"model": "Board", "soc": "Soc 1", "arm": arm, "system": "Linux", "memory_mb": 4000}
    core = {"kind": "Cortex-A76", "clock": 2400}
    machine["cores"] = [{"number": n, "governor": "performance", **core} for n in range(4)]
    machine["clusters"] = [{"name": "all", "cores": [0, 1, 2, 3], **core}]
    named = [{"name": name, "precision": name.split("_")[1]} for name in MODELS]
    accuracy = {
        "model": "arm_fp32",
        "data": "/x/val.json",
        "people": 68,
        "flip": False,
        "metrics": {"AP": 56.4},
    }
    artifact = {"models": named, "accuracy": [accuracy], "input": {"width": 96, "height": 128}}
    run = RunLine(
        started="2026-02-03T04:05:06+0000",
        device="ssh:board",
        label=label,
        machine=machine,
        artifact=artifact,
        tools={},
        options={"confidence": 0.95, "precision": 0.03},
        folder="/tmp/edge-pose-0",
    )
    append(path, run)
    for model in models:
        numbers = {"difference": 1e-6, "correlation": 1.0, "moved": 0.0}
        append(path, CheckLine(model=model, expected_by="test", passed=True, **numbers))
        for number in range(1, rounds + 1):
            level = models[model] * factor * np.exp(between * rng.standard_normal())
            line = VisitLine(
                model=model,
                threads=1,
                cluster="any",
                round=number,
                runner="pose_runner",
                engine="paddle-lite",
                engine_version="2.13",
                cores=[0],
                load_ms=20,
                first_ms=2 * level,
                warmup_runs=16,
                warm=True,
                crop_ms=[0.4] * 40,
                network_ms=list(level * np.exp(0.02 * rng.standard_normal(40))),
                decode_ms=[0.1] * 40,
                peak_kb=50_000,
                clocks_khz={"before": [2400000], "after": [2400000]},
                others=others,
                preempted=0,
                temperature_c={"before": 45, "after": 47},
                cooled_s=0,
            )
            append(path, line)
    append(path, EndLine(reason="complete"))
    return path


def command(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_page_in_a_browser(browser, screenshots, tmp_path):
    board = write_results(tmp_path / "board.jsonl", label="A board")
    append(board, FailureLine(model="arm_int8", threads=2, cluster="any", message=HOSTILE))
    here = write_results(tmp_path / "here.jsonl", 3, arm=False, label=HOSTILE, seed=1)
    done = command("report", board, here, "--output", tmp_path / "report.html")
    assert done.exit_code == 0, done.output
    browser.requests.clear()
    browser.open(tmp_path / "report.html")

    assert browser.requests == [(tmp_path / "report.html").as_uri()]  # no request leaves
    assert browser.evaluate("document.querySelectorAll('script, img, link, iframe, object').length") == 0
    text = browser.evaluate("document.body.innerText")
    assert HOSTILE in re.sub(r"\s+", " ", text)  # shown, not run
    assert "is not ARM: these numbers say nothing about phones" in text and "A board is not ARM" not in text
    assert text.count("published") >= len(FIGURES)
    rows = browser.evaluate("[...document.querySelectorAll('table.cases tr')].map(r => r.innerText)")
    assert len(rows) == 2 * (1 + len(MODELS)) and any("arm_int8" in row and "200 in 5" in row for row in rows)
    assert browser.evaluate("document.querySelector('#side-by-side').innerText").count("slower") == 3
    assert "56.4" in browser.evaluate("document.querySelector('#accuracy').innerText")
    plots = "[...document.querySelectorAll('.plot svg')]"
    sizes = browser.evaluate(f"{plots}.map(s => s.getBoundingClientRect()).map(b => [b.width, b.height])")
    assert len(sizes) == 2 + 2 * 3 and all(width > 600 and height > 100 for width, height in sizes)
    assert min(browser.evaluate(f"{plots}.map(s => s.querySelectorAll('path').length)")) > 10
    assert "(published)" in browser.evaluate("document.querySelector('#plot-accuracy svg').textContent")
    # Nothing runs over its card's edge.
    cards = "[...document.querySelectorAll('.card')]"
    assert browser.evaluate(f"{cards}.every(c => c.scrollWidth <= c.clientWidth + 1)")

    browser.screenshot(screenshots / "report.png")
    assert (screenshots / "report.png").stat().st_size > 100_000


def test_the_browser_notices_requests(browser, tmp_path):
    """Or the test above could not fail."""
    (tmp_path / "page.html").write_text('<img src="http://127.0.0.1:9/x.png">')
    browser.requests.clear()
    browser.open(tmp_path / "page.html")
    assert "http://127.0.0.1:9/x.png" in browser.requests


def test_markdown(tmp_path):
    results = write_results(tmp_path / "r.jsonl", label=HOSTILE)
    append(results, FailureLine(model="arm_int8", threads=2, cluster="any", message="a | b\nc <b>"))
    assert command("report", results, "--output", tmp_path / "report.html").exit_code == 0
    text = (tmp_path / "report.md").read_text()
    assert "a \\| b c &lt;b>" in text and "<script>" not in text and "not ARM" not in text
    lines = text.splitlines()
    tables = [
        [x for x in lines[i : i + 5] if x.startswith("|")] for i, line in enumerate(lines) if "---" in line
    ]
    assert len(tables) == 3
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|[-:|]+\|", line):
            bars = [len(re.findall(r"(?<!\\)\|", each)) for each in lines[number - 1 : number + 3]]
            assert bars[0] == bars[1] == bars[2], lines[number - 1 : number + 3]
    for model in MODELS:
        assert f"| {model} | {model[-4:].upper()} | 1 | any |" in text
    for each in FIGURES:
        assert f"| {each.name} {each.precision} | {each.ap} | {each.latency_ms} | published |" in text


def test_the_summary_says_what_matters(tmp_path):
    first, second = (write_results(tmp_path / f"{name}.jsonl", seed=seed) for seed, name in enumerate("ab"))
    append(second, FailureLine(model="arm_fp16", threads=2, cluster="any", message="crashed"))
    wrong = {"difference": 0.9, "correlation": 0.1, "moved": 50.0, "passed": False}
    append(second, CheckLine(model="arm_int8", expected_by="test", **wrong))
    assert command("report", first, second, "--output", tmp_path / "report.html").exit_code == 0
    for file in ("report.md", "report.html"):
        text = (tmp_path / file).read_text()
        assert "Board (a)" in text and "Board (b)" in text  # two runs of one device are told apart
        assert text.count("The fastest is arm_int8, 1 thread: 6.5") == 2
        # The known ratio, with its interval: (9.0 + 0.5) / (7.0 + 0.5) and (9.0 + 0.5) / (6.0 + 0.5).
        for model, true in (("arm_fp16", 9.5 / 7.5), ("arm_int8", 9.5 / 6.5)):
            found = re.findall(rf"{model} is (\S+) times as fast as arm_fp32 \(95 %: (\S+) to (\S+)\)", text)
            assert len(found) == 2
            for ratio, low, high in np.array(found, float):
                assert low <= ratio <= high and abs(ratio - true) < 0.03
        assert text.count("Each model gives the expected output") == 1
        assert text.count("WRONG output, so not measured: arm_int8.") == 1
        assert text.count("Nothing speaks against the numbers") == 1
        assert text.count("Failures, which stand below the numbers: 1.") == 1


def test_cases_stand_in_the_order_of_clusters(tmp_path):
    path = write_results(tmp_path / "r.jsonl", models={"arm_fp32": 9.0})
    run, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    run["machine"]["clusters"] = [{"name": name} for name in ("big", "middle", "little")]
    visits = [line for line in lines if line["kind"] == "visit"]
    every = [
        {**v, "cluster": name, "threads": n}
        for name in ("little", "big", "middle")
        for n in (2, 1)
        for v in visits
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in (run, *every)))
    found = [(case.cluster, case.threads, case.precision) for case in analyse(read_results(path))]
    assert found == [(name, n, "fp32") for name in ("big", "middle", "little") for n in (1, 2)]


def test_a_report_needs_measurements(tmp_path):
    empty = write_results(tmp_path / "r.jsonl", models={})
    for results, page in ((empty, "r.html"), (tmp_path / "none", "r.html"), (empty, "r.pdf")):
        assert isinstance(command("report", results, "--output", tmp_path / page).exception, UserError)


def test_compare_in_continuous_integration(tmp_path):
    old = write_results(tmp_path / "old.jsonl")
    same = write_results(tmp_path / "same.jsonl", seed=1)
    slow = write_results(tmp_path / "slow.jsonl", 1.2, seed=2)
    assert command("compare", old, same).exit_code == 0
    assert command("compare", old, same, "--strict").exit_code == 0
    done = command("compare", old, slow)
    assert done.exit_code == 1 and done.output.count("slower") >= 3
    assert command("compare", old, slow, "--max-slowdown", "30%").exit_code == 0
    assert command("compare", slow, old).exit_code == 0  # faster
    fewer = write_results(tmp_path / "fewer.jsonl", models={"arm_fp32": 9.0})
    done = command("compare", old, fewer)
    assert done.exit_code == 1 and "missing" in done.output
    assert command("compare", fewer, old).exit_code == 0
    nothing = write_results(tmp_path / "nothing.jsonl", models={})
    assert isinstance(command("compare", nothing, old).exception, UserError)  # or it would always pass
    assert command("compare", old, nothing).exit_code == 1
    with open(same) as file:
        (tmp_path / "cut.jsonl").write_text("".join(file.readlines()[:-1]))
    assert "broken off before its end" in command("compare", old, tmp_path / "cut.jsonl").output


def test_compare_does_not_judge_noise(tmp_path):
    old = write_results(tmp_path / "old.jsonl")
    beside = write_results(tmp_path / "beside.jsonl", 1.5, others=1.5)
    noisy = write_results(tmp_path / "noisy.jsonl", 1.06, between=0.1)
    short = write_results(tmp_path / "short.jsonl", 1.5, rounds=2)
    for new, verdict in ((beside, "disturbed"), (noisy, "undecided"), (short, "undecided")):
        done = command("compare", old, new)
        assert done.exit_code == 0 and verdict in done.output
        assert command("compare", old, new, "--strict").exit_code == 1


@pytest.mark.parametrize("text", ["five", "-1%", "", "nan"])
def test_slowdowns_that_are_none(tmp_path, text):
    old = write_results(tmp_path / "old.jsonl")
    assert isinstance(command("compare", old, old, "--max-slowdown", text).exception, UserError)


def test_from_bench_to_report(exported, tmp_path):
    """The whole way on this machine, as `make demo` goes it."""
    out = tmp_path / "results.jsonl"
    out.write_text("from an earlier demonstration\n")
    options = ("--rounds", "3", "--max-rounds", "3", "--runs", "5", "--warmup-seconds", "0.2", "--overwrite")
    done = command("bench", exported.folder, *options, "--model", "x86_fp32", "--output", out)
    assert done.exit_code == 0, done.output
    assert command("report", out, "--output", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert "not ARM" in page and "x86_fp32" in page and page.count("<svg") == 5
    assert json.loads(out.read_text().splitlines()[0])["kind"] == "run"
