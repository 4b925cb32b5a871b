"""`compress quant` from the shell: a small run end to end, and mistakes."""

import sys

import numpy as np
import pytest

from compress.cli import main
from compress.quant.climb import SENSITIVITY_PEOPLE, calibrated, equalised, in_int8, some_batches
from compress.quant.data import batches_of
from compress.quant.gains import noise_gains
from compress.quant.observe import channel_statistics
from compress.quant.package import read_package
from compress.quant.simulate import Simulation
from compress.quant.task import read_task
from tinypose.config import load_config
from tinypose.data.synthetic import draw_set
from tinypose.files import read_json
from tinypose.models import build_model
from tinypose.models.weights import write_params


def call(monkeypatch, *words) -> int:
    """Run `compress` with these words; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["compress", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Options for a small network with random weights on a few drawn people."""
    folder = tmp_path_factory.mktemp("quant")
    draw_set(folder / "set", images=4, seed=3)
    size = ["model.variant=naive", "input.width=64", "input.height=64"]
    config = load_config("configs/tinypose_128x96.yml", size)
    net = build_model(config, 17)
    rng = np.random.default_rng(0)
    params = {key: value.numpy() for key, value in net.state_dict().items()}
    for key, value in params.items():  # as they start, they are too small to make heatmaps of
        if value.ndim == 4:
            params[key] = rng.normal(0, 1.4 / np.sqrt(value[0].size), value.shape).astype(np.float32)
    write_params(folder / "weights.pdparams", params)
    words = ["-c", "configs/tinypose_128x96.yml", f"-oweights={folder}/weights.pdparams"]
    words += [f"-o{each}" for each in size]
    for part in ("train", "val"):
        words += [f"-odata.{part}.annotations={folder}/set/annotations.json"]
        words += [f"-odata.{part}.images={folder}/set/images"]
    return words


def test_a_number_to_keep_is_kept(small, monkeypatch, tmp_path, capsys):
    assert (
        call(monkeypatch, "quant", *small, "--for", "any", "--keep-fp32", 3, "--output", tmp_path / "int8")
        == 0
    )
    graph, scales, record = read_package(tmp_path / "int8")
    convolutions = {node.name for node in graph.convolutions()}
    assert len(record.kept_fp32) == 3 and set(scales) == convolutions - set(record.kept_fp32)
    worst = sorted(record.errors, key=record.errors.get, reverse=True)[:3]
    assert set(record.kept_fp32) == set(worst)
    printed = capsys.readouterr().out
    assert "3 left in FP32" in printed and record.kept_fp32[0] in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-oweights=missing.pdparams"], "missing.pdparams"),
        (["--keep-fp32", "few"], "--keep-fp32 few"),
        (["--keep-fp32", "10000"], "quant.keep_fp32"),
        (["-oquant.rnages=mse"], "did you mean 'ranges'"),
        (["-odata.train.annotations=none.json"], "none.json"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(small, monkeypatch, tmp_path, capsys, words, message):
    assert call(monkeypatch, "quant", *small, *words, "--output", tmp_path / "int8") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "int8").exists()


def test_the_same_command_writes_the_same_bytes(small, monkeypatch, tmp_path):
    for name in ("one", "two"):
        assert call(monkeypatch, "quant", *small, "--keep-fp32", 2, "--output", tmp_path / name) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"graph.npz", "quant.json", "sensitivity.json", "sensitivity.png"} <= set(names)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name

    # For cores with sdot, unless told otherwise: nothing by channel, nor what reads the picture, is in INT8.
    graph, scales, record = read_package(tmp_path / "one")
    chosen = [node for node in graph.nodes if node.name in scales]
    assert chosen and not any(node.attrs["groups"] > 1 or graph.input in node.inputs for node in chosen)
    assert record.target == "sdot" and record.saved_instructions > 0
    accuracy = record.rungs[-1].accuracy
    assert len(accuracy.aps) >= 3 and accuracy.lost_low <= accuracy.lost_high and accuracy.heatmap_error > 0
    assert accuracy.mean == pytest.approx(np.mean(accuracy.aps))


def test_sensitivity_by_ap_is_what_each_convolution_loses_alone(small, monkeypatch, tmp_path, capsys):
    words = [*small, "--by", "ap", "--output", tmp_path]
    assert call(monkeypatch, "sensitivity", *words) == 0
    assert "AP lost" in capsys.readouterr().out
    content = read_json(tmp_path / "sensitivity.json")
    layers = content["convolutions"]
    assert [each["ap"] for each in layers] == sorted(each["ap"] for each in layers)
    assert (tmp_path / "sensitivity.png").read_bytes().startswith(b"\x89PNG")

    task = read_task(load_config(small[1], [each[2:] for each in small[2:]]), "config")
    statistics = channel_statistics(task.graph, batches_of(task.crops, task.config))
    gains = noise_gains(task.graph, some_batches(task, SENSITIVITY_PEOPLE))
    gains = {name: gains[name] for name in in_int8(task)}
    found = equalised(task.graph, statistics, gains)
    scales = calibrated(task, *found)
    for name in (layers[0]["name"], layers[-1]["name"]):
        alone = task.measure.of(Simulation(found[0], {name: scales[name]}))
        assert alone == pytest.approx(next(each["ap"] for each in layers if each["name"] == name), abs=1e-3)
    assert task.measure.of(Simulation(found[0], {})) == content["fp32_ap"]
