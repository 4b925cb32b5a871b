"""Read `.nb` files, whoever wrote them."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from lite_deploy.nb.file import ATTRS, DTYPES, LOD_TENSOR, Attr, LiteModel, Operator, Variable
from tinypose.errors import UserError

SHARING = 16  # how often a byte may be read on average; writers share a name among what uses it


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


class _Buffer(bytes):
    """A flatbuffer, and how much may still be read of it: references may lead to one place many times."""

    left = 0

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ValueError("its members lead to the same places again and again")


# A table is (buffer, position); flatbuffers' own Table class would want generated code around it.
_Table = tuple[_Buffer, int]


def _root(data: bytes) -> _Table:
    buffer = _Buffer(data)
    buffer.left = SHARING * len(data)
    return buffer, struct.unpack_from("<I", data)[0]


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


def _text(data: _Buffer, at: int) -> str:
    size = struct.unpack_from("<I", data, at)[0]
    data.spend(size)
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
    data.spend(size)
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
    table[0].spend(size)
    return np.frombuffer(table[0], np.dtype(dtype), size, start + 4)


def _operator(table: _Table) -> Operator:
    inputs = {_string(each, 0): _strings(each, 1) for each in _tables(table, 1)}
    outputs = {_string(each, 0): _strings(each, 1) for each in _tables(table, 2)}
    attrs = {_string(each, 0): _attr(each) for each in _tables(table, 3)}
    return Operator(_string(table, 0), inputs, outputs, attrs)


def _attr(table: _Table) -> Attr:
    kind = ATTRS[_number(table, 1, "i")]
    slot = 2 + ATTRS.index(kind)
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
    if result.kind == LOD_TENSOR and (tensor := _child(kind, 2)):
        tensor = _child(tensor, 0)
        result.dtype = _number(tensor, 0, "i")
        result.shape = _numbers(tensor, 1, "<i8").tolist()
    return result


def _param(table: _Table) -> tuple[str, np.ndarray]:
    tensor = _child(table, 3)
    dtype = np.dtype(DTYPES[_number(tensor, 3, "i")])
    data = _numbers(tensor, 4, "i1").view(dtype)
    return _string(table, 1), data.reshape(_numbers(tensor, 2, "<i8"))


def parts(path: str | Path) -> dict[str, int]:
    """Return what the bytes of a `.nb` are spent on; the parts add up to the file."""
    model = read_nb(path)
    total = Path(path).stat().st_size
    structure = struct.unpack_from("<Q", Path(path).read_bytes()[:26], 18)[0]
    params = dict.fromkeys(("int8", "float16", "other"), 0)
    for value in model.params.values():
        params[value.dtype.name if value.dtype.name in params else "other"] += value.nbytes
    scales = sum(4 * len(op.get("Filter0_scale", [])) for op in model.operators)
    return {
        **{f"{kind} parameters": size for kind, size in params.items()},
        "scales of weights": scales,
        "instructions": structure - scales,
        "names and shapes of parameters": total - structure - sum(params.values()),
        "total": total,
    }
