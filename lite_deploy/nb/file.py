"""What Paddle-Lite's `.nb` files hold (naive buffer, meta version 2).

    uint16 meta version | char[16] version of the optimiser | uint64 size | ProgramDesc (flatbuffers)
    | uint16 0, uint16 0 | uint16 6, uint16 number of parameters, uint32 bytes of the largest
    | for each parameter: uint32 size + 4, uint32 4, ParamDesc (flatbuffers)

The tables are those of lite/model_parser/flatbuffers/{framework,param}.fbs of Paddle-Lite 2.13; a field is
named by its place in its table. `lite_deploy.nb.read` and `lite_deploy.nb.write` read and write them.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

KERNEL = "__@kernel_type_attr@__"
TARGETS = {1: "host", 2: "x86", 4: "arm", 6: "any"}
PRECISIONS = {0: "unknown", 1: "fp32", 2: "int8", 3: "int32", 4: "any", 5: "fp16"}
ATTRS = ("i", "f", "s", "ints", "floats", "strings", "b", "bools", "block", "l", "blocks", "longs")
DTYPES = {0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64"}
DTYPES |= {20: "uint8", 21: "int8"}
LOD_TENSOR = 7


@dataclass
class Attr:
    """An attribute: its kind, one of i f s ints floats strings b bools block l blocks longs, and value."""

    kind: str
    value: Any


@dataclass
class Operator:
    """One instruction: which tensors fill which of its parameters, and its attributes."""

    type: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attrs: dict[str, Attr]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of an attribute."""
        return self.attrs[name].value if name in self.attrs else default

    @property
    def kernel(self) -> str:
        """The kernel's alias, for example `int8_out` or `fp32_to_int8`."""
        return self.get(KERNEL, "").split("/")[1]

    @property
    def target(self) -> str:
        """What the kernel runs on: arm, x86, host or any."""
        return TARGETS.get(int(self.get(KERNEL, "").split("/")[2]), "other")

    @property
    def precision(self) -> str:
        """What the kernel computes in: fp32, fp16, int8, int32, any."""
        return PRECISIONS.get(int(self.get(KERNEL, "").split("/")[3]), "other")


@dataclass
class Variable:
    """A tensor that an operator reads or writes; `kind` is Paddle's VarType, 7 for a tensor."""

    name: str
    kind: int
    persistable: bool
    dtype: int | None = None
    shape: list[int] | None = None


@dataclass
class LiteModel:
    """What a `.nb` holds. The order of operators is the order of execution."""

    version: str
    operators: list[Operator]
    variables: list[Variable]
    params: dict[str, np.ndarray] = field(default_factory=dict)

    def precision(self) -> str:
        """Return int8, fp16 or fp32: int8 if any convolution is, else fp16 if any operator is."""
        used = {op.precision for op in self.operators}
        return next((each for each in ("int8", "fp16") if each in used), "fp32")

    def target(self) -> str:
        """Return arm or x86 (or other)."""
        used = {op.target for op in self.operators} - {"host", "any"}
        return used.pop() if len(used) == 1 else "host" if not used else "+".join(sorted(used))
