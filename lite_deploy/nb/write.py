"""Write `.nb` files: small, and laid out as the ARM runtime reads them.

FlatBuffers allows any number of references to one object, so every repeated string, attribute and type is
stored once. One rule stands above that, because of how Paddle-Lite 2.13 reads an operator's inputs
(`input_vars` in lite/model_parser/flatbuffers/op_desc.h). A library built with FP16 does so for every
convolution, product and sum of every model, FP32 and INT8 included, to find weights that it has to round
(`LightPredictor::WeightFP32ToFP16`). That code takes the bytes from the characters of a vector's first name
to the characters of a string *behind the vector*, as if its last reference were followed by one more:

    | count | reference to name 1 | ... | to name n | length of name 1 | characters of name 1 | 0 |

It reads a right name, the first, exactly if that name's string stands directly behind the vector; otherwise
the name is nonsense, or its length negative, and the process aborts. So **each vector of names is written
directly before the string of its first name**. A string can have one vector before it: that of one name takes
the string that all others refer to, and one of several names gets a copy of its first. (Paddle-Lite's own
writer has the last name there, which is right for one name only; no operator whose inputs are read that way
has several.)
"""

import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from lite_deploy.nb.file import ATTRS, DTYPES, Attr, LiteModel, Operator, Variable
from tinypose.files import write_whole


def write_nb(model: LiteModel, path: str | Path) -> None:
    """Write a `.nb`, whole or not at all.

    Every repeated string, attribute and type is stored once. Paddle-Lite's own writer repeats them, which in
    a network of 300 small convolutions costs a third of an INT8 file.
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
        kind = next(number for number, dtype in DTYPES.items() if dtype == value.dtype.name)
        data = self.numbers(np.frombuffer(value.tobytes(), "i1"))
        shape = self.numbers(np.asarray(value.shape, "<i8"))
        tensor = self.table({2: ("ref", shape), 3: ("int32", kind), 4: ("ref", data)}, 5)
        self.builder.Finish(self.table({1: ("ref", self.text(name)), 2: ("uint8", 1), 3: ("ref", tensor)}, 4))
        return bytes(self.builder.Output())

    def operator(self, op: Operator) -> int:
        # The runtime finds parameters and attributes by binary search, so they are sorted by name.
        slots = {0: ("ref", self.text(op.type))}
        for slot, names in ((1, op.inputs), (2, op.outputs)):
            rows = [self.table({0: ("ref", self.text(name)), 1: ("ref", self.names(tensors))}, 2)
                    for name, tensors in sorted(names.items())]  # fmt: skip
            slots[slot] = ("ref", self.references(rows))
        slots[3] = ("ref", self.references([self.attr(name, op.attrs[name]) for name in sorted(op.attrs)]))
        return self.table(slots, 5)

    def attr(self, name: str, attr: Attr) -> int:
        number = ATTRS.index(attr.kind)
        slots: dict[int, tuple[str, Any]] = {0: ("ref", self.text(name)), 1: ("int32", number)}
        simple = {"i": "int32", "block": "int32", "f": "float32", "b": "bool", "l": "int64"}
        vectors = {"ints": "<i4", "blocks": "<i4", "floats": "<f4", "bools": "?", "longs": "<i8"}
        if attr.kind in simple:
            slots[2 + number] = (simple[attr.kind], attr.value)
        elif attr.kind == "s":
            slots[2 + number] = ("ref", self.text(attr.value))
        elif attr.kind == "strings":
            slots[2 + number] = ("ref", self.references([self.text(each) for each in attr.value]))
        else:
            slots[2 + number] = ("ref", self.numbers(np.asarray(attr.value, vectors[attr.kind])))
        return self.table(slots, 14)

    def variable(self, variable: Variable) -> int:
        kind: dict[int, tuple[str, Any]] = {0: ("int32", variable.kind)}
        if variable.dtype is not None:
            shape = self.numbers(np.asarray(variable.shape, "<i8"))
            tensor = self.table({0: ("int32", variable.dtype), 1: ("ref", shape)}, 2)
            kind[2] = ("ref", self.table({0: ("ref", tensor)}, 2))
        self.names([variable.name])  # before another use of the name writes its string without a vector
        slots = {
            0: ("ref", self.text(variable.name)),
            1: ("ref", self.table(kind, 6)),
            2: ("bool", variable.persistable),
        }
        return self.table(slots, 4)

    def text(self, value: str) -> int:
        return self.once(("text", value), lambda: self.builder.CreateString(value))

    def names(self, values: list[str]) -> int:
        """Write what fills a parameter of an operator, directly before the string of its first name."""

        def write() -> int:
            others = [self.text(value) for value in values[1:]]
            first = [self.builder.CreateString(value) for value in values[:1]]
            if len(values) == 1:
                self.written.setdefault(("text", *values), first[0])
            return self.vector(first + others)

        return self.once(("names", *values), write)

    def numbers(self, values: np.ndarray) -> int:
        key = (values.dtype.str, values.tobytes())
        return self.once(key, lambda: self.builder.CreateNumpyVector(values))

    def references(self, offsets: list[int]) -> int:
        return self.once(("references", *offsets), lambda: self.vector(offsets))

    def vector(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

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
