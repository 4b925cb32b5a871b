"""Fixtures that several packages' tests use."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and reference outputs beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data and weights of {SHARED}, which is not there")
    return SHARED
