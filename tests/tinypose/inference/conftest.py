"""The published networks under one engine, and pieces of the real video."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tinypose.inference.video import Video, VideoWriter


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
