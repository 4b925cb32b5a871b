"""What both files of tests learn from."""

from pathlib import Path

import pytest

from tinypose.data.synthetic import draw_set


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "set"
    draw_set(folder, 5, seed=6, size=(96, 96), people=(1, 2))
    return folder
