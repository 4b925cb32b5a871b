"""`compress quant` from the shell: a small run end to end, and mistakes."""

import sys

import numpy as np
import pytest

from compress.cli import main
from compress.quant.package import read_package
from tinypose.config import load_config
from tinypose.data.synthetic import draw_set
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
    net = build_model(config.model, 17)
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
    assert call(monkeypatch, "quant", *small, "--keep-fp32", 3, "--output", tmp_path / "int8") == 0
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
        (["--keep-fp32", "few"], "quant.keep_fp32"),
        (["--keep-fp32", "10000"], "quant.keep_fp32"),
        (["-oquant.rnages=mse"], "did you mean 'ranges'"),
        (["-odata.train.annotations=none.json"], "none.json"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(small, monkeypatch, tmp_path, capsys, words, message):
    assert call(monkeypatch, "quant", *small, *words, "--output", tmp_path / "int8") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "int8").exists()
