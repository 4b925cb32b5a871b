"""A Paddle program under way: operators, variables and parameters, as ProgramDesc has them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from paddle.base.proto import framework_pb2 as proto

from compress.graph.ir import Node
from compress.graph.ops import Shape
from compress.quant.scales import Quantised

DTYPES = {"float32": proto.VarType.FP32, "int32": proto.VarType.INT32, "int64": proto.VarType.INT64}


@dataclass
class Program:
    """A program under way.

    Attributes:
        desc: the program.
        params: its parameters by name.
        tensors: what each of the graph's tensors is called in it.
        shapes: of the variables that are tensors of the graph, batch first.
        rounded: what the rounded form of a tensor is called.
        quantised: the convolutions that are to run in INT8.
        count: names given.
        fuse_shuffles, copy_rows, portable: see `lite_deploy.write.paddle.write_program`.
    """

    desc: proto.ProgramDesc = field(default_factory=proto.ProgramDesc)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    rounded: dict[str, str] = field(default_factory=dict)
    quantised: Quantised = field(default_factory=dict)
    count: int = 0
    fuse_shuffles: bool = True
    copy_rows: bool = False
    portable: bool = False

    @property
    def block(self) -> proto.BlockDesc:
        return self.desc.blocks[0] if self.desc.blocks else self.desc.blocks.add(idx=0, parent_idx=-1)

    def label(self) -> str:
        """Return the next of a, b, ... z, aa, ab, ..."""
        number, text = self.count, ""
        self.count += 1
        while True:
            text = chr(ord("a") + number % 26) + text
            number = number // 26 - 1
            if number < 0:
                return text

    def variable(self, name: str, shape: Shape, dtype: str = "float32", param: bool = False) -> str:
        """Add a variable and return its name; axis 0 is left free unless it is a parameter."""
        variable = self.block.vars.add(name=name, persistable=param)
        variable.type.type = proto.VarType.DENSE_TENSOR
        tensor = variable.type.dense_tensor.tensor
        tensor.data_type = DTYPES[dtype]
        tensor.dims.extend(shape if param else (-1, *shape[1:]))
        self.shapes[name] = tuple(shape)
        return name

    def between(self, shape: Shape) -> str:
        """Add a tensor on the way from one operator to the next and return its name."""
        return self.variable(self.label(), shape)

    def param(self, value: np.ndarray) -> str:
        """Add a parameter and return its name."""
        name = self.variable(self.label(), value.shape, value.dtype.name, param=True)
        self.params[name] = np.ascontiguousarray(value)
        return name

    def operator(self, kind: str, inputs: dict, outputs: dict, **attrs: Any) -> None:
        """Append an operator; arrays of float32 become lists of floats, other lists those of ints."""
        op = self.block.ops.add(type=kind)
        for slots, places in ((inputs, op.inputs), (outputs, op.outputs)):
            for parameter, names in slots.items():
                places.add(parameter=parameter, arguments=[names] if isinstance(names, str) else names)
        for name, value in attrs.items():
            _set_attr(op.attrs.add(name=name), value)


def _set_attr(attr: proto.OpDesc.Attr, value: bool | int | float | str | list | np.ndarray) -> None:
    if isinstance(value, bool):
        attr.type, attr.b = proto.BOOLEAN, value
    elif isinstance(value, int):
        attr.type, attr.i = proto.INT, value
    elif isinstance(value, float):
        attr.type, attr.f = proto.FLOAT, value
    elif isinstance(value, str):
        attr.type, attr.s = proto.STRING, value
    elif isinstance(value, np.ndarray):
        attr.type = proto.FLOATS
        attr.floats.extend(value.tolist())
    else:
        attr.type = proto.INTS
        attr.ints.extend(int(each) for each in value)


def ints(node: Node, **names: str) -> dict[str, list[int]]:
    """Return attributes of a node that are lists of ints, under the names that Paddle has for them."""
    return {theirs: [int(each) for each in node.attrs[ours]] for theirs, ours in names.items()}
