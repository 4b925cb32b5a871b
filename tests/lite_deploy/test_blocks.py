"""Blocks of the networks that pose estimation is done with, from a Paddle layer to every format."""

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import paddle
import paddle.nn.functional as F
import pytest
from paddle import inference, nn

from compress.graph.cost import graph_cost, kinds
from compress.graph.rewrite import rewrite
from compress.graph.run import run_numpy
from compress.graph.trace import trace
from lite_deploy.nb.estimate import estimate
from lite_deploy.nb.interpret import interpreter
from lite_deploy.nb.read import read_nb
from lite_deploy.write.lite import optimise
from lite_deploy.write.onnx import write_onnx
from lite_deploy.write.paddle import write_program
from tinypose.detection.dla import IDAUp
from tinypose.models.cspnext import SPP, CSPLayer
from tinypose.models.deformable import AdaptiveBlock, TransformerBlock
from tinypose.models.rtmcc import RTMCCHead


class Gated(nn.Layer):
    """RTMPose's end: channel attention, a pyramid of pools, joints as tokens with gated attention."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 16, 3, 4, 1)
        self.csp, self.spp = CSPLayer(16, 1, True), SPP(16)
        self.head = RTMCCHead(16, 5, (6, 8), (48, 64), features=32)

    def forward(self, image):
        return self.head(self.spp(self.csp(self.stem(image))))


class Adaptive(nn.Layer):
    """Convolutions that sample where matrices say, of one dilation and of two, and slices between."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(3, 16, 3, 4, 1)
        self.block, self.branches = AdaptiveBlock(8), TransformerBlock(8, (1, 2))

    def forward(self, image):
        x = F.relu(self.stem(image))
        first, second = self.branches(x[:, 8:])
        return self.block(x[:, :8]) + first, second


class Aggregated(nn.Layer):
    """FairMOT's neck: deformable convolutions with masks, a transposed one a channel; vectors of length 1."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2D(3, 8, 3, 4, 1), nn.Conv2D(8, 16, 3, 2, 1)
        self.up = IDAUp([8, 16], 8, [1, 2])

    def forward(self, image):
        fine = F.relu(self.fine(image))
        levels = [fine, F.relu(self.coarse(fine))]
        self.up(levels)
        return F.normalize(levels[-1], axis=1)


class Norms(nn.Layer):
    """Means, norms and softmax over several axes, parts, and a gate of two dimensions."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2D(3, 8, 3, 4, 1), nn.LayerNorm(48)
        self.mix = nn.Linear(48, 20)
        self.gate = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 8), nn.Sigmoid())

    def forward(self, image):
        x = self.stem(image)
        x = x * self.gate(x.mean([2, 3])).unsqueeze([-1, -2])
        tokens = self.norm(x.flatten(2))
        spread = F.softmax(self.mix(tokens), axis=-1) - tokens.mean(axis=[1, 2], keepdim=True) / 3
        top, below = paddle.split(x, [3, 5], axis=2)
        joined = paddle.concat([F.silu(below), top.clip(-0.5, 1)], axis=2)
        return (
            spread,
            F.relu(joined[:, :, 2:7, 1:]).square(),
            1 / (1 + paddle.sum(x * x, axis=1, keepdim=True)),
        )


@pytest.fixture(params=[Gated, Adaptive, Aggregated, Norms], ids=lambda each: each.__name__.lower())
def net(request):
    paddle.seed(0)
    net = request.param()
    random = np.random.default_rng(0)
    for name, value in net.state_dict().items():
        if name.endswith("_variance"):
            numbers = random.uniform(0.5, 1.5, value.shape)
        elif value.ndim > 1:  # as large as keeps the signal alive
            numbers = random.normal(0, (1.6 / np.prod(value.shape[1:])) ** 0.5, value.shape)
        else:
            numbers = random.normal(0, 0.1, value.shape) + (0 if name.endswith(("bias", "_mean")) else 1)
        value.set_value(numbers.astype(np.float32))
    net.eval()
    return net


IMAGE = np.random.default_rng(1).standard_normal((1, 3, 32, 24)).astype(np.float32)


def close(expected: list[np.ndarray], found: list[np.ndarray], limit: float = 1e-5) -> None:
    assert [each.shape for each in found] == [each.shape for each in expected]
    for one, other in zip(expected, found, strict=True):
        assert np.abs(one - other).max() <= limit * np.abs(one).max()


def predict(folder) -> list[np.ndarray]:
    config = inference.Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
    config.disable_gpu()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    predictor.get_input_handle("image").copy_from_cpu(IMAGE)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


# Paddle-Lite in a process of its own: it ends the process on what it cannot run.
RUN_LITE = """
import json, sys
import numpy as np
from paddlelite.lite import MobileConfig, create_paddle_predictor
config = MobileConfig()
config.set_model_from_file(sys.argv[1])
predictor = create_paddle_predictor(config)
predictor.get_input(0).from_numpy(np.load(sys.argv[2]))
predictor.run()
count = len(predictor.get_output_names())
print(json.dumps([predictor.get_output(i).numpy().tolist() for i in range(count)]))
"""


def run_lite(path, folder) -> list[np.ndarray]:
    np.save(folder / "image.npy", IMAGE)
    command = [sys.executable, "-c", RUN_LITE, str(path), str(folder / "image.npy")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [np.asarray(each, np.float32) for each in json.loads(run.stdout.splitlines()[-1])]


@pytest.mark.parametrize("rewritten", [False, True], ids=["traced", "rewritten"])
def test_a_block_computes_the_same_in_every_format(net, rewritten, tmp_path):
    with paddle.no_grad():
        outputs = net(paddle.to_tensor(IMAGE))
    expected = [each.numpy() for each in (outputs if isinstance(outputs, tuple) else [outputs])]
    graph = trace(net, IMAGE.shape)
    close(expected, run_numpy(graph, IMAGE))
    if rewritten:
        before, graph = kinds(graph), rewrite(graph)
        assert kinds(graph).total() < before.total()
        close(expected, run_numpy(graph, IMAGE))
    write_program(graph, tmp_path, fuse_shuffles=rewritten, copy_rows=rewritten)
    close(expected, predict(tmp_path))
    write_onnx(graph, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    close(expected, session.run(None, {"image": IMAGE}))
    program = tmp_path / "model.pdmodel", tmp_path / "model.pdiparams"
    optimise(*program, tmp_path / "x86.nb", "x86", "fp32")
    close(expected, run_lite(tmp_path / "x86.nb", tmp_path))
    optimise(*program, tmp_path / "arm.nb", "arm", "fp32")
    model = read_nb(tmp_path / "arm.nb")
    close(expected, interpreter(model)(IMAGE))
    optimise(*program, tmp_path / "arm16.nb", "arm", "fp16")
    half = read_nb(tmp_path / "arm16.nb")
    close(expected, interpreter(half)(IMAGE), limit=0.05)
    # One model of costs: what the optimiser fuses is all that the file has less than the graph.
    size = IMAGE.shape[2:]
    assert 0.7 < estimate(model, size) / graph_cost(graph).instructions < 1.2
    assert estimate(half, size) > 0


def test_pyramids_are_chains_and_masks_of_ones_go(tmp_path):
    paddle.seed(0)
    pyramid, adaptive = rewrite(trace(Gated(), IMAGE.shape)), rewrite(trace(Adaptive(), IMAGE.shape))
    pools = [node for node in pyramid.nodes if node.kind == "max_pool"]
    assert {tuple(node.attrs["kernel"]) for node in pools} == {(3, 3)}
    assert [node.inputs[0] for node in pools[1:]] == [node.outputs[0] for node in pools[:-1]]
    assert {len(node.inputs) for node in adaptive.nodes if node.kind == "deform_conv2d"} == {2}
    assert not {"scale", "slice"} & set(kinds(adaptive))
    assert kinds(pyramid)["transpose"] == 0  # read turned about by the product
    write_program(adaptive, tmp_path)
    assert b"deformable_conv_v1" not in (tmp_path / "model.pdmodel").read_bytes()
