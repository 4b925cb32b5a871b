#!/usr/bin/env python3
"""A stand-in for adb: plays phones from the folder $ADB_STANDIN. Not Android, and not adb.

The folder holds `phones.json`: for each serial its state, its free bytes and, optionally, `unplug_after`: how
many times the runner may start before the cable is lost in the middle (it goes on, and nobody hears of it),
or `unplug_at`: the name of the file in the middle of whose copying the cable is lost.
Each phone's files lie under SERIAL/: paths like /data/local/tmp, /proc/cpuinfo and /sys lead there if SERIAL/
has them, else to this machine's. Programs in SERIAL/bin come first. Commands really run, on this machine.
What it prints is what adb prints.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["ADB_STANDIN"])
STORAGE = "/data/local/tmp"


def main(words: list[str]) -> int:
    phones = json.loads((ROOT / "phones.json").read_text())
    if words == ["devices"]:
        print("List of devices attached")
        for serial, phone in phones.items():
            print(f"{serial}\t{phone['state']}")
        return 0
    assert words[0] == "-s", words
    serial, verb, *rest = words[1:]
    phone = phones.get(serial)
    if phone is None or phone["state"] != "device":
        trouble = f"device '{serial}' not found" if phone is None else f"device {phone['state']}"
        return fail(f"adb: {trouble}" if verb != "shell" else f"error: {trouble}")
    files = ROOT / serial
    if "unplug_after" in phone and "pose_runner --pose" in " ".join(rest):
        phone["unplug_after"] -= 1
        unplugged = phone["unplug_after"] < 0
        if unplugged:
            del phones[serial]
        (ROOT / "phones.json").write_text(json.dumps(phones))
        if unplugged:
            subprocess.Popen(["sh", "-c", mapped(files, " ".join(rest))], stdout=subprocess.DEVNULL)
            return fail("error: closed")
    if verb == "shell":
        return shell(files, " ".join(rest))
    if verb == "get-state":
        print("device")
        return 0
    if verb == "push" and Path(rest[1]).name == phone.get("unplug_at"):
        content = Path(rest[0]).read_bytes()
        on_phone(files, rest[1]).write_bytes(content[: len(content) // 2])
        del phones[serial]
        (ROOT / "phones.json").write_text(json.dumps(phones))
        return fail("adb: error: failed to read copy response: EOF")
    if verb == "push":
        return push(files, phone["free_bytes"], Path(rest[0]), rest[1])
    if verb == "install":
        (files / "installed.apk").write_bytes(Path(rest[-1]).read_bytes())
        if phone.get("refuses"):
            return fail(f"adb: failed to install {rest[-1]}: Failure [{phone['refuses']}]")
        print("Performing Streamed Install\nSuccess")
        return 0
    if verb == "pull":
        source = on_phone(files, rest[0])
        if not source.is_file():
            return fail(f"adb: error: failed to stat remote object '{rest[0]}': No such file or directory")
        Path(rest[1]).write_bytes(source.read_bytes())
        return 0
    return fail(f"adb: unknown command {verb}")


def on_phone(files: Path, path: str) -> Path:
    return files / path.lstrip("/")


def mapped(files: Path, script: str) -> str:
    for top in (STORAGE, "/proc/cpuinfo", "/proc/meminfo", "/sys"):
        if on_phone(files, top).exists():
            script = re.sub(rf"(?<![\w./]){re.escape(top)}(?=[/\s'\"]|$)", str(on_phone(files, top)), script)
    return script


def shell(files: Path, script: str) -> int:
    environment = {**os.environ, "PATH": f"{files / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", mapped(files, script)], env=environment, capture_output=True)
    storage = str(on_phone(files, STORAGE)).encode()
    sys.stdout.buffer.write(done.stdout.replace(storage, STORAGE.encode()))
    sys.stderr.buffer.write(done.stderr.replace(storage, STORAGE.encode()))
    return done.returncode


def push(files: Path, free: int, local: Path, remote: str) -> int:
    used = sum(each.stat().st_size for each in on_phone(files, STORAGE).rglob("*") if each.is_file())
    content = local.read_bytes()
    if used + len(content) > free:
        full = "remote write failed: No space left on device"
        return fail(f"adb: error: failed to copy '{local}' to '{remote}': {full}")
    target = on_phone(files, remote)
    target.write_bytes(content)
    target.chmod(0o644)
    print(f"{local}: 1 file pushed.")
    return 0


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
