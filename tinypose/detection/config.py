"""The typed config of a person detector: the file a reader finds every key of `picodet_*.yml` in."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tinypose.codecs.picodet import BoxConfig, PicoDetCodec
from tinypose.config import DataConfig, load_config
from tinypose.section import LARGEST_INPUT, Mean, Section, Std


class PicoDetConfig(Section):
    """PicoDet-S (Yu et al. 2021)."""

    name: Literal["picodet"]
    form: Literal["esnet", "lcnet"] = Field(description="esnet is the legacy one, as first published")
    classes: int = Field(80, ge=1, le=10_000)


class DetectorInputConfig(Section):
    """What the network sees: the whole picture squeezed to width x height, (pixel / 255 - mean) / std."""

    width: int = Field(ge=64, le=LARGEST_INPUT, multiple_of=32)
    height: int = Field(ge=64, le=LARGEST_INPUT, multiple_of=32)
    mean: Mean = (0.485, 0.456, 0.406)
    std: Std = (0.229, 0.224, 0.225)


class DetectorConfig(Section):
    """A detector, where its weights are, and what it is measured on."""

    model: PicoDetConfig
    input: DetectorInputConfig
    output: BoxConfig = BoxConfig()
    weights: str | None = Field(None, description="a .pdparams file")
    data: DataConfig = DataConfig()

    @property
    def codec(self) -> PicoDetCodec:
        """Return what the network's outputs mean."""
        return PicoDetCodec(**self.output.model_dump(), aligned=self.model.form == "lcnet")


def load_detector_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> DetectorConfig:
    """Read a detector's config; see `tinypose.config.load_config`.

    Raises:
        UserError: a missing or malformed file, an unknown key or a value of the wrong type.
    """
    return load_config(path, overrides, schema=DetectorConfig)
