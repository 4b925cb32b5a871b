"""`lite-deploy bench` on this machine, through a real sshd and through a stand-in for adb.

The C++ runner that is pushed there has the real Paddle-Lite inside (the wheel's), so all but the processor is
what a phone would do.
"""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.bench import measure
from lite_deploy.bench.device import Local
from lite_deploy.bench.results import read_results
from lite_deploy.bench.runner import stop_leftover
from lite_deploy.bench.scene import default_scene
from lite_deploy.cli import app
from tinypose.errors import UserError
from tinypose.inference.pose_model import PoseModel

QUICK = [
    "--rounds",
    "3",
    "--max-rounds",
    "3",
    "--runs",
    "5",
    "--warmup-seconds",
    "0.2",
    "--cool-seconds",
    "0",
]


def bench(folder, *options, error=None):
    """Run the command in this process; return its output."""
    done = CliRunner().invoke(app, ["bench", str(folder), *QUICK, *map(str, options)])
    if error is None:
        assert done.exception is None, done.output
    else:
        assert isinstance(done.exception, UserError) and error in str(done.exception), done.exception
    return done.output


@pytest.fixture(autouse=True)
def nothing_left(tmp_path):
    """Whatever a test does, the folders on the device that its results name must be gone."""
    yield
    for path in tmp_path.glob("*.jsonl"):
        assert not Path(read_results(path).run.folder).exists()


def test_this_machine(exported, tmp_path):
    out = tmp_path / "results.jsonl"
    output = bench(exported.folder, "--output", out, "--threads", "1", "--label", "here")
    assert "not ARM" in output
    results = read_results(out)
    assert results.complete and results.name == "here" and not results.failures
    assert {check.model: check.passed for check in results.checks} == dict.fromkeys(
        ("onnx_fp32", "onnx_int8", "x86_fp32"), True
    )
    cases = Counter(visit.key for visit in results.visits)
    assert cases == {(name, 1, "any"): 3 for name in ("x86_fp32", "onnx_fp32", "onnx_int8")}
    for visit in results.visits:
        assert 1 <= len(visit.crop_ms) == len(visit.network_ms) == len(visit.decode_ms) <= 5
        assert (visit.total_ms > 0).all() and visit.load_ms > 0 and visit.peak_kb > 10_000
    orders = [[v.key for v in results.visits if v.round == n] for n in (1, 2, 3)]
    assert any(each != orders[0] for each in orders[1:])  # interleaved, another order each time


def test_a_detector_and_a_pose_network_in_one_report(detector_folder, pose_folder, tmp_path):
    """The detector's boxes are compared before it is timed; the page shows both networks' times."""
    files = []
    for folder in (detector_folder, pose_folder):
        files.append(tmp_path / f"{folder.name}.jsonl")
        bench(folder, "--output", files[-1], "--threads", "1", "--label", folder.name)
        results = read_results(files[-1])
        assert results.complete and not results.failures and all(each.passed for each in results.checks)
        assert {visit.model for visit in results.visits} == {each.model for each in results.checks}
    assert [read_results(each).finds for each in files] == ["boxes", "joints"]
    page = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", *map(str, files), "--output", str(page)])
    assert done.exception is None, done.output
    text = page.with_suffix(".md").read_text()
    assert "from the picture to joints or boxes" in text and "sure boxes moved" in text
    assert all(f"{folder.name}, ms" in page.read_text() for folder in (detector_folder, pose_folder))
    bench(
        detector_folder,
        "--image",
        tmp_path / "report.html",
        "--box",
        "1,2,3,4",
        error="sees the whole picture",
    )


def test_the_cpp_runner_gives_pythons_joints(exported, device_folder, tmp_path):
    scene = default_scene()
    scene.write(tmp_path / "picture.ppm")
    command = [device_folder / "pose_runner", "--pose", exported.folder / "pose.json", "--model", "x86_fp32"]
    command += ["--image", tmp_path / "picture.ppm", "--box", ",".join(map(str, scene.box)), "--runs", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    line = json.loads(done.stdout)
    expected = PoseModel(exported.folder, "x86_fp32")(scene.image, [scene.box])[0]
    found = np.array(line["keypoints"])
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=0.05)  # in pixels of the picture
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-4)
    assert line["engine_version"].startswith("v2.13") and len(line["network_ms"]) == 3


def test_ssh(exported, device_folder, sshd, tmp_path):
    out = tmp_path / "results.jsonl"
    output = bench(exported.folder, *sshd.options, "--runner", device_folder, "--output", out)
    assert "needs --runner python" in output and "arm_int8.nb" in output
    results = read_results(out)
    assert results.complete and {visit.runner for visit in results.visits} == {"pose_runner"}
    assert {visit.key for visit in results.visits} >= {("x86_fp32", 1, "any")}
    assert results.run.device == sshd.device and [check.passed for check in results.checks] == [True]


def test_ssh_with_python_there(exported, sshd, tmp_path):
    out = tmp_path / "results.jsonl"
    bench(
        exported.folder,
        *sshd.options,
        *(
            "--runner",
            "python",
            "--python",
            sys.executable,
            "--output",
            out,
            "--threads",
            "1",
            "--model",
            "onnx_int8",
        ),
    )
    assert {(visit.runner, visit.model) for visit in read_results(out).visits} == {("python", "onnx_int8")}


def start_bench(folder, options, out) -> subprocess.Popen:
    """Start the command as a process of its own and wait for its second visit."""
    command = [sys.executable, "-c", "from lite_deploy.cli import main; main()", "bench", folder, *QUICK]
    process = subprocess.Popen(
        [str(each) for each in [*command, *options, "--output", out]], stderr=subprocess.PIPE
    )
    for _ in range(12_000):  # ten minutes
        if out.exists() and out.read_text().count('"kind":"visit"') >= 2:
            return process
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.05)
    raise AssertionError("nothing was measured")


def test_resume_after_a_kill(exported, device_folder, sshd, tmp_path):
    out = tmp_path / "results.jsonl"
    options = [*sshd.options, "--runner", device_folder, "--threads", "1,2"]
    process = start_bench(exported.folder, options, out)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=600)
    process.stderr.close()
    with open(out, "ab") as file:
        file.write(b'{"schema":1,"kind":"vis')  # what a kill in the middle of writing leaves
    before = read_results(out)
    assert not before.complete
    there = Path(before.run.folder)
    pushed = {
        each.name: each.stat().st_mtime_ns
        for each in there.iterdir()
        if each.suffix in (".nb", ".so", ".ppm")
    }
    assert pushed

    bench(exported.folder, *options, "--output", out, error="is there already")
    bench(exported.folder, *options, "--output", out, "--resume", "--threads", "1", error="cases was")
    # While it goes on: what was there already is not copied again.
    process = start_bench(exported.folder, [*options, "--resume"], out)
    assert {name: (there / name).stat().st_mtime_ns for name in pushed} == pushed
    assert process.wait(timeout=600) == 0
    process.stderr.close()
    after = read_results(out)
    assert after.complete and after.visits[: len(before.visits)] == before.visits
    assert set(Counter((v.round, v.key) for v in after.visits).values()) == {1}  # nothing twice
    assert not there.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(exported, device_folder, tmp_path, how):
    out = tmp_path / "results.jsonl"
    options = ["--runner", device_folder, "--rounds", "99", "--max-rounds", "99"]
    process = start_bench(exported.folder, options, out)
    there = read_results(out).run.folder
    process.send_signal(how)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130
    assert f"--resume --output {out}" in said.decode()
    assert '"reason":"interrupted"' in out.read_text() and not Path(there).exists()


def phone_folder(folder: Path) -> Path:
    return folder / "A1" / "data" / "local" / "tmp"


def test_adb(exported, device_folder, phones, tmp_path):
    folder = phones(A1="device", B2="unauthorized")
    out = tmp_path / "results.jsonl"
    options = ("--runner", device_folder, "--threads", "1", "--output", out)
    bench(exported.folder, "--device", "adb", *options, error="2 devices; choose one")
    bench(exported.folder, "--device", "adb:B2", *options, error="unlock its screen")
    bench(exported.folder, "--device", "adb:A1", *options)
    results = read_results(out)
    assert results.complete and len(results.visits) == 3 and results.run.device == "adb:A1"
    assert not list(phone_folder(folder).iterdir())


def test_adb_unplugged_and_plugged_in_again(exported, device_folder, phones, tmp_path):
    folder = phones(A1={"unplug_after": 3})  # the check and two rounds
    out = tmp_path / "results.jsonl"
    options = ("--device", "adb:A1", "--runner", device_folder, "--threads", "1", "--output", out)
    bench(exported.folder, *options, error="plug it in again")
    half = read_results(out)
    assert len(half.visits) == 2 and '"reason":"lost"' in out.read_text()
    assert list(phone_folder(folder).glob("edge-pose-*/pose.json"))  # it could not be removed
    phones(A1="device")
    bench(exported.folder, *options, "--resume")
    assert read_results(out).visits[: len(half.visits)] == half.visits
    assert read_results(out).complete and not list(phone_folder(folder).iterdir())


def test_adb_with_full_storage(exported, device_folder, phones, tmp_path):
    folder = phones(A1={"free_bytes": 100_000})
    options = ("--device", "adb", "--runner", device_folder, "--output", tmp_path / "results.jsonl")
    bench(exported.folder, *options, error="No space left on device")
    assert not list(phone_folder(folder).iterdir())


def test_fp16_is_refused_before_anything_is_pushed(exported, phones, tmp_path):
    folder = phones(A1="device")
    pi = "processor\t: 0\nFeatures\t: fp asimd crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
    (folder / "A1" / "proc").mkdir()
    (folder / "A1" / "proc" / "cpuinfo").write_text(pi)
    uname = folder / "A1" / "bin" / "uname"
    uname.write_text('#!/bin/sh\n[ "$1" = -m ] && echo aarch64 || echo Linux 4.14\n')
    uname.chmod(0o755)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "pose_runner").touch()
    options = ("--device", "adb", "--runner", tmp_path / "device", "--model", "arm_fp16")
    out = tmp_path / "results.jsonl"
    output = bench(exported.folder, *options, "--output", out, error="nothing to measure")
    assert "FP16 needs ARMv8.2" in output
    assert not list(phone_folder(folder).iterdir()) and not (tmp_path / "results.jsonl").exists()


def script_runner(tmp_path, *lines) -> Path:
    """A stand-in for the runner: a shell script, to play one that goes wrong."""
    folder = tmp_path / "device"
    folder.mkdir()
    program = folder / "pose_runner"
    program.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    program.chmod(0o755)
    return folder


def test_a_fast_wrong_answer_is_an_error(exported, device_folder, tmp_path):
    """A runner that looks at another part of the picture: quick, plausible, and wrong."""
    away = f'exec {device_folder}/pose_runner $(echo "$@" | sed "s/--box [^ ]*/--box 0,0,90,90/")'
    out = tmp_path / "results.jsonl"
    options = ("--runner", script_runner(tmp_path, away), "--threads", "1", "--output", out)
    bench(exported.folder, *options, error="no model gives the expected output")
    results = read_results(out)
    assert not results.visits and [check.passed for check in results.checks] == [False]
    assert "wrong output" in results.failures[0].message


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("kill -ILL $$", "illegal instruction"),
        ("kill -KILL $$", "out of memory?"),
        ("exec /no/such/program", "exit code 12"),
        ('echo \'{"kind":"error","message":"no such thing"}\'', "no such thing"),
        ("echo nonsense", "exit code 0"),
        ("sleep 60", "stuck"),
    ],
)
def test_runners_that_go_wrong(exported, tmp_path, monkeypatch, script, says):
    monkeypatch.setattr(measure, "PATIENCE", 0.5)
    out = tmp_path / "results.jsonl"
    runner = script_runner(tmp_path, script)
    options = ("--runner", runner, "--threads", "1", "--seconds", "0", "--output", out)
    bench(exported.folder, *options, error="no model gives the expected output")
    assert says in read_results(out).failures[0].message


def test_a_runner_without_an_engine_says_so(exported, native_build, tmp_path):
    if not (native_build / "device" / "pose_runner").is_file():
        pytest.skip("needs nlohmann/json (Debian: nlohmann-json3-dev)")
    out = tmp_path / "results.jsonl"
    options = ("--runner", native_build / "device", "--threads", "1", "--output", out)
    bench(exported.folder, *options, error="no model gives the expected output")
    assert "built without an engine" in read_results(out).failures[0].message


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--device", "adb:X"], "--runner"),
        (["--runner", "/tmp"], "no pose_runner in it"),
        (["--threads", "0"], "expected numbers"),
        (["--threads", "512"], "nothing to measure"),
        (["--cluster", "huge"], "no such cluster; there are: any"),
        (["--model", "arm_int4"], "no model 'arm_int4'"),
        (["--box", "1,2,3,4"], "needs --image"),
        (["--rounds", "9"], "expected 9"),
    ],
)
def test_what_cannot_be_asked(exported, tmp_path, options, error):
    bench(exported.folder, *options, "--output", tmp_path / "results.jsonl", error=error)
    assert not (tmp_path / "results.jsonl").exists()


def test_no_artifact(tmp_path):
    bench(tmp_path, error="expected a folder")


def test_leftover_processes_are_ended(exported, tmp_path):
    """A runner that outlived its connection is found by the number it left, and only if it is ours."""
    device = Local()
    there = device.make_folder()
    sleeper = subprocess.Popen(["sh", "-c", "exec sleep 100", there], stdin=subprocess.DEVNULL)
    ours = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)", there])
    try:
        for process in (sleeper, ours):
            Path(there, "pid").write_text(str(process.pid))
            stop_leftover(device, there)
        assert ours.wait(timeout=600) == -signal.SIGKILL
        assert sleeper.poll() is None  # its command line does not name our folder
    finally:
        sleeper.kill()
        sleeper.wait()
        ours.kill()
        device.remove(there)
