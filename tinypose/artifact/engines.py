"""The engines that run a model of an artifact folder, behind one function.

What comes back is a callable from float32 images [N, 3, H, W] to the list of the model's outputs, the same
for every engine. Each engine is imported only when it is used. A callable may be shared by threads; it runs
one call at a time.
"""

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np

from tinypose.artifact.other_engines import OPENERS
from tinypose.artifact.record import Artifact, ModelRecord
from tinypose.artifact.trial import try_model
from tinypose.errors import UserError
from tinypose.network import Network

ENGINES = ("paddle-lite", "onnxruntime", "paddle-inference", *OPENERS)


def open_engine(
    artifact: Artifact, folder: str | Path, name: str, threads: int = 1, tried: bool = False
) -> Network:
    """Open a model of a folder whose description was read; what was not made here is tried first.

    Args:
        artifact: what the description says.
        folder: where the files are.
        name: of the model, for example `x86_fp32`.
        threads: how many the engine may use; Paddle-Lite's Python package has one.
        tried: it was tried in a process of its own (`tinypose.artifact.trial`), or this is that process.

    Raises:
        UserError: no such model, one that its engine does not survive, or that must not run here.
    """
    record = artifact.model(name)
    paths = [Path(folder) / each.file for each in record.files]
    if not tried and record.target in ("any", machine()):
        try_model(folder, name, record.engine, paths)
    open_it = {"paddle-lite": _open_lite, "onnxruntime": _open_onnx, "paddle-inference": _open_paddle}
    with answered(paths[0], "load this model"):
        if record.engine in OPENERS:
            opened = OPENERS[record.engine](paths, record, onnx_outputs(len(artifact.tensors)), threads)
        else:
            opened = open_it[record.engine](paths, record, artifact.tools, threads)
    lock = Lock()

    def run(images: np.ndarray) -> list[np.ndarray]:
        with lock, answered(paths[0], "compute with this model"):
            return opened(np.ascontiguousarray(images))

    return run


def onnx_outputs(count: int) -> list[str]:
    """Return the names that a network's outputs have in its ONNX files, and what is made of those."""
    return ["heatmaps"] if count == 1 else [f"output{number}" for number in range(count)]


@contextmanager
def answered(path: Path, what: str) -> Iterator[None]:
    """Turn whatever an engine raises, each of its own kind, into a UserError that names the file."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: the engine cannot {what}: {first:.300}; export again") from None


def default_engine() -> str:
    """Return the engine that is fastest on this machine: Paddle-Lite on ARM, ONNX Runtime elsewhere."""
    return "paddle-lite" if machine() == "arm" else "onnxruntime"


def choose_model(artifact: Artifact, engine: str | None = None) -> str:
    """Return the name of the FP32 model for an engine on this machine.

    Args:
        artifact: what the folder's description says.
        engine: one of `ENGINES`; none: `default_engine`.

    Raises:
        UserError: no such engine, or no such model in the folder.
    """
    engine = engine or default_engine()
    if engine not in ENGINES:
        raise UserError(f"engine '{engine}': expected one of: {', '.join(ENGINES)}")
    for each in artifact.models:
        if each.engine == engine and each.precision == "fp32" and each.target in ("any", machine()):
            return each.name
    names = ", ".join(f"{each.name} ({each.engine})" for each in artifact.models)
    raise UserError(f"no FP32 model for {engine} on {platform.machine()} in this folder; it has: {names}")


def machine() -> str:
    """Return `arm` or `x86`, what this machine is to `ModelRecord.target`."""
    name = platform.machine().lower()
    return "arm" if name.startswith(("arm", "aarch64")) else "x86"


def _open_lite(paths: list[Path], record: ModelRecord, tools: dict[str, str], threads: int) -> Network:
    if record.target != machine():
        raise UserError(f"{paths[0]} is built for {record.target}, and this is {platform.machine()}")
    if int(np.__version__.split(".")[0]) >= 2:
        raise UserError(
            f"numpy {np.__version__}: Paddle-Lite's Python package corrupts data with numpy 2 and is silent; "
            "install numpy 1.26"
        )
    version = importlib.metadata.version("paddlelite")
    if version != tools.get("paddlelite"):
        raise UserError(
            f"{paths[0]}: made by Paddle-Lite {tools.get('paddlelite')}, and the runtime here is {version}; "
            "they must be of one version: export again"
        )
    if threads != 1:
        raise UserError(
            f"{paths[0]}: Paddle-Lite's Python package runs on one thread; {threads} were asked for"
        )
    import paddlelite.lite as lite

    config = lite.MobileConfig()
    config.set_model_from_file(str(paths[0]))
    predictor = lite.create_paddle_predictor(config)
    count = len(predictor.get_output_names())

    def run(images: np.ndarray) -> list[np.ndarray]:
        outputs = []
        for image in images:  # one at a time, as on a phone
            predictor.get_input(0).from_numpy(image[None])
            predictor.run()
            # Views into the predictor's memory, which the next run overwrites.
            outputs.append([predictor.get_output(i).numpy().copy() for i in range(count)])
        return [np.concatenate(each) for each in zip(*outputs, strict=True)]

    return run


def _open_onnx(paths: list[Path], record: ModelRecord, tools: dict[str, str], threads: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Threads that wait busily take the processor from what comes after the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(paths[0]), options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0].name
    return lambda images: session.run(None, {image: images})


def _open_paddle(paths: list[Path], record: ModelRecord, tools: dict[str, str], threads: int) -> Network:
    from paddle import inference

    config = inference.Config(str(paths[0]), str(paths[1]))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    predictor = inference.create_predictor(config)
    source = predictor.get_input_handle(predictor.get_input_names()[0])
    results = [predictor.get_output_handle(name) for name in predictor.get_output_names()]

    def run(images: np.ndarray) -> list[np.ndarray]:
        source.reshape(images.shape)
        source.copy_from_cpu(images)
        predictor.run()
        return [each.copy_to_cpu() for each in results]

    return run
