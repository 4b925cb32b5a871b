"""Configs: inheritance, overrides, and errors that say file, field and what to do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.config import CONFIGS, Config, load_config
from tinypose.errors import UserError

MODEL = {"name": "lite_hrnet", "variant": "wider_naive"}
SMALL = {"model": MODEL, "input": {"width": 96, "height": 128}}
SHIPPED = sorted(
    path
    for path in CONFIGS.glob("*.yml")
    if path.name != "base.yml" and not path.name.startswith(("picodet", "fairmot"))
)


def write(path: Path, values: object) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    return write(tmp_path / "small.yml", SMALL)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_says_its_size_in_its_name(path):
    loaded = load_config(path)
    if size := re.search(r"_(\d+)x(\d+)(_|$)", path.stem):
        assert (loaded.input.height, loaded.input.width) == (int(size[1]), int(size[2]))
    if loaded.output.gives == "people":  # sees whole pictures, in a square
        size = re.search(r"_(\d{3})(_|$)", path.stem)
        assert size is None or loaded.input.size == (int(size[1]), int(size[1]))
    sets = {"crowdpose": "crowdpose14", "aic": "aic14", "mpii": "mpii16", "halpe26": "halpe26"}
    sets |= {"wholebody": "wholebody133", "hand": "hand21", "face": "face68", "feet": "feet23"}
    assert loaded.skeleton == sets.get(path.stem.split("_")[-1], "coco17")
    assert loaded.data.val is not None


def test_defaults_fill_what_the_file_leaves_out(config):
    loaded = load_config(config)
    assert loaded.input.mean == (0.485, 0.456, 0.406)
    assert loaded.output.decode == "dark"
    assert loaded.data.train is None
    assert loaded.weights is None


def test_child_overrides_parent_key_by_key(tmp_path):
    parent = {**SMALL, "eval": {"flip": False, "batch_size": 4}, "weights": "a.pdparams"}
    write(tmp_path / "parent.yml", parent)
    child = write(tmp_path / "child.yml", {"inherits": "parent.yml", "eval": {"batch_size": 8}})
    loaded = load_config(child)
    assert loaded.eval.batch_size == 8
    assert loaded.eval.flip is False
    assert loaded.weights == "a.pdparams"


def test_inheritance_is_relative_to_the_file_and_may_be_several_deep(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "a.yml", SMALL)
    write(tmp_path / "deep" / "b.yml", {"inherits": "../a.yml", "train": {"epochs": 3}})
    loaded = load_config(write(tmp_path / "deep" / "c.yml", {"inherits": "b.yml", "train": {"seed": 7}}))
    assert (loaded.train.epochs, loaded.train.seed, loaded.input.width) == (3, 7, 96)


def test_a_model_of_another_family_replaces_the_inherited_one_whole(tmp_path):
    write(tmp_path / "a.yml", SMALL)
    loaded = load_config(
        write(tmp_path / "b.yml", {"inherits": "a.yml", "model": {"name": "hrnet", "width": 48}})
    )
    assert loaded.model.model_dump() == {
        "name": "hrnet",
        "width": 48,
        "stem": 64,
        "blocks": 4,
        "modules": (1, 4, 3),
    }


def test_the_same_family_keeps_what_it_does_not_name(tmp_path):
    write(tmp_path / "a.yml", SMALL)
    loaded = load_config(write(tmp_path / "b.yml", {"inherits": "a.yml", "model": {"variant": "lite_30"}}))
    assert loaded.model.model_dump() == {"name": "lite_hrnet", "variant": "lite_30"}


def test_null_takes_an_inherited_section_away(tmp_path):
    data = {"val": {"annotations": "a.json", "images": "a"}}
    write(tmp_path / "a.yml", {**SMALL, "data": data})
    assert (
        load_config(write(tmp_path / "b.yml", {"inherits": "a.yml", "data": {"val": None}})).data.val is None
    )


@pytest.mark.parametrize("names", [("a",), ("a", "b"), ("a", "b", "c")])
def test_a_circle_of_inheritance_is_shown(tmp_path, names):
    for name, parent in zip(names, (*names[1:], names[0]), strict=True):
        write(tmp_path / f"{name}.yml", {"inherits": f"{parent}.yml"})
    with pytest.raises(UserError, match="inherits from itself") as caught:
        load_config(tmp_path / "a.yml")
    assert all(f"{name}.yml" in str(caught.value) for name in names)


def test_a_diamond_by_name_is_no_circle(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "same.yml", SMALL)
    child = write(tmp_path / "sub" / "same.yml", {"inherits": "../same.yml"})
    assert load_config(child).input.height == 128


def test_a_config_that_ships_is_inherited_by_name(tmp_path):
    """As `-c` finds it; a file beside the config that has no suffix comes first."""
    child = write(tmp_path / "child.yml", {"inherits": "tinypose_128x96", "eval": {"batch_size": 3}})
    assert load_config(child) == load_config("tinypose_128x96", ["eval.batch_size=3"])
    child = write(tmp_path / "child.yml", {"inherits": "tinypose_128x97"})
    with pytest.raises(UserError, match=r"child.yml: inherits: .*did you mean 'tinypose_128x96'"):
        load_config(child)


@pytest.mark.parametrize("parent", [["a.yml", "b.yml"], 3, {"a": 1}])
def test_only_one_parent(tmp_path, parent):
    path = write(tmp_path / "c.yml", {"inherits": parent, **SMALL})
    with pytest.raises(UserError, match="inherits: expected the name of one file"):
        load_config(path)


def test_missing_parent_is_named(tmp_path):
    path = write(tmp_path / "c.yml", {"inherits": "gone.yml"})
    with pytest.raises(UserError, match="gone.yml: no such config"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "read", "value"),
    [
        ("eval.flip=false", lambda c: c.eval.flip, False),
        ("eval.batch_size = 3", lambda c: c.eval.batch_size, 3),
        ("weights=a=b.pdparams", lambda c: c.weights, "a=b.pdparams"),
        ("train.learning_rate=1e-3", lambda c: c.train.learning_rate, 1e-3),
        ("input.mean=[0, 0, 0]", lambda c: c.input.mean, (0, 0, 0)),
        ("quant.keep_fp32=12", lambda c: c.quant.keep_fp32, 12),
        ("quant.keep_fp32=auto", lambda c: c.quant.keep_fp32, "auto"),
        (
            "model.name=hrnet",
            lambda c: c.model.model_dump(),
            {"name": "hrnet", "width": 32, "stem": 64, "blocks": 4, "modules": (1, 4, 3)},
        ),
        ("data.val={annotations: a.json, images: b}", lambda c: c.data.val.images, Path("b")),
    ],
)
def test_overrides(config, text, read, value):
    assert read(load_config(config, [text])) == value


def test_the_last_override_wins_and_earlier_ones_stay(config):
    loaded = load_config(config, ["eval.batch_size=2", "eval.flip=false", "eval.batch_size=5"])
    assert (loaded.eval.batch_size, loaded.eval.flip) == (5, False)


@pytest.mark.parametrize("text", ["eval.flip", "=3", " =3", ""])
def test_an_override_without_key_or_value_shows_an_example(config, text):
    with pytest.raises(UserError, match="expected KEY=VALUE, for example -o eval.flip=false"):
        load_config(config, [text])


def test_an_override_that_is_not_yaml(config):
    with pytest.raises(UserError, match=r"-o input.mean=\[1: the value is not YAML"):
        load_config(config, ["input.mean=[1"])


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({"evl": {}}, ["unknown key 'evl'", "did you mean 'eval'?"]),
        ({"eval": {"flp": True}}, ["unknown key 'eval.flp'", "did you mean 'flip'?"]),
        (
            {"model": {**MODEL, "varient": "naive"}},
            ["unknown key 'model.varient'", "did you mean 'variant'?"],
        ),
        ({"model": {"name": "hrnet", "widht": 4}}, ["unknown key 'model.widht'", "did you mean 'width'?"]),
        ({"data": {"val": {"annotation": "a"}}}, ["unknown key 'data.val.annotation'", "'annotations'?"]),
        (
            {"output": {"zzz": 1}},
            ["unknown key 'output.zzz'", "known here: blur, decode, encode, grid, name, sigma, stride"],
        ),
        ({"input": {"width": 100, "height": 128}}, ["input.width", "multiple of 32", "found 100"]),
        ({"input": {"width": 96}}, ["input.height", "required"]),
        ({"eval": {"batch_size": "many"}}, ["eval.batch_size", "integer", "found 'many'"]),
        ({"eval": {"flip": 7}}, ["eval.flip", "boolean", "found 7"]),
        ({"eval": 3}, ["eval", "found 3"]),
        (
            {"model": {"name": "lite_hrnet", "variant": "naiv"}},
            ["model.variant", "'wider_naive'", "found 'naiv'"],
        ),
        ({"model": {"name": "resnet"}}, ["model", "'lite_hrnet', 'hrnet'"]),
        ({"input": {"width": 96, "height": 128, "mean": [0, 0]}}, ["input.mean"]),
        ({"output": {"sigma": -1}}, ["output.sigma", "greater than 0", "found -1"]),
        ({"heatmap": {"sigma": 1}}, ["unknown key 'heatmap'; this section is called 'output' now"]),
        ({"output": {"name": "boxes"}}, ["output", "'heatmap'"]),
        ({"output": {"name": "picodet", "aligned": False}}, ["output", "picodet is a detector's"]),
        ({"output": {"decode": "dork"}}, ["output.decode", "'dark'", "found 'dork'"]),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path, values, messages):
    path = write(tmp_path / "c.yml", {**SMALL, **values})
    with pytest.raises(UserError) as caught:
        load_config(path)
    for message in [*messages, str(path)]:
        assert message in str(caught.value)


def test_the_error_names_the_file_that_set_the_key_not_the_one_that_was_loaded(tmp_path):
    parent = write(tmp_path / "parent.yml", {**SMALL, "eval": {"flp": True}})
    child = write(tmp_path / "child.yml", {"inherits": "parent.yml", "eval": {"batch_size": 2}})
    with pytest.raises(UserError) as caught:
        load_config(child)
    assert str(parent) in str(caught.value)
    assert str(child) not in str(caught.value)


def test_the_error_names_the_override_that_set_the_key(config):
    with pytest.raises(UserError) as caught:
        load_config(config, ["eval.batch_sise=2"])
    message = str(caught.value)
    assert message == "-o eval.batch_sise=2: unknown key 'eval.batch_sise'; did you mean 'batch_size'?"


def test_all_mistakes_are_told_at_once(tmp_path):
    path = write(tmp_path / "c.yml", {**SMALL, "evl": 1, "output": {"sigma": 0}})
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a config with `key: value` lines, found NoneType"),
        (b"- a\n", "found list"),
        (b"model: [", "not valid YAML"),
        (b"\xff\xfe\x00", "cannot read this config"),
        (b"model: !!python/object/apply:os.system [echo]", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, content, message):
    path = tmp_path / "odd.yml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="none.yml: no such config"):
        load_config(tmp_path / "none.yml")
    with pytest.raises(UserError, match="cannot read this config"):
        load_config(tmp_path)


def test_a_loaded_config_does_not_change(config):
    loaded = load_config(config)
    with pytest.raises(ValueError, match="frozen"):
        loaded.eval.flip = False


KEYS = st.sampled_from(["eval.batch_size", "train.epochs", "train.batch_size", "quant.people"])


@given(st.lists(st.tuples(KEYS, st.integers(1, 10_000)), max_size=6))
def test_overrides_equal_the_same_values_in_the_file(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("c")
    tree: dict = {}
    for key, value in pairs:
        section, name = key.split(".")
        tree.setdefault(section, {})[name] = value
    base = write(folder / "a.yml", SMALL)
    full = write(folder / "b.yml", {"inherits": "a.yml", **tree})
    assert load_config(base, [f"{key}={value}" for key, value in pairs]) == load_config(full)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_yaml_loads_or_is_a_user_error(tmp_path_factory, values):
    path = write(tmp_path_factory.mktemp("c") / "a.yml", values)
    try:
        load_config(path)
    except UserError as error:
        assert str(path) in str(error)


@given(
    st.sampled_from(sorted(Config.model_fields)),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=3)
    | st.dictionaries(st.text(max_size=8) | st.integers(), st.integers(), max_size=3),
)
def test_any_value_of_a_section_loads_or_is_named(tmp_path_factory, section, value):
    path = write(tmp_path_factory.mktemp("c") / "a.yml", {**SMALL, section: value})
    try:
        load_config(path)
    except UserError as error:
        assert section in str(error) or "a NUL in" in str(error)  # which no YAML of ours may hold
        assert str(path) in str(error)


def test_show_prints_a_config_that_loads_to_the_same(tmp_path):
    path = CONFIGS / "tinypose_128x96.yml"
    shown = CliRunner().invoke(app, ["config", "show", "-c", str(path), "-o", "eval.flip=false"])
    assert shown.exit_code == 0, shown.output
    again = tmp_path / "again.yml"
    again.write_text(shown.output)
    assert load_config(again) == load_config(path, ["eval.flip=false"])


def test_the_command_loads_nothing_heavy_to_show_its_help():
    """`tinypose --help` must not load Paddle, OpenCV, NumPy or pydantic."""
    heavy = {"paddle", "cv2", "matplotlib", "numpy", "pydantic"}
    code = f"import sys, tinypose.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_key_of_a_section_leaves_the_others_at_their_defaults():
    plain = load_config(CONFIGS / "tinypose_128x96.yml").quant.train
    assert plain.learning_rate != load_config(CONFIGS / "tinypose_128x96.yml").train.learning_rate
    changed = load_config(CONFIGS / "tinypose_128x96.yml", ["quant.train.epochs=3"]).quant.train
    assert changed == plain.model_copy(update={"epochs": 3})
