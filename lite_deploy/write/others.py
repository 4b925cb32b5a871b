"""Models for OpenVINO, MNN and ncnn, made from the artifact's ONNX files by their projects' converters."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from lite_deploy.write.ncnn_int8 import quantise_ncnn, write_float
from tinypose.artifact.other_engines import MODULES, engine_module
from tinypose.errors import UserError
from tinypose.files import write_whole

# MNN's converter for the shell installs a package of telemetry with whatever `pip` is on the path, and
# reports what it converts. What it wraps does neither, and is called in a process that it may end.
_MNN = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv[1:])"

# Which model of an engine is made from which file, by precision. MNN's converter fails on the ranges of
# depthwise convolutions, whose shapes it mistakes; ncnn's are taken out, and put into what it makes.
SOURCES = {
    "openvino": {"fp32": "model.onnx", "int8": "model_int8.onnx"},
    "mnn": {"fp32": "model.onnx"},
    "ncnn": {"fp32": "model.onnx", "int8": "model_int8.onnx"},
}
VERSIONS = {"openvino": ("openvino",), "mnn": ("MNN",), "ncnn": ("ncnn", "pnnx")}


def check_engines(engines: list[str]) -> None:
    """Refuse engines that there are not, before anything is made.

    Raises:
        UserError: an unknown engine, or one that is not installed, its converter included.
    """
    for engine in engines:
        if engine not in MODULES:
            raise UserError(f"engine '{engine}': expected one of: {', '.join(MODULES)}")
        engine_module(engine)
        if engine == "ncnn":
            _pnnx()


def write_other(onnx: Path, engine: str, precision: str, shape: tuple[int, ...]) -> list[Path]:
    """Convert an ONNX file; write the model beside it.

    Args:
        onnx: of this project.
        engine: `openvino`, `mnn` or `ncnn`.
        precision: `fp32` or `int8`.
        shape: of one input, (1, 3, H, W).

    Returns:
        The files, the one to open first.

    Raises:
        UserError: the converter failed; with its last words.
    """
    stem = onnx.parent / f"{engine}_{precision}"
    return {"openvino": _openvino, "mnn": _mnn, "ncnn": _ncnn}[engine](onnx, stem, shape)


def other_versions(engines: list[str]) -> dict[str, str]:
    """Return the versions of the engines and of their converters."""
    return {name.lower(): importlib.metadata.version(name) for each in engines for name in VERSIONS[each]}


def _openvino(onnx: Path, stem: Path, shape: tuple[int, ...]) -> list[Path]:
    openvino = engine_module("openvino")
    files = [stem.with_suffix(".xml"), stem.with_suffix(".bin")]
    openvino.save_model(openvino.convert_model(str(onnx)), str(files[0]), compress_to_fp16=False)
    return files


def _mnn(onnx: Path, stem: Path, shape: tuple[int, ...]) -> list[Path]:
    file = stem.with_suffix(".mnn")
    arguments = ["mnnconvert", "-f", "ONNX", "--modelFile", str(onnx), "--MNNModel", str(file)]
    _convert([sys.executable, "-c", _MNN, *arguments, "--bizCode", "edge"], onnx, [file], onnx.parent)
    return [file]


def _ncnn(onnx: Path, stem: Path, shape: tuple[int, ...]) -> list[Path]:
    files = [stem.with_suffix(".param"), stem.with_suffix(".bin")]
    with tempfile.TemporaryDirectory(prefix="lite-deploy-") as name:  # it writes a dozen files
        folder = Path(name)
        made = [folder / "model.ncnn.param", folder / "model.ncnn.bin"]
        convolutions = write_float(onnx, folder / "model.onnx")
        size = f"inputshape=[{','.join(map(str, shape))}]"
        _convert([str(_pnnx()), "model.onnx", size, "fp16=0"], onnx, made, folder)
        if any(each.integers is not None for each in convolutions):
            quantise_ncnn(*made, convolutions)
        for source, target in zip(made, files, strict=True):
            with write_whole(target) as temporary:
                temporary.write_bytes(source.read_bytes())
    return files


def _pnnx() -> Path:
    """Return ncnn's converter, a program in the package `pnnx`, whose own Python code would need PyTorch."""
    spec = importlib.util.find_spec("pnnx")
    program = None if spec is None or spec.origin is None else Path(spec.origin).parent / "pnnx"
    if program is None or not program.is_file():
        raise UserError("engine 'ncnn': its converter 'pnnx' is not installed: pip install --no-deps pnnx")
    return program


def _convert(command: list[str], onnx: Path, made: list[Path], folder: Path) -> None:
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder, check=False)
    if run.returncode or not all(each.is_file() for each in made):
        words = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        raise UserError(
            f"{onnx}: the converter failed (exit code {run.returncode}): "
            f"{' | '.join(words[-3:]) or 'it said nothing'}"
        )
