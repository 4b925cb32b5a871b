"""One function to open a model of an artifact folder with the engine it is made for.

What comes back is a callable from float32 images [N, 3, H, W] to float32 heatmaps [N, J, h, w], the same for
every engine. Each engine is imported only when it is used.
"""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lite_deploy.artifact import Artifact, ModelRecord
from lite_deploy.combinations import check_run
from lite_deploy.nb import read_nb
from tinypose.errors import UserError

Run = Callable[[np.ndarray], np.ndarray]


def open_model(artifact: Artifact, folder: str | Path, name: str, threads: int = 1) -> Run:
    """Open a model of a folder that `read_artifact` has checked.

    Args:
        artifact: what the folder's `pose.json` says.
        folder: where the files are.
        name: of the model, for example `x86_fp32`.
        threads: how many the engine may use.

    Returns:
        The model as a function; it checks the shape of what it is given.

    Raises:
        UserError: no such model, or one that must not run on this machine.
    """
    record = artifact.model(name)
    paths = [Path(folder) / each.file for each in record.files]
    opened = _ENGINES[record.engine](paths, record, threads)
    expected = (3, artifact.input.height, artifact.input.width)

    def run(images: np.ndarray) -> np.ndarray:
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.float32:
            raise ValueError(f"expected float32 [N, {', '.join(map(str, expected))}], found {images.dtype} "
                             f"{list(images.shape)}")  # fmt: skip
        return opened(np.ascontiguousarray(images))

    return run


def _open_lite(paths: list[Path], record: ModelRecord, threads: int) -> Run:
    model = read_nb(paths[0])
    check_run(model, str(paths[0]))
    _check_numpy()
    if threads != 1:
        raise UserError(
            f"{paths[0]}: Paddle-Lite's Python package runs on one thread; {threads} were asked for"
        )
    import paddlelite.lite as lite

    version = lite.Opt().version()
    if version != model.version:
        raise UserError(
            f"{paths[0]}: made by Paddle-Lite {model.version}, and the runtime here is {version}; they must "
            "be of one version: export again"
        )
    config = lite.MobileConfig()
    config.set_model_from_file(str(paths[0]))
    predictor = lite.create_paddle_predictor(config)

    def run(images: np.ndarray) -> np.ndarray:
        heatmaps = []
        for image in images:  # one at a time, as on a phone
            predictor.get_input(0).from_numpy(image[None])
            predictor.run()
            # A view into the predictor's memory, which the next run overwrites.
            heatmaps.append(predictor.get_output(0).numpy().copy())
        return np.concatenate(heatmaps)

    return run


def _check_numpy() -> None:
    if int(np.__version__.split(".")[0]) >= 2:
        raise UserError(
            f"numpy {np.__version__}: Paddle-Lite's Python package corrupts data with numpy 2 and is silent; "
            "install numpy 1.26"
        )


def _open_onnx(paths: list[Path], record: ModelRecord, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(paths[0]), options, providers=["CPUExecutionProvider"])
    image, heatmaps = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda images: session.run([heatmaps], {image: images})[0]


def _open_paddle(paths: list[Path], record: ModelRecord, threads: int) -> Run:
    from paddle import inference

    config = inference.Config(str(paths[0]), str(paths[1]))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    predictor = inference.create_predictor(config)
    source = predictor.get_input_handle(predictor.get_input_names()[0])
    result = predictor.get_output_handle(predictor.get_output_names()[0])

    def run(images: np.ndarray) -> np.ndarray:
        source.reshape(images.shape)
        source.copy_from_cpu(images)
        predictor.run()
        return result.copy_to_cpu()

    return run


_ENGINES = {"paddle-lite": _open_lite, "onnxruntime": _open_onnx, "paddle-inference": _open_paddle}


def tool_versions() -> dict[str, str]:
    """Return the versions of what makes and runs the models."""
    names = ("edge-pose", "paddlepaddle", "paddlelite", "onnx", "onnxruntime", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
