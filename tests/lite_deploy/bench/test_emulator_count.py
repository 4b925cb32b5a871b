"""The plugin counts what a program in assembly has by construction; counts are compared and reported."""

import json
import random
import re
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from lite_deploy.bench.analysis import compare_counts
from lite_deploy.bench.emulator.build import plugin
from lite_deploy.bench.emulator.count import CLASSES
from lite_deploy.bench.results import (
    CountLine,
    EndLine,
    OperatorCount,
    RunLine,
    VisitLine,
    append,
    read_results,
)
from lite_deploy.cli import app
from tinypose.errors import UserError

# Instructions of each class as the assembler writes them, so that the encodings are not ours.
_TEXT = {
    "fp32_multiply_add": "fmla v0.4s, v1.4s, v2.4s; fmls v0.2s, v1.2s, v2.s[3]; fmla v9.4s, v31.4s, v2.s[0]",
    "fp16_multiply_add": "fmla v0.8h, v1.8h, v2.8h; fmls v0.4h, v1.4h, v2.4h; fmla v0.8h, v1.8h, v2.h[7]",
    "dot_product": "sdot v0.4s, v1.16b, v2.16b; udot v0.2s, v1.8b, v2.8b; sdot v0.4s, v1.16b, v2.4b[3]; "
    "smmla v0.4s, v1.16b, v2.16b",
    "int8_multiply": "smull v0.8h, v1.8b, v2.8b; smlal2 v0.8h, v1.16b, v2.16b; smlal v0.4s, v1.4h, "
    "v2.h[7]; umlal v0.8h, v1.8b, v2.8b; smlsl v0.4s, v1.4h, v2.4h; smull2 v0.4s, v1.8h, "
    "v2.8h",
    "other_vector": "fmla v0.2d, v1.2d, v2.2d; fadd v0.4s, v1.4s, v2.4s; fmul v0.4s, v1.4s, v2.s[1]; "
    "sadalp v0.4s, v1.8h; smull v0.2d, v1.2s, v2.2s; fmadd s0, s1, s2, s3; mul v0.4s, "
    "v1.4s, v2.s[1]; sqrdmulh v0.4s, v1.4s, v2.4s; fcvtas v0.4s, v1.4s; movi v0.4s, #0; "
    "fmov s0, w1; saddl v0.8h, v1.8b, v2.8b; sqdmlal v0.4s, v1.4h, v2.h[1]; mla v0.8h, "
    "v1.8h, v2.h[2]; pmull v0.8h, v1.8b, v2.8b; fmul v0.8h, v1.8h, v2.h[1]; tbl v0.8b, "
    "{v1.16b}, v2.8b",
    "load_store": "ldr q0, [sp]; ldp x1, x2, [sp]; str w1, [sp, #8]; ld1 {v0.4s, v1.4s}, [x9]; st1 "
    "{v0.s}[1], [x9]; ld1r {v0.4s}, [x9]; ldrb w1, [sp]; prfm pldl1keep, [x9]; ldr d0, "
    "[sp]",
    "branch": "b . + 4; cbz x1, . + 4; tbnz x1, #3, . + 4; b.eq . + 4",
    "other": "add x1, x2, #3; mov x3, #7; nop; madd x1, x2, x3, x4; csel x1, x2, x3, eq; dmb ish; "
    "cmp x1, x2; ubfx x1, x2, #3, #4; adr x1, .; hint #99",
}
OF_CLASS = {name: text.split("; ") for name, text in _TEXT.items()}
HEAD = ".arch armv8.2-a+fp16+dotprod+i8mm\n.global _start\n_start:\n sub sp, sp, #64\n mov x9, sp\n"
TAIL = " mov x0, #0\n mov x8, #93\n svc #0\n"


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A function that assembles a program for ARM, runs it and returns what the plugin wrote."""
    tools = [f"aarch64-linux-gnu-{each}" for each in ("as", "ld")]
    if missing := [each for each in (*tools, "gcc", "qemu-aarch64") if shutil.which(each) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_POSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        program, library = plugin()
        assert plugin() == (program, library)  # built once

    def run(body: str, operators: int = 0) -> dict:
        folder = tmp_path_factory.mktemp("counted")
        (folder / "p.s").write_text(HEAD + body + TAIL)
        subprocess.run([tools[0], "-o", folder / "p.o", folder / "p.s"], check=True, timeout=60)
        subprocess.run([tools[1], "-o", folder / "p", folder / "p.o"], check=True, timeout=60)
        words = f"file={library},out={folder}/counts.json,operators={operators}"
        command = [program, "-cpu", "max", "-plugin", words, folder / "p"]
        subprocess.run(command, check=True, timeout=60)
        return json.loads((folder / "counts.json").read_text())

    return run


def block(numbers: dict[str, int], seed: int) -> str:
    """So many instructions of each class, mixed."""
    chosen = random.Random(seed)
    text = [chosen.choice(OF_CLASS[name]) for name, count in numbers.items() for _ in range(count)]
    chosen.shuffle(text)
    return "".join(f" {line}\n" for line in text)


def test_every_instruction_is_of_its_class(counted):
    body, expected = "", []
    for place, lines in enumerate(OF_CLASS.values()):
        for line in lines:
            body += f" hint #100\n {line}\n hint #101\n"
            expected.append((line, [int(place == each) for each in range(len(CLASSES))]))
    assert tuple(OF_CLASS) == CLASSES
    found = counted(body)["inferences"]
    assert list(zip((line for line, _ in expected), found, strict=True)) == expected


def test_loops_count_as_often_as_they_run(counted):
    loop = {"fp32_multiply_add": 3, "load_store": 2, "other_vector": 1}
    body = f" hint #100\n mov x10, #1000\n1:\n{block(loop, 0)} subs x10, x10, #1\n b.ne 1b\n hint #101\n"
    expected = {name: 1000 * loop.get(name, 0) for name in CLASSES} | {"branch": 1000, "other": 1001}
    result = counted(f"{body} fmla v0.4s, v1.4s, v2.4s\n nop\n")  # what is outside the marks is not counted
    assert result == {"inferences": [list(expected.values())], "operators": []}
    assert counted(body) == result


def network(operators: list[dict[str, int]], times: int) -> str:
    """A loop that calls through a table, as engines call operators, run so many times between marks."""
    calls = "".join(f" adr x11, f{number}\n bl go\n" for number in range(len(operators)))
    body = f" mov x12, #{times}\n again:\n hint #100\n nop\n{calls} hint #101\n"
    body += f" subs x12, x12, #1\n b.ne again\n{TAIL}go: mov x13, x30\n blr x11\n mov x30, x13\n ret\n"
    return body + "".join(f"f{n}:\n{block(each, n)} ret\n" for n, each in enumerate(operators))


def test_operators_are_told_apart(counted):
    chosen = random.Random(1)
    operators = [{name: chosen.randrange(9) for name in CLASSES} for _ in range(23)]
    result = counted(network(operators, 3), len(operators))
    assert len(result["inferences"]) == 3 and result["inferences"][1] == result["inferences"][2]
    # Operators begin at the `blr` in `go`. To the next: the function, ret, mov, ret, adr, bl, mov, blr.
    around = {"branch": 4, "other": 4 - 1}
    for each, found in zip(operators[:-1], result["operators"][:-1], strict=True):
        assert dict(zip(CLASSES, found, strict=True)) == {k: v + around.get(k, 0) for k, v in each.items()}
    last = dict(zip(CLASSES, result["operators"][-1], strict=True))
    assert last["fp32_multiply_add"] == operators[-1]["fp32_multiply_add"]
    total = [sum(each) for each in zip(*result["operators"], strict=True)]
    assert all(0 <= a - b <= 4 for a, b in zip(result["inferences"][2], total, strict=True))


def test_operators_that_cannot_be_told_apart(counted):
    operators = [dict.fromkeys(CLASSES, 2)] * 5
    assert counted(network(operators, 3), 6)["operators"] == []
    assert counted(network(operators, 1), 5)["operators"] == []  # nothing was seen before


def write_counts(path, totals, core="A78", library="x"):
    """Write the results of counting."""
    models = [{"name": name, "sha256": f"{name} {value}"} for name, value in totals.items()]
    run = RunLine(started="", device=f"emulator:{core}", machine={}, artifact={"models": models}, tools={},
                  options={"engine_sha256": library}, folder="")  # fmt: skip
    append(path, run)
    for model, total in totals.items():
        counts = dict.fromkeys(CLASSES, 0) | {"other": total}
        operators = [OperatorCount(type="conv2d", kernel="def", precision="fp32", counts=counts)]
        line = CountLine(
            model=model,
            core=core,
            engine_version="2.13",
            total=total,
            counts=counts,
            again=total,
            operators=operators,
        )
        append(path, line)
    append(path, EndLine(reason="complete"))
    return path


def test_compare_is_exact(tmp_path):
    old = write_counts(tmp_path / "old.jsonl", {"arm_fp32": 1_000_000, "arm_fp16": 500_000})
    new = write_counts(tmp_path / "new.jsonl", {"arm_fp32": 1_010_000, "arm_fp16": 505_001})
    rows = {each.model: each.verdict for each in compare_counts(read_results(old), read_results(new), 0.01)}
    assert rows == {"arm_fp32": "fine", "arm_fp16": "more"}

    def compare(*words):
        return CliRunner().invoke(app, ["compare", *map(str, words)])

    assert compare(old, new).exit_code == 1
    assert compare(new, old).exit_code == 0
    assert compare(old, new, "--max-more-instructions", "2%").exit_code == 0
    assert compare(old, old, "--max-more-instructions", "0").exit_code == 0
    lacks = write_counts(tmp_path / "lacks.jsonl", {"arm_fp32": 1_000_000}, library="y")
    done = compare(old, lacks)
    assert done.exit_code == 1 and "missing" in done.output and "different builds" in done.output
    other = write_counts(tmp_path / "other.jsonl", {"arm_fp32": 1}, core="A53")
    assert isinstance(compare(old, other).exception, UserError)
    assert isinstance(compare(old, new, "--max-more-instructions", "few").exception, UserError)
    done = CliRunner().invoke(app, ["report", str(old), "--output", str(tmp_path / "r.html")])
    assert "no times" in str(done.exception)


def test_doctor_takes_the_counts_of_the_very_files(exported, tmp_path):
    from tinypose.artifact.record import read_artifact

    models = {each.name: each.files[0].sha256 for each in read_artifact(exported.folder).models}
    words = ["doctor", str(exported.folder), "--device", "emulator:A73", "--counts"]

    def doctor(name, checksums, core="A73"):
        path = write_counts(tmp_path / name, {"arm_fp32": 7_000_000, "arm_int8": 6_000_000}, core)
        for model, checksum in checksums.items():
            path.write_text(re.sub(f'"sha256":"{model} .*?"', f'"sha256":"{checksum}"', path.read_text()))
        return CliRunner().invoke(app, [*words, str(path)])

    done = doctor("ours.jsonl", models)
    if isinstance(done.exception, UserError) and "not installed" in str(done.exception):
        pytest.skip(str(done.exception))
    assert "take arm_int8: 6.0 M instructions, counted" in done.output, done.output
    assert "take arm_fp32" in doctor("others.jsonl", {}).output  # of other files of the same names
    assert "for a core that the device has: Cortex-A73" in str(doctor("a53.jsonl", models, "A53").exception)


def test_the_report_has_them_beside_the_times_of_the_same_files(tmp_path):
    times = tmp_path / "board.jsonl"
    models = [{"name": name, "precision": "fp32", "sha256": f"{name} 7000000"} for name in ("a", "b")]
    run = RunLine(started="2026-01-01", device="ssh:board", machine={"model": "Board", "arm": True}, tools={},
                  artifact={"models": models}, options={}, folder="")  # fmt: skip
    append(times, run)
    for number in range(1, 4):
        for model in ("a", "b"):
            numbers = dict.fromkeys(
                ("load_ms", "first_ms", "warmup_runs", "peak_kb", "others", "preempted"), 1
            )
            stages = {"crop_ms": [0.1], "network_ms": [5.0], "decode_ms": [0.1]}
            where = {"runner": "", "engine": "", "engine_version": "", "cores": [0], "cooled_s": 0.0}
            state = {"warm": True, "clocks_khz": {"before": [], "after": []}, "temperature_c": {}}
            case = {"model": model, "threads": 1, "cluster": "any", "round": number}
            visit = VisitLine(**case, **numbers, **stages, **where, **state)
            append(times, visit)
    counts = write_counts(tmp_path / "counts.jsonl", {"a": 7_000_000, "b": 9_000_000})  # another file of b
    done = CliRunner().invoke(
        app, ["report", str(times), str(counts), "--output", str(tmp_path / "page.html")]
    )
    assert done.exception is None, done.output
    text = (tmp_path / "page.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith(("| model | prec", "| a |", "| b |"))]
    header, *rows = [line.split(" | ") for line in lines[:3]]
    place = header.index("M instructions (emulated A78)")
    assert [row[place].strip() for row in rows] == ["7.0", ""]
    page = (tmp_path / "page.html").read_text()
    assert "<th>M instructions (emulated A78)</th>" in page and "<td>7.0</td>" in page
