"""The INT8 settings of a network without its weights: ranges and factors, a small file of its own.

`compress quant` writes them beside its package unless the network was changed otherwise. With them, and
weights that are those of the record but for rounding, a network is exported in INT8 without any data set.
Those of PP-TinyPose ship, by name, in `configs/int8`.
"""

import difflib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from compress.graph.ir import Graph
from compress.quant.equalise import apply_factors, factor_classes
from compress.quant.package import QuantRecord, RungRecord
from compress.quant.scales import ConvScale, Scales, check_scales, weight_ranges
from tinypose.config import CONFIGS
from tinypose.errors import UserError
from tinypose.files import content_digest, read_json, write_json
from tinypose.validation import validate

SETTINGS = "settings.json"
SHIPPED = CONFIGS / "int8"
ALIKE = 0.01  # how far the norm of a convolution's weights may be from the record's, relatively

Target = Literal["sdot", "no-sdot", "any"]


class Settings(BaseModel):
    """The content of a settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["edge-pose INT8 settings"] = "edge-pose INT8 settings"
    version: Literal[1] = 1
    config_file: str
    weights: str = Field(description="what the ranges were found with")
    rewritten: bool
    people: int = Field(description="that were calibrated on")
    measured: int = Field(description="people that AP was measured on")
    target: Target
    fp32_ap: float
    chosen: RungRecord
    kept_fp32: tuple[str, ...]
    norms: dict[str, float] = Field(
        description="of each convolution's weights before equalisation: whose settings"
    )
    ranges: dict[str, float] = Field(description="of the inputs of the convolutions in INT8")
    factors: tuple[float, ...] | None = Field(
        description="equalisation: of each class of channels (compress.quant.equalise); none: not equalised"
    )


def write_settings(
    folder: str | Path, record: QuantRecord, graph: Graph, factors: dict[str, np.ndarray] | None
) -> None:
    """Write the settings of a package into its folder.

    Args:
        folder: of the package.
        record: what its `quant.json` says.
        graph: the network before equalisation.
        factors: of `compress.quant.equalise.find_factors`; none: it was not equalised.
    """
    classes = None
    if factors is not None:
        places, count = factor_classes(graph)
        by_class = np.ones(count, np.float32)
        for tensor, channels in places.items():
            by_class[channels] = factors[tensor]
        classes = tuple(float(f"{value:.9g}") for value in by_class)  # enough to be the same float32
    settings = Settings(
        config_file=record.config_file,
        weights=Path(record.weights).name,
        rewritten=record.rewritten,
        people=record.people,
        measured=record.measured,
        target=record.target,
        fp32_ap=record.fp32_ap,
        chosen=next(rung for rung in record.rungs if rung.name == record.chosen),
        kept_fp32=record.kept_fp32,
        norms=_norms(graph),
        ranges={name: each.input for name, each in record.scales.items()},
        factors=classes,
    )
    content = settings.model_dump(mode="json")
    write_json(Path(folder) / SETTINGS, {**content, "sha256": content_digest(content)})


def apply_settings(settings: Settings, graph: Graph, source: str) -> tuple[Graph, Scales]:
    """Return the network to write in INT8, and its ranges.

    Args:
        settings: of this network.
        graph: rewritten, if the settings say so.
        source: what to call the settings in errors.

    Raises:
        UserError: they are of another network or of other weights.
    """
    found, wanted = _norms(graph), settings.norms
    if found.keys() != wanted.keys():
        raise UserError(f"{source}: settings of another network ({settings.config_file}); give that config")
    other = [name for name in wanted if abs(found[name] - wanted[name]) > ALIKE * max(wanted[name], 1e-12)]
    if other:
        raise UserError(
            f"{source}: settings of other weights ({settings.weights}): {len(other)} of {len(wanted)} "
            "convolutions differ by more than 1 %; run `compress quant` with yours"
        )
    if settings.factors is not None:
        classes, count = factor_classes(graph)
        if len(settings.factors) != count:
            raise UserError(f"{source}: factors of another network; run `compress quant` with this config")
        values = np.array(settings.factors, np.float32)
        graph = apply_factors(graph, {tensor: values[channels] for tensor, channels in classes.items()})
    nodes = {node.name: node for node in graph.convolutions()}
    if unknown := settings.ranges.keys() - nodes.keys():
        raise UserError(f"{source}: ranges of a convolution that is not there: {sorted(unknown)[0]}")
    scales = {name: ConvScale(limit, weight_ranges(nodes[name])) for name, limit in settings.ranges.items()}
    check_scales(graph, scales)
    return graph, scales


def read_settings(source: str | Path) -> Settings:
    """Read a settings file, by path or by the name of one that ships.

    Raises:
        UserError: no such file or name, or one that is damaged or edited.
    """
    path = settings_file(source)
    if path is None:
        names = sorted(each.stem for each in SHIPPED.glob("*.json"))
        close = difflib.get_close_matches(str(source), names, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f"; those that ship are: {', '.join(names)}"
        raise UserError(f"{source}: neither a folder that `compress quant` made nor INT8 settings{hint}")
    content = read_json(path, "INT8 settings")
    sealed = content.pop("sha256", None) if isinstance(content, dict) else None
    settings = validate(Settings, content, {}, str(path))
    if sealed != content_digest(content):
        raise UserError(f"{path}: damaged or edited: its content does not match its checksum")
    return settings


def settings_file(source: str | Path) -> Path | None:
    """Return the settings file that is meant: a path to one, or the name of one that ships; None: neither."""
    path = Path(source)
    if path.suffix == ".json" and path.is_file():
        return path
    shipped = SHIPPED / f"{source}.json"
    return shipped if len(path.parts) == 1 and not path.exists() and shipped.is_file() else None


def _norms(graph: Graph) -> dict[str, float]:
    return {
        node.name: float(f"{np.linalg.norm(node.params['weight'].astype(np.float64)):.6g}")
        for node in graph.convolutions()
    }
