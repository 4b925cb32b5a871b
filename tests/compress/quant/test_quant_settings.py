"""INT8 settings without weights: they make the network that was quantised again, and know their own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from compress.graph.ir import Graph, Node
from compress.graph.rewrite import rewrite
from compress.graph.trace import trace
from compress.quant.equalise import apply_factors, factor_classes
from compress.quant.package import write_package
from compress.quant.scales import ConvScale, weight_ranges
from compress.quant.settings import (
    SETTINGS,
    SHIPPED,
    apply_settings,
    read_settings,
    settings_file,
    write_settings,
)
from tinypose.config import load_config
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import load_weights


def small(seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    attrs = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": True}

    def conv(name, read, write, shape):
        params = {"weight": rng.normal(0, 1, shape), "bias": rng.normal(0, 1, shape[0])}
        return Node(
            "conv2d", name, [read], [write], attrs, {k: v.astype(np.float32) for k, v in params.items()}
        )

    nodes = [conv("a", "image", "x", (4, 3, 1, 1)), conv("b", "x", "heatmaps", (5, 4, 1, 1))]
    return Graph(
        "image", ["heatmaps"], nodes, {"image": (1, 3, 8, 8), "x": (1, 4, 8, 8), "heatmaps": (1, 5, 8, 8)}
    )


@pytest.fixture
def written(tmp_path):
    """A network, its factors, the equalised network, and the folder with its settings."""
    graph = small()
    places, count = factor_classes(graph)
    by_class = np.exp(np.random.default_rng(1).normal(0, 1, count)).astype(np.float32)
    by_class[0] = 1
    factors = {name: by_class[channels] for name, channels in places.items()}
    equalised = apply_factors(graph, factors)
    scales = {"b": ConvScale(0.1 + 0.2, weight_ranges(equalised.nodes[1]))}
    accuracy = {"aps": [50.0], "mean": 50.0, "spread": 0.0, "lost_low": 0.0, "lost_high": 0.0}
    accuracy |= {"heatmap_error": 0.01, "sure": None}
    fields = {
        "config": load_config("tinypose_128x96").model_dump(mode="json"),
        "config_file": "tinypose_128x96", "weights": "folder/best.pdparams", "weights_sha256": "0" * 64,
        "rewritten": True, "people": 3, "measured": 2, "target": "sdot", "saved_instructions": 0,
        "fp32_ap": 50.0, "chosen": "equalised", "kept_fp32": [], "errors": {},
        "rungs": [{"name": "equalised", "quantised": 1, "kept": 0, "accuracy": accuracy}],
    }  # fmt: skip
    record = write_package(tmp_path, equalised, scales, fields)
    write_settings(tmp_path, record, graph, factors)
    return graph, equalised, scales, tmp_path / SETTINGS


def test_they_make_the_quantised_network_again_bit_for_bit(written):
    graph, equalised, scales, path = written
    found, ranges = apply_settings(read_settings(path), graph, "settings")
    for one, other in zip(found.nodes, equalised.nodes, strict=True):
        for key, value in one.params.items():
            assert np.array_equal(value, other.params[key])
    assert ranges.keys() == scales.keys() and ranges["b"].input == scales["b"].input
    assert np.array_equal(ranges["b"].weight, scales["b"].weight)
    assert not np.array_equal(found.nodes[0].params["weight"], graph.nodes[0].params["weight"])


def test_rounded_weights_are_the_same_and_others_are_not(written):
    graph, _, _, path = written
    settings = read_settings(path)

    def changed(factor):
        nodes = [
            replace(n, params={k: v * np.float32(factor) for k, v in n.params.items()}) for n in graph.nodes
        ]
        return replace(graph, nodes=nodes)

    apply_settings(settings, changed(1.001), "settings")
    with pytest.raises(UserError, match="settings of other weights .* 2 of 2 convolutions"):
        apply_settings(settings, changed(1.1), "settings")
    renamed = replace(graph, nodes=[replace(graph.nodes[0], name="c"), graph.nodes[1]])
    with pytest.raises(UserError, match="settings of another network"):
        apply_settings(settings, renamed, "settings")


@pytest.mark.parametrize(
    "change",
    [lambda c: c["ranges"].update(b=2.0), lambda c: c.update(target="any"), lambda c: c.pop("sha256")],
)
def test_an_edit_is_caught(written, change):
    path = written[-1]
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="damaged or edited"):
        read_settings(path)


def test_an_unknown_name_is_answered(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="did you mean 'tinypose_256x192_int8'"):
        read_settings("tinypose_256x129_int8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tinypose_256x192_int8").mkdir()  # the user's own folder comes first
    assert settings_file("tinypose_256x192_int8") is None


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_those_that_ship_fit_the_published_weights(shared, path):
    settings = read_settings(path.stem)
    config = load_config(settings.config_file)
    net = build_model(config, 17)
    load_weights(net, shared / "weights" / settings.weights)
    net.eval()
    graph = rewrite(trace(net, (1, 3, config.input.height, config.input.width)))
    _, scales = apply_settings(settings, graph, path.stem)
    assert len(scales) == settings.chosen.quantised > 100
    assert settings.fp32_ap - settings.chosen.accuracy.mean <= 0.5
    assert path.stat().st_size < 300_000
