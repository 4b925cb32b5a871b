"""Devices that compute and not only time: a described ARM core under QEMU, and a batch through each way."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lite_deploy.bench.devices import choose_runner, each_device, open_device
from lite_deploy.bench.emulator.build import arm_runner
from lite_deploy.bench.emulator.cores import CORES
from lite_deploy.bench.machine import inspect
from lite_deploy.bench.runner import RunFailed, cpp_runner, start
from lite_deploy.cli import app
from tinypose.artifact.record import read_artifact
from tinypose.errors import UserError

# Prints what a program learns of the core. Paddle-Lite too counts cores until a file does not open.
ASKS = r"""
#include <fstream>
#include <iostream>
#include <string>
#include <sys/auxv.h>
int main() {
  int cores = 0;
  while (std::ifstream("/sys/devices/system/cpu/cpu" + std::to_string(cores) + "/uevent")) ++cores;
  std::cout << cores << " " << (getauxval(AT_HWCAP) >> 10 & 1) << (getauxval(AT_HWCAP) >> 20 & 1) << "\n";
  for (int i = 0; i < 10; ++i) {
    std::ifstream level("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/level");
    std::ifstream size("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/size");
    std::string a, b;
    level >> a;
    size >> b;
    std::cout << a << ":" << b << " ";
  }
  std::cout << "\n" << std::ifstream("/proc/cpuinfo").rdbuf();
}
"""


def invoke(*words, error=None):
    """Run lite-deploy in this process; return its result."""
    done = CliRunner().invoke(app, [str(each) for each in words])
    if error is not None:
        assert isinstance(done.exception, UserError) and error in str(done.exception), done.exception
    return done


@pytest.fixture(params=list(CORES))
def emulator(request):
    """An emulator of each core."""
    try:
        opened = open_device(f"emulator:{request.param}")
    except UserError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def asks(tmp_path_factory) -> Path:
    """The program ASKS for ARM Linux."""
    folder = tmp_path_factory.mktemp("asks")
    (folder / "asks.cc").write_text(ASKS)
    command = ["aarch64-linux-gnu-g++", "-O1", "-o", folder / "asks", folder / "asks.cc"]
    subprocess.run(command, check=True, timeout=60)
    return folder / "asks"


def test_a_program_sees_the_core_that_is_described(emulator, request):
    program = request.getfixturevalue("asks")
    core = emulator.core
    done = emulator.run([*emulator.launcher, str(program)])
    first, caches, *cpuinfo = done.out.splitlines()
    new = core.name in ("A76", "A78")
    assert first == ("1 11" if new else "1 00"), done.err  # one core; FP16 and dot product in HWCAP
    l1, l2, l3 = core.caches
    assert caches.split() == [f"1:{l1}K", f"2:{l2}K", *[f"3:{l3}K"] * 8]
    assert f"CPU part\t: {core.part:#x}" in cpuinfo
    assert any("asimdhp" in line for line in cpuinfo) == any("asimddp" in line for line in cpuinfo) == new


def test_the_machine_is_the_described_one(emulator):
    machine = inspect(emulator)
    core = emulator.core
    assert machine.arm and machine.bits == 64 and machine.model == f"Cortex-{core.name} (emulated)"
    assert [each.kind for each in machine.cores] == [f"Cortex-{core.name}"]
    assert machine.instructions == (("fp16", "dotprod") if core.name in ("A76", "A78") else ())


def test_a_crash_is_told_with_its_signal_and_last_words(emulator, tmp_path):
    source = '#include <stdexcept>\nint main() { throw std::length_error("too long"); }\n'
    (tmp_path / "crash.cc").write_text(source)
    program = tmp_path / "pose_runner"
    subprocess.run(["aarch64-linux-gnu-g++", "-o", program, tmp_path / "crash.cc"], check=True, timeout=60)
    with pytest.raises(RunFailed, match=r"exit code 134: aborted; .*too long"):
        start(emulator, cpp_runner(tmp_path), str(tmp_path), [], 60, "batch")


def test_a_runner_without_paddle_lite_says_so(arm_build, exported, tmp_path, drawn):
    folder = exported.copy(tmp_path)
    runner = arm_build / "device"
    if not (runner / "pose_runner").is_file():
        pytest.skip("needs nlohmann/json (Debian: nlohmann-json3-dev)")
    done = invoke("verify", folder, "--device", "emulator", "--runner", runner)
    assert done.exit_code == 1
    assert done.output.count("does not fit") == 2  # FP16 on A53 and A73
    assert done.output.count("built without an engine") == 4 * 3 - 2
    assert not [each for each in read_artifact(folder).parity if each.device]
    words = ("eval", folder, "--data", *drawn, "--runner", runner, "--model")
    for device, model, error in (
        ("emulator:A53", "arm_fp32", "built without an engine"),
        ("emulator:A53", "arm_fp16", "FP16 needs ARMv8.2"),
        ("emulator:A78", "x86_fp32", "built for x86"),
        ("emulator", "arm_fp32", "name a core: emulator:A53"),
    ):
        invoke(*words, model, "--device", device, error=error)


def test_what_the_emulator_needs(exported, tmp_path):
    assert each_device("emulator") == ["emulator:A53", "emulator:A73", "emulator:A76", "emulator:A78"]
    assert each_device("emulator:A53") == ["emulator:A53"]
    for text in ("emulator", "emulator:A9"):
        with pytest.raises(UserError, match="A53"):
            open_device(text)
    invoke("verify", exported.folder, "--device", "emulator", error="--paddle-lite: expected an unpacked")
    with pytest.raises(UserError, match="cxx/include/paddle_api.h; expected an unpacked"):
        choose_runner("emulator:A53", None, paddle_lite=tmp_path)
    with pytest.raises(UserError, match="is for --device emulator"):
        choose_runner("local", None, paddle_lite=tmp_path)
    (tmp_path / "cxx" / "include").mkdir(parents=True)
    (tmp_path / "cxx" / "lib").mkdir()
    (tmp_path / "cxx" / "include" / "paddle_api.h").touch()
    library = tmp_path / "cxx" / "lib" / "libpaddle_light_api_shared.so"
    library.write_bytes(Path("/proc/self/exe").read_bytes()[:100])  # for this machine, or no library at all
    with pytest.raises(UserError, match="not for 64-bit ARM"):
        arm_runner(tmp_path)


@pytest.fixture(params=["local", "ssh", "adb"])
def device_words(request):
    """The options that name one device of each kind."""
    if request.param == "ssh":
        return request.getfixturevalue("sshd").options
    if request.param == "adb":
        request.getfixturevalue("phones")(A1="device")
    return ["--device", request.param]


def test_verify_on_a_device(device_folder, exported, device_words, tmp_path):
    folder = exported.copy(tmp_path)
    words = ("verify", folder, *device_words, "--runner", device_folder)
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    (row,) = [each for each in read_artifact(folder).parity if each.device]
    assert row.model == "x86_fp32" and row.difference <= 1e-6 and row.images == 4
    assert row.device.startswith(device_words[1].split(":")[0])
    assert invoke(*words, "--tolerance", "0").exit_code in (0, 1)
    again = [each for each in read_artifact(folder).parity if each.device]
    assert len(again) == 1  # in place of the first


def test_eval_on_a_device(device_folder, exported, tmp_path, drawn):
    """The same joints as with the engine here, and noted apart from them."""
    folder = exported.copy(tmp_path)
    words = ("eval", folder, "--data", *drawn, "--model", "x86_fp32", "--save-predictions")
    invoke(*words, tmp_path / "here.json")
    done = invoke(*words, tmp_path / "there.json", "--device", "local", "--runner", device_folder)
    assert done.exit_code == 0, done.output
    here, there = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("here", "there"))
    assert len(here) == len(there) > 0
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=0.01)
    records = read_artifact(folder).accuracy
    assert [each.device for each in records] == ["", "local"]
