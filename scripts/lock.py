"""Give every line of requirements.lock the SHA-256 sum of its file, as the package index says it.

    make lock

Add a line NAME==VERSION, with the reason if it is odd, and run it. What is installed is then what was locked:
pip refuses a file of another sum. Only the files for Linux x86-64 and Python 3.10 are locked. Nothing is
installed by this.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s#]+)(?P<sums>( +--hash=\S+)*)(?P<why> *#.*)?")


def main() -> None:
    """Read the lock, ask the index, write the lock."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    parsed = [LINE.fullmatch(line) for line in lines]
    if wrong := [
        line for line, match in zip(lines, parsed, strict=True) if not match and not line.startswith("#")
    ]:
        sys.exit(f"{LOCK}: expected NAME==VERSION, found: {wrong[0]}")
    sums = ask([f"{match['name']}=={match['version']}" for match in parsed if match])
    written = [
        line if match is None else locked(match, sums[canonical(match["name"])])
        for line, match in zip(lines, parsed, strict=True)
    ]
    LOCK.write_text("\n".join(written) + "\n", encoding="utf-8")
    print(f"{LOCK}: {len(sums)} packages, each with the sum of its file")


def ask(requirements: list[str]) -> dict[str, str]:
    """Return the SHA-256 sum of the file that pip would install, by canonical name."""
    with tempfile.TemporaryDirectory() as folder:
        report, wanted = Path(folder) / "report.json", Path(folder) / "wanted.txt"
        wanted.write_text("\n".join(requirements) + "\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--dry-run", "--ignore-installed", "--no-deps", "--report", str(report)]
        subprocess.run([*command, "--requirement", str(wanted)], check=True)
        installs = json.loads(report.read_text())["install"]
    return {
        canonical(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"]["sha256"]
        for each in installs
    }


def locked(match: re.Match, sum: str) -> str:
    """Return a line with the sum of its file."""
    return f"{match['name']}=={match['version']} --hash=sha256:{sum}{match['why'] or ''}"


def canonical(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
