"""`lite-deploy bench` when things happen: noise, heat, a crash, a lost cable, a lost connection.

The runner is the real one with Paddle-Lite inside; a script around it changes its line, or the world, as the
occasion would.
"""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lite_deploy.bench.device import DeviceLost
from lite_deploy.bench.devices import open_device
from lite_deploy.bench.results import read_results
from lite_deploy.cli import app
from tinypose.errors import UserError

QUICK = ["--threads", "1", "--runs", "8", "--warmup-seconds", "0.2", "--cool-seconds", "0"]
THREE = ["--rounds", "3", "--max-rounds", "3"]


def bench(folder, *options):
    """Run the command in this process."""
    return CliRunner().invoke(app, ["bench", str(folder), *QUICK, *map(str, options)])


@pytest.fixture
def eventful(device_folder, tmp_path):
    """A function that makes a runner to which something happens: Python lines that see `start` and `line`.

    `start` counts from 0, which is the check of the output; `line` is what the real runner printed.
    """

    def make(*lines: str) -> Path:
        folder, starts = tmp_path / "device", tmp_path / "starts"
        folder.mkdir()
        script = [
            f"#!{sys.executable}",
            "import json, os, signal, subprocess, sys",
            "from pathlib import Path",
            f"starts = Path({str(starts)!r})",
            "start = int(starts.read_text()) if starts.exists() else 0",
            "starts.write_text(str(start + 1))",
            f"command = [{str(device_folder / 'pose_runner')!r}, *sys.argv[1:]]",
            "line = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)",
            *lines,
            "print(json.dumps(line))",
        ]
        program = folder / "pose_runner"
        program.write_text("\n".join(script) + "\n")
        program.chmod(0o755)
        return folder

    return make


@pytest.mark.parametrize(("noise", "rounds"), [(0.002, 3), (0.3, 6)])
def test_rounds_go_on_until_the_median_is_known(exported, eventful, tmp_path, noise, rounds):
    runner = eventful(f"line['network_ms'] = [20 * (1 + {noise} * (start % 2))] * len(line['network_ms'])")
    out = tmp_path / "results.jsonl"
    done = bench(exported.folder, "--runner", runner, "--rounds", 3, "--max-rounds", 6, "--output", out)
    assert done.exit_code == 0, done.output
    assert [visit.round for visit in read_results(out).visits] == list(range(1, rounds + 1))
    assert ("the median is not known to within 3%" in done.output) == (noise > 0.1)


def test_throttling_and_neighbours_are_named(exported, eventful, tmp_path):
    runner = eventful(
        "line['clocks_khz'] = {'before': [2400000], 'after': [1200000]}",
        "line['others'] = 1.9",
        "line['engine_version'] = 'v2.10'",
    )
    out = tmp_path / "results.jsonl"
    done = bench(exported.folder, "--runner", runner, *THREE, "--output", out)
    assert done.exit_code == 0, done.output
    assert "throttling: the clock fell from 2400 to 1200 MHz" in done.output
    assert "noise: other programs kept up to 1.9 of" in done.output
    assert "the device has v2.10; use one version" in done.output


@pytest.mark.parametrize("patience", [30, 0])
def test_the_device_cools_down_between_rounds(exported, eventful, phones, tmp_path, patience):
    """Each run heats the phone to 60 degrees, and each look at it finds it 10 degrees cooler."""
    phone = phones(A1="device") / "A1"
    zone = phone / "sys" / "class" / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-0\n")
    (zone / "temp").write_text("40000\n")
    look = [
        "#!/bin/sh",
        '/bin/cat "$@"',
        "code=$?",
        'case "$1" in */temp) t=$(/bin/cat "$1"); [ "$t" -gt 40000 ] && echo $((t - 10000)) > "$1";; esac',
        "exit $code",
    ]
    (phone / "bin" / "cat").write_text("\n".join(look) + "\n")
    (phone / "bin" / "cat").chmod(0o755)
    runner = eventful(f"(Path({str(zone)!r}) / 'temp').write_text('60000\\n')")
    out = tmp_path / "results.jsonl"
    options = ("--device", "adb", "--runner", runner, *THREE, "--output", out)
    done = bench(exported.folder, *options, "--cool-seconds", patience)
    assert done.exit_code == 0, done.output
    visits = read_results(out).visits
    assert [visit.temperature_c["after"] for visit in visits] == [60, 60, 60]
    # The first round follows the check of the output, after which nobody looked.
    if patience:
        assert [visit.temperature_c["before"] for visit in visits] == [40, 40, 40]
        assert all(visit.cooled_s >= 2 for visit in visits)
    else:
        assert [visit.temperature_c["before"] for visit in visits] == [60, 50, 50]


def test_a_case_that_crashes_is_no_success(exported, eventful, tmp_path):
    """The other cases are measured, the report has the reason, and the exit code says that one is missing."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two cores")
    runner = eventful(
        "if line['threads'] == 2: os.kill(os.getpid(), signal.SIGSEGV)",
    )
    out = tmp_path / "results.jsonl"
    options = ("--runner", runner, "--threads", "1,2", *THREE, "--output", out)
    done = bench(exported.folder, *options)
    assert done.exit_code == 1, done.output
    assert "not measured, for the reasons above: x86_fp32, 2 threads, any" in done.output
    results = read_results(out)
    assert {visit.key for visit in results.visits} == {("x86_fp32", 1, "any")} and len(results.visits) == 3
    assert len(results.failures) == 2 and "segmentation fault" in results.failures[0].message
    assert CliRunner().invoke(app, ["report", str(out), "--output", str(tmp_path / "r.html")]).exit_code == 0
    assert "segmentation fault" in (tmp_path / "r.html").read_text()


def test_a_cable_lost_in_the_middle_of_a_copy(exported, device_folder, phones, tmp_path):
    there = phones(A1={"unplug_at": "x86_fp32.nb"}) / "A1" / "data" / "local" / "tmp"
    out = tmp_path / "results.jsonl"
    options = (
        "--device",
        "adb:A1",
        "--runner",
        device_folder,
        "--rounds",
        3,
        "--max-rounds",
        3,
        "--output",
        out,
    )
    done = bench(exported.folder, *options)
    assert isinstance(done.exception, DeviceLost) and "plug it in again" in str(done.exception)
    (half,) = there.glob("edge-pose-*/x86_fp32.nb")
    assert 0 < half.stat().st_size < (exported.folder / half.name).stat().st_size
    phones(A1="device")
    done = bench(exported.folder, *options, "--resume")
    assert done.exit_code == 0, done.output
    assert len(read_results(out).visits) == 3 and not list(there.iterdir())


def test_an_ssh_connection_that_breaks(exported, eventful, sshd, tmp_path):
    """The server's process of this connection is killed by what runs in it, in the second round."""
    runner = eventful(
        "process = os.getpid()",
        "while start == 2 and not Path(f'/proc/{process}/comm').read_text().startswith('sshd'):",
        "    process = int(Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[1])",
        "if start == 2: os.kill(process, signal.SIGKILL)",
    )
    out = tmp_path / "results.jsonl"
    options = (*sshd.options, "--runner", runner, *THREE, "--output", out)
    done = bench(exported.folder, *options)
    assert isinstance(done.exception, DeviceLost), done.exception
    half = read_results(out)
    assert len(half.visits) == 1 and '"reason":"lost"' in out.read_text()
    assert not Path(half.run.folder).exists()  # it could connect again, to clean up
    done = bench(exported.folder, *options, "--resume")
    assert done.exit_code == 0, done.output
    assert read_results(out).visits[:1] == half.visits and len(read_results(out).visits) == 3
    assert not Path(half.run.folder).exists()


def test_adb_that_hangs(phones, tmp_path, monkeypatch):
    phones(A1="device")
    device = open_device("adb")
    (tmp_path / "bin" / "adb").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("lite_deploy.bench.adb.SHORT", 0.3)
    with pytest.raises(UserError, match=r"adb: no answer within 0\.3 s"):
        open_device("adb")
    with pytest.raises(DeviceLost, match="adb: no answer"):
        device.run(["true"], timeout=0.3)


def test_doctor_finds_and_removes_what_was_left(phones, tmp_path):
    there = phones(A1="device") / "A1" / "data" / "local" / "tmp"
    left, other = there / "edge-pose-0123456789ab", there / "other"
    left.mkdir()
    other.mkdir()
    (left / "model.nb").write_bytes(b"x")
    found = CliRunner().invoke(app, ["doctor", "--device", "adb"])
    assert found.exit_code == 0 and f"(then use --clean): /data/local/tmp/{left.name}" in found.output
    assert left.exists()
    cleaned = CliRunner().invoke(app, ["doctor", "--device", "adb", "--clean"])
    assert cleaned.exit_code == 0 and f"removed: /data/local/tmp/{left.name}" in cleaned.output
    assert not left.exists() and other.exists()
    assert "edge-pose" not in CliRunner().invoke(app, ["doctor", "--device", "adb"]).output


def test_going_on_needs_a_file(exported):
    done = bench(exported.folder, "--resume")
    assert isinstance(done.exception, UserError) and "--output FILE" in str(done.exception)
