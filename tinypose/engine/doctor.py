"""Is this machine fit to train on? Versions that are known not to go together, and a step against the CPU."""

import importlib.metadata
from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn

from tinypose.config import Config, InputConfig, LiteHRNetConfig
from tinypose.engine.device import layout, on_device
from tinypose.engine.loss import heatmap_loss
from tinypose.models import build_model

_STACK = ("paddlepaddle", "paddlepaddle-gpu", "paddlelite", "numpy", "opencv-python-headless", "onnx")
PACKAGES = (*_STACK, "onnxruntime", "openvino", "MNN", "ncnn", "pnnx")

# Largest difference of a step's loss and gradients from the CPU's, relative to the largest value.
NEAR = {"fp32": 1e-3, "mixed": 5e-2, "mixed, channels last": 5e-2}


@dataclass(frozen=True)
class Step:
    """A training step on a device, against the same step on the CPU in FP32."""

    device: str
    precision: str
    loss: float
    difference: float

    @property
    def good(self) -> bool:
        """Whether it is near enough."""
        return bool(np.isfinite(self.loss)) and self.difference <= NEAR[self.precision]


def versions() -> dict[str, str]:
    """Return the versions of what is installed of `PACKAGES`."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def bad_pairs(found: dict[str, str]) -> list[str]:
    """Say which of these versions are known not to go together, and what happens with them."""
    said = []

    def number(name: str) -> tuple[int, ...]:
        return tuple(int(part) for part in found[name].split(".")[:2] if part.isdigit())

    if {"numpy", "paddlelite"} <= found.keys() and number("numpy") >= (2,):
        said.append(
            f"numpy {found['numpy']} with paddlelite {found['paddlelite']}: tensors are corrupted, silently; "
            "install numpy 1.26"
        )
    if {"numpy", "opencv-python-headless"} <= found.keys():
        newer = number("opencv-python-headless") >= (4, 12)
        if newer and number("numpy") < (2,):
            said.append(
                f"opencv {found['opencv-python-headless']} wants numpy 2, and numpy is {found['numpy']}; "
                "install opencv-python-headless 4.11"
            )
    if {"paddlepaddle", "paddlepaddle-gpu"} <= found.keys():
        said.append(
            "paddlepaddle and paddlepaddle-gpu are both installed: one overwrites the other; keep one"
        )
    for name in ("paddlepaddle", "paddlepaddle-gpu"):
        if name in found and number(name) < (3,):
            said.append(f"{name} {found[name]}: dies beside pycocotools, and trains slower; install 3.3.1")
    return said


def steps(device: str) -> list[Step]:
    """Take a training step on the CPU in FP32, and on `device` in each precision that it has.

    Returns:
        The CPU's own, repeated; then, on a GPU and from pinned memory, in each precision.
    """
    loss, gradients = _step("cpu", "fp32")
    cases = [("cpu", "fp32"), *((device, precision) for precision in NEAR if device != "cpu")]
    result = []
    for name, precision in cases:
        value, found = _step(name, precision)
        pairs = [(found[key], gradients[key]) for key in gradients] + [(value, loss)]
        worst = max(float(np.abs(a - b).max() / (np.abs(b).max() + 1e-12)) for a, b in pairs)
        result.append(Step(name, precision, float(value), worst))
    return result


def _step(device: str, precision: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the loss and the gradients of the network's two ends, on inputs that are always the same."""
    mixed = precision != "fp32"
    before = paddle.device.get_device()
    paddle.set_device(device)
    try:
        config = Config(
            model=LiteHRNetConfig(name="lite_hrnet", variant="naive"), input=InputConfig(width=64, height=64)
        )
        net = build_model(config, 4)
        rng = np.random.default_rng(0)
        for value in net.state_dict().values():
            if value.ndim == 4:
                fan_in = np.prod(value.shape[1:])
                value.set_value(rng.normal(0, np.sqrt(2 / fan_in), value.shape).astype(np.float32))
        place = paddle.CPUPlace() if device == "cpu" else paddle.CUDAPinnedPlace()
        waiting = [
            paddle.to_tensor(rng.standard_normal(shape).astype(np.float32), place=place)
            for shape in ((4, 3, 64, 64), (4, 4, 16, 16))
        ]
        images, targets = map(on_device, waiting)
        net.train()
        scaler = paddle.amp.GradScaler(enable=mixed)
        with layout(precision.endswith("channels last")), paddle.amp.auto_cast(enable=mixed):
            loss = heatmap_loss(net(images)[0].astype("float32"), targets, paddle.ones([4, 4]))
            scaler.scale(loss).backward()
        return loss.numpy(), _ends(net, float(scaler._scale) if mixed else 1.0)
    finally:
        paddle.set_device(before)


def _ends(net: nn.Layer, scale: float) -> dict[str, np.ndarray]:
    names = [name for name, each in net.named_parameters() if not each.stop_gradient]
    parameters = dict(net.named_parameters())
    return {name: parameters[name].grad.numpy() / scale for name in (names[0], names[-1])}
