"""The typed config of a person detector: the file a reader finds every key of `picodet_*.yml` in."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tinypose.config import DataConfig, Section, load_config


class PicoDetConfig(Section):
    """PicoDet-S (Yu et al. 2021)."""

    name: Literal["picodet"]
    form: Literal["esnet", "lcnet"] = Field(description="esnet is the legacy one, as first published")
    classes: int = Field(80, ge=1)


class DetectorInputConfig(Section):
    """What the network sees: the whole picture squeezed to width x height, (pixel / 255 - mean) / std."""

    width: int = Field(ge=64, multiple_of=32)
    height: int = Field(ge=64, multiple_of=32)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class BoxConfig(Section):
    """Which boxes count as people."""

    person: int = Field(0, ge=0, description="the class that is a person, counted from 0")
    score: float = Field(
        0.02, ge=0, le=1, description="boxes that score no more are dropped; 0.02 to measure"
    )
    nms: float = Field(0.6, gt=0, le=1, description="IoU above which the weaker of two boxes is dropped")
    most: int = Field(100, ge=1, description="people in a picture, at most")


class DetectorSpec(Section):
    """All that running a detector takes, beside its weights."""

    model: PicoDetConfig
    input: DetectorInputConfig
    boxes: BoxConfig = BoxConfig()


class DetectorConfig(DetectorSpec):
    """A detector, where its weights are, and what it is measured on."""

    weights: str | None = Field(None, description="a .pdparams file")
    data: DataConfig = DataConfig()


def load_detector_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> DetectorConfig:
    """Read a detector's config; see `tinypose.config.load_config`.

    Raises:
        UserError: a missing or malformed file, an unknown key or a value of the wrong type.
    """
    return load_config(path, overrides, schema=DetectorConfig)
