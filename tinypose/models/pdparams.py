"""Paddle's checkpoint files, read without running anything that is in them.

A `.pdparams` or `.pdopt` file is a pickle, and an ordinary unpickler calls whatever the file names.
This one knows only stand-ins for the few names that arrays need; the arrays are built from the plain
values at the end. Nothing is imported, and no function outside this module is called.
"""

import pickle
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.errors import UserError
from tinypose.files import write_whole

NAME_TABLE = "StructuredToParameterName@@"  # beside the arrays: what Paddle called them while training

_DTYPE = re.compile(r"\?|[biuf]\d{1,2}")
_BYTE_ORDERS = ("<", ">", "=", "|")


class _Refused(Exception):
    """The file wants something that is not an array or a plain value."""


class _Function:
    """Stands for a function or class that a file names; immutable, also for the file."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _Refused("an object of an unknown kind")


class _Type(_Function):
    """Stands for a class that files only pass on."""

    __slots__ = ()


class _Array:
    """Stands for `numpy.ndarray`: empty, until the file gives its state."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            raise _Refused("an array of an unknown kind")
        if isinstance(data, str):  # as Python 2 wrote it
            data = data.encode("latin1")
        if not isinstance(data, bytes):
            raise _Refused("an array of objects")
        flat = np.frombuffer(data, dtype.numpy())
        self.value = np.array(flat.reshape(shape, order="F" if fortran else "C"), order="C")


class _Dtype:
    """Stands for `numpy.dtype`: the kind and size, and the byte order that follows."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: Any) -> None:
        if not isinstance(kind, str) or not _DTYPE.fullmatch(kind):
            raise _Refused(f"an array of dtype {kind!r:.40}")
        self.kind, self.order = kind, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in _BYTE_ORDERS:
            raise _Refused("an array of an unknown byte order")
        self.order = state[1]

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.kind)


class _NewArray(_Function):
    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(kind, _Type):
            raise _Refused("an array of an unknown class")
        return _Array()


class _NewDtype(_Function):
    __slots__ = ()

    def __call__(self, kind: Any, align: Any = False, copy: Any = True) -> _Dtype:
        return _Dtype(kind)


class _NewScalar(_Function):
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any = b"") -> _Array:
        array = _Array()
        array.__setstate__((1, (), dtype, False, data))
        return array


class _NewTuple(_Function):
    __slots__ = ()

    def __call__(self, items: Any = ()) -> tuple:
        return tuple(items)


class _NewDict(_Function):
    __slots__ = ()

    def __call__(self, items: Any = ()) -> dict:
        return dict(items)


class _NewBytes(_Function):
    """`codecs.encode(text, "latin1")` and `bytes()`: how pickle's protocol 2 holds bytes."""

    __slots__ = ()

    def __call__(self, text: Any = "", encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise _Refused("bytes in an unknown encoding")
        return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _NewArray(),
    ("numpy._core.multiarray", "_reconstruct"): _NewArray(),
    ("numpy.core.multiarray", "scalar"): _NewScalar(),
    ("numpy._core.multiarray", "scalar"): _NewScalar(),
    ("numpy", "ndarray"): _Type(),
    ("numpy", "dtype"): _NewDtype(),
    ("collections", "OrderedDict"): _NewDict(),
    ("_codecs", "encode"): _NewBytes(),
    ("builtins", "bytes"): _NewBytes(),
    ("__builtin__", "bytes"): _NewBytes(),
    ("builtins", "tuple"): _NewTuple(),
    ("__builtin__", "tuple"): _NewTuple(),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"'{module}.{name}'") from None


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
        return _plain(_Unpickler(BytesIO(data), encoding="latin1").load())
    except _Refused as error:
        raise UserError(
            f"{path}: refused: it asks for {error}. A checkpoint holds arrays, plain containers, text and "
            "numbers; nothing in this file was run. If you do not trust where it comes from, delete it"
        ) from None
    except Exception as error:  # whatever the bytes led the unpickler to
        if isinstance(error, EOFError) or "truncated" in str(error):
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


def _plain(value: Any) -> Any:
    """Replace stand-ins by arrays, and what Paddle makes of a tensor, (name, array), by the array."""
    if isinstance(value, _Array):
        if value.value is None:
            raise _Refused("an array without values")
        return value.value
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items() if key != NAME_TABLE}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        items = tuple(_plain(item) for item in value)
        is_tensor = len(items) == 2 and isinstance(items[0], str) and isinstance(items[1], np.ndarray)
        return items[1] if is_tensor else items
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    raise _Refused("an object of an unknown kind")


def _describe(value: Any) -> str:
    return (
        f"{type(value).__name__} {value!r:.60}" if not isinstance(value, dict) else f"a dict of {len(value)}"
    )
