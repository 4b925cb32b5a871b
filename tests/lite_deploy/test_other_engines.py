"""OpenVINO, MNN and ncnn: what their converters make computes the same, and missing ones are said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from compress.graph.ir import Graph, Node
from compress.graph.run import run_numpy
from compress.graph.shapes import infer_shapes
from compress.quant.scales import ConvScale, quantise, weight_ranges
from compress.quant.simulate import Simulation
from lite_deploy.bench.plan import fits
from lite_deploy.cli import app
from lite_deploy.engines import open_model
from lite_deploy.export import write_others
from lite_deploy.write.ncnn_int8 import Convolution, quantise_ncnn
from lite_deploy.write.onnx import write_onnx
from lite_deploy.write.others import check_engines, other_versions, write_other
from tinypose.artifact import other_engines
from tinypose.artifact.engines import choose_model
from tinypose.artifact.other_engines import MODULES, OPENERS
from tinypose.artifact.record import ModelRecord, read_artifact, record_file, write_artifact
from tinypose.artifact.trial import trust
from tinypose.cli import app as tinypose
from tinypose.errors import UserError

for each in MODULES.values():
    pytest.importorskip(each, reason=f"needs the engine {each}, an extra")


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    """The small network for the engines alone, in INT8 where they take it, and for ONNX Runtime."""
    folder = exported.copy(tmp_path_factory.mktemp("engines"))
    artifact = read_artifact(folder)
    kept = tuple(artifact.model(name) for name in ("onnx_fp32", "onnx_int8"))
    for model in artifact.models:
        for file in () if model in kept else model.files:
            (folder / file.file).unlink()
    made = write_others(folder, list(MODULES), (1, 3, 96, 64))
    for record in made:
        trust(record.engine, [folder / each.file for each in record.files])
    tools = artifact.tools | other_versions(list(MODULES))
    write_artifact(folder, artifact.model_copy(update={"models": (*kept, *made), "tools": tools}))
    return folder


@pytest.mark.slow
def test_export_makes_them(exported, tmp_path):
    arguments = ["-c", str(exported.config), "--model", "x86_fp32", "--engine", "mnn", "--engine", "ncnn"]
    result = CliRunner().invoke(app, ["export", *arguments, "--output", str(tmp_path / "made")])
    assert result.exit_code == 0, (result.output, result.exception)
    assert {"mnn_fp32", "ncnn_fp32"} <= {each.name for each in read_artifact(tmp_path / "made").models}


def test_the_models_are_there_and_described(folder):
    artifact = read_artifact(folder)
    found = {each.name: each for each in artifact.models}
    expected = {"openvino_fp32", "openvino_int8", "mnn_fp32", "ncnn_fp32", "ncnn_int8"}
    assert expected == found.keys() - {"onnx_fp32", "onnx_int8"}
    assert [each.file for each in found["ncnn_fp32"].files] == ["ncnn_fp32.param", "ncnn_fp32.bin"]
    assert {"openvino", "mnn", "ncnn", "pnnx"} <= artifact.tools.keys()
    listed = {file.file for model in artifact.models for file in model.files} | {"pose.json"}
    assert {path.name for path in folder.iterdir()} == listed


@pytest.mark.parametrize("engine", MODULES)
def test_agrees_with_onnx_runtime_whatever_the_batch(folder, engine):
    artifact = read_artifact(folder)
    images = np.random.default_rng(0).standard_normal((3, 3, 96, 64)).astype(np.float32)
    (expected,) = open_model(artifact, folder, "onnx_fp32")(images)
    run = open_model(artifact, folder, choose_model(artifact, engine), threads=2)
    for count in (1, 3, 2):
        (found,) = run(images[:count])
        assert found.shape == expected[:count].shape and found.dtype == np.float32
        assert np.abs(found - expected[:count]).max() <= 1e-4 * np.abs(expected).max()
    (kept,) = run(images[:1])
    run(images[1:2])
    assert (
        np.abs(kept - expected[:1]).max() <= 1e-4 * np.abs(expected).max()
    )  # not a view that the next run fills


def test_verify_takes_them_and_int8_keeps_our_ranges(folder):
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 0, result.output
    parity = {each.model: each for each in read_artifact(folder).parity}
    for name in ("openvino_fp32", "mnn_fp32", "ncnn_fp32"):
        assert parity[name].difference <= 1e-4 and parity[name].moved == 0
    for name in ("openvino_int8", "ncnn_int8"):
        assert parity[name].correlation > 0.9 * parity["onnx_int8"].correlation
        assert parity[name].difference > 1e-3  # it is in INT8


@pytest.mark.parametrize("engine", MODULES)
def test_infer_and_eval_take_them(folder, drawn, tmp_path, engine):
    annotations, images = drawn
    picture = next(images.iterdir())
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"file_name": picture.name, "bbox": [20, 20, 200, 250], "category_id": 1}]))
    arguments = ["infer", str(picture), "--pose", str(folder), "--engine", engine, "--boxes", str(boxes)]
    result = CliRunner().invoke(tinypose, [*arguments, "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, (result.output, result.exception)
    model = f"{engine}_fp32"
    data = ["--data", str(annotations), str(images), "--no-flip", "--model", model]
    result = CliRunner().invoke(app, ["eval", str(folder), *data])
    assert result.exit_code == 0, (result.output, result.exception)
    assert [each.model for each in read_artifact(folder).accuracy][-1] == model


def test_the_benchmark_measures_them_in_python_only(folder):
    artifact = read_artifact(folder)
    for runner, expected in (("python", True), ("cpp", False)):
        found = {
            fit.model.name: fit.runs
            for fit in fits(artifact, folder, None, runner)
            if fit.model.engine in MODULES
        }
        assert found and set(found.values()) == {expected}


@pytest.mark.parametrize("engine", ["mnn", "ncnn"])
def test_one_thread_is_one(folder, engine):
    """Waiting threads of an engine take the processor from others, and spoil what is measured."""
    artifact = read_artifact(folder)
    images = np.zeros((1, 3, 96, 64), np.float32)
    before = len(list(Path("/proc/self/task").iterdir()))
    run = open_model(artifact, folder, f"{engine}_fp32", threads=1)
    run(images)
    assert len(list(Path("/proc/self/task").iterdir())) == before


@pytest.mark.slow
def test_bench_measures_them_here(folder, tmp_path):
    """The whole way of `--device local`: a process a visit, outputs compared, a line a model."""
    models = ["openvino_fp32", "openvino_int8", "mnn_fp32", "ncnn_fp32", "ncnn_int8"]
    few = [
        "--rounds",
        "1",
        "--max-rounds",
        "1",
        "--runs",
        "3",
        "--warmup-seconds",
        "0.1",
        "--cool-seconds",
        "0",
    ]
    arguments = [
        str(folder),
        "--device",
        "local",
        "--threads",
        "1",
        "--output",
        str(tmp_path / "r.jsonl"),
        *few,
    ]
    named = [word for name in models for word in ("--model", name)]
    result = CliRunner().invoke(app, ["bench", *arguments, *named])
    assert result.exit_code == 0, (result.output, result.exception)
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    visits = {line["model"]: line for line in lines if line["kind"] == "visit"}
    assert visits.keys() == set(models)
    for name, visit in visits.items():
        assert visit["engine"] == name.split("_")[0] and visit["runner"] == "python"
        assert len(visit["network_ms"]) == 3 and min(visit["network_ms"]) > 0


def test_ncnn_int8_computes_what_the_interpreter_does(int8_graph, int8_scales, pictures, tmp_path):
    """Sums of whole numbers have one right result, depthwise and not; only roundings may fall otherwise."""
    quantised = quantise(int8_graph, int8_scales)
    write_onnx(int8_graph, tmp_path / "model_int8.onnx", quantised)
    files = write_other(tmp_path / "model_int8.onnx", "ncnn", "int8", (1, 3, 32, 24))
    content = files[1].read_bytes()
    assert all(each.weight.tobytes() in content for each in quantised.values())
    described = tuple(record_file(each) for each in files)
    record = ModelRecord(name="n", engine="ncnn", target="any", precision="int8", files=described)
    (found,) = OPENERS["ncnn"](files, record, ["heatmaps"], 1)(pictures)
    (expected,) = Simulation(int8_graph, int8_scales)(pictures)
    (plain,) = run_numpy(int8_graph, pictures)
    assert np.abs(found - expected).mean() < 0.1 * np.abs(plain - expected).mean()


def test_ncnn_int8_of_what_reads_one_pixel(pictures, tmp_path):
    """Such a convolution is a linear layer in ncnn's file, in INT8 as others."""
    rng = np.random.default_rng(0)
    plain = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": False}
    weights = [
        {"weight": rng.standard_normal((o, i, 1, 1)).astype(np.float32), "bias": np.ones(o, np.float32)}
        for o, i in ((8, 3), (4, 8), (8, 4), (5, 8))
    ]
    nodes = [
        Node("conv2d", "first", ["x"], ["a"], plain, weights[0]),
        Node("average_pool", "squeeze", ["a"], ["b"], {"size": [1, 1]}),
        Node("conv2d", "down", ["b"], ["c"], plain | {"relu": True}, weights[1]),
        Node("conv2d", "up", ["c"], ["d"], plain, weights[2]),
        Node("multiply", "weigh", ["a", "d"], ["e"]),
        Node("conv2d", "last", ["e"], ["f"], plain, weights[3]),
    ]
    graph = Graph("x", ["f"], nodes, {})
    graph.shapes = infer_shapes(graph, (1, 3, 32, 24))
    scales = {
        name: ConvScale(2.0, weight_ranges(node))
        for name, node in zip(("down", "up"), nodes[2:4], strict=True)
    }
    write_onnx(graph, tmp_path / "model_int8.onnx", quantise(graph, scales))
    files = write_other(tmp_path / "model_int8.onnx", "ncnn", "int8", (1, 3, 32, 24))
    dense = [line for line in files[0].read_text().splitlines() if line.startswith("InnerProduct")]
    assert len(dense) == 2 and all(line.endswith(" 8=2") for line in dense)
    record = ModelRecord(
        name="n", engine="ncnn", target="any", precision="int8", files=tuple(map(record_file, files))
    )
    (found,) = OPENERS["ncnn"](files, record, ["heatmaps"], 1)(pictures)
    (expected,) = Simulation(graph, scales)(pictures)
    (unrounded,) = run_numpy(graph, pictures)
    assert np.abs(found - expected).mean() < 0.1 * np.abs(unrounded - expected).mean()


def test_ncnn_models_that_ranges_do_not_fit_are_refused(tmp_path):
    param, numbers = tmp_path / "m.param", tmp_path / "m.bin"
    weight = np.arange(8, dtype=np.float32).reshape(2, 4, 1, 1)
    one = Convolution("one", weight, weight.astype(np.int8), np.ones(2, np.float32), 1.0)
    layer = "Convolution conv_0 1 1 in0 out0 0=2 1=1 5=0 6=8"
    data = bytes(4) + weight.tobytes()

    def param_of(layers):
        param.write_text(f"7767517\n2 2\nInput in0 0 1 in0\n{layers}\n")
        return param

    def said(line, content, convolution=one):
        param_of(line)
        numbers.write_bytes(content)
        with pytest.raises(UserError) as error:
            quantise_ncnn(param, numbers, [convolution])
        assert numbers.read_bytes() == content
        return str(error.value)

    assert "are not in its model" in said(layer, data[:-1])
    assert "are twice in its model" in said(layer, data + data)
    assert "0 convolutions where ONNX has 1" in said("ReLU r 1 1 in0 out0", data)
    assert "'conv_0' there is no convolution" in said(layer.replace("6=8", "6=16"), data)
    dense = "InnerProduct fc_0 1 1 in0 mid 0=2 1=0 2=8"
    assert "cannot be told from a convolution" in said(f"{dense}\n{dense}", data)
    assert "'conv_0' there is no convolution" in said(f"{dense}\n{layer}", data)
    quantise_ncnn(param_of(f"{dense.replace('2=8', '2=9')}\n{layer}"), numbers, [one])
    assert param.read_text().splitlines()[-2:] == [dense.replace("2=8", "2=9"), f"{layer} 8=2"]
    assert len(numbers.read_bytes()) == 4 + 8 + 4 * 3  # the sign, the weights, two factors and one
    numbers.write_bytes(data)
    assert "has 2 groups" in said(layer, data, replace(one, groups=2))


@pytest.mark.parametrize("engine", MODULES)
def test_a_missing_engine_is_one_line(folder, engine, monkeypatch, tmp_path):
    monkeypatch.setitem(other_engines.MODULES, engine, "no_such_engine")
    artifact = read_artifact(folder)
    with pytest.raises(UserError, match=rf"engine '{engine}' is not installed; .*edge-pose\[{engine}\]"):
        open_model(artifact, folder, f"{engine}_fp32")
    with pytest.raises(UserError, match="is not installed"):
        check_engines([engine])


def test_an_unknown_engine_and_a_damaged_model_are_one_line(folder, tmp_path):
    import shutil

    with pytest.raises(UserError, match="engine 'tensorrt': expected one of: openvino, mnn, ncnn"):
        check_engines(["tensorrt"])
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "openvino_fp32.xml").write_text("<net")
    artifact = read_artifact(damaged, check_files=False)
    models = [
        m.model_copy(update={"files": tuple(record_file(damaged / f.file) for f in m.files)})
        for m in artifact.models
    ]
    write_artifact(damaged, artifact.model_copy(update={"models": tuple(models)}))
    with pytest.raises(UserError, match="openvino_fp32.xml: the engine cannot load this model"):
        open_model(read_artifact(damaged), damaged, "openvino_fp32")
