"""The cores that can be emulated, and the files in which Linux describes them to a program.

Paddle-Lite (2.13, lite/core/device_info) chooses its kernels by what it reads there: the number of cores from
/sys/devices/system/cpu/cpuN/uevent, their kind from `CPU part` in /proc/cpuinfo, the sizes of their caches.
QEMU's `-L FOLDER` lets a program that asks for such a file read the one in the folder instead; which
instructions there are is QEMU's `-cpu`. So each choice of kernels can be tried on any PC, and counts do not
depend on it.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from tinypose.errors import UserError

_OLD = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_NEW = _OLD + " atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"  # ARMv8.2 with FP16 and sdot


@dataclass(frozen=True)
class Core:
    """A core; caches in kB, as phones have them, 0 for none."""

    name: str
    part: int  # of its main id register, Arm's
    qemu: str  # what QEMU 7.2 has with the same instructions
    features: str
    caches: tuple[int, int, int]
    mhz: int


CORES = {
    each.name: each
    for each in (
        Core("A53", 0xD03, "cortex-a53", _OLD, (32, 512, 0), 1800),
        Core("A73", 0xD09, "cortex-a72", _OLD, (64, 1024, 0), 2400),
        Core("A76", 0xD0B, "cortex-a76", _NEW, (64, 512, 2048), 2600),
        Core("A78", 0xD41, "cortex-a76", _NEW, (64, 512, 4096), 2800),
    )
}


def core_named(name: str) -> Core:
    """Return a core.

    Raises:
        UserError: there is none of that name.
    """
    if name.upper() not in CORES:
        raise UserError(f"--device emulator:{name}: no such core; expected one of: {', '.join(CORES)}")
    return CORES[name.upper()]


def cpuinfo(core: Core) -> str:
    """Return /proc/cpuinfo of a machine with one such core."""
    return (
        f"processor\t: 0\nBogoMIPS\t: 52.00\nFeatures\t: {core.features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {core.part:#x}\nCPU revision\t: 0\n\n"
    )


def probe(core: Core) -> str:
    """Return what `lite_deploy.bench.machine` would be told by a machine with one such core."""
    lines = [
        "machine\taarch64",
        "bits\t64",
        f"board\tCortex-{core.name} (emulated)",
        f"clock.0\t{core.mhz * 1000}",
        *(f"cpuinfo\t{line}" for line in cpuinfo(core).splitlines()),
    ]
    return "\n".join(lines) + "\n"


def describe_in(folder: Path, core: Core, libraries: Path) -> None:
    """Fill a folder for QEMU's `-L`: what describes one such core, and the C library of ARM Linux.

    Args:
        folder: an empty one.
        core: to be described.
        libraries: the folder with `ld-linux-aarch64.so.1` and what goes with it.
    """
    (folder / "lib").symlink_to(libraries)
    cpu = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": cpuinfo(core),
        "proc/meminfo": "MemTotal:        4000000 kB\nMemFree:         4000000 kB\n",
        f"{cpu}/online": "0\n",
        f"{cpu}/cpu0/uevent": "OF_NAME=cpu\n",
        f"{cpu}/cpu0/cpufreq/cpuinfo_max_freq": f"{core.mhz * 1000}\n",
        f"{cpu}/cpu0/cpufreq/cpuinfo_min_freq": f"{core.mhz * 1000}\n",
    }
    for index in range(10):  # the runtime looks at ten; the last level stands in those that there are not
        level = min(index, 2)
        files[f"{cpu}/cpu0/cache/index{index}/level"] = f"{level + 1}\n"
        files[f"{cpu}/cpu0/cache/index{index}/size"] = f"{core.caches[level]}K\n"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    # What is not in the folder is looked for on this PC, which has more cores. The runtime counts until a
    # core's file does not open; a socket is a file that exists and never opens.
    second = folder / cpu / "cpu1" / "uevent"
    second.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as unopenable:
        unopenable.bind(os.path.relpath(folder / "s"))  # a socket's name must be short when it is made
    (folder / "s").rename(second)
