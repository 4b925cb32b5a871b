"""Typed configs: the sections are plain pydantic models, and here a reader finds every key there is.

How YAML is read is in `tinypose.config_file`, how a mistake in it is explained in `tinypose.validation`.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tinypose.codecs import CODECS, Codec
from tinypose.config_file import read_values
from tinypose.errors import UserError
from tinypose.section import LARGEST_INPUT, MOST, Crop, Mean, Section, Std
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
    shift: float = Field(0.0, ge=0, lt=1, description="bound of moves, in widths and heights of the crop")
    shift_chance: float = Field(0.3, ge=0, le=1)


class WholeConfig(Section):
    """How whole pictures are varied while training bottom-up networks. The defaults are HigherHRNet's."""

    scale: tuple[float, float] = Field((0.75, 1.5), description="bounds of how much more than it is seen")
    rotation: float = Field(30.0, ge=0, le=180, description="bound in degrees")
    shift: float = Field(40.0, ge=0, description="bound, where the picture's shorter side is 200")
    flip_chance: float = Field(0.5, ge=0, le=1)

    @field_validator("scale")
    @classmethod
    def _bounds(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError("expected two numbers above 0, the smaller one first")
        return scale


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


class TrainConfig(Section):
    """How a network is trained."""

    epochs: int = Field(210, ge=1, le=MOST)
    batch_size: int = Field(32, ge=1, le=65_536, description="of all processes together")
    seed: int = Field(0, ge=0, lt=2**63)
    late: float = Field(
        1.0, ge=0, le=1, description="when crops begin to vary as `late_augment` says, a part of the epochs"
    )
    backbone: str | None = Field(None, description="start from a classifier's weights: file, URL, zoo name")
    new_head: bool = Field(False, description="leave out the last layer of `weights` if it does not fit")
    freeze_norm: bool = Field(False, description="batch norm keeps the statistics of `weights`")
    sync_norm: bool = Field(False, description="batch norm over the batches of all processes together")

    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, le=1000)
    weight_decay: float = Field(0.0, ge=0, le=1000, description="adam: L2; adamw: decoupled, not on vectors")
    warmup_steps: int = Field(500, ge=0, le=MOST)
    warmup_factor: float = Field(0.001, ge=0, le=1, description="what the rate starts at, as a part of it")
    decay: Literal["step", "cosine", "flat_cosine", "linear", "none"] = "step"
    milestones: tuple[float, ...] = Field((0.8, 0.95), description="step: when, as parts of the epochs")
    gamma: float = Field(0.1, gt=0, le=1, description="step: what the rate is multiplied by")
    final_factor: float = Field(
        0.0, ge=0, le=1, description="cosine, linear: the last rate, as a part of the first"
    )
    clip: float | None = Field(None, gt=0, description="bound on the norm of all gradients together")

    hard_joints: int | None = Field(
        None, ge=1, description="OHKM: only the worst of each person's joints count"
    )
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the averaged weights, which are kept")
    ema_warmup: float | None = Field(
        None,
        gt=0,
        le=MOST,
        description="steps in which the average begins to be slow, as MMEngine counts them",
    )
    amp: bool = Field(False, description="mixed precision, FP16 and FP32; on a GPU only")
    static: bool = Field(True, description="compile the step into one static graph")

    workers: int = Field(2, ge=0, le=256, description="processes that make batches; 0: make them in between")
    visualdl: bool = Field(False, description="write curves for VisualDL too; needs the extra `visualdl`")
    eval_epochs: int = Field(1, ge=1, le=MOST, description="measure every so many epochs, and after the last")
    patience: int | None = Field(
        None, ge=1, description="stop after so many measurements without a better one"
    )
    save_minutes: float = Field(
        10.0, gt=0, le=100_000, description="save for resuming at least this often, and every epoch"
    )


class DistillConfig(Section):
    """What a student learns from a teacher. The parts of the loss are added with these weights."""

    teacher: Path = Field(description="the teacher's config; from the working directory or from configs/")
    weights: str | None = Field(None, description="the teacher's weights, where its config names none")
    flip: bool = Field(False, description="the teacher's outputs are averaged with the mirrored ones")
    head_only: bool = Field(
        False, description="the teacher's backbone is kept as it is; the head alone learns, from its start"
    )
    truth: float = Field(0.5, ge=0, le=1e6, description="weight of the annotated joints")
    visible: float = Field(
        0.0, ge=0, le=1e6, description="weight of the teacher's heatmaps of annotated joints"
    )
    every: float = Field(0.5, ge=0, le=1e6, description="weight of the teacher's outputs of all joints")
    features: float = Field(
        0.0, ge=0, le=1e6, description="weight of the teacher's last features, by an adapter"
    )
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="how the teacher's parts fall to `final_factor` over the training"
    )
    final_factor: float = Field(0.0, ge=0, le=1)
    variants: int | None = Field(
        None, ge=1, le=MOST, description="so many varied crops a person, instead of new ones"
    )
    cache: Path | None = Field(None, description="folder for the teacher's heatmaps of these crops")

    @model_validator(mode="after")
    def _consistent(self) -> "DistillConfig":
        if self.visible + self.every + self.features == 0:
            raise ValueError("visible, every, features: at least one above 0")
        if self.head_only and self.features > 0:
            raise ValueError("features: are the teacher's own with head_only; set it to 0")
        if self.cache is not None and self.variants is None:
            raise ValueError("cache: needs `variants`, as new crops in every epoch never come again")
        if self.cache is not None and self.features > 0:
            raise ValueError("cache: keeps heatmaps only; set `features` to 0")
        return self


class QuantTrainConfig(TrainConfig):
    """pact, lsq: how to train. Batch norm is folded, so its statistics do not move."""

    epochs: int = Field(10, ge=1, le=MOST)
    batch_size: int = Field(16, ge=1, le=65_536, description="of all processes together")
    learning_rate: float = Field(
        2e-5, gt=0, le=1000, description="of weights, in units of their channel's greatest"
    )
    warmup_steps: int = Field(20, ge=0, le=MOST)
    decay: Literal["step", "cosine", "none"] = "cosine"
    static: Literal[False] = Field(False, description="fake quantisation runs step by step")


class QuantConfig(Section):
    """How a network is brought to INT8 after training."""

    target: Literal["sdot", "no-sdot", "any"] = Field(
        "sdot",
        description="the core: what is not cheaper in INT8 there stays in FP32; any: all in INT8",
    )
    people: int = Field(512, ge=1, le=MOST, description="people from data.train to calibrate on, at most")
    batch_size: int = Field(16, ge=1, le=65_536)
    ranges: Literal["search", "abs_max", "percentile", "mse", "kl"] = Field(
        "search", description="search: for each tensor that of the others with the least heatmap error"
    )
    percentile: float = Field(99.99, gt=50, le=100)
    equalise: bool = Field(True, description="move scale from outlier channels into the weights")
    silu: Literal["exact", "hard_swish"] = Field(
        "exact", description="hard_swish: an approximation in place of SiLU; what it costs is measured"
    )
    keep_fp32: int | Literal["auto"] = Field(
        "auto", description="how many of the most sensitive convolutions stay in FP32"
    )
    max_drop: float = Field(0.5, ge=0, le=100, description="AP that `auto` may lose")
    max_fp32: int = Field(10, ge=0, le=MOST, description="how many convolutions `auto` may leave in FP32")
    sensitivity: Literal["heatmap", "ap"] = Field("heatmap", description="what orders the convolutions")
    method: Literal["auto", "ptq", "pact", "lsq"] = Field(
        "auto", description="ptq: never train; auto: lsq, if `auto` has not reached the accuracy otherwise"
    )
    teacher: float = Field(1.0, ge=0, le=1, description="pact, lsq: share of the FP32 network in the loss")
    train: QuantTrainConfig = QuantTrainConfig()


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


def find_config(name: str | Path) -> Path:
    """Return the file of a config: a path as it is, or the config that ships under this name.

    Args:
        name: a path, or for example `tinypose_256x192`.

    Raises:
        UserError: neither a file nor a name.
    """
    path = Path(name)
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
    values, origins = read_values(path, overrides)
    return validate(schema, values, origins, str(path))
