"""requirements.lock: each package once, with the sum of its file, and all that pyproject.toml asks for."""

import importlib.metadata
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LINE = re.compile(r"([A-Za-z0-9._-]+)==([^\s#]+) --hash=sha256:[0-9a-f]{64}(  #.*)?")


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def locked():
    lines = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if line[:1] != "#"]
    return [(line, LINE.fullmatch(line)) for line in lines]


def test_every_line_has_the_sum_of_its_file():
    assert [line for line, match in locked() if match is None] == [], "run: make lock"
    names = [canonical(match[1]) for _, match in locked()]
    assert len(set(names)) == len(names) > 60


def test_it_is_what_is_installed():
    for _, match in locked():
        assert importlib.metadata.version(match[1]) == match[2], match[1]


def test_it_has_all_that_pyproject_asks_for():
    names = {canonical(match[1]) for _, match in locked()}
    for requirement in importlib.metadata.requires("edge-pose"):
        name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
        assert canonical(name) in names or "visualdl" in requirement, requirement
