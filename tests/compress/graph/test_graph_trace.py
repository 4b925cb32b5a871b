"""Tracing a layer, running the graph, making a layer of it and keeping it in a file."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from compress.graph.ir import Graph, Node
from compress.graph.layer import GraphNet
from compress.graph.run import compute_node, live, prepare, run, run_numpy
from compress.graph.shapes import check
from compress.graph.store import load, save
from compress.graph.trace import trace
from tinypose.errors import UserError


class Everything(nn.Layer):
    """Uses each operator that graphs have."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 8, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU())
        self.dw = nn.Conv2D(8, 8, 3, 1, 1, groups=8)
        self.pw = nn.Conv2D(4, 4, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.deconv = nn.Conv2DTranspose(8, 6, 4, 2, 1)
        self.drop = nn.Dropout(0.3)

    def forward(self, image):
        x = self.stem(image)
        kept, moved = paddle.split(x, 2, axis=1)
        x = paddle.concat([kept, self.drop(self.pw(moved))], axis=1)
        n, c, h, w = x.shape
        x = x.reshape([n, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([n, c, h, w])
        y = self.dw(x)
        y = F.sigmoid(F.adaptive_avg_pool2d(y, 1)) * y
        small = F.adaptive_avg_pool2d(y, [h // 2, w // 2])
        z = F.interpolate(small, size=y.shape[-2:], mode="nearest")
        z = z + F.interpolate(F.max_pool2d(y, 3, 2, 1), size=[h, w], mode="bilinear", align_corners=True)
        z = F.interpolate(small, size=[h, w], mode="bilinear") + self.dw(z)
        mean = paddle.mean(z, axis=[2, 3], keepdim=True)
        z = F.hardsigmoid(z) * F.hardswish(y) + (mean * 2 + 0.5)
        parts = paddle.split(z, [2, -1, 5], axis=1)
        z = paddle.concat(parts[::-1], axis=1)
        return self.deconv(self.up(z)), z


@pytest.fixture(scope="module")
def net():
    paddle.seed(0)
    net = Everything()
    statistics = net.stem[1]
    statistics._mean.set_value(paddle.randn([8]) * 0.1)
    statistics._variance.set_value(paddle.rand([8]) + 0.5)
    return net


@pytest.fixture(scope="module")
def graph(net):
    return trace(net, (1, 3, 32, 24))


@pytest.fixture
def image():
    return np.random.RandomState(0).standard_normal((2, 3, 32, 24)).astype(np.float32)


def expected(net, image):
    net.eval()
    with paddle.no_grad():
        return [result.numpy() for result in net(paddle.to_tensor(image))]


def test_the_graph_computes_what_the_layer_computes_at_any_batch_size(net, graph, image):
    check(graph)
    for result, reference in zip(run_numpy(graph, image), expected(net, image), strict=True):
        assert np.abs(result - reference).max() <= 1e-5 * np.abs(reference).max()


def test_layers_keep_their_checkpoint_names_and_dropout_is_gone(graph):
    names = {node.name for node in graph.nodes if node.params}
    assert {"stem.0", "stem.1", "dw", "dw@2", "pw", "deconv"} <= names
    kinds = {node.kind for node in graph.nodes}
    assert "dropout" not in kinds and "shuffle" in kinds
    assert graph.producers()["pw"].params["bias"].shape == (4,)


def test_tracing_leaves_the_layer_as_it_was(net, graph, image):
    net.train()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    trace(net, (1, 3, 32, 24))
    assert net.training and net.stem.training
    assert all(np.array_equal(before[name], value.numpy()) for name, value in net.state_dict().items())


def test_an_unknown_operator_is_named():
    class Strange(nn.Layer):
        def forward(self, image):
            return paddle.cumsum(image, axis=1)

    with pytest.raises(NotImplementedError, match="pd_op.cumsum"):
        trace(Strange(), (1, 3, 8, 8))


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: F.avg_pool2d(x, 3, 1, 1),
        lambda x: paddle.mean(x, axis=[0, 1], keepdim=True),
        lambda x: x.transpose([1, 0, 2, 3]),
        lambda x: x.reshape([6, 64]),
        lambda x: paddle.concat([x, x], axis=0),
        lambda x: x[0],
        lambda x: x * paddle.to_tensor(np.arange(64, dtype=np.float32).reshape(8, 8)),
        lambda x: paddle.maximum(x, x * 2),
        lambda x: x**x,
    ],
)
def test_what_a_graph_cannot_say_is_refused(forward):
    class Strange(nn.Layer):
        def forward(self, image):
            return forward(image)

    with pytest.raises(NotImplementedError):
        trace(Strange(), (1, 6, 8, 8))


def test_a_run_can_start_from_stored_tensors_at_every_node(graph, image):
    params = prepare(graph)
    with paddle.no_grad():
        whole = run(graph, image, params=params)
        for index in range(len(graph.nodes) + 1):
            tensors = run(graph, image, params=params, stop=index)
            assert set(tensors) == live(graph, index)
            rest = run(graph, tensors, params=params, start=index)
            assert all(np.array_equal(rest[name].numpy(), whole[name].numpy()) for name in graph.outputs)


def test_kept_tensors_come_back_and_others_are_freed(graph, image):
    result = run(graph, image, keep=["pw", "stem.0"])
    assert set(result) == {"pw", "stem.0", *graph.outputs}


def test_hooks_see_nodes_and_replace_what_they_compute(graph, image):
    seen = []

    def compute(node, inputs, params):
        seen.append(node.name)
        return compute_node(node, [inputs[0] * 0] if node.name == "pw" else inputs, params)

    def after(node, outputs):
        return [outputs[0] + 1] if node.name == "pw" else None

    result = run(graph, image, keep=["pw"], compute=compute, after=after)
    bias = graph.producers()["pw"].params["bias"]
    assert np.allclose(result["pw"].numpy(), 1 + bias.reshape(1, -1, 1, 1), atol=1e-6)
    assert seen == [node.name for node in graph.nodes]


def test_graph_net_trains_and_gives_its_values_back(graph, image):
    layer = GraphNet(graph)
    names = dict(layer.named_parameters())
    assert {"nodes.dw.weight", "nodes.dw@2.bias", "nodes.stem.1.scale"} <= set(names)
    assert "nodes.stem.1.mean" in layer.state_dict() and "nodes.stem.1.mean" not in names
    first, second = layer(paddle.to_tensor(image))
    reference = run_numpy(graph, image)
    assert np.array_equal(first.numpy(), reference[0])
    (first.square().mean() + second.square().mean()).backward()
    missing = [name for name, parameter in names.items() if parameter.grad is None]
    assert not missing
    paddle.optimizer.SGD(0.1, parameters=layer.parameters()).step()
    moved = layer.to_graph()
    check(moved)
    assert not np.array_equal(
        moved.producers()["pw"].params["weight"], graph.producers()["pw"].params["weight"]
    )
    assert np.array_equal(run_numpy(moved, image)[0], layer(paddle.to_tensor(image))[0].numpy())


def test_a_saved_graph_comes_back_whole_and_twice_the_same_bytes(graph, image, tmp_path):
    save(graph, tmp_path / "one.npz")
    save(graph, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = load(tmp_path / "one.npz")
    assert again.shapes == graph.shapes and again.outputs == graph.outputs
    for node, other in zip(graph.nodes, again.nodes, strict=True):
        assert (node.kind, node.name, node.inputs, node.outputs) == (
            other.kind,
            other.name,
            other.inputs,
            other.outputs,
        )
        assert node.attrs == other.attrs
        assert all(np.array_equal(node.params[key], other.params[key]) for key in node.params | other.params)


def test_damaged_graph_files_are_user_errors(graph, tmp_path):
    path = tmp_path / "graph.npz"
    with pytest.raises(UserError, match="no such graph file"):
        load(path)
    path.write_bytes(b"not a graph")
    with pytest.raises(UserError, match="not a readable graph"):
        load(path)
    save(graph, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError):
        load(path)
    np.savez(path, **{"/graph": np.array([{"evil": 1}], dtype=object)})
    with pytest.raises(UserError):
        load(path)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("relu", "a", ["nowhere"], ["a"])], "nothing before it writes"),
        ([Node("relu", "a", ["image"], ["a"]), Node("relu", "b", ["image"], ["a"])], "written already"),
        ([Node("split", "a", ["image"], ["a", "b"], {"sections": [2, 2]})], "does not fit"),
        ([Node("dance", "a", ["image"], ["a"])], "which graphs do not have"),
        ([Node("concat", "a", ["image", "image"], ["a"]), Node("relu", "a", ["a"], ["b"])], "two nodes"),
        ([Node("resize_nearest", "a", ["image"], ["a"])], "malformed"),
    ],
)
def test_unsound_graphs_are_found(nodes, message):
    with pytest.raises(ValueError, match=message):
        check(Graph("image", ["a"], nodes, {"image": (1, 3, 8, 8), "a": (1, 3, 8, 8), "b": (1, 3, 8, 8)}))
