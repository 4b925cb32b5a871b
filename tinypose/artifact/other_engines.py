"""OpenVINO, MNN and ncnn: each opens a model that its own converter made (`lite_deploy.write.others`).

None of them is needed by anything else. Each is imported only when a model for it is opened, and said to be
missing in one line. All compute on the CPU, FP32 models in FP32.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from tinypose.artifact.record import ModelRecord
from tinypose.errors import UserError
from tinypose.network import Network

# The extra of pyproject.toml that brings an engine, and its Python module.
MODULES = {"openvino": "openvino", "mnn": "MNN", "ncnn": "ncnn"}

Opener = Callable[[list[Path], ModelRecord, list[str], int], Network]


def engine_module(engine: str) -> ModuleType:
    """Import an engine.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(MODULES[engine])
    except ModuleNotFoundError as error:
        if error.name != MODULES[engine]:
            raise
        raise UserError(
            f"engine '{engine}' is not installed; with pip: pip install 'edge-pose[{engine}]', in a "
            "checkout: make setup"
        ) from None


def is_installed(engine: str) -> bool:
    """Say whether an engine can be imported, without importing it."""
    return importlib.util.find_spec(MODULES[engine]) is not None


def open_openvino(paths: list[Path], record: ModelRecord, outputs: list[str], threads: int) -> Network:
    """Open an OpenVINO model, .xml beside .bin; any batch.

    Args:
        paths: the model's files, the one to open first.
        record: what `pose.json` says of it.
        outputs: names of the outputs as the ONNX model has them, in order.
        threads: how many it may use.

    Returns:
        float32 images [N, 3, H, W] to the outputs.
    """
    openvino = engine_module("openvino")
    core = openvino.Core()
    # Left to itself it computes in BF16 where the processor can.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
    compiled = core.compile_model(core.read_model(str(paths[0])), "CPU", settings)
    request = compiled.create_infer_request()
    ports = [compiled.output(name) for name in outputs]

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = request.infer({0: images})
        return [np.array(found[port]) for port in ports]  # copies: the request's memory is used again

    return run


def open_mnn(paths: list[Path], record: ModelRecord, outputs: list[str], threads: int) -> Network:
    """Open an MNN model, .mnn; any batch. See `open_openvino`."""
    engine_module("mnn")
    import MNN.expr as expression
    import MNN.nn as nn

    # `load_module_from_file` takes a number of threads itself, and then uses four whatever it is.
    runtime = nn.create_runtime_manager(({"backend": "CPU", "numThread": threads, "precision": "high"},))
    net = nn.load_module_from_file(str(paths[0]), ["image"], outputs, runtime_manager=runtime)
    plain = expression.data_format.NCHW

    def run(images: np.ndarray) -> list[np.ndarray]:
        image = expression.const(images, images.shape, plain, expression.dtype.float)
        found = net.forward([image])
        if len(found) != len(outputs):
            raise ValueError(f"{len(found)} outputs, expected {len(outputs)}")
        return [np.array(expression.convert(each, plain).read(), copy=True) for each in found]

    return run


def open_ncnn(paths: list[Path], record: ModelRecord, outputs: list[str], threads: int) -> Network:
    """Open an ncnn model, .param beside .bin, which takes one image at a time. See `open_openvino`."""
    ncnn = engine_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    for load, path in zip((net.load_param, net.load_model), paths, strict=True):
        if load(str(path)) != 0:
            raise ValueError(f"ncnn cannot read {path.name}")

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = []
        for image in images:
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(image).clone())
            each = [extractor.extract(f"out{number}") for number in range(len(outputs))]
            if any(code != 0 for code, _ in each):
                raise ValueError("ncnn cannot compute this network")
            found.append([np.array(value) for _, value in each])
        return [np.stack(each) for each in zip(*found, strict=True)]

    return run


OPENERS: dict[str, Opener] = {"openvino": open_openvino, "mnn": open_mnn, "ncnn": open_ncnn}
