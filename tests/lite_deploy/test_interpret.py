"""ARM's instructions, computed here."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.run import run_numpy
from compress.quant.scales import ConvScale, quantise
from compress.quant.simulate import Simulation
from lite_deploy.nb.file import KERNEL, Attr, LiteModel, Operator, Variable
from lite_deploy.nb.interpret import interpreter
from lite_deploy.nb.read import read_nb
from lite_deploy.write.lite import optimise
from lite_deploy.write.paddle import write_program


def build(graph, folder, precision, scales=None) -> LiteModel:
    write_program(graph, folder, quantise(graph, scales or {}))
    out = folder / f"{precision}.nb"
    optimise(folder / "model.pdmodel", folder / "model.pdiparams", out, "arm", precision)
    return read_nb(out)


@pytest.mark.parametrize("batch", [1, 2])
def test_fp32_computes_what_the_graph_computes(every_kind, pictures, tmp_path, batch):
    found = interpreter(build(every_kind, tmp_path, "fp32"))(pictures[:batch])[0]
    expected = run_numpy(every_kind, pictures[:batch])[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_shuffles_left_as_transpositions_compute_the_same(every_kind, pictures, tmp_path):
    write_program(every_kind, tmp_path, fuse_shuffles=False)
    out = tmp_path / "out.nb"
    optimise(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", out, "arm", "fp32")
    expected = run_numpy(every_kind, pictures)[0]
    assert np.abs(interpreter(read_nb(out))(pictures)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_fp16_is_off_by_its_rounding(every_kind, pictures, tmp_path):
    found = interpreter(build(every_kind, tmp_path, "fp16"))(pictures)[0]
    expected = run_numpy(every_kind, pictures)[0]
    assert 1e-5 < np.abs(found - expected).max() / np.abs(expected).max() < 1e-2


def test_the_int8_file_computes_what_was_measured_bit_for_bit(int8_graph, int8_scales, pictures, tmp_path):
    model = build(int8_graph, tmp_path, "int8", int8_scales)
    assert {op.kernel for op in model.operators if op.precision == "int8"} >= {"int8_out", "fp32_out"}
    assert np.array_equal(interpreter(model)(pictures)[0], Simulation(int8_graph, int8_scales)(pictures)[0])


def test_enlarging_by_copies_moves_no_conversion_to_int8(enlarging_graph, tmp_path):
    weights = {node.name: node.params["weight"] for node in enlarging_graph.convolutions()}
    scales = {name: ConvScale(4.0, np.abs(each).max(axis=(1, 2, 3))) for name, each in weights.items()}
    models = []
    for copy_rows in (False, True):
        quantised = quantise(enlarging_graph, scales)
        write_program(enlarging_graph, tmp_path, quantised, copy_rows=copy_rows)
        out = tmp_path / "out.nb"
        optimise(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", out, "arm", "int8")
        models.append(read_nb(out))
    plain, copied = (Counter((op.type, op.kernel, op.precision) for op in each.operators) for each in models)
    assert set(copied - plain) == {("reshape2", "def", "any"), ("concat", "def", "any")}
    assert not plain - copied
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 48)).astype(np.float32)
    assert np.array_equal(*(interpreter(each)(x)[0] for each in models))


def convolution(weight: np.ndarray, bias: np.ndarray, limits: dict, kernel: str, relu: bool) -> LiteModel:
    """A quantised pointwise convolution between a feed and a fetch; `kernel` says what it writes."""
    steps = {key: (np.asarray(value, np.float32) / np.float32(127)).tolist() for key, value in limits.items()}
    attrs = {
        KERNEL: Attr("s", f"conv2d/{kernel}/4/2/1"),
        "groups": Attr("i", 1),
        "Input0_scale": Attr("floats", [steps["input"]]),
        "Filter0_scale": Attr("floats", steps["weight"]),
        "Output0_scale": Attr("floats", [steps["output"]]),
        "with_act": Attr("b", relu),
        "act_type": Attr("s", "relu"),
    }
    attrs |= {name: Attr("ints", [1, 1]) for name in ("strides", "dilations")}
    attrs["paddings"] = Attr("ints", [0, 0])
    cast = {"scale": Attr("f", steps["input"]), KERNEL: Attr("s", "calib/fp32_to_int8/4/2/1")}
    back = {"scale": Attr("f", steps["output"]), KERNEL: Attr("s", "calib/int8_to_fp32/4/2/1")}
    tensors = {"Input": ["q"], "Filter": ["w"], "Bias": ["b"]}
    operators = [
        Operator("feed", {"X": ["feed"]}, {"Out": ["x"]}, {KERNEL: Attr("s", "feed/def/1/4/2")}),
        Operator("calib", {"Input": ["x"]}, {"Out": ["q"]}, cast),
        Operator("conv2d", tensors, {"Output": ["y"]}, attrs),
    ]
    if kernel == "int8_out":
        operators.append(Operator("calib", {"Input": ["y"]}, {"Out": ["z"]}, back))
    result = operators[-1].outputs.get("Out", ["y"])
    operators.append(
        Operator("fetch", {"X": result}, {"Out": ["fetch"]}, {KERNEL: Attr("s", "fetch/def/1/4/2")})
    )
    return LiteModel("v2.13-rc", operators, [Variable("w", 7, True)], {"w": weight, "b": bias})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["int8_out", "fp32_out"]), st.booleans())
def test_int8_convolution_against_whole_numbers(seed, kernel, relu):
    rng = np.random.default_rng(seed)
    inputs, outputs = (int(each) for each in rng.integers(1, 40, 2))
    weight = rng.integers(-127, 128, (outputs, inputs, 1, 1)).astype(np.int8)
    bias = rng.standard_normal(outputs).astype(np.float32)
    limits = {"input": 3.0, "weight": rng.uniform(0.5, 2, outputs), "output": float(rng.uniform(1, 5))}
    x = rng.uniform(-4, 4, (1, inputs, 3, 3)).astype(np.float32)
    found = interpreter(convolution(weight, bias, limits, kernel, relu))(x)[0]

    step = np.float32(3.0) / np.float32(127)
    scaled = x[0].reshape(inputs, -1) * (np.float32(1) / step)
    whole = np.clip(np.trunc(scaled + np.copysign(0.5, scaled)), -127, 127).astype(np.int64)
    sums = weight.reshape(outputs, inputs).astype(np.int64) @ whole
    steps = limits["weight"].astype(np.float32) / np.float32(127)
    exact = sums * (steps * step).astype(np.float64)[:, None] + bias[:, None]
    exact = np.maximum(exact, 0) if relu else exact
    found = found.reshape(outputs, -1)
    if kernel == "fp32_out":
        np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max() + 1e-6)
        return
    # Whole steps within the limits, each the nearest but for ties.
    unit = limits["output"] / 127
    in_steps = found / unit
    assert np.abs(in_steps - np.round(in_steps)).max() < 1e-3
    assert np.abs(in_steps).max() <= 127.001
    clipped = np.clip(exact, -limits["output"], limits["output"])
    assert np.abs(found - clipped).max() <= 0.501 * unit


def test_an_unknown_instruction_is_named():
    model = LiteModel("v2.13-rc", [Operator("lstm", {}, {}, {KERNEL: Attr("s", "lstm/def/4/1/1")})], [])
    with pytest.raises(NotImplementedError, match="instruction 'lstm'"):
        interpreter(model)(np.zeros((1, 3, 2, 2), np.float32))
