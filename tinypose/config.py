"""Typed configs: the sections are plain pydantic models, and here a reader finds every key there is.

The sections about training and INT8 are in `tinypose.config_train`. How YAML is read is in
`tinypose.config_file`, how a mistake in it is explained in `tinypose.validation`.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tinypose.codecs import CODECS, Codec
from tinypose.config_file import read_values
from tinypose.config_train import DistillConfig, QuantConfig, TrainConfig
from tinypose.errors import UserError
from tinypose.section import LARGEST_INPUT, MOST, Bounds, Crop, Mean, Parts, Section, Shades, Std
from tinypose.validation import Schema, validate

# In a checkout a link to the folder of that name at the top, in a wheel a copy of it.
CONFIGS = (Path(__file__).parent / "configs").resolve()


Depth = Annotated[int, Field(ge=1, le=16)]


class LiteHRNetConfig(Section):
    """LiteHRNet (Yu et al. 2021); `wider_naive` is PP-TinyPose."""

    name: Literal["lite_hrnet"]
    variant: Literal["lite_18", "lite_30", "naive", "wider_naive"]


class HRNetConfig(Section):
    """HRNet (Sun et al. 2019) of the given width: 32 and 48 are the published ones."""

    name: Literal["hrnet"]
    width: int = Field(32, ge=4, le=512)
    stem: int = Field(
        64, ge=4, le=1024, description="channels before the branches; narrow networks take fewer"
    )
    modules: tuple[Depth, Depth, Depth] = Field(
        (1, 4, 3), description="in the stages of two, three and four branches; fewer to train on a CPU"
    )
    blocks: int = Field(4, ge=1, le=16, description="residual blocks of a branch in a module")


class PoseResNetConfig(Section):
    """PoseResNet (Xiao et al. 2018, Simple Baselines): a ResNet and three transposed convolutions."""

    name: Literal["pose_resnet"]
    depth: Literal[50, 101, 152] = 50


class CSPNeXtConfig(Section):
    """CSPNeXt, RTMPose's backbone (Jiang et al. 2023), of the published sizes tiny, small and medium."""

    name: Literal["cspnext"]
    variant: Literal["t", "s", "m"]


ModelConfig = Annotated[
    LiteHRNetConfig | HRNetConfig | PoseResNetConfig | CSPNeXtConfig, Field(discriminator="name")
]


class InputConfig(Section):
    """What the network sees: an RGB crop of width x height pixels, (pixel / 255 - mean) / std."""

    width: int = Field(ge=32, le=LARGEST_INPUT, multiple_of=32)
    height: int = Field(ge=32, le=LARGEST_INPUT, multiple_of=32)
    mean: Mean = (0.485, 0.456, 0.406)
    std: Std = (0.229, 0.224, 0.225)
    padding: float = Field(1.25, ge=1.0, le=10.0, description="how much larger than the box the crop is")
    crop: Crop = Field(
        "udp",
        description="udp: the box is width - 1 pixels wide there; plain: width, as mmpose's SimCC networks",
    )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


class DetectorInputConfig(Section):
    """What a detector sees: the whole picture squeezed to width x height, (pixel / 255 - mean) / std."""

    width: int = Field(ge=64, le=LARGEST_INPUT, multiple_of=32)
    height: int = Field(ge=64, le=LARGEST_INPUT, multiple_of=32)
    mean: Mean = (0.485, 0.456, 0.406)
    std: Std = (0.229, 0.224, 0.225)


class LetterboxConfig(DetectorInputConfig):
    """What a detector sees: the whole picture in its own ratio, in the middle of the input, grey around."""

    mean: Mean = (0.0, 0.0, 0.0)
    std: Std = (1.0, 1.0, 1.0)


class DatasetConfig(Section):
    """People with keypoints. Relative paths start at the working directory."""

    annotations: Path
    images: Path
    format: Literal["coco", "crowdpose", "mpii", "mot"] = Field(
        "coco",
        description="of the annotation file; it also decides the metric: AP, AP by crowding, PCKh; mot: a "
        "folder of the MOT challenge's sequences, to train FairMOT on",
    )
    skeleton: str | None = Field(
        None, description="of the annotations, where it is not the config's; joints are matched by name"
    )
    category: int | str | tuple[int | str, ...] | None = Field(
        None, description="name or id of the category that counts; none: the one with the skeleton's joints"
    )


class DataConfig(Section):
    """The sets to train on and to measure on."""

    train: DatasetConfig | None = None
    val: DatasetConfig | None = None
    sets: dict[str, DatasetConfig] = Field({}, description="sets that `datasets` can name")
    datasets: tuple[str, ...] = Field((), description="sets to train on as one; none: `train` alone")

    @model_validator(mode="after")
    def _known(self) -> "DataConfig":
        if unknown := [name for name in self.datasets if name not in self.sets]:
            raise ValueError(f"datasets: not in `sets`: {', '.join(unknown)}; known: {', '.join(self.sets)}")
        if len(set(self.datasets)) != len(self.datasets):
            raise ValueError("datasets: a set stands twice")
        return self


class AugmentConfig(Section):
    """How each crop is varied while training. The defaults are PP-TinyPose's, but for colour."""

    scale: float = Field(0.25, ge=0, lt=1, description="standard deviation and bound of the crop's scaling")
    rotation: float = Field(30.0, ge=0, le=90, description="standard deviation in degrees; bound at twice it")
    rotation_chance: float = Field(0.6, ge=0, le=1)
    flip_chance: float = Field(0.5, ge=0, le=1)
    half_body_chance: float = Field(0.3, ge=0, le=1, description="crop to the upper or the lower body")
    half_body_joints: int = Field(
        8, ge=0, le=MOST, description="only people with more annotated joints than this"
    )
    drop_chance: float = Field(0.5, ge=0, le=1, description="AID: black out a disc near a joint")
    drop_offset: float = Field(0.05, ge=0, le=10, description="its distance, in widths of the crop")
    drop_radius: tuple[float, float] = Field((0.1, 0.2), description="its radius, in widths of the crop")
    color: float = Field(0.0, ge=0, lt=1, description="bound of changes in brightness, contrast, saturation")
    hsv: Shades = Field(
        (0, 0, 0),
        description="bounds of what hue (of 180), saturation, value (of 255) change by",
    )
    blur_chance: float = Field(0.0, ge=0, le=1, description="blur by the mean of windows")
    median_chance: float = Field(0.0, ge=0, le=1, description="blur by the median of windows")
    hole_chance: float = Field(0.0, ge=0, le=1, description="black out a rectangle anywhere")
    hole_size: Parts = Field((0.2, 0.4), description="bounds of its sides, in sides of the crop")
    shift: float = Field(0.0, ge=0, lt=1, description="bound of moves, in widths and heights of the crop")
    shift_chance: float = Field(0.3, ge=0, le=1)


class WholeConfig(Section):
    """How whole pictures are varied while training bottom-up networks. The defaults are HigherHRNet's."""

    scale: Bounds = Field((0.75, 1.5), description="bounds of how much more than it is seen")
    rotation: float = Field(30.0, ge=0, le=180, description="bound in degrees")
    shift: float = Field(40.0, ge=0, description="bound, where the picture's shorter side is 200")
    flip_chance: float = Field(0.5, ge=0, le=1)


class EvalConfig(Section):
    """How accuracy is measured."""

    batch_size: int = Field(16, ge=1, le=65_536)
    flip: bool = Field(True, description="average with the heatmaps of the mirrored picture")
    boxes: Path | None = Field(
        None, description="a detector's bbox.json, or coco_val2017_person; none: annotated ones"
    )
    boxes_form: Literal["size", "corners"] | None = Field(
        None, description="of a box: left, top, width, height, or left, top, right, bottom; none: told by all"
    )
    box_threshold: float = Field(0.0, ge=0, le=1, description="detections below it are dropped")
    joint_threshold: float = Field(0.2, ge=0, le=1, description="joints below it do not rescore")
    nms: float = Field(0.9, gt=0, le=1, description="OKS above which the weaker person is dropped")
    scales: tuple[float, ...] = Field((1.0,), description="whole pictures: look at each of these sizes")
    thresholds: Path | None = Field(
        None, description="what `eval --thresholds` wrote: from which score each joint is drawn as there"
    )
    rescorer: Path | None = Field(None, description="whole pictures: .pdparams of `tinypose rescore train`")

    @field_validator("scales")
    @classmethod
    def _around_one(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if (
            1.0 not in scales
            or len(set(scales)) != len(scales)
            or not set(scales) <= {0.25, 0.5, 1.0, 2.0, 4.0}
        ):
            raise ValueError("expected 1 and, if you like, others of 0.25, 0.5, 2 and 4")
        return scales


class Config(Section):
    """Everything that says what a network is, what it learns from and how it is measured."""

    skeleton: str = "coco17"
    model: ModelConfig
    input: InputConfig
    output: Codec = Field(CODECS["heatmap"](), description="what the network gives; name: of the codec")
    weights: str | None = Field(None, description="a .pdparams file, its URL, or a name of the zoo")
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    late_augment: AugmentConfig | None = Field(None, description="how crops vary from `train.late` on")
    whole: WholeConfig = WholeConfig()
    eval: EvalConfig = EvalConfig()
    train: TrainConfig = TrainConfig()
    distill: DistillConfig | None = None
    quant: QuantConfig = QuantConfig()

    @field_validator("output", mode="before")
    @classmethod
    def _named(cls, output: Any) -> Any:
        return {"name": "heatmap", **output} if isinstance(output, dict) else output

    @field_validator("output")
    @classmethod
    def _of_a_pose_network(cls, output: Codec) -> Codec:
        if output.gives == "boxes":
            names = ", ".join(name for name, codec in CODECS.items() if codec.gives != "boxes")
            raise ValueError(
                f"{output.name} is a detector's, and this is a pose network's config; use: {names}"
            )
        return output

    @model_validator(mode="after")
    def _late(self) -> "Config":
        if self.late_augment is None and self.train.late < 1:
            raise ValueError("train.late: expected a section `late_augment`, which says how crops vary then")
        return self

    @model_validator(mode="after")
    def _whole_or_crops(self) -> "Config":
        whole = self.output.gives == "people"
        if whole and self.eval.boxes is not None:
            raise ValueError(f"eval.boxes: output '{self.output.name}' finds people without boxes")
        if not whole and (self.eval.scales != (1.0,) or self.eval.rescorer is not None):
            raise ValueError(
                f"eval.scales, eval.rescorer: output '{self.output.name}' sees one person's crop"
            )
        return self


def find_config(name: str | Path, folder: Path = Path()) -> Path:
    """Return the file of a config: a path as it is, or the config that ships under this name.

    Args:
        name: a path, or for example `tinypose_256x192`.
        folder: where a relative path starts.

    Raises:
        UserError: neither a file nor a name.
    """
    path = folder / name
    if path.suffix in (".yml", ".yaml") or path.exists():
        return path
    shipped = shipped_configs()
    if str(name) in shipped:
        return shipped[str(name)]
    close = difflib.get_close_matches(str(name), shipped, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; those that ship are: {', '.join(shipped)}"
    raise UserError(f"{name}: no such config: neither a .yml file nor one that ships{hint}")


def shipped_configs() -> dict[str, Path]:
    """Return the configs that ship, by name."""
    folders = (CONFIGS, CONFIGS / "compress")
    files = sorted(path for folder in folders for path in folder.glob("*.yml"))
    return {path.stem: path for path in files if path.stem != "base"}


def load_config(
    path: str | Path, overrides: list[str] | tuple[str, ...] = (), schema: type[Schema] = Config
) -> Schema:
    """Read a config, with what it inherits, and apply overrides of the form `key.key=value`.

    Raises:
        UserError: a missing or malformed file, a circle of inheritance, an unknown key (named with
            the nearest known one and the file it stands in), or a value of the wrong type.
    """
    path = find_config(path)
    values, origins = read_values(path, overrides, find_config)
    return validate(schema, values, origins, str(path))
