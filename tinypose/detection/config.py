"""The typed config of a person detector: the file a reader finds every key of `picodet_*.yml` in."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tinypose.codecs.fairmot import CentreConfig, FairMOTCodec
from tinypose.codecs.picodet import BoxConfig, PicoDetCodec
from tinypose.config import (
    Config,
    DataConfig,
    DetectorInputConfig,
    LetterboxConfig,
    QuantConfig,
    TrainConfig,
    find_config,
    load_config,
)
from tinypose.config_file import read_values
from tinypose.section import Bounds, Section
from tinypose.validation import validate

DETECTORS = ("picodet", "fairmot")  # names of `model` that are detectors


class PicoDetConfig(Section):
    """PicoDet-S (Yu et al. 2021)."""

    name: Literal["picodet"]
    form: Literal["esnet", "lcnet"] = Field(description="esnet is the legacy one, as first published")
    classes: int = Field(80, ge=1, le=10_000)


class FairMOTConfig(Section):
    """FairMOT on DLA-34 (Zhang et al. 2021): boxes, and a vector of looks for each."""

    name: Literal["fairmot"]
    width: int = Field(
        64, ge=8, le=256, multiple_of=8, description="channels of the feature map; 64 was published"
    )
    looks: int = Field(128, ge=4, le=4096, description="numbers in the vector of someone's looks")
    deformable: bool = Field(
        True, description="the neck's convolutions, as published; plain ones train ten times as fast on a CPU"
    )
    identities: int | None = Field(
        None, ge=2, le=10_000_000, description="people to tell apart; none: as the weights or the data have"
    )


class TrackedConfig(Section):
    """How whole pictures are varied while training FairMOT. The defaults are the published ones."""

    color: float = Field(0.5, ge=0, lt=1, description="bound of changes in saturation and value")
    rotation: float = Field(5.0, ge=0, le=90, description="bound in degrees")
    scale: Bounds = Field((0.5, 1.2), description="bounds of how much larger it is seen")
    shear: float = Field(2.0, ge=0, le=45, description="bound in degrees")
    shift: float = Field(0.1, ge=0, le=1, description="bound in widths and heights of the input")
    flip_chance: float = Field(0.5, ge=0, le=1)


class DetectorConfig(Section):
    """A detector, where its weights are, and what it is measured on: what all of them have in common."""

    weights: str | None = Field(None, description="a .pdparams file, its URL, or a name of the zoo")
    data: DataConfig = DataConfig()
    quant: QuantConfig = QuantConfig()


class PicoDetDetectorConfig(DetectorConfig):
    """PicoDet: boxes of classes, one of which is a person."""

    model: PicoDetConfig
    input: DetectorInputConfig
    output: BoxConfig = BoxConfig()

    @property
    def codec(self) -> PicoDetCodec:
        """Return what the network's outputs mean."""
        return PicoDetCodec(**self.output.model_dump(), aligned=self.model.form == "lcnet")


class FairMOTDetectorConfig(DetectorConfig):
    """FairMOT: boxes of people, and vectors of their looks."""

    model: FairMOTConfig
    input: LetterboxConfig
    output: CentreConfig = CentreConfig()
    augment: TrackedConfig = TrackedConfig()
    train: TrainConfig = TrainConfig()

    @property
    def codec(self) -> FairMOTCodec:
        """Return what the network's outputs mean."""
        return FairMOTCodec(**self.output.model_dump(), looks=self.model.looks)


def detector_schema(values: Any) -> type[PicoDetDetectorConfig] | type[FairMOTDetectorConfig]:
    """Return which of the configs plain values are of; without a name, PicoDet's, which says what lacks."""
    model = values.get("model") if isinstance(values, dict) else None
    name = model.get("name") if isinstance(model, dict) else None
    return FairMOTDetectorConfig if name == "fairmot" else PicoDetDetectorConfig


def load_detector_config(
    path: str | Path, overrides: list[str] | tuple[str, ...] = ()
) -> PicoDetDetectorConfig | FairMOTDetectorConfig:
    """Read a detector's config; see `tinypose.config.load_config`.

    Raises:
        UserError: a missing or malformed file, an unknown key or a value of the wrong type.
    """
    values, _ = read_values(find_config(path), overrides, find_config)
    return load_config(path, overrides, schema=detector_schema(values))


def load_any_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config | DetectorConfig:
    """Read a config of a pose network or a detector, whichever `model.name` says it is.

    Raises:
        UserError: as `tinypose.config.load_config`.
    """
    path = find_config(path)
    values, origins = read_values(path, overrides, find_config)
    return validate(schema_of(values), values, origins, str(path))


def schema_of(values: Any) -> type[Config] | type[DetectorConfig]:
    """Return of what kind a config's plain values are: of one of the detectors, or else of a pose network."""
    model = values.get("model") if isinstance(values, dict) else None
    detects = isinstance(model, dict) and model.get("name") in DETECTORS
    return detector_schema(values) if detects else Config
