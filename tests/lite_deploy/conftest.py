"""Small graphs with random weights, made by hand, and one network exported through the command."""

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from compress.graph.ir import Graph, Node
from compress.graph.shapes import infer_shapes
from compress.quant.scales import ConvScale


def conv(name: str, x: str, y: str, inputs: int, outputs: int, kernel: int, rng, **attrs) -> Node:
    """Make a convolution that keeps the size of the picture unless a stride is given."""
    groups = attrs.pop("groups", 1)
    weight = rng.standard_normal((outputs, inputs // groups, kernel, kernel)).astype(np.float32)
    params = {"weight": weight / np.float32(np.sqrt(weight[0].size))}
    if attrs.pop("bias", True):
        params["bias"] = rng.standard_normal(outputs).astype(np.float32)
    defaults = {"stride": [1, 1], "padding": [kernel // 2] * 2, "dilation": [1, 1], "relu": False}
    return Node("conv2d", name, [x], [y], defaults | attrs | {"groups": groups}, params)


def finish(nodes: list[Node], outputs: list[str], shape: tuple[int, ...]) -> Graph:
    """Note the shapes."""
    graph = Graph("x", outputs, nodes, {})
    graph.shapes = infer_shapes(graph, shape)
    return graph


@pytest.fixture
def every_kind() -> Graph:
    """A graph in which each kind of node stands, for pictures of 32 x 24."""
    rng = np.random.default_rng(0)
    affine = {"scale": rng.uniform(0.5, 2, 8), "bias": rng.standard_normal(8)}
    norm = affine | {"mean": rng.standard_normal(8), "variance": rng.uniform(0.5, 2, 8)}
    affine, norm = ({k: v.astype(np.float32) for k, v in each.items()} for each in (affine, norm))
    transposed = {"weight": rng.standard_normal((8, 4, 4, 4)).astype(np.float32) / 8}
    transposed["bias"] = rng.standard_normal(8).astype(np.float32)
    two = {"stride": [2, 2], "padding": [1, 1]}
    nodes = [
        conv("stem", "x", "a", 3, 8, 3, rng, stride=[2, 2], relu=True),
        conv("depthwise", "a", "b", 8, 8, 3, rng, groups=8, bias=False),
        Node("batch_norm", "norm", ["b"], ["c"], {"epsilon": 1e-5}, norm),
        Node("relu", "relu", ["c"], ["d"]),
        Node("scale", "affine", ["d"], ["e"], {}, affine),
        Node("split", "halves", ["e"], ["f", "g"], {"sections": [2, 6]}),
        Node("hard_swish", "swish", ["f"], ["h"]),
        Node("hard_sigmoid", "hard", ["g"], ["i"], {"slope": 0.2, "offset": 0.5}),
        Node("concat", "join", ["h", "i"], ["j"]),
        Node("shuffle", "shuffle", ["j"], ["k"], {"groups": 2}),
        Node("permute", "permute", ["k"], ["l"], {"order": [3, 1, 4, 0, 5, 7, 2, 6]}),
        Node("average_pool", "squeeze", ["l"], ["m"], {"size": [1, 1]}),
        Node("sigmoid", "gate", ["m"], ["n"]),
        Node("multiply", "weigh", ["l", "n"], ["o"]),
        Node("average_pool", "even", ["o"], ["p"], {"size": [4, 3]}),
        Node("resize_nearest", "nearest", ["p"], ["q"], {"size": [16, 12]}),
        Node("add", "residual", ["q", "a"], ["r"], {"relu": True}),
        Node("average_pool", "uneven", ["r"], ["s"], {"size": [5, 5]}),
        Node("resize_bilinear", "bilinear", ["s"], ["t"], {"size": [16, 12], "align_corners": False}),
        Node("resize_bilinear", "aligned", ["s"], ["u"], {"size": [16, 12], "align_corners": True}),
        Node("add", "sum", ["t", "u"], ["v"]),
        Node("max_pool", "max", ["v"], ["w"], two | {"kernel": [3, 3]}),
        Node(
            "conv2d_transpose", "up", ["w"], ["y"], two | {"output_padding": [0, 0], "groups": 2}, transposed
        ),
        conv("dilated", "y", "z", 8, 4, 3, rng, groups=4, padding=[2, 2], dilation=[2, 2]),
    ]
    return finish(nodes, ["z"], (1, 3, 32, 24))


@pytest.fixture
def int8_graph() -> Graph:
    """Convolutions one after another, two that read one tensor, a sum and a concatenation."""
    rng = np.random.default_rng(1)
    nodes = [
        conv("stem", "x", "a", 3, 8, 3, rng, stride=[2, 2], relu=True),
        conv("dw", "a", "b", 8, 8, 3, rng, groups=8),
        conv("pw", "b", "c", 8, 8, 1, rng, relu=True),
        Node("add", "sum", ["c", "a"], ["d"]),
        conv("left", "d", "e", 8, 8, 3, rng, groups=8),
        conv("right", "d", "f", 8, 4, 1, rng),
        conv("float", "e", "g", 8, 4, 1, rng),
        Node("concat", "join", ["f", "g"], ["h"]),
        conv("head", "h", "i", 8, 5, 1, rng),
    ]
    return finish(nodes, ["i"], (1, 3, 32, 24))


@pytest.fixture
def int8_scales(int8_graph) -> dict[str, ConvScale]:
    """Ranges for all its convolutions but `float`."""
    inputs = {"stem": 3.0, "dw": 4.0, "pw": 5.0, "left": 6.0, "right": 6.0, "head": 7.0}
    weights = {node.name: np.abs(node.params["weight"]) for node in int8_graph.convolutions()}
    return {name: ConvScale(limit, weights[name].max(axis=(1, 2, 3))) for name, limit in inputs.items()}


@pytest.fixture
def split_graph() -> Graph:
    """Pieces of channels that are convolved, kept and turned about, for pictures of 32 x 24."""
    rng = np.random.default_rng(3)
    nodes = [
        conv("stem", "x", "a", 3, 8, 3, rng, stride=[2, 2], relu=True),
        Node("split", "halves", ["a"], ["b", "c"], {"sections": [4, 4]}),
        conv("one", "c", "d", 4, 4, 1, rng),
        Node("concat", "join", ["b", "d"], ["e"]),
        Node("split", "quarters", ["e"], ["f", "g"], {"sections": [2, 6]}),
        Node("concat", "turn", ["g", "f"], ["h"]),
        conv("two", "h", "i", 8, 5, 3, rng),
    ]
    return finish(nodes, ["i"], (1, 3, 32, 24))


@pytest.fixture
def deformed_graph() -> Graph:
    """A convolution whose places are computed, for pictures of 32 x 24."""
    rng = np.random.default_rng(4)
    bend = {"weight": rng.normal(0, 0.2, (6, 6, 3, 3)), "bias": rng.normal(0, 1, 6)}
    nodes = [
        conv("stem", "x", "a", 3, 6, 3, rng, stride=[2, 2], relu=True),
        conv("places", "a", "b", 6, 18, 3, rng),
        Node(
            "deform_conv2d",
            "bend",
            ["a", "b"],
            ["c"],
            {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1]},
            {name: value.astype(np.float32) for name, value in bend.items()},
        ),
        Node("relu", "cut", ["c"], ["e"]),
        conv("end", "e", "d", 6, 5, 3, rng),
    ]
    return finish(nodes, ["d"], (1, 3, 32, 24))


@pytest.fixture
def enlarging_graph() -> Graph:
    """Tensors enlarged to twice and four times their height and width, for pictures of 32 x 48."""
    rng = np.random.default_rng(4)
    nodes = [
        conv("stem", "x", "a", 3, 8, 3, rng, stride=[2, 2]),
        Node("resize_nearest", "double", ["a"], ["b"], {"size": [32, 48]}),
        conv("one", "b", "c", 8, 8, 3, rng),
        conv("two", "c", "d", 8, 8, 3, rng, stride=[2, 2]),
        Node("resize_nearest", "fourfold", ["d"], ["e"], {"size": [64, 96]}),
        conv("three", "e", "f", 8, 4, 3, rng),
    ]
    return finish(nodes, ["f"], (1, 3, 32, 48))


@pytest.fixture
def pictures() -> np.ndarray:
    """float32 [2, 3, 32, 24]."""
    return np.random.default_rng(2).standard_normal((2, 3, 32, 24)).astype(np.float32)


@dataclass(frozen=True)
class Exported:
    """What the session's one export was made from, and where it is."""

    folder: Path
    config: Path
    weights: Path
    quant: Path

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.folder, to / "artifact"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Exported:
    """A small LiteHRNet with random weights through `lite-deploy export`, ranges from noise."""
    import paddle

    from compress.graph.rewrite import rewrite
    from compress.graph.run import compute_node, run
    from compress.graph.trace import trace
    from compress.quant.package import write_package
    from compress.quant.scales import weight_ranges
    from lite_deploy.cli import app
    from tinypose.config import CONFIGS, load_config
    from tinypose.files import sha256
    from tinypose.models import build_model
    from tinypose.models.weights import write_params

    folder = tmp_path_factory.mktemp("exported")
    config, weights, quant = folder / "small.yml", folder / "small.pdparams", folder / "quant"
    base = CONFIGS / "naive_lite_hrnet_256x192.yml"
    config.write_text(f"inherits: {base}\ninput: {{width: 64, height: 96}}\nweights: {weights}\n")
    loaded = load_config(config)
    net = build_model(loaded, 17)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 3, 96, 64)).astype(np.float32)
    for value in net.state_dict().values():
        if value.ndim == 4:  # as large as keeps the signal alive through the whole network
            fan_in = np.prod(value.shape[1:])
            value.set_value(rng.normal(0, np.sqrt(2 / fan_in), value.shape).astype(np.float32))
    for layer in net.sublayers():
        layer._momentum = 0.0  # of batch norms: the statistics of the next batch
    net.train()
    net(paddle.to_tensor(noise))
    write_params(weights, {name: value.numpy() for name, value in net.state_dict().items()})
    graph = rewrite(trace(net, (1, 3, 96, 64)))

    largest: dict[str, float] = {}

    def note(node, inputs, params):
        largest[node.name] = float(inputs[0].abs().max())
        return compute_node(node, inputs, params)

    run(graph, noise, compute=note)
    stem = next(graph.convolutions()).name
    scales = {n.name: ConvScale(largest[n.name], weight_ranges(n)) for n in graph.convolutions()}
    scales.pop(stem)
    fields = {"config": loaded.model_dump(mode="json"), "config_file": str(config), "weights": str(weights)}
    fields |= {"weights_sha256": sha256(weights), "rewritten": True, "people": 0, "fp32_ap": 0.0}
    fields |= {"measured": 0, "target": "any", "saved_instructions": None}
    fields |= {"rungs": (), "chosen": "none", "kept_fp32": (stem,), "errors": {}}
    write_package(quant, graph, scales, fields)

    target = folder / "artifact"
    result = CliRunner().invoke(app, ["export", "-c", str(config), "--quant", str(quant), str(target)])
    assert result.exit_code == 0, result.output
    return Exported(target, config, weights, quant)


@pytest.fixture(scope="session")
def lively() -> Callable[[str, Path], list]:
    """A function that makes a small bottom-up network whose signal lives, and says how to export it."""
    import paddle

    from tinypose.config import CONFIGS, load_config
    from tinypose.data.synthetic import draw_set
    from tinypose.models import build_model
    from tinypose.models.weights import write_params

    small = ["model.width=8", "input.width=64", "input.height=64"]

    def make(name: str, folder: Path) -> list:
        """Write weights, and four pictures; return the options that name them."""
        config = load_config(CONFIGS / f"{name}.yml", small)
        net = build_model(config, 17)
        rng = np.random.default_rng(0)
        for value in net.state_dict().values():
            if value.ndim == 4:
                value.set_value(
                    rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape).astype("f4")
                )
        for layer in net.sublayers():
            layer._momentum = 0.0  # of batch norms: the statistics of the next batch
        net.train()
        net(paddle.to_tensor(rng.standard_normal((4, 3, 64, 64)).astype("f4")))
        weights = folder / "weights.pdparams"
        write_params(weights, {key: value.numpy() for key, value in net.state_dict().items()})
        draw_set(folder / "set", images=4, seed=3)
        options = [f"weights={weights}", *small]
        for part in ("train", "val"):
            options += [f"data.{part}.annotations={folder}/set/annotations.json"]
            options += [f"data.{part}.images={folder}/set/images"]
        words = ["-c", CONFIGS / f"{name}.yml"]
        for each in options:
            words += ["-o", each]
        return words

    return make


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> tuple[Path, Path]:
    """Six drawn pictures with annotated people: their annotations, and the folder of pictures."""
    from tinypose.cli import app as tinypose

    folder = tmp_path_factory.mktemp("drawn")
    result = CliRunner().invoke(
        tinypose, ["synth", str(folder / "set"), "--images", "6", "--seed", "3", "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    return folder / "set" / "annotations.json", folder / "set" / "images"


@dataclass(frozen=True)
class WheelRelease:
    """The Paddle-Lite in the paddlelite wheel, laid out as a release."""

    folder: Path  # holds cxx/include and cxx/lib
    python: Path  # a library with the symbols of Python's that the wheel's asks for
    flags: tuple[str, ...]  # for the linker


@pytest.fixture(scope="session")
def wheel_release(tmp_path_factory) -> WheelRelease:
    """The real Paddle-Lite that is inside the paddlelite wheel, to link with.

    The wheel's library is a Python module, so it also wants Python's symbols; none is called, so any will do.
    """
    if missing := [each for each in ("g++", "nm") if shutil.which(each) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which this machine lacks")
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64")
    import paddlelite

    wheel = Path(paddlelite.__file__).parent
    folder = tmp_path_factory.mktemp("wheel")
    include, library = folder / "release" / "cxx" / "include", folder / "release" / "cxx" / "lib"
    include.mkdir(parents=True)
    library.mkdir()
    shutil.copy(Path(__file__).parent / "bench" / "wheel" / "paddle_api.h", include)
    # A release's name, and the wheel's own.
    for name in ("libpaddle_light_api_shared.so", "liblite_pybind.so"):
        (library / name).symlink_to(wheel / "lite.so")
    (library / "libs").symlink_to(wheel / "libs")
    command = ["nm", "-D", "--undefined-only", wheel / "lite.so"]
    listing = subprocess.run(command, capture_output=True, text=True)
    symbols = [line.split()[-1] for line in listing.stdout.splitlines() if re.search(r" U _?Py", line)]
    assert symbols, listing.stderr
    (folder / "python.cc").write_text("".join(f'extern "C" {{ void* {name}[64]; }}\n' for name in symbols))
    stand_in = folder / "libpython_standin.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", stand_in, folder / "python.cc"], check=True, timeout=600)
    flags = (
        "-Wl,--no-as-needed,--allow-shlib-undefined",
        f"-L{folder}",
        "-lpython_standin",
        f"-Wl,-rpath,{library}",
    )
    return WheelRelease(folder / "release", stand_in, flags)
