"""The reader and writer of `.nb`, and what makes the files smaller."""

import platform
from collections import Counter
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.graph.run import run_numpy
from lite_deploy.nb.file import KERNEL, Attr, LiteModel, Operator, Variable
from lite_deploy.nb.interpret import interpreter
from lite_deploy.nb.read import _root, _strings, parts, read_nb
from lite_deploy.nb.slim import basic_gates, half_weights, merge_casts, reuse_memory, single_assignment, slim
from lite_deploy.nb.write import write_nb
from lite_deploy.write.lite import optimise, run_optimiser
from lite_deploy.write.paddle import write_program
from tinypose.errors import UserError


@pytest.fixture
def optimised(every_kind, tmp_path):
    """Return a function: target -> the optimiser's own `.nb` of a graph with every kind of node."""
    write_program(every_kind, tmp_path)

    def make(target: str):
        out = tmp_path / f"{target}.nb"
        run_optimiser(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", out, target)
        return out

    return make


def run_lite(path, *images: np.ndarray) -> list[np.ndarray]:
    """Run a model on one image after the other."""
    from paddlelite.lite import MobileConfig, create_paddle_predictor

    config = MobileConfig()
    config.set_model_from_file(str(path))
    predictor = create_paddle_predictor(config)
    results = []
    for image in images:
        predictor.get_input(0).from_numpy(image)
        predictor.run()
        results.append(predictor.get_output(0).numpy().copy())
    return results


def test_reads_what_the_optimiser_wrote(optimised, every_kind):
    model = read_nb(optimised("arm"))
    assert model.version == "v2.13-rc"
    assert [op.type for op in model.operators][:2] == ["feed", "conv2d"]
    stem = model.operators[1]
    assert stem.get("strides") == [2, 2]
    assert stem.get("act_type") == "relu"
    assert (stem.target, stem.precision, stem.kernel) == ("arm", "fp32", "def")
    weight = model.params[stem.inputs["Filter"][0]]
    np.testing.assert_array_equal(weight, every_kind.nodes[0].params["weight"])


def test_written_again_it_is_the_same_and_smaller(optimised, tmp_path):
    for target in ("arm", "x86"):
        path, again = optimised(target), tmp_path / "again.nb"
        model = read_nb(path)
        write_nb(model, again)
        copy = read_nb(again)
        assert copy.operators == model.operators
        assert copy.variables == model.variables
        assert list(copy.params) == sorted(model.params)
        for name, value in model.params.items():
            np.testing.assert_array_equal(copy.params[name], value)
        assert again.stat().st_size < 0.6 * path.stat().st_size


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs Paddle-Lite's x86 kernels")
def test_runtime_computes_the_same_bits_from_the_smaller_file(optimised, pictures, tmp_path):
    path, smaller = optimised("x86"), tmp_path / "smaller.nb"
    write_nb(slim(read_nb(path)), smaller)
    np.testing.assert_array_equal(run_lite(smaller, *pictures[:, None]), run_lite(path, *pictures[:, None]))
    assert smaller.stat().st_size < 0.5 * path.stat().st_size


text = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9)
int32, int64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
floats = st.floats(width=32, allow_nan=False).map(lambda value: value + 0.0)  # -0.0 is kept as 0.0
attrs = st.one_of(
    st.builds(Attr, st.just("i"), int32),
    st.builds(Attr, st.just("f"), floats),
    st.builds(Attr, st.just("s"), text),
    st.builds(Attr, st.just("b"), st.booleans()),
    st.builds(Attr, st.just("l"), int64),
    st.builds(Attr, st.just("ints"), st.lists(int32)),
    st.builds(Attr, st.just("longs"), st.lists(int64)),
    st.builds(Attr, st.just("floats"), st.lists(floats)),
    st.builds(Attr, st.just("bools"), st.lists(st.booleans())),
    st.builds(Attr, st.just("strings"), st.lists(text)),
)
slots = st.dictionaries(text, st.lists(text, max_size=3), max_size=3)
operators = st.builds(Operator, text, slots, slots, st.dictionaries(text, attrs, max_size=5))
variables = st.one_of(
    st.builds(Variable, text, st.just(7), st.booleans(), st.sampled_from([5, 21]), st.lists(int64)),
    st.builds(Variable, text, st.just(9), st.booleans()),
)
params = st.dictionaries(
    text,
    st.one_of(
        st.lists(floats, min_size=1).map(lambda values: np.array(values, np.float32)),
        st.lists(st.floats(width=16, allow_nan=False), min_size=1).map(lambda v: np.array(v, np.float16)),
        st.lists(st.integers(-128, 127), min_size=2).map(lambda values: np.array(values, np.int8)),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(st.builds(LiteModel, st.just("v2.13-rc"), st.lists(operators), st.lists(variables), params))
def test_round_trip(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("nb") / "model.nb"
    write_nb(model, path)
    copy = read_nb(path)
    assert copy.operators == model.operators
    assert copy.variables == model.variables
    for name, value in model.params.items():
        np.testing.assert_array_equal(copy.params[name], value)
        assert copy.params[name].dtype == value.dtype


def test_files_that_are_no_models(optimised, tmp_path):
    data = optimised("arm").read_bytes()
    broken = tmp_path / "broken.nb"
    for content in (b"", b"\1\0" + data[2:], data[:1000], data[:-10], data + b"more", bytes(5000)):
        broken.write_bytes(content)
        with pytest.raises(UserError, match="not a whole Paddle-Lite model"):
            read_nb(broken)
    with pytest.raises(UserError, match="cannot read"):
        read_nb(tmp_path / "absent.nb")


def instruction(kind: str, inputs: list[str], outputs: list[str], **attrs) -> Operator:
    return Operator(kind, {"X": inputs}, {"Out": outputs}, {k: Attr("f", v) for k, v in attrs.items()})


def program(*operators: Operator) -> LiteModel:
    for op in operators:
        op.attrs[KERNEL] = Attr("s", f"{op.type}/def/4/1/1")
    names = {
        name for op in operators for each in (op.inputs, op.outputs) for ns in each.values() for name in ns
    }
    return LiteModel("v2.13-rc", list(operators), [Variable(name, 7, name == "w") for name in sorted(names)])


def meaning(model: LiteModel) -> list:
    """What is fetched, as an expression over what is fed and parameters, whatever buffers are called.

    What works in place gives a buffer a second name, as the runtime does.
    """
    values: dict[str, object] = {}
    buffers: dict[str, str] = {}
    results = []
    for op in model.operators:
        read = tuple(values.get(buffers.get(name, name), name) for ns in op.inputs.values() for name in ns)
        for index, name in enumerate(name for names in op.outputs.values() for name in names):
            if op.get("inplace"):
                buffers[name] = buffers.get(op.inputs["X"][0], op.inputs["X"][0])
            else:
                values[buffers.get(name, name)] = (op.type, op.get("scale"), read, index)
        if op.type == "fetch":
            results.append(read)
    return results


@st.composite
def programs_with_views(draw) -> LiteModel:
    """Instructions that each write a tensor of its own; some give a tensor a second name instead."""
    written = ["image"]
    listing = [Operator("feed", {"X": ["feed"]}, {"Out": ["image"]}, {})]
    for number in range(draw(st.integers(1, 25))):
        op = instruction(
            "add", draw(st.lists(st.sampled_from(written), min_size=1, max_size=2)), [f"{number}"]
        )
        if draw(st.booleans()):
            op = instruction("reshape2", [draw(st.sampled_from(written[-3:]))], [f"{number}"])
            op.attrs["inplace"] = Attr("b", True)
        listing.append(op)
        written.append(f"{number}")
    listing.append(instruction("out", [draw(st.sampled_from(written))], ["heatmaps"]))
    listing.append(Operator("fetch", {"X": ["heatmaps"]}, {"Out": ["fetch"]}, {}))
    return program(*listing)


@settings(deadline=None)
@given(programs_with_views())
def test_buffers_with_two_names_are_not_written_while_either_is_read(model):
    reused = reuse_memory(model)
    assert meaning(reused) == meaning(model)
    views = [name for op in reused.operators if op.get("inplace") for name in op.outputs["Out"]]
    plain = [n for op in reused.operators if not op.get("inplace") for ns in op.outputs.values() for n in ns]
    assert len(set(views)) == len(views)
    assert not set(views) & set(plain)


@st.composite
def programs(draw) -> LiteModel:
    """Instructions in a row that share few buffers, as the optimiser leaves them."""
    buffers = [f"buffer{i}" for i in range(draw(st.integers(2, 5)))]
    written = ["image"]
    listing = [Operator("feed", {"X": ["feed"]}, {"Out": ["image"]}, {})]
    for _ in range(draw(st.integers(1, 25))):
        inputs = draw(st.lists(st.sampled_from(written), min_size=1, max_size=2))
        result = draw(st.sampled_from([name for name in buffers if name not in inputs] or ["spare"]))
        if draw(st.booleans()):
            op = Operator("calib", {"Input": inputs[:1]}, {"Out": [result]}, {})
            op.attrs["scale"] = Attr("f", draw(st.sampled_from([0.5, 1.0])))
        else:
            op = instruction(draw(st.sampled_from(["conv", "add"])), [*inputs, "w"], [result])
        listing.append(op)
        written = sorted({*written, result})
    listing.append(instruction("out", [draw(st.sampled_from(written))], ["heatmaps"]))
    listing.append(Operator("fetch", {"X": ["heatmaps"]}, {"Out": ["fetch"]}, {}))
    return program(*listing)


@settings(deadline=None)
@given(programs())
def test_slimming_keeps_what_is_computed(model):
    single = single_assignment(model)
    written = [name for op in single.operators for names in op.outputs.values() for name in names]
    assert len(set(written)) == len(written)
    for step in (single, merge_casts(single), reuse_memory(single), slim(model)):
        assert meaning(step) == meaning(model)
        known = {each.name for each in step.variables}
        assert len(known) == len(step.variables)
        for op in step.operators:
            outputs = {name for names in op.outputs.values() for name in names}
            inputs = {name for names in op.inputs.values() for name in names}
            assert outputs | inputs <= known
            assert not outputs & inputs


def test_equal_casts_are_merged_and_others_are_not():
    model = program(
        Operator("feed", {"X": ["feed"]}, {"Out": ["image"]}, {}),
        *(
            Operator("calib", {"Input": ["image"]}, {"Out": [name]}, {"scale": Attr("f", scale)})
            for name, scale in (("a", 0.5), ("b", 0.5), ("c", 0.25))
        ),
        instruction("sum", ["a", "b", "c"], ["heatmaps"]),
        Operator("fetch", {"X": ["heatmaps"]}, {"Out": ["fetch"]}, {}),
    )
    merged = merge_casts(single_assignment(model))
    assert sum(op.type == "calib" for op in merged.operators) == 2
    read = merged.operators[-2].inputs["X"]
    assert read[0] == read[1] != read[2]


def test_a_buffer_with_two_names_is_free_when_both_are_read():
    inplace = instruction("reshape2", ["a"], ["b"])
    inplace.attrs["inplace"] = Attr("b", True)
    model = program(
        Operator("feed", {"X": ["feed"]}, {"Out": ["image"]}, {}),
        instruction("conv", ["image"], ["a"]),
        inplace,
        instruction("conv", ["image"], ["c"]),
        instruction("sum", ["b", "c"], ["d"]),
        instruction("conv", ["image"], ["e"]),
        instruction("sum", ["d", "e"], ["heatmaps"]),
        Operator("fetch", {"X": ["heatmaps"]}, {"Out": ["fetch"]}, {}),
    )
    reused = reuse_memory(single_assignment(model))
    a, b, c, _, e = (op.outputs["Out"][0] for op in reused.operators[1:6])
    assert len({a, b, c}) == 3  # `a` is still alive in `b` when `c` is written
    assert e in (a, c)


def types_of_inputs(model: LiteModel) -> list[tuple[Operator, set[str]]]:
    """Follow the types of tensors as the runtime does: each instruction, and what it is given."""
    types: dict[str, str] = {}
    result = []
    for op in model.operators:
        found = {types[name] for names in op.inputs.values() for name in names if name in types}
        result.append((op, found))
        written = op.kernel.split("_to_")[1] if op.type == "calib" else op.precision
        written = next(iter(found), "fp32") if written == "any" else written
        written = "fp32" if op.type == "fill_constant_batch_size_like" else written  # its attribute `dtype`
        types |= {name: written for names in op.outputs.values() for name in names}
    return result


def test_fp16_is_converted_at_its_ends_only(split_graph, pictures, tmp_path):
    """The optimiser splits in FP32, and concatenates a piece with what a convolution wrote in FP16."""
    write_program(split_graph, tmp_path)
    path = tmp_path / "raw.nb"
    run_optimiser(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", path, "arm", fp16=True)
    raw = read_nb(path)
    assert any(len(found) > 1 for _, found in types_of_inputs(raw))
    model = slim(raw)
    for op, found in types_of_inputs(model):
        expected = {"any": found, "fp16": {"fp16"}, "fp32": {"fp32"}}[op.precision]
        expected = {op.kernel.split("_to_")[0]} if op.type == "calib" else expected
        assert found == expected and len(found) <= 1, op
    kernels = [op.kernel for op in model.operators if op.type == "calib"]
    assert kernels == ["fp32_to_fp16", "fp16_to_fp32"]
    splits = [op for op in model.operators if op.type == "split"]
    assert {(op.target, op.precision, op.kernel) for op in splits} == {("host", "fp16", "def")}
    np.testing.assert_array_equal(interpreter(model)(pictures)[0], interpreter(raw)(pictures)[0])


def test_what_an_fp16_model_gives_is_fp32(split_graph, pictures, tmp_path):
    """Also where a piece of a split is given, which the optimiser splits in FP32 and `slim` in FP16."""
    graph = replace(split_graph, outputs=["i", "f", "d"])
    write_program(graph, tmp_path)
    files = [tmp_path / "model.pdmodel", tmp_path / "model.pdiparams"]
    model = optimise(*files, tmp_path / "m.nb", "arm", "fp16")
    given = [found for op, found in types_of_inputs(model) if op.type == "fetch"]
    assert given == [{"fp32"}] * 3
    for found, expected in zip(interpreter(model)(pictures), run_numpy(graph, pictures), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_a_deformable_convolution_in_an_fp16_model(deformed_graph, tmp_path):
    """It is FP32, as its mask is, ones as many as the FP16 places; the sum with its bias is FP16."""
    write_program(deformed_graph, tmp_path)
    files = [tmp_path / "model.pdmodel", tmp_path / "model.pdiparams"]
    model = optimise(*files, tmp_path / "m.nb", "arm", "fp16")
    given = {op.type: found for op, found in types_of_inputs(model)}
    assert given["deformable_conv"] == given["fetch"] == {"fp32"}
    for op, found in types_of_inputs(model):
        assert op.type != "calib" or found == {op.kernel.split("_to_")[0]}, op
        weights = {
            model.params[name].dtype for names in op.inputs.values() for name in names if name in model.params
        }
        assert op.precision != "fp16" or weights <= {np.dtype(np.float16)}, op


def test_fp16_weights_take_half_the_bytes_and_are_the_rounded_ones(every_kind, pictures, tmp_path):
    write_program(every_kind, tmp_path)
    path = tmp_path / "model.nb"
    run_optimiser(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", path, "arm", fp16=True)
    raw = read_nb(path)
    write_nb(half_weights(raw), path)
    model = read_nb(path)
    assert {name for name, value in model.params.items() if value.dtype == np.float16} == {
        name
        for op in raw.operators
        if "conv2d" in op.type
        for name in op.inputs["Filter"] + op.inputs.get("Bias", [])
    }
    for name, value in raw.params.items():
        np.testing.assert_array_equal(model.params[name], value.astype(model.params[name].dtype))
    np.testing.assert_array_equal(interpreter(model)(pictures)[0], interpreter(raw)(pictures)[0])
    sizes = parts(path)
    assert sizes["float16 parameters"] > 0.9 * (sizes["float16 parameters"] + sizes["other parameters"])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_gates_are_computed_with_operators_of_every_library(every_kind, pictures, tmp_path, precision):
    write_program(every_kind, tmp_path)
    path = tmp_path / "model.nb"
    program = tmp_path / "model.pdmodel", tmp_path / "model.pdiparams"
    run_optimiser(*program, path, "arm", fp16=precision == "fp16")
    raw = single_assignment(read_nb(path))
    model = basic_gates(raw)
    counted = [Counter(op.type for op in each.operators) for each in (raw, model)]
    assert counted[0] - counted[1] == Counter({"hard_sigmoid": 1, "hard_swish": 1})
    assert counted[1] - counted[0] == Counter({"scale": 2, "elementwise_mul": 1})
    assert {op.precision for op in model.operators if op.type == "scale"} == {precision}
    expected = run_numpy(every_kind, pictures)[0]
    close = 1e-5 if precision == "fp32" else 1e-2
    assert np.abs(interpreter(model)(pictures) - expected).max() <= close * np.abs(expected).max()
    known = {each.name for each in model.variables}
    assert known >= {name for op in model.operators for names in op.outputs.values() for name in names}


def test_a_weight_that_is_read_in_fp32_too_cannot_be_fp16():
    model = program(instruction("conv", ["image", "w"], ["a"]), instruction("add", ["a", "w"], ["heatmaps"]))
    model.params["w"] = np.ones(3, np.float32)
    model.operators[0].attrs["w_fp16"] = Attr("s", "fp16")
    with pytest.raises(UserError, match="'conv' in fp32"):
        half_weights(model)
    model.operators[0].attrs[KERNEL] = Attr("s", "conv/def/4/5/1")
    with pytest.raises(UserError, match="'add' in fp32"):
        half_weights(model)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs Paddle-Lite's x86 kernels")
def test_the_runtime_enlarges_by_copies(enlarging_graph, tmp_path):
    """Run after run: its reshapes share buffers, which go to other tensors afterwards."""
    write_program(enlarging_graph, tmp_path, copy_rows=True)
    path = tmp_path / "x86.nb"
    run_optimiser(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", path, "x86")
    model = slim(read_nb(path))
    assert [op.type for op in model.operators].count("concat") == 2
    write_nb(model, path)
    pictures = np.random.default_rng(0).standard_normal((3, 1, 3, 32, 48)).astype(np.float32)
    found = run_lite(path, *pictures)
    for picture, heatmaps in zip(pictures, found, strict=True):
        expected = run_numpy(enlarging_graph, picture)[0]
        assert np.abs(heatmaps - expected).max() <= 1e-5 * np.abs(expected).max()
        assert np.abs(interpreter(model)(picture)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_references_to_one_place_do_not_multiply(tmp_path):
    """A vector of references, all to one long name: its length times that of the vector, if it were read."""
    names = flatbuffers.Builder(0)
    text = names.CreateString("n" * 200_000)
    names.StartVector(4, 20_000, 4)
    for _ in range(20_000):
        names.PrependUOffsetTRelative(text)
    vector = names.EndVector()
    names.StartObject(2)
    names.PrependUOffsetTRelativeSlot(1, vector, 0)
    names.Finish(names.EndObject())
    table = _root(bytes(names.Output()))
    with pytest.raises(ValueError, match="again and again"):
        _strings(table, 1)
