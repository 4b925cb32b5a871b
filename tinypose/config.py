"""Typed configs: load a YAML file, inherit from one other, override, and explain what is wrong.

The sections are plain pydantic models; this file is where a reader finds every key there is.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from tinypose.codecs import CODECS, Codec
from tinypose.errors import UserError
from tinypose.files import LONGEST_NUMBER, read_text
from tinypose.section import LARGEST_INPUT, MOST, Mean, Section, Std

# In a checkout a link to the folder of that name at the top, in a wheel a copy of it.
CONFIGS = (Path(__file__).parent / "configs").resolve()
DEEPEST = 100  # mappings and lists within each other in a YAML file
LONGEST = 1_000_000  # characters of a YAML file, and plain values in it


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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


class DatasetConfig(Section):
    """People with keypoints. Relative paths start at the working directory."""

    annotations: Path
    images: Path
    format: Literal["coco", "crowdpose", "mpii"] = Field(
        "coco", description="of the annotation file; it also decides the metric: AP, AP by crowding, PCKh"
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
    boxes: Path | None = Field(None, description="a detector's bbox.json; none: ground-truth boxes")
    boxes_form: Literal["size", "corners"] | None = Field(
        None, description="of a box: left, top, width, height, or left, top, right, bottom; none: told by all"
    )
    box_threshold: float = Field(0.0, ge=0, le=1, description="detections below it are dropped")
    joint_threshold: float = Field(0.2, ge=0, le=1, description="joints below it do not rescore")
    nms: float = Field(0.9, gt=0, le=1, description="OKS above which the weaker person is dropped")
    scales: tuple[float, ...] = Field((1.0,), description="whole pictures: look at each of these sizes")
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
    flip: bool = Field(False, description="the teacher's heatmaps are averaged with the mirrored ones")
    truth: float = Field(0.5, ge=0, le=1e6, description="weight of the annotated joints")
    visible: float = Field(
        0.0, ge=0, le=1e6, description="weight of the teacher's heatmaps of annotated joints"
    )
    every: float = Field(0.5, ge=0, le=1e6, description="weight of the teacher's heatmaps of all joints")
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
    def _whole_or_crops(self) -> "Config":
        whole = self.output.gives == "people"
        if whole and self.eval.boxes is not None:
            raise ValueError(f"eval.boxes: output '{self.output.name}' finds people without boxes")
        if not whole and (self.eval.scales != (1.0,) or self.eval.rescorer is not None):
            raise ValueError(
                f"eval.scales, eval.rescorer: output '{self.output.name}' sees one person's crop"
            )
        return self


Schema = TypeVar("Schema", bound=BaseModel)


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
    values, origins = _read_chain(path, ())
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise UserError(f"-o {text}: expected KEY=VALUE, for example -o eval.flip=false")
        try:
            parsed = parse_yaml(value)
        except ValueError as error:
            raise UserError(f"-o {text:.200}: the value is not YAML: {error}") from None
        tree: Any = parsed
        for part in reversed(key.strip().split(".")):
            tree = {part: tree}
        values = _merge(values, tree, f"-o {text}", origins, ())
    return validate(schema, values, origins, str(path))


def validate(schema: type[Schema], values: Any, origins: dict[tuple[str, ...], str], source: str) -> Schema:
    """Check `values` against `schema`; an error says file, field, what was expected, what was found.

    Args:
        schema: the pydantic model.
        values: plain containers, as YAML or JSON gives them.
        origins: which file or option set a key, for error messages; keys are paths from the root.
        source: the file to name where `origins` says nothing.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            location = tuple(str(part) for part in problem["loc"])
            key = _without_tags(location, values)
            where = next((origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins), source)
            if problem["type"] == "extra_forbidden":
                hint = _renamed(schema, key) or _nearest(schema, location)
                lines.append(f"{where}: unknown key '{'.'.join(key)}'{hint}")
            else:
                found = "" if problem["type"] == "missing" else f", found {problem['input']!r}"
                lines.append(f"{where}: {'.'.join(key) or 'the file'}: {problem['msg']}{found}")
        raise UserError("\n".join(lines)) from None


def _read_chain(path: Path, seen: tuple[Path, ...]) -> tuple[dict, dict[tuple[str, ...], str]]:
    """Read a YAML file over the one it inherits; also say which file set each key."""
    resolved = path.resolve()
    if resolved in seen:
        circle = " -> ".join(str(each) for each in (*seen, resolved))
        raise UserError(f"{path}: inherits from itself: {circle}")
    values = read_yaml(path, "config")
    parent = values.pop("inherits", None)
    if parent is None:
        base, origins = {}, {}
    elif isinstance(parent, str):
        base, origins = _read_chain(path.parent / parent, (*seen, resolved))
    else:
        raise UserError(f"{path}: inherits: expected the name of one file, found {parent!r}")
    return _merge(base, values, str(path), origins, ()), origins


def read_yaml(path: str | Path, what: str) -> dict:
    """Read a YAML file that holds a mapping; `what` names its role in errors."""
    try:
        values = parse_yaml(read_text(path, what))
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a {what} with `key: value` lines, found {type(values).__name__}")
    return values


def parse_yaml(text: str) -> Any:
    """Read YAML as plain containers, text, numbers and dates, nested no deeper than makes sense.

    Raises:
        ValueError: not YAML, a list or mapping within itself, or text or numbers beyond all use.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text):,} characters; no config has more than {LONGEST:,}")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # before the reader recurses
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"more than {DEEPEST} lists and mappings within each other")
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (ArithmeticError, LookupError, TypeError, RecursionError, AttributeError) as error:
        raise ValueError(f"a value that is none ({error})") from None  # a tag or a date that does not fit
    for number, value in enumerate(_every(values, 0)):
        if number > LONGEST:
            raise ValueError("aliases that make it endless")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"a NUL in {value!r:.60}")
        if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
            raise ValueError(f"a whole number of {value.bit_length()} bits")
        if not isinstance(value, str | float | int | None):
            raise ValueError(
                f"a {type(value).__name__}, {str(value):.60}; expected text, numbers, lists and mappings"
            )
    return values


def _every(value: Any, depth: int) -> Iterator[Any]:
    """Yield every plain value in containers."""
    if depth > DEEPEST:
        raise ValueError("a list or mapping within itself")
    if isinstance(value, dict):
        for item in value.values():
            yield from _every(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _every(item, depth + 1)
    else:
        yield value


def _merge(base: Any, over: Any, source: str, origins: dict, at: tuple[str, ...]) -> Any:
    """Lay `over` on `base`: mappings key by key, anything else as a whole."""
    origins[at] = source
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    # A model of another family shares no keys with the inherited one, so it takes its whole place; so does
    # an output of another kind. Outputs without a name are heatmaps.
    if at in (("model",), ("output",)) and "name" in over and over["name"] != base.get("name", "heatmap"):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merge(base.get(key, {}), value, source, origins, (*at, str(key)))
    return merged


def _without_tags(location: tuple[str, ...], values: Any) -> tuple[str, ...]:
    """Drop what pydantic puts into a location to say which member of a union it tried."""
    key = []
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(values, dict) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        elif not last:
            continue
        key.append(part)
    return tuple(key)


def _renamed(schema: type[BaseModel], key: tuple[str, ...]) -> str:
    """Answer the name that a section had with the one it has."""
    new = {("heatmap",): "output", ("boxes",): "output"}.get(key, "")
    return f"; this section is called '{new}' now" if new in schema.model_fields else ""


def _nearest(schema: type[BaseModel], location: tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` or the list of known keys at this place of the schema."""
    level: list[type[BaseModel]] = [schema]
    for part in location[:-1]:
        found = [
            m
            for each in level
            if part in each.model_fields
            for m in _models(each.model_fields[part].annotation)
        ]
        tagged = [
            m
            for m in level
            if "name" in m.model_fields and part in get_args(m.model_fields["name"].annotation)
        ]
        level = found or tagged or level
    known = sorted({name for each in level for name in each.model_fields})
    close = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known here: {', '.join(known)}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None:
        return []
    return [m for each in get_args(annotation) for m in _models(each)]
