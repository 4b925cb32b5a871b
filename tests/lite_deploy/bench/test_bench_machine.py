"""What machines are, from files in the form in which real ones show themselves; and what can run on them."""

import pytest
from typer.testing import CliRunner

from lite_deploy.bench import plan
from lite_deploy.bench.device import Local
from lite_deploy.bench.devices import open_device
from lite_deploy.bench.machine import Machine, hottest, inspect, parse
from lite_deploy.cli import app
from tinypose.artifact.record import read_artifact
from tinypose.errors import UserError

V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
V82 = V8 + " atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def lay_out(folder, serial, processors, properties, machine="aarch64", thermal=()):
    """Write the files of a phone behind the adb stand-in: processors are (part, MHz, features) each."""
    root = folder / serial
    (root / "proc").mkdir()
    blocks = []
    for number, (part, clock, features) in enumerate(processors):
        block = f"processor\t: {number}\nBogoMIPS\t: 38.40\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
        blocks.append(block + f"CPU architecture: 8\nCPU part\t: {part:#x}\n")
        core = root / "sys" / "devices" / "system" / "cpu" / f"cpu{number}"
        (core / "cpufreq").mkdir(parents=True)
        (core / "online").write_text("1\n")
        for name, value in (("cpuinfo_max_freq", clock * 1000), ("scaling_max_freq", clock * 1000)):
            (core / "cpufreq" / name).write_text(f"{value}\n")
        (core / "cpufreq" / "scaling_governor").write_text("schedutil\n")
    (root / "proc" / "cpuinfo").write_text("\n".join(blocks) + "\nHardware\t: Some board\n")
    for number, (kind, reading) in enumerate(thermal):
        zone = root / "sys" / "class" / "thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(f"{reading}\n")
    cases = "".join(f"{name}) echo '{value}';; " for name, value in properties.items())
    programs = {
        "uname": f'[ "$1" = -m ] && echo {machine} || echo Linux 4.19',
        "getprop": f'case "$1" in {cases}esac',
    }
    for name, script in programs.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (root / "bin" / name).chmod(0o755)


@pytest.fixture
def big_phone(phones):
    """Eight cores of three kinds with half precision and dot products, as in a Snapdragon 865."""
    folder = phones(A1="device")
    cores = [(0xD05, 1804, V82)] * 4 + [(0xD0D, 2419, V82)] * 3 + [(0xD0D, 2841, V82)]
    properties = {
        "ro.product.manufacturer": "Maker",
        "ro.product.model": "Phone Ünö",
        "ro.soc.manufacturer": "QTI",
        "ro.soc.model": "SM8250",
        "ro.build.version.release": "12",
        "ro.build.version.sdk": "31",
    }
    thermal = [("battery", 31000), ("cpu-1-3-usr", 45200), ("modem", -273000), ("skin", 38)]
    lay_out(folder, "A1", cores, properties, thermal=thermal)
    return inspect(open_device("adb"))


@pytest.fixture
def old_board(phones):
    """Four Cortex-A72 without half precision, as on a Raspberry Pi 4."""
    folder = phones(A1="device")
    lay_out(folder, "A1", [(0xD08, 1500, V8)] * 4, {})
    return inspect(open_device("adb"))


def test_phone(big_phone):
    assert (big_phone.model, big_phone.soc) == ("Maker Phone Ünö", "QTI SM8250")
    assert big_phone.system == "Android 12 (API 31)" and big_phone.arm
    assert big_phone.instructions == ("fp16", "dotprod")
    found = [(each.name, each.cores, each.kind, each.clock) for each in big_phone.clusters]
    assert found == [
        ("big", (7,), "Cortex-A77", 2841),
        ("middle", (4, 5, 6), "Cortex-A77", 2419),
        ("little", (0, 1, 2, 3), "Cortex-A55", 1804),
    ]
    assert {core.governor for core in big_phone.cores} == {"schedutil"}
    assert big_phone.temperatures == {"battery.0": 31.0, "cpu-1-3-usr.1": 45.2, "skin.3": 38.0}
    assert hottest(big_phone.temperatures) == 45.2  # the processor's sensor, not the battery's
    assert big_phone.memory_mb > 100


def test_board(old_board):
    assert old_board.instructions == () and old_board.arm
    assert [(each.name, each.cores) for each in old_board.clusters] == [("all", (0, 1, 2, 3))]


def test_one_core_without_fp16_counts(phones):
    lay_out(phones(A1="device"), "A1", [(0xD05, 1800, V82)] * 2 + [(0xD03, 1500, V8)], {})
    assert inspect(open_device("adb")).instructions == ()


def test_this_machine():
    machine = inspect(Local())
    assert machine.architecture and machine.memory_mb > 500
    assert len(machine.cores) == len({core.number for core in machine.cores}) >= 1


def test_old_kernels_and_nothing_at_all():
    text = "machine\tarmv7l\ncpuinfo\tProcessor : ARMv7 Processor rev 5\n"
    text += "cpuinfo\tprocessor : 0\ncpuinfo\tprocessor : 1\n"
    text += "cpuinfo\tFeatures : neon vfpv4\ncpuinfo\tCPU implementer : 0x41\ncpuinfo\tCPU part : 0xc07\n"
    machine = parse(text + "cpuinfo\tHardware : BCM2709\n")
    assert machine.soc == "BCM2709" and machine.bits == 32 and len(machine.cores) == 2
    assert isinstance(parse(""), Machine)


def verdicts(exported, machine, runner="cpp"):
    found = plan.fits(read_artifact(exported.folder), exported.folder, machine, runner)
    return {fit.model.name: (fit.runs, fit.note) for fit in found}


def test_what_can_run(exported, big_phone):
    found = verdicts(exported, big_phone)
    assert {name for name, (runs, _) in found.items() if runs} == {"arm_fp32", "arm_fp16", "arm_int8"}
    assert "x86" in found["x86_fp32"][1] and "--runner python" in found["onnx_fp32"][1]
    assert verdicts(exported, big_phone, "python")["onnx_int8"][0]


def test_fp16_cannot_run_on_armv8_0(exported, old_board):
    found = verdicts(exported, old_board)
    assert not found["arm_fp16"][0] and "asimdhp" in found["arm_fp16"][1]
    assert found["arm_fp32"][0] and found["arm_int8"][0] and "no dotprod" in found["arm_int8"][1]


def test_doctor_through_the_command(exported, big_phone):
    done = CliRunner().invoke(app, ["doctor", str(exported.folder), "--device", "adb:A1"])
    assert done.exit_code == 0, done.output
    for words in ("Phone Ünö", "3 x Cortex-A77 at 2419 MHz", "fp16, dotprod", "45.2", "arm_int8", "can run"):
        assert words in done.output


def test_doctor_through_ssh(exported, sshd):
    done = CliRunner().invoke(app, ["doctor", str(exported.folder), *sshd.options])
    assert done.exit_code == 0, done.output
    assert sshd.device in done.output and "x86_fp32" in done.output


def test_sweep(exported, big_phone):
    fits = plan.fits(read_artifact(exported.folder), exported.folder, big_phone, "cpp")
    usable = [fit for fit in fits if fit.runs]
    cases = plan.cases(usable, big_phone, [1, 2, 4], [], "cpp")
    places = {(case.cluster, case.threads): case.cores for case in cases}
    assert places == {
        ("big", 1): (7,),
        **{("middle", n): (4, 5, 6) for n in (1, 2)},
        **{("little", n): (0, 1, 2, 3) for n in (1, 2, 4)},
    }
    assert len(cases) == 3 * len(places)
    assert {c.cores for c in plan.cases(usable, big_phone, [4], ["any"], "cpp")} == {()}
    with pytest.raises(UserError, match="there are: any, big, middle, little"):
        plan.cases(usable, big_phone, [1], ["huge"], "cpp")
    orders = [plan.order(cases, number, 0) for number in range(1, 6)]
    assert all(sorted(each, key=cases.index) == cases for each in orders)
    assert len({tuple(case.key for case in each) for each in orders}) == 5
    assert plan.order(cases, 3, 0) == orders[2]  # so that a resumed run goes on in the same order
