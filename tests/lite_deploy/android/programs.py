"""Programs that the tests of the app run."""

import shutil
import subprocess

import pytest


def need(*programs: str) -> None:
    """Skip the test unless all of these programs are installed."""
    if missing := [each for each in programs if shutil.which(each) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")


def call(*words) -> str:
    """Run a program; a failure shows its words."""
    done = subprocess.run([str(each) for each in words], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
