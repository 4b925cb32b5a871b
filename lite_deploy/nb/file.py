"""Read and write Paddle-Lite's `.nb` files (naive buffer, meta version 2).

    uint16 meta version | char[16] version of the optimiser | uint64 size | ProgramDesc (flatbuffers)
    | uint16 0, uint16 0 | uint16 6, uint16 number of parameters, uint32 bytes of the largest
    | for each parameter: uint32 size + 4, uint32 4, ParamDesc (flatbuffers)

The tables are those of lite/model_parser/flatbuffers/{framework,param}.fbs of Paddle-Lite 2.13; a field is
named here by its place in its table.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from tinypose.errors import UserError
from tinypose.files import write_whole

KERNEL = "__@kernel_type_attr@__"
TARGETS = {1: "host", 2: "x86", 4: "arm", 6: "any"}
PRECISIONS = {0: "unknown", 1: "fp32", 2: "int8", 3: "int32", 4: "any", 5: "fp16"}
_ATTRS = ("i", "f", "s", "ints", "floats", "strings", "b", "bools", "block", "l", "blocks", "longs")
_DTYPES = {0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64"}
_DTYPES |= {20: "uint8", 21: "int8"}
_LOD_TENSOR = 7


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


def read_nb(path: str | Path) -> LiteModel:
    """Read a `.nb`.

    Raises:
        UserError: the file is missing, cut off, or not of this format.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read this Paddle-Lite model: {error.strerror}") from None
    try:
        return _parse(data)
    except (struct.error, ValueError, IndexError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a whole Paddle-Lite model (.nb): {error}; export it again") from None


def _parse(data: bytes) -> LiteModel:
    meta, version, size = struct.unpack_from("<H16sQ", data)
    if meta != 2:
        raise ValueError(f"expected meta version 2, found {meta}")
    at = 26 + size
    program = _root(data[26:at])
    block = _tables(program, 0)[0]
    operators = [_operator(each) for each in _tables(block, 3)]
    variables = [_variable(each) for each in _tables(block, 2)]
    _, skip = struct.unpack_from("<HH", data, at)
    (header,) = struct.unpack_from("<H", data, at + 4 + skip)
    (count,) = struct.unpack_from("<H", data, at + 6 + skip)
    at += 6 + skip + header
    params = {}
    for _ in range(count):
        total, offset = struct.unpack_from("<II", data, at)
        if at + 4 + total > len(data):
            raise ValueError("a parameter is cut off")
        name, value = _param(_root(data[at + 4 + offset : at + 4 + total]))
        params[name] = value
        at += 4 + total
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the last parameter")
    return LiteModel(version.split(b"\0")[0].decode(), operators, variables, params)


# A table is (buffer, position); flatbuffers' own Table class would want generated code around it.
_Table = tuple[bytes, int]


def _root(data: bytes) -> _Table:
    return data, struct.unpack_from("<I", data)[0]


def _place(table: _Table, slot: int) -> int:
    """Return where a field stands, 0 if it is absent."""
    data, at = table
    vtable = at - struct.unpack_from("<i", data, at)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    if 4 + 2 * slot >= size:
        return 0
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * slot)[0]
    return at + offset if offset else 0


def _number(table: _Table, slot: int, code: str, default: Any = 0) -> Any:
    at = _place(table, slot)
    return struct.unpack_from("<" + code, table[0], at)[0] if at else default


def _follow(data: bytes, at: int) -> int:
    return at + struct.unpack_from("<I", data, at)[0]


def _text(data: bytes, at: int) -> str:
    size = struct.unpack_from("<I", data, at)[0]
    return data[at + 4 : at + 4 + size].decode()


def _string(table: _Table, slot: int) -> str:
    at = _place(table, slot)
    return _text(table[0], _follow(table[0], at)) if at else ""


def _child(table: _Table, slot: int) -> _Table | None:
    at = _place(table, slot)
    return (table[0], _follow(table[0], at)) if at else None


def _references(table: _Table, slot: int) -> list[int]:
    """Return where the members of a vector of tables or strings stand."""
    at = _place(table, slot)
    if not at:
        return []
    data, start = table[0], _follow(table[0], at)
    size = struct.unpack_from("<I", data, start)[0]
    return [_follow(data, start + 4 + 4 * index) for index in range(size)]


def _tables(table: _Table, slot: int) -> list[_Table]:
    return [(table[0], at) for at in _references(table, slot)]


def _strings(table: _Table, slot: int) -> list[str]:
    return [_text(table[0], at) for at in _references(table, slot)]


def _numbers(table: _Table, slot: int, dtype: str) -> np.ndarray:
    at = _place(table, slot)
    if not at:
        return np.zeros(0, dtype)
    start = _follow(table[0], at)
    size = struct.unpack_from("<I", table[0], start)[0]
    return np.frombuffer(table[0], np.dtype(dtype), size, start + 4)


def _operator(table: _Table) -> Operator:
    inputs = {_string(each, 0): _strings(each, 1) for each in _tables(table, 1)}
    outputs = {_string(each, 0): _strings(each, 1) for each in _tables(table, 2)}
    attrs = {_string(each, 0): _attr(each) for each in _tables(table, 3)}
    return Operator(_string(table, 0), inputs, outputs, attrs)


def _attr(table: _Table) -> Attr:
    kind = _ATTRS[_number(table, 1, "i")]
    slot = 2 + _ATTRS.index(kind)
    if kind in ("i", "block"):
        value = _number(table, slot, "i")
    elif kind == "f":
        value = _number(table, slot, "f", 0.0)
    elif kind == "b":
        value = bool(_number(table, slot, "?", False))
    elif kind == "l":
        value = _number(table, slot, "q")
    elif kind == "s":
        value = _string(table, slot)
    elif kind == "strings":
        value = _strings(table, slot)
    else:
        dtype = {"ints": "<i4", "blocks": "<i4", "floats": "<f4", "bools": "?", "longs": "<i8"}[kind]
        value = _numbers(table, slot, dtype).tolist()
    return Attr(kind, value)


def _variable(table: _Table) -> Variable:
    kind = _child(table, 1)
    result = Variable(_string(table, 0), _number(kind, 0, "i"), bool(_number(table, 2, "?", False)))
    if result.kind == _LOD_TENSOR and (tensor := _child(kind, 2)):
        tensor = _child(tensor, 0)
        result.dtype = _number(tensor, 0, "i")
        result.shape = _numbers(tensor, 1, "<i8").tolist()
    return result


def _param(table: _Table) -> tuple[str, np.ndarray]:
    tensor = _child(table, 3)
    dtype = np.dtype(_DTYPES[_number(tensor, 3, "i")])
    data = _numbers(tensor, 4, "i1").view(dtype)
    return _string(table, 1), data.reshape(_numbers(tensor, 2, "<i8"))


def write_nb(model: LiteModel, path: str | Path) -> None:
    """Write a `.nb`, whole or not at all, with every repeated string, attribute and type stored once.

    The format allows any number of references to one object, and the runtime only reads; Paddle-Lite's own
    writer repeats them, which in a network of 300 small convolutions costs a third of an INT8 file.
    """
    program = _Writer().program(model)
    parts = [
        struct.pack("<H16sQ", 2, model.version.encode(), len(program)),
        program,
        struct.pack("<HH", 0, 0),
    ]
    largest = max((each.nbytes for each in model.params.values()), default=0)
    parts.append(struct.pack("<HHI", 6, len(model.params), largest))
    for name in sorted(model.params):
        param = _Writer().param(name, model.params[name])
        parts.append(struct.pack("<II", len(param) + 4, 4) + param)
    with write_whole(path) as temporary:
        temporary.write_bytes(b"".join(parts))


class _Writer:
    """A flatbuffers builder that remembers what it has written."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 16)
        self.written: dict[Any, int] = {}

    def program(self, model: LiteModel) -> bytes:
        variables = self.references([self.variable(each) for each in model.variables])
        operators = self.references([self.operator(each) for each in model.operators])
        block = self.table({2: ("ref", variables), 3: ("ref", operators)}, 5)
        program = self.table({0: ("ref", self.references([block])), 1: ("ref", self.table({}, 1))}, 3)
        self.builder.Finish(program)
        return bytes(self.builder.Output())

    def param(self, name: str, value: np.ndarray) -> bytes:
        kind = next(number for number, dtype in _DTYPES.items() if dtype == value.dtype.name)
        data = self.numbers(np.frombuffer(value.tobytes(), "i1"))
        shape = self.numbers(np.asarray(value.shape, "<i8"))
        tensor = self.table({2: ("ref", shape), 3: ("int32", kind), 4: ("ref", data)}, 5)
        self.builder.Finish(self.table({1: ("ref", self.text(name)), 2: ("uint8", 1), 3: ("ref", tensor)}, 4))
        return bytes(self.builder.Output())

    def operator(self, op: Operator) -> int:
        # The runtime finds parameters and attributes by binary search, so they are sorted by name.
        slots = {0: ("ref", self.text(op.type))}
        for slot, names in ((1, op.inputs), (2, op.outputs)):
            rows = [self.table({0: ("ref", self.text(name)), 1: ("ref", self.texts(tensors))}, 2)
                    for name, tensors in sorted(names.items())]  # fmt: skip
            slots[slot] = ("ref", self.references(rows))
        slots[3] = ("ref", self.references([self.attr(name, op.attrs[name]) for name in sorted(op.attrs)]))
        return self.table(slots, 5)

    def attr(self, name: str, attr: Attr) -> int:
        number = _ATTRS.index(attr.kind)
        slots: dict[int, tuple[str, Any]] = {0: ("ref", self.text(name)), 1: ("int32", number)}
        simple = {"i": "int32", "block": "int32", "f": "float32", "b": "bool", "l": "int64"}
        vectors = {"ints": "<i4", "blocks": "<i4", "floats": "<f4", "bools": "?", "longs": "<i8"}
        if attr.kind in simple:
            slots[2 + number] = (simple[attr.kind], attr.value)
        elif attr.kind == "s":
            slots[2 + number] = ("ref", self.text(attr.value))
        elif attr.kind == "strings":
            slots[2 + number] = ("ref", self.texts(attr.value))
        else:
            slots[2 + number] = ("ref", self.numbers(np.asarray(attr.value, vectors[attr.kind])))
        return self.table(slots, 14)

    def variable(self, variable: Variable) -> int:
        kind: dict[int, tuple[str, Any]] = {0: ("int32", variable.kind)}
        if variable.dtype is not None:
            shape = self.numbers(np.asarray(variable.shape, "<i8"))
            tensor = self.table({0: ("int32", variable.dtype), 1: ("ref", shape)}, 2)
            kind[2] = ("ref", self.table({0: ("ref", tensor)}, 2))
        name = self.text(variable.name)
        slots = {0: ("ref", name), 1: ("ref", self.table(kind, 6)), 2: ("bool", variable.persistable)}
        return self.table(slots, 4)

    def text(self, value: str) -> int:
        return self.once(("text", value), lambda: self.builder.CreateString(value))

    def texts(self, values: list[str]) -> int:
        return self.references([self.text(value) for value in values])

    def numbers(self, values: np.ndarray) -> int:
        key = (values.dtype.str, values.tobytes())
        return self.once(key, lambda: self.builder.CreateNumpyVector(values))

    def references(self, offsets: list[int]) -> int:
        def write() -> int:
            self.builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                self.builder.PrependUOffsetTRelative(offset)
            return self.builder.EndVector()

        return self.once(("references", *offsets), write)

    def table(self, slots: dict[int, tuple[str, Any]], fields: int) -> int:
        """Write a table: slot -> (type of a number, or `ref`, and value). Zeros are left out: the default."""

        def write() -> int:
            self.builder.StartObject(fields)
            for slot, (kind, value) in slots.items():
                if kind == "ref":
                    self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
                else:
                    getattr(self.builder, f"Prepend{kind.capitalize()}Slot")(slot, value, 0)
            return self.builder.EndObject()

        return self.once(("table", fields, tuple(slots.items())), write)

    def once(self, key: Any, write: Any) -> int:
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]


def parts(path: str | Path) -> dict[str, int]:
    """Return what the bytes of a `.nb` are spent on; the parts add up to the file."""
    model = read_nb(path)
    total = Path(path).stat().st_size
    structure = struct.unpack_from("<Q", Path(path).read_bytes()[:26], 18)[0]
    integers = sum(value.nbytes for value in model.params.values() if value.dtype == np.int8)
    floats = sum(value.nbytes for value in model.params.values()) - integers
    scales = sum(4 * len(op.get("Filter0_scale", [])) for op in model.operators)
    return {
        "int8 parameters": integers,
        "other parameters": floats,
        "scales of weights": scales,
        "instructions": structure - scales,
        "names and shapes of parameters": total - structure - integers - floats,
        "total": total,
    }
