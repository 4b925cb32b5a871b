"""The C++ library needs of its surroundings what Android gives everyone: a few functions of libc and libm."""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CPP = Path(__file__).resolve().parents[3] / "lite_deploy" / "cpp"
# What the library may ask of libc.so and libm.so; Android has had all of it since API level 1.
ALLOWED = {
    "c": {"abort", "clock_gettime", "free", "malloc", "memcpy", "memmove", "memset"},
    "m": {"exp", "log", "nearbyint", "nearbyintf"},
}
FLAGS = ["-std=c++14", "-O3", "-fPIC", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti",
         "-fno-stack-protector", "-fno-threadsafe-statics", "-fno-math-errno",
         "-ffp-contract=off"]  # fmt: skip


@pytest.fixture(scope="module", params=["", "aarch64-linux-gnu-"], ids=["host", "arm"])
def plain(request, tmp_path_factory) -> tuple[Path, str]:
    """The library linked against nothing but stand-ins for those two, and the prefix of the tools."""
    tools, folder = request.param, tmp_path_factory.mktemp("plain")
    if shutil.which(f"{tools}g++") is None:
        pytest.skip(f"needs {tools}g++, which this machine lacks")
    for name, functions in ALLOWED.items():
        stand_in = folder / f"{name}.cc"
        stand_in.write_text("".join(f'extern "C" void {each}() {{}}\n' for each in sorted(functions)))
        link = [f"-Wl,-soname,lib{name}.so", "-o", folder / f"lib{name}.so"]
        command = [f"{tools}g++", "-shared", "-fPIC", "-nostdlib", "-fno-builtin", stand_in, *link]
        subprocess.run(command, check=True, timeout=600)
    made = folder / "libpose.so"
    sources = [*sorted((CPP / "pose").glob("*.cc")), CPP / "no_stdlib.cc"]
    # One page size serves all phones: 16 KB.
    link = ["-shared", "-nostdlib", "-Wl,-z,max-page-size=16384,--hash-style=both,--no-undefined"]
    arm = ["-mno-outline-atomics"] if tools else []
    command = [
        f"{tools}g++",
        *FLAGS,
        *arm,
        *link,
        "-I",
        CPP,
        "-o",
        made,
        *sources,
        "-L",
        folder,
        "-lm",
        "-lc",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return made, tools


def shown(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout


def test_only_the_allowed_symbols_are_undefined(plain):
    made, tools = plain
    listing = shown(f"{tools}nm", "-D", "--undefined-only", made).split("\n")
    symbols = {line.split()[-1] for line in listing if line.strip()}
    assert symbols <= ALLOWED["c"] | ALLOWED["m"]
    assert "@" not in "".join(symbols), "a version of a symbol, which Android's libraries do not have"


def test_only_libc_and_libm_are_needed(plain):
    made, tools = plain
    dynamic = shown(f"{tools}readelf", "-d", made)
    assert set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) == {"libc.so", "libm.so"}
    assert "TEXTREL" not in dynamic
    loads = re.findall(r"LOAD.*\n.*(0x[0-9a-f]+)\n", shown(f"{tools}readelf", "-l", made))
    assert loads and all(int(each, 16) % 16384 == 0 for each in loads)


def test_it_loads_and_runs(plain):
    """With this machine's own libc and libm under those names."""
    made, tools = plain
    if tools or platform.machine() != "x86_64":
        pytest.skip("another processor's library")
    for name in ("c", "m"):
        (made.parent / f"lib{name}.so").unlink()
        (made.parent / f"lib{name}.so").symlink_to(f"/lib/x86_64-linux-gnu/lib{name}.so.6")
    code = f"import ctypes; print(ctypes.CDLL({str(made)!r}).pose_open(None, None))"
    environment = {"LD_LIBRARY_PATH": str(made.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "0", done.stderr  # no settings, no pipeline


@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_the_headers_are_c(tmp_path, standard):
    for header in ("pose.h", "c_api.h"):
        source = tmp_path / "uses.c"
        source.write_text(f'#include "pose/{header}"\nint main(void) {{ return 0; }}\n')
        command = ["gcc", f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", CPP]
        subprocess.run([*command, "-fsyntax-only", source], check=True, timeout=600)
