"""Graphs written as Paddle programs, against the graph itself and PaddleSlim's own export."""

from dataclasses import replace

import numpy as np
import pytest
from paddle import inference
from paddle.base.proto import framework_pb2 as proto

from compress.graph.ir import Graph, Node
from compress.graph.run import run_numpy
from compress.graph.shapes import infer_shapes
from compress.quant.scales import ConvScale, quantise, quantise_weight
from compress.quant.simulate import Simulation
from lite_deploy.nb.read import read_nb
from lite_deploy.write.lite import is_quantised, run_optimiser
from lite_deploy.write.paddle import build_program, write_program
from tinypose.errors import UserError


def infer(folder, x: np.ndarray, passes: bool = True) -> np.ndarray:
    config = inference.Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
    config.disable_gpu()
    config.disable_glog_info()
    config.switch_ir_optim(passes)
    predictor = inference.create_predictor(config)
    assert predictor.get_input_names() == ["image"]
    assert predictor.get_output_names() == ["heatmaps"]
    handle = predictor.get_input_handle("image")
    handle.reshape(x.shape)
    handle.copy_from_cpu(x)
    predictor.run()
    return predictor.get_output_handle("heatmaps").copy_to_cpu()


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize("fuse_shuffles", [False, True])
def test_every_kind_computes_the_same(every_kind, pictures, tmp_path, passes, fuse_shuffles):
    write_program(every_kind, tmp_path, fuse_shuffles=fuse_shuffles)
    expected = run_numpy(every_kind, pictures)[0]
    difference = np.abs(infer(tmp_path, pictures, passes) - expected).max()
    assert difference <= 1e-5 * np.abs(expected).max()


def test_enlarging_by_copies_computes_the_same(tmp_path):
    nodes = [
        Node("resize_nearest", "double", ["image"], ["double"], {"size": [48, 64]}),
        Node("resize_nearest", "triple", ["image"], ["triple"], {"size": [72, 96]}),
        Node("average_pool", "back", ["triple"], ["back"], {"size": [48, 64]}),
        Node("add", "sum", ["double", "back"], ["sum"], {"relu": False}),
        Node("resize_nearest", "fourfold", ["sum"], ["fourfold"], {"size": [192, 256]}),
    ]
    graph = Graph("image", ["fourfold"], nodes, {"image": (1, 3, 24, 32)})
    graph.shapes = infer_shapes(graph, (1, 3, 24, 32))
    write_program(graph, tmp_path, copy_rows=True)
    kinds = [op.type for op in build_program(graph, copy_rows=True)[0].blocks[0].ops]
    assert kinds.count("concat") == kinds.count("nearest_interp_v2") == 3
    x = np.random.RandomState(0).standard_normal((2, 3, 24, 32)).astype(np.float32)
    assert np.array_equal(infer(tmp_path, x), run_numpy(graph, x)[0])


def test_same_graph_gives_the_same_bytes(every_kind, tmp_path):
    for name in ("a", "b"):
        write_program(every_kind, tmp_path / name)
    for suffix in ("pdmodel", "pdiparams"):
        first, second = ((tmp_path / name / f"model.{suffix}").read_bytes() for name in ("a", "b"))
        assert first == second
        assert len(first) > 1000


def test_nothing_but_what_computes(every_kind):
    desc, params = build_program(every_kind)
    names = {attr.name for op in desc.blocks[0].ops for attr in op.attrs}
    assert not {name for name in names if name.startswith("op_") or "quant" in name or "mkldnn" in name}
    assert max(map(len, params)) <= 2
    assert len({variable.name for variable in desc.blocks[0].vars}) == len(desc.blocks[0].vars)


def test_quantised_program_computes_with_rounded_numbers(int8_graph, int8_scales, pictures, tmp_path):
    write_program(int8_graph, tmp_path, quantise(int8_graph, int8_scales))
    assert is_quantised(tmp_path / "model.pdmodel")
    found = infer(tmp_path, pictures, passes=False)
    expected = Simulation(int8_graph, int8_scales)(pictures)[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    exact = run_numpy(int8_graph, pictures)[0]
    assert 1e-3 < np.abs(found - exact).max() / np.abs(exact).max() < 0.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s | {"nowhere": s["dw"]}, "no convolution 'nowhere'"),
        (lambda s: s | {"dw": ConvScale(4.0, np.ones(3, np.float32))}, "expected 8 float32 weight ranges"),
        (lambda s: s | {"dw": ConvScale(0.0, np.ones(8, np.float32))}, "above 0"),
        (lambda s: s | {"dw": ConvScale(float("nan"), np.ones(8, np.float32))}, "above 0"),
        (lambda s: s | {"left": replace(s["left"], input=5.0)}, "read the same tensor"),
    ],
)
def test_ranges_that_do_not_fit(int8_graph, int8_scales, change, words):
    with pytest.raises(UserError, match=words):
        quantise(int8_graph, change(int8_scales))


def test_transposed_convolutions_stay_in_fp32(every_kind):
    with pytest.raises(UserError, match="only conv2d runs in INT8"):
        quantise(every_kind, {"up": ConvScale(1.0, np.ones(8, np.float32))})


def test_quantised_weights_never_wrap_around():
    weight = np.array([[[[-3.0]], [[1.0]]], [[[0.5]], [[2.0]]]], np.float32)
    found = quantise_weight(weight, np.array([1.0, 2.0], np.float32))
    assert found.dtype == np.int8
    assert found.ravel().tolist() == [-127, 127, 32, 127]


def read_params(folder, stem: str) -> dict[str, np.ndarray]:
    """Read a small `.pdiparams` of float32 and int8, by the names in its `.pdmodel`."""
    desc = proto.ProgramDesc.FromString((folder / f"{stem}.pdmodel").read_bytes())
    names = sorted(v.name for v in desc.blocks[0].vars if v.persistable and v.name not in ("feed", "fetch"))
    data, at, params = (folder / f"{stem}.pdiparams").read_bytes(), 0, {}
    for name in names:
        size = int.from_bytes(data[at + 16 : at + 20], "little")
        tensor = proto.VarType.TensorDesc.FromString(data[at + 20 : at + 20 + size])
        dtype = {proto.VarType.FP32: np.float32, proto.VarType.INT8: np.int8}[tensor.data_type]
        count = int(np.prod(tensor.dims))
        params[name] = np.frombuffer(data, dtype, count, at + 20 + size).reshape(tensor.dims)
        at += 20 + size + params[name].nbytes
    assert at == len(data)
    return params


def test_same_instructions_as_paddleslim(tmp_path):
    """One net through PaddleSlim's QAT export and through ours: the same INT8 kernels, scales and weights."""
    import paddle
    from paddle import nn
    from paddleslim import QAT

    from compress.graph.trace import trace

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2D(3, 8, 3, stride=2, padding=1, bias_attr=False)
            self.norm = nn.BatchNorm2D(8)
            self.dw = nn.Conv2D(8, 8, 3, padding=1, groups=8, bias_attr=False)
            self.pw = nn.Conv2D(8, 8, 1, bias_attr=False)
            self.norm2 = nn.BatchNorm2D(8)
            self.head = nn.Conv2D(8, 4, 1, bias_attr=False)
            self.head.skip_quant = True

        def forward(self, x):
            x = nn.functional.relu(self.norm(self.stem(x)))
            y = nn.functional.relu(self.norm2(self.pw(self.dw(x))))
            return self.head(x + y)

    paddle.seed(0)
    net = Net()
    net.eval()
    graph = trace(net, (1, 3, 32, 24))
    config = {
        "weight_quantize_type": "channel_wise_abs_max",
        "activation_quantize_type": "moving_average_abs_max",
        "quantizable_layer_type": ["Conv2D"],
        "onnx_format": False,
    }
    qat = QAT(config=config)
    qat.quantize(net)
    net.train()
    for layer in (net.norm, net.norm2):
        layer.eval()
    with paddle.no_grad():
        for _ in range(3):
            net(paddle.randn([2, 3, 32, 24]))
    net.eval()
    spec = [paddle.static.InputSpec([1, 3, 32, 24], name="image")]
    qat.save_quantized_model(net, str(tmp_path / "slim"), input_spec=spec)

    # Our ranges are theirs: the stored abs-max of each convolution's input, and of its weight's channels.
    theirs = read_params(tmp_path, "slim")
    desc = proto.ProgramDesc.FromString((tmp_path / "slim.pdmodel").read_bytes())
    casts = [op for op in desc.blocks[0].ops if op.type == "fake_quantize_dequantize_moving_average_abs_max"]
    inputs = [theirs[slot.arguments[0]] for op in casts for slot in op.inputs if slot.parameter == "InScale"]
    scales = {}
    for node, limit in zip((n for n in graph.convolutions() if n.name != "head"), inputs, strict=True):
        limits = np.abs(node.params["weight"]).max(axis=(1, 2, 3))
        scales[node.name] = ConvScale(float(limit[0]), limits)
    write_program(graph, tmp_path / "ours", quantise(graph, scales))

    run_optimiser(tmp_path / "slim.pdmodel", tmp_path / "slim.pdiparams", tmp_path / "slim.nb", "arm")
    ours = tmp_path / "ours"
    run_optimiser(ours / "model.pdmodel", ours / "model.pdiparams", ours / "model.nb", "arm")
    expected, found = read_nb(tmp_path / "slim.nb"), read_nb(ours / "model.nb")
    assert [(op.type, op.kernel, op.precision) for op in found.operators] == [
        (op.type, op.kernel, op.precision) for op in expected.operators
    ]
    assert "int8_out" in {op.kernel for op in found.operators}
    for a, b in zip(expected.operators, found.operators, strict=True):
        assert a.attrs.get("scale") == b.attrs.get("scale")
        if "conv2d" in a.type:
            for name in ("Input0_scale", "Filter0_scale", "Output0_scale", "enable_int8", "act_type"):
                assert (name in a.attrs) == (name in b.attrs)
                if name.endswith("_scale"):
                    np.testing.assert_allclose(a.get(name, []), b.get(name, []), rtol=1e-6)
            np.testing.assert_array_equal(
                expected.params[a.inputs["Filter"][0]], found.params[b.inputs["Filter"][0]]
            )
            if "Bias" in a.inputs:
                np.testing.assert_allclose(
                    expected.params[a.inputs["Bias"][0]], found.params[b.inputs["Bias"][0]], rtol=1e-6
                )
