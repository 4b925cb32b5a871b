"""ncnn models in INT8 with this project's ranges.

ncnn computes INT8 convolutions as ARM's kernels here do: one range for a tensor that is read, one for the
weights of an output channel, both symmetric with 127 steps, sums in whole numbers, results in FP32.
`ncnn2int8`, its own tool that puts ranges into a model, is in no wheel; so the files are changed as ncnn's
developer guide describes them ("param and model file structure"). A convolution's line in the `.param` gets a
parameter `8=`. In the `.bin`, which holds the layers' numbers in the order of those lines, its weights become
whole numbers; behind them and the biases come a factor for each output channel, and one for what is read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from tinypose.errors import UserError

INT8 = (0x000D4B38).to_bytes(4, "little")  # before weights that are whole numbers
FP32 = bytes(4)  # before weights that are not
REFUSED = "no INT8 of this network; leave out --engine ncnn, or --quant"


@dataclass(frozen=True)
class Convolution:
    """A convolution of an ONNX file.

    Attributes:
        name: its name.
        weight: float32 [O, I / groups, kH, kW].
        integers: int8, the weights in units of `steps`; None: it stays in FP32.
        steps: float32 [O], of the weights.
        step: of what it reads.
        groups: into how many it is parted.
    """

    name: str
    weight: np.ndarray
    integers: np.ndarray | None = None
    steps: np.ndarray | None = None
    step: float = 0.0
    groups: int = 1


def write_float(source: Path, target: Path) -> list[Convolution]:
    """Write an ONNX file of this project without its roundings; return its convolutions and their ranges.

    Args:
        source: FP32, or INT8 with `QuantizeLinear` and its inverse (`lite_deploy.write.onnx`).
        target: the same in FP32, with the weights that the whole numbers stand for.
    """
    model = onnx.load(source)
    graph = model.graph
    params = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    integers: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # by the name of what they stand for
    read: dict[str, tuple[str, float]] = {}  # a rounded tensor -> the tensor, and its step
    kept, found = [], []
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            read[node.output[0]] = node.input[0], float(params[node.input[1]])
        elif node.op_type == "DequantizeLinear" and node.input[0] in read:
            read[node.output[0]] = read[node.input[0]]
        elif node.op_type == "DequantizeLinear":
            whole, steps = params[node.input[0]], params[node.input[1]]
            integers[node.output[0]] = whole, steps
            params[node.output[0]] = whole.astype(np.float32) * steps.reshape(-1, *[1] * (whole.ndim - 1))
        else:
            kept.append(node)
            if node.op_type == "Conv":
                found.append(_convolution(node, params, integers, read))
            for place, name in enumerate(node.input):
                node.input[place] = read.get(name, (name,))[0]
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(params[name], name) for name in params if name in used)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return found


def _convolution(node: onnx.NodeProto, params: dict, integers: dict, read: dict) -> Convolution:
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    plain = Convolution(node.output[0], params[node.input[1]], groups=groups)
    if node.input[0] not in read:
        return plain
    whole, steps = integers[node.input[1]]
    return Convolution(node.output[0], plain.weight, whole, steps, read[node.input[0]][1], groups)


def quantise_ncnn(param: Path, numbers: Path, convolutions: list[Convolution]) -> None:
    """Put whole weights and ranges into an ncnn model, in place.

    Args:
        param: the `.param`, in FP32.
        numbers: the `.bin`.
        convolutions: of the ONNX file that it was made from (`write_float`).

    Raises:
        UserError: ncnn's converter changed a convolution, so that its ranges have no place, or one is parted
            in a way that ncnn has no INT8 for.
    """
    data = numbers.read_bytes()
    places = sorted((_place(each, data), number) for number, each in enumerate(convolutions))
    lines = param.read_text().splitlines()
    layers = _layers(lines, [convolutions[number] for _, number in places])
    written, end = [], 0
    for layer, (place, number) in zip(layers, places, strict=True):
        each = convolutions[number]
        if each.integers is None:
            continue
        kind, settings = _settings(lines[layer])
        depthwise = kind == "ConvolutionDepthWise"
        if each.groups != (len(each.weight) if depthwise else 1):
            raise UserError(f"ncnn: '{each.name}' has {each.groups} groups: {REFUSED}")
        lines[layer] += " 8=1" if depthwise else " 8=2"  # as ncnn2int8 writes them
        behind = place + len(FP32) + each.weight.nbytes
        biased = settings.get("1" if kind == "InnerProduct" else "5") == "1"
        biases = data[behind : behind + 4 * len(each.weight)] if biased else b""
        whole = each.integers.tobytes()
        factors = (1 / np.append(each.steps, each.step).astype(np.float64)).astype("<f4").tobytes()
        written += [data[end:place], INT8, whole, bytes(-len(whole) % 4), biases, factors]
        end = behind + len(biases)
    numbers.write_bytes(b"".join([*written, data[end:]]))
    param.write_text("\n".join(lines) + "\n")


def _layers(lines: list[str], convolutions: list[Convolution]) -> list[int]:
    """Return the lines of the `.param` that convolutions stand in, which come in the same order.

    What reads a single pixel became an `InnerProduct` there, as linear layers are, which are passed over.
    """
    shapes = [(str(len(each.weight)), str(each.weight.size)) for each in convolutions]
    layers: list[int] = []
    linear: dict[bool, set] = {
        True: set(),
        False: set(),
    }  # shapes, by whether they were taken for convolutions
    for number, line in enumerate(lines):
        if not line.startswith(("Convolution", "InnerProduct")):
            continue
        kind, settings = _settings(line)
        found = settings["0"], settings["2" if kind == "InnerProduct" else "6"]
        next_one = len(layers) < len(shapes) and found == shapes[len(layers)]
        if next_one:
            layers.append(number)
        elif kind != "InnerProduct":
            raise UserError(f"ncnn: '{line.split()[1]}' there is no convolution of ONNX's: {REFUSED}")
        if kind == "InnerProduct":
            linear[next_one].add(found)
    if len(layers) != len(shapes):
        raise UserError(f"ncnn: {len(layers)} convolutions where ONNX has {len(shapes)}: {REFUSED}")
    if linear[True] & linear[False]:
        raise UserError(f"ncnn: a linear layer there cannot be told from a convolution: {REFUSED}")
    return layers


def _settings(line: str) -> tuple[str, dict[str, str]]:
    """Return a layer's kind and its numbered settings."""
    kind, *words = line.split()
    return kind, dict(word.split("=", 1) for word in words if "=" in word)


def _place(convolution: Convolution, data: bytes) -> int:
    """Return where in the `.bin` a convolution begins."""
    wanted = FP32 + np.ascontiguousarray(convolution.weight, "<f4").tobytes()
    place = data.find(wanted)
    if place < 0 or data.find(wanted, place + 1) >= 0:
        found = "not" if place < 0 else "twice"
        raise UserError(f"ncnn: the weights of '{convolution.name}' are {found} in its model: {REFUSED}")
    return place
