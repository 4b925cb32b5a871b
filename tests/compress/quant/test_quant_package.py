"""The folder between `compress quant` and `lite-deploy export`: round trip, damage."""

import json

import numpy as np
import pytest

from compress.graph.ir import Graph, Node
from compress.graph.run import run_numpy
from compress.quant.package import read_package, write_package
from compress.quant.scales import ConvScale, weight_ranges
from tinypose.config import load_config
from tinypose.errors import UserError


@pytest.fixture
def package(tmp_path):
    rng = np.random.default_rng(0)
    attrs = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": True}
    nodes = [
        Node("conv2d", name, [read], [write], attrs, {"weight": rng.normal(0, 1, shape).astype(np.float32)})
        for name, read, write, shape in (
            ("a", "image", "x", (4, 3, 1, 1)),
            ("b", "x", "heatmaps", (5, 4, 1, 1)),
        )
    ]
    shapes = {"image": (1, 3, 8, 8), "x": (1, 4, 8, 8), "heatmaps": (1, 5, 8, 8)}
    graph = Graph("image", ["heatmaps"], nodes, shapes)
    scales = {"a": ConvScale(0.1 + 0.2, weight_ranges(nodes[0]))}
    measured = {"aps": [49.5, 50.0], "mean": 49.75, "spread": 0.35, "lost_low": -0.5, "lost_high": 1.0}
    measured |= {"heatmap_error": 0.01, "sure": 0.6}
    fields = {
        "config": load_config("configs/tinypose_128x96.yml").model_dump(mode="json"),
        "config_file": "configs/tinypose_128x96.yml",
        "weights": "best.pdparams",
        "weights_sha256": "0" * 64,
        "rewritten": True,
        "people": 3,
        "measured": 2,
        "target": "sdot",
        "saved_instructions": 1000,
        "fp32_ap": 50.0,
        "rungs": [{"name": "mse ranges", "quantised": 1, "kept": 1, "accuracy": measured}],
        "chosen": "mse ranges",
        "kept_fp32": ["b"],
        "errors": {"b": 0.1, "a": 0.01},
    }
    write_package(tmp_path / "int8", graph, scales, fields)
    return tmp_path / "int8", graph, scales


def test_what_is_read_is_what_was_written(package):
    folder, graph, scales = package
    found, ranges, record = read_package(folder)
    x = np.random.default_rng(1).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(run_numpy(found, x)[0], run_numpy(graph, x)[0])
    assert ranges["a"].input == scales["a"].input
    assert np.array_equal(ranges["a"].weight, scales["a"].weight) and set(ranges) == {"a"}
    assert record.kept_fp32 == ("b",) and record.loaded_config().input.width == 96


def test_the_same_network_gives_the_same_bytes(package, tmp_path):
    folder, graph, scales = package
    _, _, record = read_package(folder)
    fields = record.model_dump(exclude={"format", "version", "graph_sha256", "scales"})
    write_package(tmp_path / "again", graph, scales, fields)
    for name in ("graph.npz", "quant.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_network_of_another_package_is_caught(package):
    folder, graph, _ = package
    from compress.graph.store import save

    graph.nodes[0].params["weight"] += 0.01
    save(graph, folder / "graph.npz")
    with pytest.raises(UserError, match="damaged or edited"):
        read_package(folder)


def edit(folder, change):
    content = json.loads((folder / "quant.json").read_text())
    change(content)
    (folder / "quant.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["scales"].update(c=c["scales"]["a"]), "no convolution 'c'"),
        (lambda c: c["scales"]["a"].update(input=-1.0), "above 0"),
        (lambda c: c["scales"]["a"].update(input=float("nan")), "above 0"),
        (lambda c: c["scales"]["a"]["weight"].pop(), "expected 4 float32 weight ranges"),
        (lambda c: c.update(version=1), "version"),
        (lambda c: c.update(extra=1), "unknown key 'extra'"),
        (lambda c: c.pop("scales"), "scales"),
    ],
)
def test_edited_ranges_are_caught(package, change, message):
    folder, _, _ = package
    edit(folder, change)
    with pytest.raises(UserError, match=message):
        read_package(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["scales"]["a"].update(input=92.64),
        lambda c: c["scales"].pop("a"),
        lambda c: c["config"].update(skeleton="mpii16"),
        lambda c: c.pop("sha256"),
    ],
)
def test_edits_that_could_be_true_are_caught_too(package, change):
    folder, _, _ = package
    edit(folder, change)
    with pytest.raises(UserError, match="quant.json: damaged or edited"):
        read_package(folder)


def test_a_folder_without_a_package_says_so(tmp_path):
    with pytest.raises(UserError, match="compress quant"):
        read_package(tmp_path)
