"""Artifact folders of the published networks, made once."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tinypose.config import CONFIGS, load_config
from tinypose.detection.config import load_detector_config
from tinypose.inference.video import Video, VideoWriter


@pytest.fixture(scope="session")
def pose_folder(shared, tmp_path_factory) -> Path:
    """PP-TinyPose 128x96 for every engine of this machine."""
    from lite_deploy.export import export

    folder = tmp_path_factory.mktemp("pose") / "tinypose_128x96"
    weights = shared / "weights" / "tinypose_128x96.pdparams"
    config = load_config(CONFIGS / "tinypose_128x96.yml", [f"weights={weights}"])
    export(config, folder, rewritten=False, models=["x86_fp32"])  # rewriting takes its time
    return folder


@pytest.fixture(scope="session")
def detector_folder(shared, tmp_path_factory) -> Path:
    """PicoDet-S 416 for every engine of this machine."""
    from lite_deploy.detector import export_detector

    folder = tmp_path_factory.mktemp("detector") / "picodet_s_416"
    weights = shared / "weights" / "picodet_s_416_coco.pdparams"
    config = load_detector_config(CONFIGS / "picodet_s_416_coco.yml", [f"weights={weights}"])
    export_detector(config, folder, models=["x86_fp32"])
    return folder


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
