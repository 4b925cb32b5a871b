"""Fixtures that several packages' tests use."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# No test is timed: how long one example takes says what else the machine is doing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and reference outputs beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data and weights of {SHARED}, which is not there")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """Let programs that tests start be interrupted, also when the tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
