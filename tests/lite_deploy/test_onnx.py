"""Graphs written as ONNX, run by ONNX Runtime."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from compress.graph.run import run_numpy
from compress.quant.scales import quantise
from lite_deploy.write.onnx import write_onnx


def infer(path, x: np.ndarray, exact: bool = False) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if exact:  # as written, not as INT8 kernels of this processor do it
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["image"]
    assert [each.name for each in session.get_outputs()] == ["heatmaps"]
    return session.run(None, {"image": x})[0]


@pytest.mark.parametrize("batch", [1, 2])
def test_every_kind_computes_the_same(every_kind, pictures, tmp_path, batch):
    write_onnx(every_kind, tmp_path / "model.onnx")
    expected = run_numpy(every_kind, pictures[:batch])[0]
    found = infer(tmp_path / "model.onnx", pictures[:batch])
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_same_graph_gives_the_same_bytes(every_kind, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        write_onnx(every_kind, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_int8_computes_what_the_ranges_say(int8_graph, int8_scales, pictures, tmp_path):
    from compress.quant.simulate import Simulation

    write_onnx(int8_graph, tmp_path / "model.onnx", quantise(int8_graph, int8_scales))
    expected = Simulation(int8_graph, int8_scales)(pictures)[0]
    found = infer(tmp_path / "model.onnx", pictures, exact=True)
    # ONNX rounds halves to even, the simulation away from zero, and biases are whole numbers in ONNX.
    assert np.abs(found - expected).max() <= 0.05 * np.abs(expected).max()
    assert np.median(np.abs(found - expected)) <= 1e-4 * np.abs(expected).max()


def test_int8_weights_are_stored_in_one_byte(int8_graph, int8_scales, tmp_path):
    write_onnx(int8_graph, tmp_path / "model.onnx", quantise(int8_graph, int8_scales))
    params = {each.name: each for each in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    for name in int8_scales:
        assert params[f"{name}.weight.integers"].data_type == onnx.TensorProto.INT8
    assert params["float.weight"].data_type == onnx.TensorProto.FLOAT


CONVERT = """
import sys
import paddle2onnx
paddle2onnx.export(*sys.argv[1:], opset_version=13, auto_upgrade_opset=False)
"""


def test_paddle2onnx_converts_the_program_to_the_same_numbers(exported, tmp_path):
    # In a process of its own: it ends the process on what it does not like.
    program = [str(exported.folder / name) for name in ("model.pdmodel", "model.pdiparams")]
    command = [sys.executable, "-c", CONVERT, *program, str(tmp_path / "converted.onnx")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    image = np.random.default_rng(0).standard_normal((1, 3, 96, 64)).astype(np.float32)
    expected = infer(exported.folder / "model.onnx", image)
    session = onnxruntime.InferenceSession(tmp_path / "converted.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {"image": image})[0]
    assert np.array_equal(found, expected)


def test_resizes_are_written_by_scales_that_give_every_size_exactly():
    from lite_deploy.write.onnx_operators import _factor

    for before in range(1, 130):
        for after in range(1, 300):
            assert int(np.floor(np.float32(before) * np.float32(_factor(before, after)))) == after
