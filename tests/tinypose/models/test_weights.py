"""Checkpoints: what is read, what is refused, and what is said about weights that do not fit."""

import collections
import contextlib
import json
import os
import pickle
import re

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinypose.config import Config, LiteHRNetConfig
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.models.weights import load_weights, read_params, read_state, write_params

INPUT = {"width": 96, "height": 128}


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def dump(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.fixture(scope="module")
def tiny():
    return LiteHRNetConfig(name="lite_hrnet", variant="wider_naive")


@pytest.fixture(scope="module")
def net(tiny):
    paddle.seed(3)
    return build_model(Config(model=tiny, input=INPUT), 17)


def numpy_state(net):
    return {key: value.numpy() for key, value in net.state_dict().items()}


# What is read


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_what_paddle_saves(tmp_path, net, protocol):
    path = tmp_path / "net.pdparams"
    paddle.save(net.state_dict(), str(path), protocol=protocol)
    expected = numpy_state(net)
    found = read_params(path)
    assert list(found) == list(expected)
    for key, value in found.items():
        np.testing.assert_array_equal(value, expected[key])
        assert value.dtype == expected[key].dtype and value.flags.writeable and value.flags.owndata


def test_reads_nested_state_with_tensors(tmp_path):
    """Paddle turns a tensor that is not at the top into a call of `tuple`."""
    path = tmp_path / "state.pdparams"
    a = np.arange(6, dtype="float32").reshape(2, 3)
    saved = {"model": {"a": paddle.to_tensor(a)}, "epoch": 3, "losses": [0.5, np.float64(0.25)], "name": "x"}
    paddle.save(saved, str(path))
    state = read_state(path)
    np.testing.assert_array_equal(state["model"]["a"], a)
    assert (state["epoch"], state["name"], state["losses"][0], state["losses"][1]) == (3, "x", 0.5, 0.25)
    with pytest.raises(UserError, match="expected only arrays, found a dict of 1 under 'model'"):
        read_params(path)


def test_reads_the_published_files(shared):
    for path in sorted((shared / "weights").glob("*.pdparams")):
        found = read_params(path)
        expected = paddle.load(str(path), return_numpy=True)
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[key], expected[key]) for key in found)


@given(
    value=arrays.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i8", ">i4", "u1", "?"]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    protocol=st.sampled_from([2, 3, 4]),
    fortran=st.booleans(),
)
def test_reads_any_plain_array(tmp_path_factory, value, protocol, fortran):
    value = np.asfortranarray(value) if fortran else value
    path = tmp_path_factory.mktemp("arrays") / "a.pdparams"
    for state in ({"a": value}, collections.OrderedDict(a=value)):
        found = read_params(dump(path, state, protocol))["a"]
        assert found.dtype == value.dtype and found.shape == value.shape
        np.testing.assert_array_equal(found, value)


def test_reads_pickles_of_python_2(tmp_path):
    """There arrays' bytes and names are strings of 8 bits."""
    stream = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80?\x00\x00\x00\xc0tbs."
    )
    path = tmp_path / "old.pdparams"
    path.write_bytes(stream)
    np.testing.assert_array_equal(read_params(path)["a"], np.float32([1, -2]))


def test_paddle_reads_what_is_written(tmp_path, net):
    path = tmp_path / "net.pdparams"
    params = numpy_state(net)
    write_params(path, params)
    for loaded in (paddle.load(str(path)), read_params(path)):
        assert list(loaded) == list(params)
        assert all(np.array_equal(np.asarray(loaded[key]), params[key]) for key in params)
    missing, unexpected = net.set_state_dict(paddle.load(str(path)))
    assert not missing and not unexpected


# What is refused


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "attack",
    [
        lambda mark: Calls(os.system, f"touch {mark}"),
        lambda mark: Calls(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Calls(exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Calls(open, str(mark), "w"),
        lambda mark: {"w": np.zeros(3), "x": [Calls(os.mkdir, str(mark))]},
        lambda mark: Calls(getattr, dict, "pop"),
        lambda mark: Calls(np.load, str(mark)),
    ],
)
def test_nothing_is_run(tmp_path, attack, protocol):
    mark = tmp_path / "executed"
    path = dump(tmp_path / "evil.pdparams", attack(mark), protocol)
    with pytest.raises(UserError, match=r"evil\.pdparams: (refused: it asks for '|not a checkpoint)"):
        read_params(path)
    assert not mark.exists()


def test_the_attacks_would_work(tmp_path):
    """Otherwise the test above would show nothing."""
    pickle.loads(pickle.dumps(Calls(os.system, f"touch {tmp_path / 'executed'}")))
    assert (tmp_path / "executed").exists()


def test_nothing_is_imported(tmp_path):
    path = tmp_path / "evil.pdparams"
    (tmp_path / "surprise.py").write_text("raise SystemExit('imported')")
    path.write_bytes(b"\x80\x04\x8c\x08surprise\x8c\x04name\x93.")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(UserError, match=r"'surprise\.name'"):
            read_state(path)


@pytest.mark.parametrize(
    ("stream", "what"),
    [
        # BUILD would set attributes of whatever stands before it.
        (b"\x80\x04cnumpy\nndarray\n}\x8c\x01aK\x01sb.", "an object of an unknown kind"),
        (
            b"\x80\x04cnumpy.core.multiarray\n_reconstruct\nN}\x8c\x01aK\x01s\x86b.",
            "an object of an unknown kind",
        ),
        (b"\x80\x04cnumpy\nndarray\n.", "an object of an unknown kind"),
        (b"\x80\x04cnumpy\ndtype\n\x8c\x01O\x85R.", "an array of dtype 'O'"),
        (
            b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85C\x01b\x87R.",
            "unknown class",
        ),
        (
            b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R.",
            "without values",
        ),
    ],
)
def test_stand_ins_give_nothing_away(tmp_path, stream, what):
    path = tmp_path / "odd.pdparams"
    path.write_bytes(stream)
    with pytest.raises(UserError, match=what):
        read_state(path)


def test_objects_are_no_arrays(tmp_path):
    path = dump(tmp_path / "a.pdparams", {"a": np.array([1, "x", None], dtype=object)})
    with pytest.raises(UserError, match="refused: it asks for an array of dtype 'O8'"):
        read_params(path)


@pytest.mark.parametrize(
    "content", [b"<html>404</html>", b"\x00" * 100, b"PK\x03\x04", b"hello", b"\x80\x04\x95", b"", b"}", b"."]
)
def test_other_files_are_named_so(tmp_path, content):
    path = tmp_path / "page.pdparams"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"page\.pdparams: (not a checkpoint of Paddle|cut off after \d+ bytes)"
    ):
        read_params(path)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_values_or_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "any.pdparams"
    path.write_bytes(b"\x80\x04" + content)
    with contextlib.suppress(UserError):
        read_state(path)


def test_a_cut_file_is_named_so(tmp_path, net):
    path = tmp_path / "net.pdparams"
    write_params(path, numpy_state(net))
    whole = path.read_bytes()
    for share in (0.01, 0.3, 0.77, 0.999, 1 - 1 / len(whole)):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match=r"cut off after \d+ bytes: download or copy it again"):
            read_params(path)


@pytest.mark.parametrize("value", [[], {}, 3, "text", {"a": 1.5}, {3: np.zeros(2)}, [np.zeros(2)]])
def test_weights_are_named_arrays(tmp_path, value):
    with pytest.raises(UserError, match="expected (named|only) arrays"):
        read_params(dump(tmp_path / "a.pdparams", value))


def test_an_optimisers_state_is_not_weights(tmp_path, net):
    x = paddle.zeros([1, 3, 32, 32])
    schedule = paddle.optimizer.lr.StepDecay(0.1, 1)
    for rate, what in ((schedule, "this is an optimiser's state"), (0.1, "This is an optimiser's state")):
        optimizer = paddle.optimizer.Adam(rate, parameters=net.parameters())
        net(x)[0].sum().backward()
        optimizer.step()
        optimizer.clear_grad()
        path = tmp_path / "net.pdopt"
        paddle.save(optimizer.state_dict(), str(path))
        assert read_state(path)
        with pytest.raises(UserError, match=what):
            load_weights(net, path)


def test_a_missing_file_is_named(tmp_path, net):
    with pytest.raises(UserError, match=r"none\.pdparams: no such file"):
        load_weights(net, tmp_path / "none.pdparams")
    with pytest.raises(UserError, match="cannot read this checkpoint"):
        read_params(tmp_path)


# What fits


def test_loads_every_value(tmp_path, tiny, net):
    other = build_model(Config(model=tiny, input=INPUT), 17)
    path = tmp_path / "net.pdparams"
    write_params(path, numpy_state(other))
    assert load_weights(net, str(path)) == []
    expected = numpy_state(other)
    assert all(np.array_equal(value, expected[key]) for key, value in numpy_state(net).items())


def test_loads_half_precision_into_float32(tmp_path, net):
    path = tmp_path / "net.pdparams"
    write_params(path, {key: value.astype("float16") for key, value in numpy_state(net).items()})
    load_weights(net, path)
    assert {str(value.dtype) for value in numpy_state(net).values()} == {"float32"}


def test_the_published_checkpoint_loads(shared, net):
    path = shared / "weights" / "tinypose_256x192.pdparams"
    load_weights(net, path)
    np.testing.assert_array_equal(net.final_conv.weight.numpy(), read_params(path)["final_conv.weight"])


def test_every_key_that_does_not_fit_is_listed(tmp_path, tiny):
    net = build_model(Config(model=tiny, input=INPUT), 17)
    before = numpy_state(net)
    params = {key: value + 1 for key, value in before.items()}
    del (
        params["backbone.stem.conv1.conv.weight"],
        params["backbone.head_layer.projects.0.depthwise_conv.conv.weight"],
    )
    params["backbone.extra"] = np.zeros(3, "float32")
    params["final_conv.bias"] = np.zeros(3, "float32")
    path = tmp_path / "net.pdparams"
    write_params(path, params)
    with pytest.raises(UserError) as error:
        load_weights(net, path)
    text = str(error.value)
    assert text.splitlines()[0] == f"{path}: these weights do not fit the network"
    missing = r"backbone\.stem\.conv1\.conv\.weight\n +backbone\.head_layer\."
    assert re.search(rf"missing from the file \(2 of 1342\):\n +{missing}", text)
    assert re.search(r"unexpected in the file \(1 of 1341\):\n +backbone\.extra\n", text)
    assert re.search(
        r"of another shape \(1 of 1342\):\n +final_conv\.bias: file \[3\], network \[17\]\n", text
    )
    assert all(np.array_equal(value, before[key]) for key, value in numpy_state(net).items())


def test_another_number_of_joints_is_named_and_can_be_wanted(tmp_path, tiny, net):
    path = tmp_path / "net.pdparams"
    write_params(path, numpy_state(net))
    other = build_model(Config(model=tiny, input=INPUT), 14)
    head = other.final_conv.weight.numpy()
    with pytest.raises(UserError, match="They are for 17 joints, the config's skeleton has 14"):
        load_weights(other, path)
    assert load_weights(other, path, new_head=True) == ["final_conv.weight", "final_conv.bias"]
    np.testing.assert_array_equal(other.final_conv.weight.numpy(), head)
    key = "backbone.stem.conv1.conv.weight"
    np.testing.assert_array_equal(other.state_dict()[key].numpy(), net.state_dict()[key].numpy())


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("hrnet_w32_256x192", "They look like another model's"),
        ("lite_hrnet_30_256x192", "check `model` in the config"),
        ("picodet_s_416_legacy", "They look like another model's"),
    ],
)
def test_a_foreign_model_is_named_so_briefly(tmp_path, shared, net, name, advice):
    keys = json.loads((shared / "reference" / f"{name}.keys.json").read_text())
    path = tmp_path / "foreign.pdparams"
    write_params(path, {key: np.zeros(shape, "float32") for key, shape in keys.items()})
    for new_head in (False, True):
        with pytest.raises(UserError, match=advice) as error:
            load_weights(net, path, new_head)
        assert len(str(error.value).splitlines()) < 180


def test_values_that_are_not_finite_are_named(tmp_path, net):
    params = numpy_state(net)
    params["final_conv.bias"] = np.full(17, np.nan, "float32")
    write_params(tmp_path / "nan.pdparams", params)
    with pytest.raises(UserError, match=r"not finite: final_conv\.bias"):
        load_weights(net, tmp_path / "nan.pdparams")


def doubled_tuples(times: int) -> bytes:
    """Return a pickle of a few bytes a time: t = (t, t), again and again, as a value and as a key."""
    return b"\x80\x04)\x94" + b"".join(
        b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86\x94" for n in range(times)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr\x00\xc2\xeb\x0b.",  # LONG_BINPUT: remember it as number 200 million
        doubled_tuples(40) + b".",
        b"\x80\x04}" + doubled_tuples(40)[2:] + b"Ns.",
        b"\x80\x04" + b"]" * 5000 + b"a" * 4999 + b".",
        b"\x80\x04]\x94h\x00a.",  # a list within itself
        b"\x80\x04\x8f(K\x01\x90.",  # a set
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x00.",  # text of 2**56 bytes
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame of 2**63 bytes
    ],
)
def test_a_few_bytes_cannot_ask_for_much(tmp_path, data):
    import subprocess
    import sys

    path = tmp_path / "few.pdparams"
    path.write_bytes(data)
    code = f"""
import resource
from tinypose.errors import UserError
from tinypose.pdparams import read_params
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_params({str(path)!r})
except UserError:
    print("refused", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.stdout == "refused True\n", done.stderr


def test_the_same_bytes_cannot_become_many_arrays(tmp_path):
    import pickle

    class Again:
        def __init__(self, data):
            self.data = data

        def __reduce__(self):
            return (
                np.ndarray.__reduce__(np.zeros(0))[0],
                (np.ndarray, (0,), b"b"),
                (1, (len(self.data),), np.dtype("u1"), False, self.data),
            )

    data = bytes(100_000)
    path = tmp_path / "many.pdparams"
    path.write_bytes(pickle.dumps({str(n): Again(data) for n in range(100)}, protocol=4))
    assert path.stat().st_size < 200_000
    with pytest.raises(UserError, match="more than it holds"):
        read_params(path)


def test_weights_beyond_the_networks_numbers_are_named(tmp_path, net):
    state = numpy_state(net)
    key = next(key for key in state if key.endswith("._variance"))
    for value, match in (
        (1e300, f"beyond the range of float32: {key}"),
        (-1.0, f"negative variances: {key}"),
    ):
        changed = {**state, key: np.full(state[key].shape, value)}
        write_params(tmp_path / "net.pdparams", changed)
        with pytest.raises(UserError, match=match):
            load_weights(net, tmp_path / "net.pdparams")
