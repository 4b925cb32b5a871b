"""What an entry of the table of operators says, and helpers for writing one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import paddle

from compress.graph.ir import Node

Shape = tuple[int, ...]
Tensors = list[paddle.Tensor]
Params = Mapping[str, paddle.Tensor]
Refs = tuple[np.ndarray, np.ndarray]  # for each channel of an output: which input it is of, its index there
# For each parameter what multiplies and what divides it, arrays that broadcast; None multiplies nothing.
Places = dict[str, tuple[np.ndarray | None, np.ndarray]]
Way = Literal["any", "same", "fixed"]


class Ways(NamedTuple):
    """How a node stands to the channels, axis 1, of what it reads and writes.

    Of orders: `any` order will do, because the parameters can be permuted to it, or because the order does
    not matter; `same` is the order that the output has; `fixed` is the order that the network was traced
    with. Of positive factors that channels are kept at: `any` factor is absorbed by the parameters; `same`
    is the factor that the output has; `fixed` is 1.

    Attributes:
        inputs: of each input; the last one counts for all further inputs.
        output: of every output; `same` if it goes with the inputs that are `same`.
    """

    inputs: tuple[Way, ...]
    output: Way

    def of(self, index: int) -> Way:
        """Return the way of input `index`."""
        return self.inputs[min(index, len(self.inputs) - 1)]


FIXED, SAME = Ways(("fixed",), "fixed"), Ways(("same",), "same")
FIRST = Ways(("same", "fixed"), "same")


@dataclass(frozen=True)
class Operator:
    """One kind of node. Nothing has a default that could be wrong: what is left out is refused or raises.

    Attributes:
        meaning: in a sentence; attributes in brackets.
        shapes: from a node and the shapes that it reads to those that it writes; raises by `need`.
        compute: from a node, what it reads and its parameters to what it writes, differentiable; a ReLU that
            the node has as an attribute comes behind it by itself.
        orders: what the node lets the order of channels do. With `moves` it is not asked.
        factors: what the node lets positive factors of channels do.
        instructions: estimated for Paddle-Lite's FP32 kernels on ARMv8 without what every operator costs,
            for each number written, or from a node and the shapes that it reads and writes.
        moves: for nodes that hand on channels and compute nothing: where each output's channels come from;
            None where it is not channels that this node moves.
        params: parameters that it must have, float32.
        optional: parameters that it may have.
        axes: for each parameter what its axes are: `in` channels of the first input, `out` channels of the
            output, or neither (``None``). Asked where channels are permuted.
        places: from a node, the shapes that it reads, one value a channel of its first input and one a
            channel of its output to what each parameter is multiplied and divided by when channels are kept
            divided by factors; the values are those factors, or indices of them.
        multiply_adds: from a node and the shapes that it reads and writes.
    """

    meaning: str
    shapes: Callable[[Node, list[Shape]], list[Shape]]
    compute: Callable[[Node, Tensors, Params], paddle.Tensor | Tensors]
    orders: Ways | Callable[[Node, list[Shape]], Ways]
    factors: Ways | Callable[[Node, list[Shape]], Ways]
    instructions: float | Callable[[Node, list[Shape], list[Shape]], float]
    moves: Callable[[Node, list[Shape]], list[Refs] | None] | None = None
    params: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    axes: Callable[[Node, list[Shape]], dict[str, tuple[str | None, ...]]] = field(
        default=lambda node, inputs: {}
    )
    places: Callable[[Node, list[Shape], np.ndarray, np.ndarray], Places] = field(
        default=lambda node, inputs, read, written: {}
    )
    multiply_adds: Callable[[Node, list[Shape], list[Shape]], int] = field(
        default=lambda node, inputs, outputs: 0
    )


def need(node: Node, fits: bool, found: str) -> None:
    """Raise ValueError, naming the node and what it does not fit, unless `fits`."""
    if not fits:
        raise ValueError(f"node '{node.name}' ({node.kind}) does not fit {found}")


def first_shape(node: Node, inputs: list[Shape]) -> list[Shape]:
    """Return the shape of the first input: of what works number by number."""
    return [inputs[0]]


def axis_of(node: Node, ndim: int) -> int:
    """Return the axis that a node works along, counted from the front; channels where it says nothing."""
    axis = node.attrs.get("axis", 1)
    need(node, 0 < axis < ndim, f"axis {axis} of {ndim}; axis 0 is the batch")
    return axis
