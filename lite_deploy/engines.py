"""A model of an artifact folder as a function, after the checks that only reading the model itself allows.

The engines are in `tinypose.artifact.engines`.
"""

import importlib.metadata
from pathlib import Path

import numpy as np

from lite_deploy.nb.combinations import check_run
from lite_deploy.nb.read import read_nb
from tinypose.artifact.engines import open_engine
from tinypose.artifact.record import Artifact
from tinypose.errors import UserError
from tinypose.network import Network


def open_model(artifact: Artifact, folder: str | Path, name: str, threads: int = 1) -> Network:
    """Open a model of a folder that `read_artifact` has checked.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the files are.
        name: of the model, for example `x86_fp32`.
        threads: how many the engine may use.

    Returns:
        The model as a function to all its outputs; it checks the shape of what it is given.

    Raises:
        UserError: no such model, or one that must not run on this machine.
    """
    record = artifact.model(name)
    if record.engine == "paddle-lite":
        _check_lite(Path(folder) / record.files[0].file)
    opened = open_engine(artifact, folder, name, threads)
    expected = (3, artifact.input.height, artifact.input.width)

    def run(images: np.ndarray) -> list[np.ndarray]:
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.float32:
            raise ValueError(f"expected float32 [N, {', '.join(map(str, expected))}], found {images.dtype} "
                             f"{list(images.shape)}")  # fmt: skip
        return opened(images)

    return run


def _check_lite(path: Path) -> None:
    """Refuse a `.nb` that would load and run here, and give wrong numbers without a word."""
    model = read_nb(path)
    check_run(model, str(path))
    import paddlelite.lite as lite

    version = lite.Opt().version()
    if version != model.version:
        raise UserError(
            f"{path}: made by Paddle-Lite {model.version}, and the runtime here is {version}; they must "
            "be of one version: export again"
        )


def tool_versions() -> dict[str, str]:
    """Return the versions of what makes and runs the models."""
    names = ("edge-pose", "paddlepaddle", "paddlelite", "onnx", "onnxruntime", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
