"""Which model to take: by what was measured, counted or estimated, and by what the engine knows of cores."""

import pytest

from lite_deploy.bench.choose import by_instructions, by_times, engine_uses_sdot
from lite_deploy.bench.emulator.cores import CORES, probe
from lite_deploy.bench.machine import parse
from lite_deploy.bench.plan import fits
from tinypose.artifact.record import read_artifact

MACHINES = {name: parse(probe(core)) for name, core in CORES.items()}


def test_where_the_engine_uses_sdot():
    assert {name: engine_uses_sdot(machine) for name, machine in MACHINES.items()} == {
        "A53": False,
        "A73": False,
        "A76": False,  # has it, and the engine does not know the core by its number
        "A78": True,
    }
    both = probe(CORES["A78"]) + probe(CORES["A53"]).replace("processor\t: 0", "processor\t: 1")
    assert not engine_uses_sdot(parse(both))  # one core without is enough
    assert not engine_uses_sdot(parse(""))


@pytest.mark.parametrize("core", CORES)
def test_by_estimate(exported, core):
    machine = MACHINES[core]
    found = fits(read_artifact(exported.folder), exported.folder, machine, "cpp")
    choices = by_instructions(found, machine, exported.folder, (96, 64))
    names = [each.model for each in choices]
    if core in ("A53", "A73"):
        assert names == ["arm_fp32", "arm_int8"]
    else:
        assert set(names) == {"arm_fp32", "arm_fp16", "arm_int8"} and names[0] == "arm_fp16"
    costs = [each.cost for each in choices]
    assert costs == sorted(costs)
    (int8,) = (each for each in choices if each.model == "arm_int8")
    assert ("does not use sdot" in int8.why) == (core != "A78")
    if core != "A78":  # everything is in INT8 here
        assert choices[-1] == int8


def test_counts_come_before_estimates(exported):
    machine = MACHINES["A73"]
    found = fits(read_artifact(exported.folder), exported.folder, machine, "cpp")
    counts = {"arm_fp32": 5_000_000, "arm_int8": 4_000_000}
    choices = by_instructions(found, machine, exported.folder, (96, 64), counts)
    assert [(each.model, each.cost) for each in choices] == [("arm_int8", 4e6), ("arm_fp32", 5e6)]
    assert choices[0].why == "4.0 M instructions, counted"


def test_by_times():
    choices = by_times({"a": 3.0, "b": 1.5})
    assert [each.model for each in choices] == ["b", "a"] and choices[0].why == "1.50 ms measured here"
