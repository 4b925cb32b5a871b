"""PyTorch's checkpoint files: read as torch would, and never run."""

import collections
import functools
import hashlib
import http.server
import io
import pickle
import struct
import sys
import threading
import time
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import nn

from tinypose.config import load_config
from tinypose.errors import UserError
from tinypose.models import build_model, zoo
from tinypose.models.torch_file import MAGIC, is_torch_file, read_torch
from tinypose.models.weights import load_backbone, load_weights

FILES = ("checkpoint_2023_01_zip", "checkpoint_2023_05_legacy", "checkpoint_zip_published")
STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}


class Tensor:
    """What `torch.save` makes of an array, by names that exist while a file is written."""

    def __init__(self, array, count=None, offset=0, stride=None):
        self.array, self.offset = array, offset
        self.count = array.size if count is None else count
        self.stride = tuple(each // array.itemsize for each in array.strides) if stride is None else stride

    def __reduce_ex__(self, protocol):
        pid = (
            "storage",
            sys.modules["torch"].storages[self.array.dtype.str[1:]],
            str(id(self)),
            "cpu",
            self.count,
        )
        args = (Pid(pid), self.offset, self.array.shape, self.stride, False, collections.OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, args


class Pid:
    def __init__(self, value):
        self.value = value


class Pickler(pickle.Pickler):
    tail = ()

    def persistent_id(self, value):
        return (*value.value, *self.tail) if isinstance(value, Pid) else None


class LegacyPickler(Pickler):
    tail = (None,)


@pytest.fixture(scope="module", autouse=True)
def torch_names():
    """Names that pickle can refer to, as if PyTorch were there."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.storages = {}
    for code, name in STORAGES.items():
        storage = type(name, (), {"__module__": "torch"})
        setattr(torch, name, storage)
        torch.storages[code] = storage

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "torch", torch)
    patch.setitem(sys.modules, "torch._utils", utils)
    yield
    patch.undo()


def pickled(value, kind=Pickler):
    buffer = io.BytesIO()
    kind(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def tensors_in(value):
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else ()
    return [each for item in items for each in tensors_in(item)]


def write_zip(path, value, prefix="archive", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{prefix}/data.pkl", pickled(value))
        for tensor in tensors_in(value):
            archive.writestr(f"{prefix}/data/{id(tensor)}", tensor.array.tobytes())
        archive.writestr(f"{prefix}/version", "3\n")


def write_legacy(path, value):
    parts = [pickled(MAGIC), pickled(1001), pickled({"little_endian": True}), pickled(value, LegacyPickler)]
    tensors = tensors_in(value)
    parts.append(pickled([str(id(each)) for each in tensors]))
    parts += [struct.pack("<q", each.array.size) + each.array.tobytes() for each in tensors]
    path.write_bytes(b"".join(parts))


@pytest.mark.parametrize("name", FILES)
def test_reads_the_published_forms(shared, name):
    path = shared / "reference" / f"{name}.pth"
    expected = np.load(shared / "reference" / "checkpoint_expected.npz")
    assert is_torch_file(path)
    found = read_torch(path)
    assert set(found) == set(expected.files)
    for key in expected.files:
        assert found[key].dtype == expected[key].dtype
        np.testing.assert_array_equal(found[key], expected[key])


@pytest.mark.parametrize("name", FILES)
def test_a_cut_or_damaged_file_is_answered(shared, tmp_path, name):
    data = (shared / "reference" / f"{name}.pth").read_bytes()
    path = tmp_path / "weights.pth"
    generator = np.random.default_rng(0)
    for size in (0, 1, 4, 20, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(UserError, match="weights.pth"):
            read_torch(path)
    for _ in range(100):
        damaged = bytearray(data)
        for place in generator.integers(0, len(data), 3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            read_torch(path)
        except UserError as error:
            assert "weights.pth" in str(error)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([(), (3,), (2, 3), (0, 4), (2, 1, 3, 3)]), min_size=1, max_size=4),
    st.sampled_from(sorted(STORAGES)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_what_is_written_is_read(tmp_path_factory, shapes, code, legacy, seed):
    generator = np.random.default_rng(seed)
    arrays = {
        f"layer{i}.weight": np.asarray(generator.normal(0, 5, s)).astype(code) for i, s in enumerate(shapes)
    }
    path = tmp_path_factory.mktemp("torch") / "weights.pth"
    state = {"meta": {"epoch": 3}, "state_dict": {key: Tensor(value) for key, value in arrays.items()}}
    (write_legacy if legacy else write_zip)(path, state)
    found = read_torch(path)
    assert list(found) == list(arrays)
    for key, value in arrays.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape
        np.testing.assert_array_equal(found[key], value)
        found[key][...] = 0  # own and writable


def test_a_transposed_view_of_a_storage(tmp_path):
    path, array = tmp_path / "w.pth", np.arange(6, dtype="f4").reshape(2, 3)
    tensor = Tensor(array, stride=(1, 2))
    write_zip(path, {"a": tensor})
    np.testing.assert_array_equal(read_torch(path)["a"], [[0, 2, 4], [1, 3, 5]])


def test_a_students_weights_are_taken_and_a_wrapper_is_dropped(tmp_path):
    path, one = tmp_path / "w.pth", np.ones(2, "f4")
    write_zip(path, {"state_dict": {"teacher.a": Tensor(one), "student.a": Tensor(2 * one)}})
    np.testing.assert_array_equal(read_torch(path)["a"], [2, 2])
    write_zip(path, {"module.backbone.a": Tensor(one)})
    assert list(read_torch(path)) == ["backbone.a"]


class Runs:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_nothing_is_run(tmp_path, write):
    target, path = tmp_path / "was_run", tmp_path / "w.pth"
    write(path, {"meta": Runs(target), "state_dict": {"a": Tensor(np.ones(2, "f4"))}})
    np.testing.assert_array_equal(read_torch(path)["a"], [1, 1])
    assert not target.exists()


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"offset": 5}, "behind its storage"),
        ({"stride": (100,)}, "behind its storage"),
        ({"stride": (-1,)}, "unknown kind"),
        ({"count": 7}, "7 elements"),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path, tensor, words):
    path = tmp_path / "w.pth"
    write_zip(path, {"a": Tensor(np.ones(4, "f4"), **tensor)})
    with pytest.raises(UserError, match=words):
        read_torch(path)


def test_a_few_bytes_cannot_ask_for_much(tmp_path):
    path = tmp_path / "w.pth"
    huge = Tensor(np.ones(1, "f4"), stride=(0,))
    huge.array = np.broadcast_to(huge.array, (10**12,))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickled({"a": huge}))
        archive.writestr(f"x/data/{id(huge)}", np.ones(1, "f4").tobytes())
    with pytest.raises(UserError, match="more elements"):
        read_torch(path)
    write_zip(path, {"a": Tensor(np.zeros(10**6, "f4"))}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="compressed"):
        read_torch(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04rest", b"no checkpoint at all", b"\x80\x02}."])
def test_a_foreign_file_is_answered(tmp_path, content):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match="w.pth: "):
        read_torch(path)


def test_a_checkpoint_without_tensors_is_answered(tmp_path):
    path = tmp_path / "w.pth"
    write_zip(path, {"state_dict": {"a": 3}})
    with pytest.raises(UserError, match="no tensors"):
        read_torch(path)


def published_state(net):
    """A network's weights under MMPose's names and in PyTorch's shapes."""
    linear = {f"{name}.weight" for name, each in net.named_sublayers() if isinstance(each, nn.Linear)}
    names = {"._mean": ".running_mean", "._variance": ".running_var"}
    state = {"backbone.stem.0.bn.num_batches_tracked": Tensor(np.array(7))}
    for key, tensor in net.state_dict().items():
        for own, published in names.items():
            key = key.replace(own, published)
        value = tensor.numpy()
        state[key] = Tensor(np.ascontiguousarray(value.T) if key in linear else value)
    return state


def test_rtmposes_published_form_fills_the_network(tmp_path):
    """Weights under MMPose's names and in PyTorch's shapes, as `-o weights=FILE.pth` takes them."""
    config = load_config("rtmpose_t_256x192")
    net, other = build_model(config, 17), build_model(config, 17)
    state = published_state(net)
    path = tmp_path / "rtmpose-t.pth"
    write_zip(path, {"meta": {}, "state_dict": state})
    load_weights(other, path)
    for key, tensor in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key].numpy(), tensor.numpy(), err_msg=key)
    del state["head.gau.gamma"]
    write_zip(path, {"state_dict": state})
    with pytest.raises(UserError, match="gau.gamma"):
        load_weights(other, path)


def hostile_pickles(size: int) -> dict[str, bytes]:
    """Pickles of few bytes, or about `size`, that ask for memory, time, or a change of what reads them."""
    entry = b"\x80\x02}X\x01\x00\x00\x00a"
    torch = b"ctorch._utils\n_rebuild_tensor_v2\n"
    storage = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQ"
    tensor = torch + b"(" + storage + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    big = b"\x8b" + struct.pack("<i", size) + b"\x7f" * size + b"q\x00"
    ordered = b"ccollections\nOrderedDict\nq\x01"
    return {
        "a far place in the memo": b"\x80\x02}Nr\xff\xff\xff\x7f.",
        "a billion zeros": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        "a string longer than the file": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
        "tuples within tuples as a key": b"\x80\x02})" + b"\x86".join([b"2"] * 60) + b"\x86Ns.",
        "the same list again and again": b"\x80\x02](" + b"K\x01K\x01\x86" * (size // 5) + b"eq\x00"
        + ordered + b"(" + b"h\x01h\x00\x85R" * (size // 5) + b"l.",
        "dimensions that multiply to much": entry + torch + b"(" + storage
        + b"K\x00" + b"(" + big + b"h\x00" * size + b"t" + b"(" + b"K\x01" * (size + 1) + b"t\x89NtRs.",
        "a tensor changed when it was checked": entry + tensor
        + b"}X\x06\x00\x00\x00stride(J\xff\xff\xff\xfftsbs.",
        "the function itself changed": entry + torch
        + b"N}X\x08\x00\x00\x00__code__Ns\x86bs.",
        "a storage of fewer than none": entry
        + tensor.replace(b"K\x04tQ", b"J\xff\xff\xff\xfftQ") + b"s.",
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile_pickles(1))
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_hostile_pickles_take_neither_memory_nor_time(tmp_path, name, form):
    path, content = tmp_path / "w.pth", hostile_pickles(20_000)[name]
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", content)
            archive.writestr("x/data/0", np.ones(4, "f4").tobytes())
    else:
        start = pickled(MAGIC) + pickled(1001) + pickled({"little_endian": True})
        values = struct.pack("<q", 4) + np.ones(4, "f4").tobytes()
        path.write_bytes(start + content + pickled(["0"]) + values)
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(UserError, match="w.pth: ") as raised:
        read_torch(path)
    taken, (_, most) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 5 and most < 30e6, (taken, most)
    assert len(str(raised.value)) < 1000


def test_members_that_lie_over_one_another_are_read_once(tmp_path):
    """Two names of one stored member are more than the file holds."""
    path, many = tmp_path / "w.pth", np.zeros(100_000, "f4")
    tensors = {str(i): Tensor(many) for i in range(3)}
    write_zip(path, tensors)
    data = bytearray(path.read_bytes())
    names = [f"archive/data/{id(each)}".encode() for each in tensors.values()]
    first = struct.pack("<I", data.index(names[0]) - 30)
    for name in names[1:]:  # the directory's entries point at the first member
        entry = data.rindex(name)
        data[entry - 4 : entry] = first
    path.write_bytes(data)
    with pytest.raises(UserError, match="w.pth: "):
        read_torch(path)


def test_a_tensor_that_several_names_share_is_read_for_each(tmp_path):
    path, shared = tmp_path / "w.pth", Tensor(np.arange(6, dtype="f4"))
    write_legacy(path, {"state_dict": {"a": shared, "b": Tensor(np.ones(2, "f4"))}})
    assert set(read_torch(path)) == {"a", "b"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickled({"a": shared, "b": shared}))
        archive.writestr(f"x/data/{id(shared)}", shared.array.tobytes())
    found = read_torch(path)
    found["a"][0] = 9
    np.testing.assert_array_equal(found["b"], np.arange(6))


def test_a_published_file_is_fetched_by_name_and_checked_by_its_own_name(tmp_path, monkeypatch):
    """As `-o weights=rtmpose_t_256x192`, from a server here; and its backbone alone, to start from."""
    net, other, third = (build_model(load_config("rtmpose_t_256x192"), 17) for _ in range(3))
    write_zip(tmp_path / "file", {"state_dict": published_state(net)})
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()[:8]
    name = f"rtmpose-tiny-{digest}_20230126.pth"
    (tmp_path / "file").rename(tmp_path / name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("EDGE_POSE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(zoo, "_MMPOSE", f"http://127.0.0.1:{server.server_port}")
        published = zoo._rtmpose(*name.removesuffix(".pth").split("_"))
        monkeypatch.setitem(zoo.ZOO, "rtmpose_t_256x192", published)
        load_weights(other, "rtmpose_t_256x192")
        left = load_backbone(third, "rtmpose_t_256x192")
        server.shutdown()
    assert left and all(key.startswith("head.") for key in left)
    for key, tensor in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key].numpy(), tensor.numpy(), err_msg=key)
    np.testing.assert_array_equal(
        third.backbone.stem[0].conv.weight.numpy(), net.backbone.stem[0].conv.weight
    )
