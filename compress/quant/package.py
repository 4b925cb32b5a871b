"""What `compress quant` hands to `lite-deploy export`: a folder with the network and its ranges."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from compress.graph import store
from compress.graph.ir import Graph
from compress.quant.scales import ConvScale, Scales, check_scales
from compress.quant.simulate import Simulation
from tinypose.config import Config, InputConfig
from tinypose.detection.config import DetectorConfig, DetectorInputConfig, schema_of
from tinypose.errors import UserError
from tinypose.files import content_digest, read_json, sha256, write_json
from tinypose.noise import noise_pictures, relative_error
from tinypose.preprocess import normalise
from tinypose.validation import validate

GRAPH, FILE = "graph.npz", "quant.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScaleRecord(_Record):
    """Ranges of one convolution: of its input, and of the weights of each output channel."""

    input: float
    weight: tuple[float, ...]


class MeasuredRecord(_Record):
    """What a setting was measured at (`compress.quant.accuracy`): percent, no flip test, on data.val."""

    aps: tuple[float, ...] = Field(description="by draw of the roundings")
    mean: float
    spread: float = Field(description="standard deviation over the draws")
    lost_low: float = Field(description="AP lost: 5 % of the resamples of people and draws lie below")
    lost_high: float = Field(description="95 % of them lie below")
    heatmap_error: float = Field(description="relative squared error of the outputs against FP32")
    sure: float | None = Field(description="share of the resamples within quant.max_drop, if that is asked")


class RungRecord(_Record):
    """One setting that was tried."""

    name: str
    quantised: int
    kept: int
    accuracy: MeasuredRecord


class QuantRecord(_Record):
    """The content of `quant.json`."""

    format: Literal["edge-pose quantised network"] = "edge-pose quantised network"
    version: Literal[2] = 2
    graph_sha256: str
    config: dict[str, Any]
    config_file: str
    weights: str
    weights_sha256: str
    rewritten: bool
    people: int = Field(description="that were calibrated on")
    measured: int = Field(description="people that AP was measured on")
    target: Literal["sdot", "no-sdot", "any"] = Field(description="the core that INT8 was chosen for")
    saved_instructions: int | None = Field(description="against FP32 on that core, estimated; none for any")
    fp32_ap: float = Field(description="percent, no flip test, on data.val")
    rungs: tuple[RungRecord, ...]
    chosen: str = Field(description="the name of the rung that this is")
    kept_fp32: tuple[str, ...] = Field(description="for accuracy; others are dearer in INT8 on that core")
    errors: dict[str, float] = Field(description="sensitivity: relative squared error of the heatmaps")
    noise_error: float = Field(
        ge=0, description="of the outputs on `tinypose.noise`, as an export must have it"
    )
    scales: dict[str, ScaleRecord]

    def loaded_config(self) -> Config | DetectorConfig:
        """Return the config that the network was quantised with."""
        return validate(schema_of(self.config), self.config, {}, FILE)


def write_package(
    folder: str | Path, graph: Graph, scales: dict[str, ConvScale], fields: dict[str, Any]
) -> QuantRecord:
    """Write a folder for `read_package`; return what its `quant.json` says.

    `quant.json` comes last: without it the folder holds nothing.

    Args:
        folder: made if it is not there.
        graph: the network whose convolutions `scales` names.
        scales: of the convolutions in INT8.
        fields: the other fields of `QuantRecord`; what the ranges cost on noise is measured here.
    """
    folder = Path(folder)
    (folder / FILE).unlink(missing_ok=True)
    store.save(graph, folder / GRAPH)
    records = {name: ScaleRecord(input=s.input, weight=s.weight.tolist()) for name, s in scales.items()}
    config = validate(schema_of(fields["config"]), fields["config"], {}, FILE)
    found = {"graph_sha256": sha256(folder / GRAPH), "scales": records}
    found["noise_error"] = noise_error(graph, scales, config.input)
    record = QuantRecord(**{**fields, **found})
    content = record.model_dump(mode="json")
    write_json(folder / FILE, {**content, "sha256": content_digest(content)})
    return record


def noise_error(graph: Graph, scales: Scales, settings: InputConfig | DetectorInputConfig) -> float:
    """Return the relative squared error that INT8 makes on pictures of noise; `settings` normalise them."""
    height, width = graph.shapes[graph.input][2:]
    images = normalise(noise_pictures(width, height), settings)
    return relative_error(Simulation(graph, {})(images), Simulation(graph, scales)(images))


def read_package(folder: str | Path) -> tuple[Graph, dict[str, ConvScale], QuantRecord]:
    """Read what `compress quant` wrote, and check that the parts belong together.

    Raises:
        UserError: not such a folder, or a part of it is missing, damaged or edited.
    """
    folder = Path(folder)
    path = folder / FILE
    content = read_json(path, "quantised network; expected a folder that `compress quant` made")
    sealed = content.pop("sha256", None) if isinstance(content, dict) else None
    record = validate(QuantRecord, content, {}, str(path))
    if not (folder / GRAPH).is_file() or sha256(folder / GRAPH) != record.graph_sha256:
        raise UserError(
            f"{folder / GRAPH}: damaged or edited: not the network that {path} describes; quantise again"
        )
    graph = store.load(folder / GRAPH)
    scales = {
        name: ConvScale(each.input, np.asarray(each.weight, np.float32))
        for name, each in record.scales.items()
    }
    check_scales(graph, scales)
    if sealed != content_digest(content):
        raise UserError(f"{path}: damaged or edited: its content does not match its checksum; quantise again")
    return graph, scales, record
