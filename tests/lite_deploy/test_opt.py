"""The optimiser: what it makes, and the combinations that are refused because they are known to be wrong."""

import platform

import numpy as np
import pytest

from compress.graph.run import run_numpy
from compress.quant.scales import quantise
from lite_deploy.nb.combinations import (
    MODELS,
    check_build,
    check_libraries,
    check_model,
    check_run,
    needs_extra,
)
from lite_deploy.nb.file import KERNEL, Attr, LiteModel, Operator
from lite_deploy.nb.read import read_nb
from lite_deploy.write.lite import optimise
from lite_deploy.write.paddle import write_program
from tinypose.artifact.record import FileRecord, ModelRecord
from tinypose.errors import UserError

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="runs Paddle-Lite's x86 kernels")


def run_lite(path, x: np.ndarray) -> np.ndarray:
    from paddlelite.lite import MobileConfig, create_paddle_predictor

    config = MobileConfig()
    config.set_model_from_file(str(path))
    predictor = create_paddle_predictor(config)
    predictor.get_input(0).from_numpy(x)
    predictor.run()
    return predictor.get_output(0).numpy().copy()


def build(graph, folder, target, precision, scales=None):
    write_program(graph, folder, quantise(graph, scales or {}))
    out = folder / "out.nb"
    optimise(folder / "model.pdmodel", folder / "model.pdiparams", out, target, precision)
    return out


@on_x86
def test_x86_computes_the_same(every_kind, pictures, tmp_path, capfd):
    path = build(every_kind, tmp_path, "x86", "fp32")
    assert capfd.readouterr() == ("", "")
    expected = run_numpy(every_kind, pictures[:1])[0]
    assert np.abs(run_lite(path, pictures[:1]) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_no_transposition_is_left_of_a_shuffle(every_kind, tmp_path):
    types = [op.type for op in read_nb(build(every_kind, tmp_path, "arm", "fp32")).operators]
    assert "shuffle_channel" in types
    assert "transpose2" not in types
    write_program(every_kind, tmp_path, fuse_shuffles=False)
    unfused = tmp_path / "unfused.nb"
    optimise(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", unfused, "arm", "fp32")
    assert "transpose2" in {op.type for op in read_nb(unfused).operators}


@pytest.mark.parametrize(("target", "precision"), [m for m in MODELS.values() if m[1] != "int8"])
def test_makes_what_was_asked_for(every_kind, tmp_path, target, precision):
    model = read_nb(build(every_kind, tmp_path, target, precision))
    assert (model.target(), model.precision()) == (target, precision)
    convolutions = [op for op in model.operators if "conv2d" in op.type]
    assert {op.precision for op in convolutions} == {precision}
    assert all("Bias" in op.inputs for op in convolutions if op.type == "conv2d")


def test_int8_kernels_stand_where_ranges_are_given(int8_graph, int8_scales, tmp_path):
    model = read_nb(build(int8_graph, tmp_path, "arm", "int8", int8_scales))
    assert (model.target(), model.precision()) == ("arm", "int8")
    convolutions = [op for op in model.operators if "conv2d" in op.type]
    assert sum(op.precision == "int8" for op in convolutions) == len(int8_scales)
    assert sum(op.precision == "fp32" for op in convolutions) == 1
    weights = [model.params[op.inputs["Filter"][0]] for op in convolutions if op.precision == "int8"]
    assert {weight.dtype for weight in weights} == {np.dtype(np.int8)}
    # Only a convolution whose every reader is an INT8 convolution hands INT8 on: here `dw`, to `pw`.
    assert sum(op.kernel == "int8_out" for op in convolutions) == 1
    # `left` and `right` read one tensor: it is converted once.
    casts = [op for op in model.operators if op.type == "calib"]
    assert len(casts) == len({"x", "a", "d", "h"})
    assert {op.kernel for op in casts} == {"fp32_to_int8"}


def test_refused_combinations(int8_graph, int8_scales, tmp_path):
    write_program(int8_graph, tmp_path / "int8", quantise(int8_graph, int8_scales))
    write_program(int8_graph, tmp_path / "fp32")
    refused = {
        ("int8", "arm", "fp16"): "garbage or NaN",
        ("int8", "x86", "int8"): "unrelated numbers",
        ("int8", "x86", "fp32"): "unrelated numbers",
        ("int8", "arm", "fp32"): "would be INT8",
        ("fp32", "x86", "fp16"): "no FP16 kernels for x86",
        ("fp32", "arm", "int8"): "no quantised convolution",
        ("fp32", "gpu", "fp32"): "no such target",
    }
    for (program, target, precision), words in refused.items():
        folder, out = tmp_path / program, tmp_path / "out.nb"
        with pytest.raises(UserError, match=words):
            optimise(folder / "model.pdmodel", folder / "model.pdiparams", out, target, precision)
        assert not out.exists()


def test_names_of_models():
    assert check_model("arm_int8") == ("arm", "int8")
    for name, words in {
        "x86_int8": "unrelated numbers",
        "arm_int8_fp16": "garbage or NaN",
        "arm_fp16_int8": "garbage or NaN",
        "arm_fp64": "expected one of: arm_fp32",
    }.items():
        with pytest.raises(UserError, match=words):
            check_model(name)
    check_build("arm", "int8", quantised=True)


def test_an_optimiser_that_aborts_is_one_clear_error(every_kind, tmp_path, capfd):
    write_program(every_kind, tmp_path)
    params = tmp_path / "model.pdiparams"
    params.write_bytes(params.read_bytes()[:500])
    out = tmp_path / "out.nb"
    out.write_bytes(b"as it was")
    with pytest.raises(UserError, match=r"optimiser failed.*Failed to read"):
        optimise(tmp_path / "model.pdmodel", params, out, "arm", "fp32")
    assert out.read_bytes() == b"as it was"
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match="no such file"):
        optimise(tmp_path / "absent.pdmodel", params, out, "arm", "fp32")


def test_fp16_that_the_optimiser_ignored_is_not_written(every_kind, tmp_path, monkeypatch):
    """As when `enable_fp16` comes after `set_valid_places`: the optimiser makes FP32 and says nothing."""
    import lite_deploy.write.lite as module

    write_program(every_kind, tmp_path)
    late = module.run_optimiser
    monkeypatch.setattr(module, "run_optimiser", lambda *args, fp16: late(*args, fp16=False))
    with pytest.raises(UserError, match="asked for arm fp16, but .* made arm fp32"):
        optimise(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", tmp_path / "o.nb", "arm", "fp16")
    assert not (tmp_path / "o.nb").exists()


def made_of(*kernels: str) -> LiteModel:
    return LiteModel("v2.13-rc", [Operator("conv2d", {}, {}, {KERNEL: Attr("s", k)}) for k in kernels], [])


def test_models_that_must_not_run():
    arm32, arm16 = made_of("conv2d/def/4/1/1"), made_of("conv2d/def/4/5/1")
    int8, x86 = made_of("conv2d/int8_out/4/2/1"), made_of("conv2d/def/2/1/1")
    x86_int8 = made_of("conv2d/int8_out/2/2/1")
    check_run(x86, "m.nb", "x86_64")
    for model in (arm32, int8):
        check_run(model, "m.nb", "aarch64")
    check_run(arm16, "m.nb", "aarch64", fp16=True)
    refused = [
        (int8, "x86_64", None, "unrelated numbers"),
        (x86_int8, "x86_64", None, "unrelated numbers"),
        (arm16, "aarch64", False, r"needs ARMv8\.2"),
        (arm16, "aarch64", None, r"needs ARMv8\.2"),
        (arm32, "x86_64", None, "built for arm and this is x86_64; use x86_fp32"),
        (x86, "aarch64", None, "built for x86"),
        (made_of("conv2d/def/4/5/1", "conv2d/int8_out/4/2/1"), "aarch64", True, "garbage or NaN"),
    ]
    for model, machine, fp16, words in refused:
        with pytest.raises(UserError, match=words):
            check_run(model, "m.nb", machine, fp16)


def test_operators_that_not_every_library_has_are_named(tmp_path):
    model = made_of("conv2d/def/4/1/1")
    assert needs_extra(model) == []
    model.operators.append(Operator("gather", {}, {}, {KERNEL: Attr("s", "gather/def/1/1/1")}))
    assert needs_extra(model) == ["gather"]
    files = [FileRecord(file="m.nb", bytes=1, sha256="0" * 64)]
    fields = {"engine": "paddle-lite", "target": "arm", "precision": "fp32", "files": files}
    plain, demanding = ModelRecord(name="a", **fields), ModelRecord(name="b", **fields, extra=["gather"])
    library = tmp_path / "libpaddle_light_api_shared.so"
    library.write_bytes(b"ELF polygon_box_transform conv2d")
    check_libraries([plain, demanding], [library])
    library.write_bytes(b"ELF conv2d")
    check_libraries([plain], [library])
    with pytest.raises(UserError, match=r"'b': needs gather, which .* has not.*with_extra"):
        check_libraries([plain, demanding], [library])
