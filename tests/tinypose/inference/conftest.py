"""The published networks under one engine, and pieces of the real video."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.errors import UserError
from tinypose.video import Video, VideoWriter


@pytest.fixture(scope="session")
def estimate(pose_folder, detector_folder):
    """Both networks under ONNX Runtime."""
    from tinypose import PoseEstimator

    return PoseEstimator.from_artifact(pose_folder, detector_folder, engine="onnxruntime")


@pytest.fixture(scope="session")
def clip(shared, tmp_path_factory) -> Callable[[str, int], Path]:
    """Write the first frames of the real video to a file of its own."""

    def write(name: str, frames: int) -> Path:
        path = tmp_path_factory.mktemp("video") / f"{name}.mp4"
        with VideoWriter(path, 30) as writer:
            for frame in islice(Video(shared / "samples" / "exercise.mp4"), frames):
                writer.write(frame.image, frame.time)
        return path

    return write


@pytest.fixture
def infer(pose_folder, detector_folder, tmp_path):
    """Run the command with both networks; returns its result. Results are in `out`."""

    def run(*arguments, detector=True, fails=None):
        command = ["infer", *map(str, arguments), "--pose", str(pose_folder), "-d", str(tmp_path / "out")]
        if detector:
            command += ["--detector", str(detector_folder)]
        result = CliRunner().invoke(app, command)
        if fails:
            assert isinstance(result.exception, UserError) and fails in str(result.exception)
        else:
            assert result.exit_code == 0, result.output + str(result.exception)
        return result

    return run


@pytest.fixture(scope="module")
def short(clip):
    """Forty frames of the real video."""
    return clip("short", 40)
