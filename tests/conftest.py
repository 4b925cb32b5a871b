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


@pytest.fixture(scope="session")
def pose_folder(shared, tmp_path_factory) -> Path:
    """PP-TinyPose 128x96 for every engine of this machine."""
    from lite_deploy.export import export
    from tinypose.config import CONFIGS, load_config

    folder = tmp_path_factory.mktemp("pose") / "tinypose_128x96"
    weights = shared / "weights" / "tinypose_128x96.pdparams"
    config = load_config(CONFIGS / "tinypose_128x96.yml", [f"weights={weights}"])
    export(config, folder, rewritten=False, models=["x86_fp32"])  # rewriting takes its time
    return folder


@pytest.fixture(scope="session")
def detector_folder(shared, tmp_path_factory) -> Path:
    """PicoDet-S 416 for every engine of this machine."""
    from lite_deploy.export import export
    from tinypose.config import CONFIGS
    from tinypose.detection.config import load_detector_config

    folder = tmp_path_factory.mktemp("detector") / "picodet_s_416"
    weights = shared / "weights" / "picodet_s_416_coco.pdparams"
    config = load_detector_config(CONFIGS / "picodet_s_416_coco.yml", [f"weights={weights}"])
    export(config, folder, models=["x86_fp32"])
    return folder


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """Let programs that tests start be interrupted, also when the tests run in a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
