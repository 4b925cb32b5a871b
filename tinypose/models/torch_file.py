"""PyTorch's checkpoint files, read without PyTorch and without running anything that is in them.

`torch.save` writes one of two forms, and both hold a pickle that names functions to be called. Here the few
that build tensors are replaced by functions of this module, and every other name by a thing that takes any
call and does nothing: files of MMEngine hold training logs beside the weights, so a foreign name alone is no
reason to refuse one. Nothing is imported, and no function outside this module is called. Memory and time are
bounded by the length of the file (`tinypose.unpickle`).

- Zip, since 2020: `X/data.pkl` and one stored member `X/data/KEY` a storage.
- Legacy: one pickle after another (magic number, version, machine, the object, keys of the storages), then
  for each key the number of elements (int64) and the elements.
"""

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.errors import UserError
from tinypose.unpickle import BoundedUnpickler, Budget, Fixed, Refused

MAGIC = 0x1950A86A20F9469CFC6C
_MOST = 2**40  # elements, steps and dimensions of a tensor: beyond what any file holds
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


class _Inert:
    """Stands for everything that a file names and weights do not need."""

    __slots__ = ()

    def __new__(cls, *args: Any, **options: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take anything, keep nothing."""

    def _nothing(self, *args: Any, **options: Any) -> "_Inert":
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _nothing


class _Dict(dict):
    """An `OrderedDict`; what a module keeps beside its entries is left out."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Leave out versions of layers."""


class _NewDict(Fixed):
    """Stands for `collections.OrderedDict`."""

    __slots__ = ("unpickler",)

    def __init__(self, unpickler: "_Unpickler") -> None:
        self.unpickler = unpickler

    def __call__(self, items: Any = ()) -> _Dict:
        self.unpickler.budget.take(len(items))
        pairs = [tuple(item) for item in (items.items() if isinstance(items, dict) else items)]
        for key, _ in pairs:
            self.unpickler.check_key(key)
        return _Dict(pairs)


class _StorageType(Fixed):
    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)


class _Storage(Fixed):
    """Elements in a row; in the legacy form they come after all that refers to them."""

    __slots__ = ("count", "dtype", "values")

    def __init__(self, dtype: np.dtype, count: int, values: np.ndarray | None = None) -> None:
        self.dtype, self.count, self.values = dtype, count, values


class _Tensor(Fixed):
    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


class _NewTensor(Fixed):
    """Stands for `torch._utils._rebuild_tensor_v2`."""

    __slots__ = ("unpickler",)

    def __init__(self, unpickler: "_Unpickler") -> None:
        self.unpickler = unpickler

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
        if not isinstance(storage, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
            raise Refused("a tensor of an unknown kind")
        self.unpickler.budget.take(len(size) + len(stride))
        whole = all(type(each) is int and 0 <= each < _MOST for each in (offset, *size, *stride))
        if not whole or len(size) != len(stride):
            raise Refused("a tensor of an unknown kind")
        return _Tensor(storage, offset, size, stride)


class _NewParameter(Fixed):
    """Stands for `torch._utils._rebuild_parameter`: the tensor itself."""

    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> Any:
        return tensor


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
    except Refused as error:
        raise UserError(f"{path}: refused: {error}; nothing in this file was run") from None
    except Exception as error:  # whatever the bytes led the unpickler to
        cut = isinstance(error, EOFError | struct.error)
        cut = cut or any(word in str(error) for word in ("truncated", "exhausted"))
        if cut:
            raise UserError(f"{path}: cut off after {len(data)} bytes: download or copy it again") from None
        raise UserError(
            f"{path}: not a checkpoint of PyTorch ({type(error).__name__}: {error!s:.200}); "
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
    room = Budget(len(data))  # members may not lie over one another
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise Refused("a zip file without one data.pkl, which is no checkpoint of PyTorch")
        prefix = pickles[0].removesuffix("data.pkl")
        order = prefix + "byteorder"
        if order in members and _member(archive, members[order], room).strip() != b"little":
            raise Refused("numbers in big-endian order")

        def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
            if key not in storages:
                info = members.get(f"{prefix}data/{key}")
                if info is None:
                    raise Refused(f"storage '{key:.40}', which the file does not hold")
                values = np.frombuffer(_member(archive, info, room), dtype)
                storages[key] = _Storage(dtype, len(values), values)
            found = storages[key]
            if (found.dtype, found.count) != (dtype, count):
                here = f"the file holds {found.count} ({found.dtype})"
                raise Refused(f"storage '{key:.40}' of {count} elements ({dtype}), and {here}")
            return found

        content = _member(archive, members[pickles[0]], room)
        return _Unpickler(io.BytesIO(content), storage, len(data)).load()


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: Budget) -> bytes:
    """Read a member that is stored as it is: no few bytes become many."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise Refused(f"'{info.filename}' is compressed, which torch.save never does")
    room.take(info.file_size)
    return archive.read(info)


def _read_legacy(data: bytes) -> Any:
    storages: dict[str, _Storage] = {}

    def storage(dtype: np.dtype, key: str, count: int) -> _Storage:
        found = storages.setdefault(key, _Storage(dtype, count))
        if (found.dtype, found.count) != (dtype, count):
            raise Refused(f"storage '{key:.40}' of two kinds")
        return found

    file = io.BytesIO(data)

    def load() -> Any:
        return _Unpickler(file, storage, len(data)).load()

    if not data.startswith(b"\x80\x02\x8a\x0a") or load() != MAGIC:
        raise ValueError("it begins neither as a zip file nor with PyTorch's magic number")
    load()  # version of the form
    system = load()
    if not isinstance(system, dict) or not system.get("little_endian", True):
        raise Refused("numbers in big-endian order")
    content, keys = load(), load()
    if not isinstance(keys, list):
        raise Refused("storages without a list of them")
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        found = storages.get(key) if isinstance(key, str) else None
        if found is None or found.count != count:
            raise Refused(f"a storage of {count} elements, which nothing refers to")
        values = file.read(count * found.dtype.itemsize)
        if len(values) < count * found.dtype.itemsize:
            raise EOFError
        found.values = np.frombuffer(values, found.dtype)
    return content


class _Unpickler(BoundedUnpickler):
    """Builds tensors' descriptions; whatever else the file names does nothing."""

    keys = (*BoundedUnpickler.keys, _Inert)

    def __init__(self, file: io.BytesIO, storage: Any, length: int) -> None:
        super().__init__(file)
        self.budget = Budget(2 * length + 1024)
        self._storage = storage
        self._known = {
            ("collections", "OrderedDict"): _NewDict(self),
            ("torch._utils", "_rebuild_tensor_v2"): _NewTensor(self),
            ("torch._utils", "_rebuild_parameter"): _NewParameter(),
        }

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        return self._known.get((module, name), _Inert)

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5:
            raise Refused("a storage of an unknown kind")
        kind, dtype, key, _, count = pid[:5]
        fits = isinstance(dtype, _StorageType) and isinstance(key, str) and type(count) is int
        if kind != "storage" or not fits or not 0 <= count < _MOST:
            raise Refused("a storage of an unknown kind")
        if len(pid) > 5 and pid[5] is not None:
            raise Refused("a view of a storage, as PyTorch wrote before 0.4")
        return self._storage(dtype.dtype, key, count)


def _weights(content: Any, length: int) -> dict[str, np.ndarray]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise Refused(f"expected named tensors, found {type(content).__name__}")
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, _Tensor)
    }
    if not tensors:
        raise Refused("no tensors in it")
    if any(key.startswith("student.") for key in tensors):
        tensors = {key[8:]: value for key, value in tensors.items() if key.startswith("student.")}
    room = length  # a file of so many bytes holds no more elements
    result = {}
    for key, tensor in tensors.items():
        room -= math.prod(tensor.size)
        if room < 0:
            raise Refused(f"'{key}' has more elements than the file can hold")
        result[key.removeprefix("module.")] = _array(key, tensor)
    return result


def _array(key: str, tensor: _Tensor) -> np.ndarray:
    values, steps = tensor.storage.values, zip(tensor.size, tensor.stride, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if values is None or (0 not in tensor.size and last >= len(values)):
        raise Refused(f"'{key}' refers to elements behind its storage")
    strides = [stride * values.itemsize for stride in tensor.stride]
    start = values[min(tensor.offset, len(values)) :]
    return np.array(np.lib.stride_tricks.as_strided(start, tensor.size, strides), order="C")
