"""What a network costs: parameters, multiply-adds and the sizes of its feature maps, layer by layer."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod

import paddle
from paddle import nn
from paddle.vision.ops import DeformConv2D

from tinypose.models.deformable import SteeredConv

RUNNING_STATISTICS = ("_mean", "_variance")  # of batch norms: kept, but not learnt


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs by itself, without the layers inside it.

    Attributes:
        name: in the checkpoint, for example `backbone.stem.conv1.conv`; of a stage, its name.
        parameters: learnt numbers; batch norms' running statistics are not among them.
        multiply_adds: of convolutions and linear layers, for one picture, as papers count them.
        outputs: shape of each tensor that comes out, without the batch, for example (40, 64, 48).
    """

    name: str
    parameters: int
    multiply_adds: int
    outputs: tuple[tuple[int, ...], ...]


def profile(net: nn.Layer, input_shape: tuple[int, ...]) -> list[LayerCost]:
    """Run a copy of `net` once on zeros and read off what every layer costs.

    Args:
        net: its forward takes one tensor. It stays as it is.
        input_shape: of one picture, (3, H, W).

    Returns:
        Every layer, the net itself first, outer before inner. A layer that ran twice has the sum of
        its multiply-adds, one that did not run has none and no outputs.
    """
    net = deepcopy(net)
    net.eval()
    multiply_adds: dict[str, int] = {}
    outputs: dict[str, tuple[tuple[int, ...], ...]] = {}

    def watch(name: str, layer: nn.Layer) -> None:
        def after(_, inputs, output):
            multiply_adds[name] = multiply_adds.get(name, 0) + _multiply_adds(layer, inputs[0], output)
            tensors = output if isinstance(output, list | tuple) else [output]
            outputs[name] = tuple(tuple(tensor.shape[1:]) for tensor in tensors)

        layer.register_forward_post_hook(after)

    layers = list(net.named_sublayers(include_self=True))
    for name, layer in layers:
        watch(name, layer)
    with paddle.no_grad():
        net(paddle.zeros([1, *input_shape]))
    return [
        LayerCost(
            name, count_parameters(layer, inner=False), multiply_adds.get(name, 0), outputs.get(name, ())
        )
        for name, layer in layers
    ]


def by_stage(costs: Sequence[LayerCost], stages: Mapping[str, Sequence[str]]) -> list[LayerCost]:
    """Sum layers up to stages.

    Args:
        costs: of `profile`.
        stages: names of the layers that make a stage, in the order in which they run; each counts
            with all that is inside it.

    Returns:
        One cost a stage, with the outputs of its last layer.
    """
    result = []
    outputs = {cost.name: cost.outputs for cost in costs}
    for stage, names in stages.items():
        inside = [cost for cost in costs if any(f"{cost.name}.".startswith(f"{name}.") for name in names)]
        parameters = sum(cost.parameters for cost in inside)
        result.append(
            LayerCost(stage, parameters, sum(cost.multiply_adds for cost in inside), outputs[names[-1]])
        )
    return result


def count_parameters(net: nn.Layer, inner: bool = True) -> int:
    """Return how many numbers `net` learns; with `inner`, those of the layers inside it too."""
    return sum(
        prod(parameter.shape)
        for name, parameter in net.named_parameters(include_sublayers=inner)
        if not name.endswith(RUNNING_STATISTICS)
    )


def _multiply_adds(layer: nn.Layer, x: paddle.Tensor, y: paddle.Tensor) -> int:
    # Weight [O, I / groups, h, w]: each output is a product with one kernel, wherever it takes its inputs.
    if isinstance(layer, nn.Conv2D | DeformConv2D | SteeredConv):
        return prod(y.shape) * prod(layer.weight.shape[1:])
    if isinstance(layer, nn.Conv2DTranspose):  # weight [I, O / groups, h, w]: each input spreads over one
        return prod(x.shape) * prod(layer.weight.shape[1:])
    if isinstance(layer, nn.Linear):  # weight [I, O]
        return prod(y.shape) * layer.weight.shape[0]
    return 0
