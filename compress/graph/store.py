"""Keep a graph in one file: a zip of plain arrays (npz), the structure as JSON among them."""

import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from compress.graph.ir import Graph, Node
from compress.graph.shapes import check
from tinypose.errors import UserError
from tinypose.files import read_arrays, write_whole

_FORMAT = "edge-pose graph 1"


class _NodeRecord(BaseModel):
    """A node without its arrays, as stored."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, bool | int | float | list[int]]
    params: list[str]


class _GraphRecord(BaseModel):
    """The structure of a graph, as stored."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: str
    input: str
    outputs: list[str]
    nodes: list[_NodeRecord]
    shapes: dict[str, list[int]]


def save(graph: Graph, path: str | Path) -> None:
    """Write `graph` to `path` (.npz), whole or not at all; the same graph gives the same bytes."""
    check(graph)
    record = {
        "format": _FORMAT,
        "input": graph.input,
        "outputs": graph.outputs,
        "nodes": [{**vars(node), "params": sorted(node.params)} for node in graph.nodes],
        "shapes": graph.shapes,
    }
    arrays = {f"{node.name}/{key}": node.params[key] for node in graph.nodes for key in sorted(node.params)}
    text = json.dumps(record).encode()
    with write_whole(Path(path).with_suffix(".npz")) as temporary:
        np.savez(temporary, **{"/graph": np.frombuffer(text, np.uint8)}, **arrays)


def load(path: str | Path) -> Graph:
    """Read a graph that `save` wrote; nothing in the file is executed.

    Raises:
        UserError: no such file, no graph in it, or a graph that is not sound.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path, "graph file")
        record = _GraphRecord.model_validate_json(arrays.pop("/graph").tobytes())
        if record.format != _FORMAT:
            raise ValueError(f"its format is '{record.format}', expected '{_FORMAT}'")
        nodes = [
            Node(each.kind, each.name, each.inputs, each.outputs, each.attrs, _params(each, arrays))
            for each in record.nodes
        ]
        shapes = {name: tuple(shape) for name, shape in record.shapes.items()}
        graph = Graph(record.input, record.outputs, nodes, shapes)
        if arrays:
            raise ValueError(f"array '{next(iter(arrays))}' belongs to no node")
        check(graph)
    except UserError:
        raise
    except Exception as error:  # what is in it may be anything
        raise UserError(f"{path}: not a readable graph: {error}; make it anew") from None
    return graph


def _params(record: _NodeRecord, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: arrays.pop(f"{record.name}/{key}") for key in record.params}
