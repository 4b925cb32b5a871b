"""Paddle's checkpoint files, read without running anything that is in them.

A `.pdparams` or `.pdopt` file is a pickle, and an ordinary unpickler calls whatever the file names.
This one knows only stand-ins for the few names that arrays need; the arrays are built from the plain
values at the end. Nothing is imported, and no function outside this module is called. What a file asks for
is bounded by its length: memory, and steps (`tinypose.unpickle`).
"""

import pickle
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.errors import UserError
from tinypose.files import write_whole
from tinypose.unpickle import BoundedUnpickler, Budget, Fixed, Refused

NAME_TABLE = "StructuredToParameterName@@"  # beside the arrays: what Paddle called them while training

_DTYPE = re.compile(r"\?|[biuf]\d{1,2}")
_BYTE_ORDERS = ("<", ">", "=", "|")


_UNDER_WAY = object()


class _Type(Fixed):
    """Stands for a class that files only pass on."""

    __slots__ = ()


class _Array:
    """Stands for `numpy.ndarray`: empty, until the file gives its state."""

    __slots__ = ("budget", "value")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            raise Refused("an array of an unknown kind")
        if isinstance(data, str):  # as Python 2 wrote it
            data = data.encode("latin1")
        if not isinstance(data, bytes):
            raise Refused("an array of objects")
        self.budget.take(len(data))
        flat = np.frombuffer(data, dtype.numpy())
        self.value = np.array(flat.reshape(shape, order="F" if fortran else "C"), order="C")


class _Dtype:
    """Stands for `numpy.dtype`: the kind and size, and the byte order that follows."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: Any) -> None:
        if not isinstance(kind, str) or not _DTYPE.fullmatch(kind):
            raise Refused(f"an array of dtype {kind!r:.40}")
        self.kind, self.order = kind, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in _BYTE_ORDERS:
            raise Refused("an array of an unknown byte order")
        self.order = state[1]

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.kind)


class _NewArray(Fixed):
    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(kind, _Type):
            raise Refused("an array of an unknown class")
        return _Array(self.budget)


class _NewDtype(Fixed):
    __slots__ = ()

    def __call__(self, kind: Any, align: Any = False, copy: Any = True) -> _Dtype:
        return _Dtype(kind)


class _NewScalar(Fixed):
    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def __call__(self, dtype: Any, data: Any = b"") -> _Array:
        array = _Array(self.budget)
        array.__setstate__((1, (), dtype, False, data))
        return array


class _NewTuple(Fixed):
    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def __call__(self, items: Any = ()) -> tuple:
        self.budget.take(len(items))
        return tuple(items)


class _NewDict(Fixed):
    __slots__ = ("budget", "check_key")

    def __init__(self, budget: Budget, check_key: Callable[[Any], None]) -> None:
        self.budget, self.check_key = budget, check_key

    def __call__(self, items: Any = ()) -> dict:
        self.budget.take(len(items))
        pairs = [tuple(item) for item in (items.items() if isinstance(items, dict) else items)]
        for key, _ in pairs:
            self.check_key(key)
        return dict(pairs)


class _NewBytes(Fixed):
    """`codecs.encode(text, "latin1")` and `bytes()`: how pickle's protocol 2 holds bytes."""

    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def __call__(self, text: Any = "", encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise Refused("bytes in an unknown encoding")
        self.budget.take(len(text))
        return text.encode("latin1")


def _allowed(budget: Budget, check_key: Callable[[Any], None]) -> dict[tuple[str, str], Fixed]:
    """Return what a file may name, and what stands for it."""
    new_array, new_scalar, new_bytes = _NewArray(budget), _NewScalar(budget), _NewBytes(budget)
    return {
        ("numpy.core.multiarray", "_reconstruct"): new_array,
        ("numpy._core.multiarray", "_reconstruct"): new_array,
        ("numpy.core.multiarray", "scalar"): new_scalar,
        ("numpy._core.multiarray", "scalar"): new_scalar,
        ("numpy", "ndarray"): _Type(),
        ("numpy", "dtype"): _NewDtype(),
        ("collections", "OrderedDict"): _NewDict(budget, check_key),
        ("_codecs", "encode"): new_bytes,
        ("builtins", "bytes"): new_bytes,
        ("__builtin__", "bytes"): new_bytes,
        ("builtins", "tuple"): _NewTuple(budget),
        ("__builtin__", "tuple"): _NewTuple(budget),
    }


class _Unpickler(BoundedUnpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(BytesIO(data))
        self.allowed = _allowed(Budget(2 * len(data) + 1024), self.check_key)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            return super().find_class(module, name)


def read_state(path: str | Path) -> Any:
    """Read a file that `paddle.save` wrote, running nothing that is in it.

    Returns:
        The dicts, lists, tuples, strings, numbers and arrays that were saved; a tensor is an array,
        own and writable. The table of parameter names that Paddle adds is left out.

    Raises:
        UserError: the file is missing, cut off, no checkpoint, or holds anything else.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this checkpoint: {error.strerror}") from None
    try:
        return _plain(_Unpickler(data).load(), {})
    except Refused as error:
        raise UserError(
            f"{path}: refused: it asks for {error}. A checkpoint holds arrays, plain containers, text and "
            "numbers; nothing in this file was run. If you do not trust where it comes from, delete it"
        ) from None
    except Exception as error:  # whatever the bytes led the unpickler to
        if isinstance(error, EOFError) or any(word in str(error) for word in ("truncated", "exhausted")):
            raise UserError(f"{path}: cut off after {len(data)} bytes: download or copy it again") from None
        raise UserError(
            f"{path}: not a checkpoint of Paddle ({type(error).__name__}: {error}); "
            "expected a .pdparams file as paddle.save writes it"
        ) from None


def read_params(path: str | Path) -> dict[str, np.ndarray]:
    """Read the weights in a `.pdparams` file, running nothing that is in it.

    Returns:
        Parameters and buffers under their names, in the order of the file.

    Raises:
        UserError: as `read_state`, or the file holds something else than named arrays.
    """
    state = read_state(path)
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path}: expected named arrays, the weights of a network; found {_describe(state)}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            hint = "; this is an optimiser's state" if "LR_Scheduler" in state else ""
            raise UserError(f"{path}: expected only arrays, found {_describe(value)} under '{key}'{hint}")
    return state


def write_params(path: str | Path, params: dict[str, np.ndarray]) -> None:
    """Write named arrays as a `.pdparams` file that `paddle.load` reads too, whole or not at all."""
    state: dict[str, Any] = {key: np.ascontiguousarray(value) for key, value in params.items()}
    state[NAME_TABLE] = {key: key for key in params}
    with write_whole(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(state, file, protocol=4)


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Replace stand-ins by arrays, and what Paddle makes of a tensor, (name, array), by the array.

    `done` holds what was replaced already, so that what a file names twice is not walked through twice.
    """
    if isinstance(value, _Array):
        if value.value is None:
            raise Refused("an array without values")
        return value.value
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    if not isinstance(value, dict | list | tuple):
        raise Refused("an object of an unknown kind")
    if id(value) in done:
        if done[id(value)] is _UNDER_WAY:
            raise Refused("a list or dict within itself")
        return done[id(value)]
    done[id(value)] = _UNDER_WAY
    result: Any
    if isinstance(value, dict):
        result = {key: _plain(item, done) for key, item in value.items() if key != NAME_TABLE}
    elif isinstance(value, list):
        result = [_plain(item, done) for item in value]
    else:
        result = tuple(_plain(item, done) for item in value)
        if len(result) == 2 and isinstance(result[0], str) and isinstance(result[1], np.ndarray):
            result = result[1]
    done[id(value)] = result
    return result


def _describe(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {value!r:.60}"
