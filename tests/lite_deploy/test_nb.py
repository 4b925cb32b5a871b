"""The reader and writer of `.nb`, and what makes the files smaller."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lite_deploy.nb import Attr, LiteModel, Operator, Variable, read_nb, write_nb
from lite_deploy.opt import run_optimiser
from lite_deploy.program import write_program
from lite_deploy.slim import merge_casts, reuse_memory, single_assignment, slim
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


def run_lite(path, x: np.ndarray) -> np.ndarray:
    from paddlelite.lite import MobileConfig, create_paddle_predictor

    config = MobileConfig()
    config.set_model_from_file(str(path))
    predictor = create_paddle_predictor(config)
    predictor.get_input(0).from_numpy(x)
    predictor.run()
    return predictor.get_output(0).numpy().copy()


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
    for picture in pictures[:, None]:
        np.testing.assert_array_equal(run_lite(smaller, picture), run_lite(path, picture))
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
    names = {
        name for op in operators for each in (op.inputs, op.outputs) for ns in each.values() for name in ns
    }
    return LiteModel("v2.13-rc", list(operators), [Variable(name, 7, name == "w") for name in sorted(names)])


def meaning(model: LiteModel) -> list:
    """What is fetched, as an expression over what is fed and parameters, whatever buffers are called."""
    values: dict[str, object] = {}
    results = []
    for op in model.operators:
        read = tuple(values.get(name, name) for names in op.inputs.values() for name in names)
        for index, name in enumerate(name for names in op.outputs.values() for name in names):
            values[name] = (op.type, op.get("scale"), read, index)
        if op.type == "fetch":
            results.append(read)
    return results


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


def test_what_works_in_place_keeps_its_buffers():
    inplace = instruction("reshape2", ["a"], ["b"])
    inplace.attrs["inplace"] = Attr("b", True)
    model = program(
        Operator("feed", {"X": ["feed"]}, {"Out": ["image"]}, {}),
        instruction("conv", ["image"], ["a"]),
        inplace,
        instruction("conv", ["image"], ["c"]),
        instruction("sum", ["b", "c"], ["heatmaps"]),
        Operator("fetch", {"X": ["heatmaps"]}, {"Out": ["fetch"]}, {}),
    )
    reused = reuse_memory(single_assignment(model))
    first, shaped, second = (op.outputs["Out"][0] for op in reused.operators[1:4])
    assert len({first, shaped, second}) == 3  # `a` is still alive in `b` when `c` is written
