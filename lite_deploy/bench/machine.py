"""What a machine is: its processor, clocks, memory, heat and system, read through the shell."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from lite_deploy.bench.device import Device

# Each line that these print is `key<TAB>value`; what a system lacks is left out. Old Android lacks many
# programs, so the shell does what it can itself.
_HEAT = r"""
say() { [ -n "$2" ] && printf '%s\t%s\n' "$1" "$2"; }
for z in /sys/class/thermal/thermal_zone*; do
  [ -r "$z/temp" ] && say "heat.${z##*_zone}" "$(cat "$z/type" 2>/dev/null):$(cat "$z/temp" 2>/dev/null)"
done
"""
_PROBE = (
    _HEAT
    + r"""
file() { v=; [ -r "$2" ] && IFS= read -r v 2>/dev/null < "$2"; say "$1" "$v"; }
say machine "$(uname -m)"
say kernel "$(uname -sr)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
if command -v getprop >/dev/null 2>&1; then
  for p in ro.product.manufacturer ro.product.model ro.soc.manufacturer ro.soc.model ro.board.platform \
           ro.build.version.release ro.build.version.sdk; do
    say "$p" "$(getprop "$p")"
  done
fi
file board /sys/firmware/devicetree/base/model
[ -r /etc/os-release ] && say system "$(. /etc/os-release; echo "$PRETTY_NAME")"
for c in /sys/devices/system/cpu/cpu[0-9]*; do
  n="${c##*/cpu}"
  file "online.$n" "$c/online"
  file "clock.$n" "$c/cpufreq/cpuinfo_max_freq"
  file "limit.$n" "$c/cpufreq/scaling_max_freq"
  file "governor.$n" "$c/cpufreq/scaling_governor"
  file "capacity.$n" "$c/cpu_capacity"
done
file battery /sys/class/power_supply/battery/capacity
file charging /sys/class/power_supply/battery/status
while read -r k v _; do case "$k" in MemTotal:|MemAvailable:) say "$k" "$v";; esac; done < /proc/meminfo
while IFS= read -r l; do say cpuinfo "$l"; done < /proc/cpuinfo
true
"""
)

# MIDR part numbers by implementer, as /proc/cpuinfo shows them: Arm's, and Qualcomm's derived cores.
_PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD04): "Cortex-A35", (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57", (0x41, 0xD08): "Cortex-A72", (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75", (0x41, 0xD0B): "Cortex-A76", (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77", (0x41, 0xD41): "Cortex-A78", (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510", (0x41, 0xD47): "Cortex-A710", (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD4D): "Cortex-A715", (0x41, 0xD4E): "Cortex-X3", (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720", (0x41, 0xD82): "Cortex-X4",
    (0x51, 0x800): "Kryo 2xx Gold", (0x51, 0x801): "Kryo 2xx Silver",
    (0x51, 0x802): "Kryo 3xx Gold", (0x51, 0x803): "Kryo 3xx Silver",
    (0x51, 0x804): "Kryo 4xx Gold", (0x51, 0x805): "Kryo 4xx Silver",
}  # fmt: skip

# Kernel names of the instruction sets that matter here, and the names people know.
_INSTRUCTIONS = {"asimdhp": "fp16", "asimddp": "dotprod", "i8mm": "i8mm"}


@dataclass(frozen=True)
class Core:
    """A processor core; clocks in MHz, 0 where the system does not tell."""

    number: int
    kind: str
    clock: int
    limit: int  # what the clock is held to at the moment
    governor: str


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind and clock. `name` is big, middle or little; `all` where there is just one."""

    name: str
    cores: tuple[int, ...]
    kind: str
    clock: int


@dataclass(frozen=True)
class Machine:
    """What a benchmark has to know and to report of a machine."""

    model: str
    soc: str
    system: str
    kernel: str
    architecture: str
    bits: int
    instructions: tuple[str, ...]  # those of fp16, dotprod and i8mm that every core has
    cores: tuple[Core, ...]
    clusters: tuple[Cluster, ...]
    memory_mb: int
    free_mb: int
    temperatures: dict[str, float]  # degrees Celsius by sensor
    battery: str

    @property
    def arm(self) -> bool:
        """Whether it is an ARM processor."""
        return self.architecture.lower().startswith(("aarch64", "arm"))

    def as_dict(self) -> dict:
        """Return it as plain containers, for the results file."""
        return {**asdict(self), "arm": self.arm}


def inspect(device: Device) -> Machine:
    """Ask a device what it is."""
    return parse(device.described() or device.shell(_PROBE).out)


def temperatures(device: Device) -> dict[str, float]:
    """Ask a device how hot it is, in degrees Celsius by sensor; empty where it does not tell."""
    pairs = (line.partition("\t") for line in device.shell(f"{_HEAT}true").out.splitlines())
    return _temperatures({key: value.strip() for key, _, value in pairs})


def parse(text: str) -> Machine:
    """Read what the probe printed; what is missing stays empty or 0."""
    pairs = [line.partition("\t") for line in text.splitlines()]
    facts = {key: value.strip() for key, _, value in pairs if key != "cpuinfo"}
    processors = _processors(value for key, _, value in pairs if key == "cpuinfo")
    cores = _cores(facts, processors)
    android = facts.get("ro.build.version.release")
    return Machine(
        model=_join(facts.get("ro.product.manufacturer"), facts.get("ro.product.model"))
        or facts.get("board", "")
        or next((p["model name"] for p in processors if "model name" in p), ""),
        soc=_join(facts.get("ro.soc.manufacturer"), facts.get("ro.soc.model"))
        or facts.get("ro.board.platform", "")
        or next((p["hardware"] for p in processors if "hardware" in p), ""),
        system=f"Android {android} (API {facts.get('ro.build.version.sdk', '?')})"
        if android
        else facts.get("system", ""),
        kernel=facts.get("kernel", ""),
        architecture=facts.get("machine", ""),
        bits=int(facts.get("bits", 0)) or (64 if "64" in facts.get("machine", "") else 32),
        instructions=_instructions(processors),
        cores=cores,
        clusters=_clusters(cores),
        memory_mb=int(facts.get("MemTotal:", 0)) // 1024,
        free_mb=int(facts.get("MemAvailable:", 0)) // 1024,
        temperatures=_temperatures(facts),
        battery=_join(
            facts.get("battery", "") and facts["battery"] + " %", facts.get("charging", "").lower()
        ),
    )


def hottest(temperatures: dict[str, float]) -> float | None:
    """Return the highest temperature of the processor's sensors, or of all if none is named so."""
    named = [value for name, value in temperatures.items() if re.search(r"cpu|soc|tsens|x86_pkg", name, re.I)]
    return max(named or temperatures.values(), default=None)


def core_names() -> dict[str, str]:
    """Return the names of cores that are known, by implementer/part as in /proc/cpuinfo: 0x41/0xd03."""
    return {f"{implementer:#x}/{part:#x}": name for (implementer, part), name in _PARTS.items()}


def _processors(lines: Iterable[str]) -> list[dict[str, str]]:
    """Split /proc/cpuinfo into one dictionary a processor; what stands outside goes into a last one."""
    processors: list[dict[str, str]] = []
    common: dict[str, str] = {}
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "processor" and value.isdigit():
            processors.append({})
        # Below the processors, ARM kernels name the board; old ones also give the features only once.
        target = processors[-1] if processors and key not in ("Hardware", "Serial", "Revision") else common
        target[key.lower()] = value
    return [*processors, common]


def _cores(facts: dict[str, str], processors: list[dict[str, str]]) -> tuple[Core, ...]:
    kinds = {
        int(each["processor"]): _kind(each) for each in processors if each.get("processor", "").isdigit()
    }
    numbers = {int(key.split(".")[1]) for key in facts if key.startswith(("clock.", "online.", "capacity."))}
    return tuple(
        Core(
            number=number,
            kind=kinds.get(number, ""),
            clock=_number(facts.get(f"clock.{number}")) // 1000,
            limit=_number(facts.get(f"limit.{number}")) // 1000,
            governor=facts.get(f"governor.{number}", ""),
        )
        for number in sorted(numbers | set(kinds))
        if facts.get(f"online.{number}", "1") != "0"
    )


def _kind(processor: dict[str, str]) -> str:
    try:
        midr = int(processor["cpu implementer"], 16), int(processor["cpu part"], 16)
    except (KeyError, ValueError):
        return processor.get("model name", "")
    return _PARTS.get(midr, f"part {midr[0]:#x}/{midr[1]:#x}")


def _clusters(cores: tuple[Core, ...]) -> tuple[Cluster, ...]:
    """Group cores by kind and clock, fastest first."""
    groups: dict[tuple[int, str], list[int]] = {}
    for core in cores:
        groups.setdefault((core.clock, core.kind), []).append(core.number)
    ordered = sorted(groups.items(), key=lambda item: -item[0][0])
    names = {1: ["all"], 2: ["big", "little"], 3: ["big", "middle", "little"]}
    chosen = names.get(len(ordered)) or [f"cluster{i}" for i in range(len(ordered))]
    return tuple(
        Cluster(name, tuple(numbers), kind, clock)
        for name, ((clock, kind), numbers) in zip(chosen, ordered, strict=True)
    )


def _instructions(processors: list[dict[str, str]]) -> tuple[str, ...]:
    sets = [set(each["features"].split()) for each in processors if "features" in each]
    everywhere = set.intersection(*sets) if sets else set()
    return tuple(name for kernel, name in _INSTRUCTIONS.items() if kernel in everywhere)


def _temperatures(facts: dict[str, str]) -> dict[str, float]:
    result = {}
    for key, value in facts.items():
        if key.startswith("heat."):
            name, _, reading = value.rpartition(":")
            degrees = _number(reading)
            degrees = degrees / 1000 if abs(degrees) >= 1000 else float(degrees)
            if 0 < degrees < 150:  # sensors that are switched off read nonsense
                result[f"{name}.{key[5:]}"] = round(degrees, 1)
    return result


def _number(text: str | None) -> int:
    match = re.match(r"\s*-?\d+", text or "")
    return int(match[0]) if match else 0


def _join(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
