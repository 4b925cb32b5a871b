"""PyTorch's checkpoint files, read without PyTorch and without running anything that is in them.

`torch.save` writes one of two forms, and both hold a pickle that names functions to be called. Here the few
that build tensors are replaced by functions of this module, and every other name by a thing that takes any
call and does nothing: files of MMEngine hold training logs beside the weights, so a foreign name alone is no
reason to refuse one. Nothing is imported, and no function outside this module is called.

- Zip, since 2020: `X/data.pkl` and one stored member `X/data/KEY` a storage.
- Legacy: one pickle after another (magic number, version, machine, the object, keys of the storages), then
  for each key the number of elements (int64) and the elements.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}


class _Refused(Exception):
    """The file says something that no checkpoint says."""


class _Inert:
    """Stands for everything that a file names and weights do not need."""

    def __new__(cls, *args: Any, **options: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take anything, keep nothing."""

    def _nothing(self, *args: Any, **options: Any) -> "_Inert":
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _nothing


class _Dict(dict):
    """An `OrderedDict`; what a module keeps beside its entries is left out."""

    def __setstate__(self, state: Any) -> None:
        """Leave out versions of layers."""


@dataclass(frozen=True)
class _StorageType:
    dtype: str


@dataclass
class _Storage:
    """Elements in a row; in the legacy form they come after all that refers to them."""

    dtype: np.dtype
    count: int
    values: np.ndarray | None = None


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Read the weights in a `.pth` file that `torch.save` or MMEngine wrote, running nothing that is in it.

    Of a training's checkpoint, `state_dict` is taken: where an average of the weights was kept, MMEngine has
    put it there. Of a distillation's, the student. A leading `module.` is dropped.

    Returns:
        Parameters and buffers under PyTorch's names, in the order of the file; own and writable arrays.

    Raises:
        UserError: the file is missing, cut off, of another kind, or refers to elements that it has not.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this checkpoint: {error.strerror}") from None
    try:
        content = _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
        return _weights(content, len(data))
    except _Refused as error:
        raise UserError(f"{path}: refused: {error}; nothing in this file was run") from None
    except Exception as error:  # whatever the bytes led the unpickler to
        cut = isinstance(error, EOFError | struct.error) or "truncated" in str(error)
        if cut:
            raise UserError(f"{path}: cut off after {len(data)} bytes: download or copy it again") from None
        raise UserError(
            f"{path}: not a checkpoint of PyTorch ({type(error).__name__}: {error}); "
            "expected a .pth file as torch.save writes it"
        ) from None


def is_torch_file(path: str | Path) -> bool:
    """Say whether a file begins as `torch.save` begins one, in either form."""
    with open(path, "rb") as file:
        start = file.read(16)
    return start[:4] == b"PK\x03\x04" or start[2:13] == b"\x8a\x0a" + MAGIC.to_bytes(10, "little")[:9]


def as_paddle(params: Mapping[str, np.ndarray], linear: frozenset[str] | set[str]) -> dict[str, np.ndarray]:
    """Return PyTorch's arrays under Paddle's names and in its shapes.

    Args:
        params: by PyTorch's names.
        linear: names of the weights of linear layers, which Paddle holds as [inputs, outputs].
    """
    result = {}
    for key, value in params.items():
        if key.endswith("num_batches_tracked"):
            continue
        name = key.replace(".running_mean", "._mean").replace(".running_var", "._variance")
        result[name] = np.ascontiguousarray(value.T) if name in linear else value
    return result


def _read_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise _Refused("a zip file without one data.pkl, which is no checkpoint of PyTorch")
        prefix = pickles[0].removesuffix("data.pkl")
        order = prefix + "byteorder"
        if order in members and _member(archive, members[order]).strip() != b"little":
            raise _Refused("numbers in big-endian order")

        def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
            info = members.get(f"{prefix}data/{key}")
            if info is None:
                raise _Refused(f"storage '{key}', which the file does not hold")
            values = np.frombuffer(_member(archive, info), dtype)
            if len(values) != count:
                raise _Refused(f"storage '{key}' of {count} elements, and the file holds {len(values)}")
            return _Storage(dtype, count, values)

        return _Unpickler(_member(archive, members[pickles[0]]), storage).load()


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Read a member that is stored as it is: no few bytes become many."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise _Refused(f"'{info.filename}' is compressed, which torch.save never does")
    return archive.read(info)


def _read_legacy(data: bytes) -> Any:
    storages: dict[str, _Storage] = {}

    def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        found = storages.setdefault(key, _Storage(dtype, count))
        if (found.dtype, found.count) != (dtype, count):
            raise _Refused(f"storage '{key}' of two kinds")
        return found

    file = io.BytesIO(data)
    if not data.startswith(b"\x80\x02\x8a\x0a") or _Unpickler(file, storage).load() != MAGIC:
        raise ValueError("it begins neither as a zip file nor with PyTorch's magic number")
    _Unpickler(file, storage).load()  # version of the form
    if not _Unpickler(file, storage).load().get("little_endian", True):
        raise _Refused("numbers in big-endian order")
    content = _Unpickler(file, storage).load()
    for key in _Unpickler(file, storage).load():
        (count,) = struct.unpack("<q", file.read(8))
        if key not in storages or storages[key].count != count:
            raise _Refused(f"storage '{key}' of {count} elements, which nothing refers to")
        values = file.read(count * storages[key].dtype.itemsize)
        if len(values) < count * storages[key].dtype.itemsize:
            raise EOFError
        storages[key].values = np.frombuffer(values, storages[key].dtype)
    return content


class _Unpickler(pickle.Unpickler):
    """Builds tensors' descriptions; whatever else the file names does nothing."""

    def __init__(self, source: bytes | io.BytesIO, storage: Any) -> None:
        super().__init__(io.BytesIO(source) if isinstance(source, bytes) else source, encoding="latin1")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        return _KNOWN.get((module, name), _Inert)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, _StorageType) or not isinstance(count, int):
            raise _Refused("a storage of an unknown kind")
        if len(pid) > 5 and pid[5] is not None:
            raise _Refused("a view of a storage, as PyTorch wrote before 0.4")
        return self._storage(np.dtype(dtype.dtype), str(key), count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    whole = all(isinstance(each, int) and each >= 0 for each in (offset, *size, *stride))
    if not isinstance(storage, _Storage) or not whole or len(size) != len(stride):
        raise _Refused("a tensor of an unknown kind")
    return _Tensor(storage, offset, tuple(size), tuple(stride))


_KNOWN = {
    ("collections", "OrderedDict"): _Dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
}


def _weights(content: Any, length: int) -> dict[str, np.ndarray]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise _Refused(f"expected named tensors, found {type(content).__name__}")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, _Tensor)}
    if not tensors:
        raise _Refused("no tensors in it")
    if any(key.startswith("student.") for key in tensors):
        tensors = {key[8:]: value for key, value in tensors.items() if key.startswith("student.")}
    room = length  # a file of so many bytes holds no more elements
    result = {}
    for key, tensor in tensors.items():
        room -= math.prod(tensor.size)
        if room < 0:
            raise _Refused(f"'{key}' has more elements than the file can hold")
        result[key.removeprefix("module.")] = _array(key, tensor)
    return result


def _array(key: str, tensor: _Tensor) -> np.ndarray:
    values, steps = tensor.storage.values, zip(tensor.size, tensor.stride, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if values is None or (0 not in tensor.size and last >= len(values)):
        raise _Refused(f"'{key}' refers to elements behind its storage")
    strides = [stride * values.itemsize for stride in tensor.stride]
    start = values[min(tensor.offset, len(values)) :]
    return np.array(np.lib.stride_tricks.as_strided(start, tensor.size, strides), order="C")
