"""Do names in a `.nb` lie where the ARM runtime takes them from? Read as its view of an operator does."""

import struct
from pathlib import Path

import numpy as np
import paddle
import pytest
from flatbuffers.table import Table
from hypothesis import given
from hypothesis import strategies as st

from compress.graph.ir import Graph
from compress.graph.rewrite import rewrite
from compress.graph.run import run
from compress.graph.trace import trace
from compress.quant.scales import ConvScale, quantise, weight_ranges
from compress.quant.simulate import quantisable
from lite_deploy.nb.file import LiteModel, Operator, Variable
from lite_deploy.nb.write import _Writer, write_nb
from lite_deploy.write.lite import optimise, run_optimiser
from lite_deploy.write.paddle import write_program
from tinypose.config import CONFIGS, Config, HRNetConfig, load_config
from tinypose.detection.picodet import PicoDet
from tinypose.models import build_model

INPUT = {"width": 96, "height": 128}


def fields(table: Table, slot: int) -> list[int]:
    """Return where the references in a vector stand; slots as in framework.fbs."""
    at = table.Offset(4 + 2 * slot)
    return [table.Vector(at) + 4 * index for index in range(table.VectorLen(at))] if at else []


def vectors(path: Path) -> list[tuple[bytes, list[bytes]]]:
    """Return for each vector of names what the view makes of it, and the names.

    `OpDescView::input_vars` makes a string of begin()->c_str() and end()->c_str(): characters start four
    bytes behind where a reference leads, and end() is taken for one more reference.
    """
    data = path.read_bytes()
    data = data[26 : 26 + struct.unpack_from("<Q", data, 18)[0]]

    def follow(at: int) -> int:
        return at + struct.unpack_from("<I", data, at)[0]

    (block,) = fields(Table(data, follow(0)), 0)
    found = []
    for at in fields(Table(data, follow(block)), 3):
        op = Table(data, follow(at))
        for slot in (1, 2):
            for row in fields(op, slot):
                parameter = Table(data, follow(row))
                places = fields(parameter, 1)
                offset = parameter.Offset(6)
                start = parameter.Vector(offset)
                begin, end = follow(start) + 4, follow(start + 4 * len(places)) + 4
                seen = data[begin:end] if begin <= end else b"std::length_error"
                found.append((seen, [parameter.String(at) for at in places]))
    return found


def ranges(graph: Graph) -> dict[str, ConvScale]:
    """Ranges from noise for all convolutions that have INT8 kernels."""
    noise = np.random.default_rng(0).standard_normal(graph.shapes[graph.input]).astype(np.float32)
    nodes = quantisable(graph)
    tensors = run(graph, noise, keep={node.inputs[0] for node in nodes})
    largest = {name: float(tensor.abs().max()) or 1.0 for name, tensor in tensors.items()}
    return {node.name: ConvScale(largest[node.inputs[0]], weight_ranges(node)) for node in nodes}


def pose_network(config: str) -> paddle.nn.Layer:
    return build_model(load_config(CONFIGS / f"{config}.yml"), 17)


NETWORKS = {
    "tinypose": lambda: pose_network("tinypose_128x96"),
    "lite_hrnet": lambda: pose_network("lite_hrnet_18_256x192"),
    "hrnet": lambda: build_model(Config(model=HRNetConfig(name="hrnet", width=4), input=INPUT), 17),
    "picodet": lambda: PicoDet("esnet", 1),
}


def written(graph: Graph, precision: str, folder: Path) -> Path:
    """Export a graph as `lite-deploy export` does."""
    quantised = quantise(graph, ranges(graph) if precision == "int8" else {})
    write_program(graph, folder, quantised, copy_rows=True)
    optimise(folder / "model.pdmodel", folder / "model.pdiparams", folder / "out.nb", "arm", precision)
    return folder / "out.nb"


@pytest.mark.parametrize("name", NETWORKS)
def test_names_of_our_files(name, tmp_path):
    graph = rewrite(trace(NETWORKS[name](), (1, 3, 64, 64)))
    for precision in ("fp32", "fp16", "int8"):
        found = vectors(written(graph, precision, tmp_path))
        assert len(found) > 500
        for seen, names in found:
            assert seen == names[0], names


def test_names_of_the_optimisers_files(every_kind, tmp_path):
    """What is read here is what loads there: one name is right, of several none is."""
    write_program(every_kind, tmp_path)
    path = tmp_path / "raw.nb"
    run_optimiser(tmp_path / "model.pdmodel", tmp_path / "model.pdiparams", path, "arm")
    for seen, names in vectors(path):
        assert (seen == names[0]) == (len(names) == 1)


def test_shared_strings_are_found_out(every_kind, tmp_path, monkeypatch):
    """A writer that only shares makes files that abort at load."""

    def only_share(self, names):
        return self.references([self.text(name) for name in names])

    monkeypatch.setattr(_Writer, "names", only_share)
    found = vectors(written(every_kind, "fp32", tmp_path))
    assert b"std::length_error" in {seen for seen, _ in found}


names = st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9), max_size=3)
operators = st.builds(
    Operator, st.just("conv2d"), st.dictionaries(st.just("X"), names), st.just({}), st.just({})
)


@given(st.lists(operators, min_size=1, max_size=9))
def test_any_names(tmp_path_factory, listing):
    path = tmp_path_factory.mktemp("nb") / "model.nb"
    used = sorted({name for op in listing for each in op.inputs.values() for name in each})
    write_nb(LiteModel("v2.13-rc", listing, [Variable(name, 7, False, 5, [1]) for name in used]), path)
    found = vectors(path)
    assert [names for _, names in found] == [
        [n.encode() for n in op.inputs["X"]] for op in listing if op.inputs
    ]
    for seen, names in found:
        assert seen == (names[0] if names else b"")
