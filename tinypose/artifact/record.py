"""The artifact folder: the models and `pose.json`, which says all that a runtime must know.

Python, the C++ runner and the Android app read this one file, so that what happens before and after the
network is the same in training and on a phone. A detector's folder is described in the same way: what the
outputs mean (`output`, a codec) tells one kind of network from the other.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tinypose.artifact import FILE, artifact_folder
from tinypose.codecs import Codec, Gives
from tinypose.config import DetectorInputConfig, InputConfig, LetterboxConfig
from tinypose.errors import UserError
from tinypose.files import content_digest, read_json, sha256, write_json
from tinypose.section import LARGEST_INPUT, Crop, Mean, Std
from tinypose.skeleton import Skeleton
from tinypose.validation import validate

VERSION = 2

# Whose a folder is, by what its network gives.
KINDS = {"joints": "a pose network's", "people": "a pose network's", "boxes": "a detector's"}


class Record(BaseModel):
    """A part of `pose.json`: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputRecord(Record):
    """What the network reads, float32 [N, 3, height, width], and how a picture becomes that."""

    name: str = "image"
    width: int = Field(gt=0, le=LARGEST_INPUT)
    height: int = Field(gt=0, le=LARGEST_INPUT)
    layout: Literal["NCHW"] = "NCHW"
    color: Literal["RGB"] = "RGB"
    mean: Mean = Field(description="of each colour, where white is 1")
    std: Std
    normalise: Literal["caller", "model"] = Field(
        "caller",
        description="caller: the network reads (pixel / 255 - mean) / std; model: it reads pixels, 0 to 255",
    )
    fit: Literal["person", "squeeze", "inside", "letterbox"] = Field(
        description="person: a person's box, grown to the ratio and by `padding`; squeeze: the picture; "
        "inside: the picture in its own ratio, in the middle, black around it; letterbox: the same, grey "
        "around it, shrunk by areas, at whole pixels"
    )
    padding: float | None = Field(
        None, ge=1, le=10, description="person: how much larger than the box the crop is"
    )
    crop: Crop = Field(
        "udp",
        description="person: udp, also where the key is missing: the box is width - 1 pixels wide; plain: "
        "width, as mmpose's SimCC networks",
    )

    @model_validator(mode="after")
    def _padded(self) -> "InputRecord":
        if (self.fit == "person") != (self.padding is not None):
            raise ValueError("padding: expected a number with fit 'person', and none otherwise")
        if self.fit != "person" and self.crop != "udp":
            raise ValueError("crop: only fit 'person' cuts people out; leave it out")
        return self

    def config(self) -> InputConfig | DetectorInputConfig:
        """Return it as the section of a config that the library's preprocessing takes."""
        values = {"width": self.width, "height": self.height, "mean": self.mean, "std": self.std}
        if self.fit == "squeeze":
            return DetectorInputConfig(**values)
        if self.fit == "letterbox":
            return LetterboxConfig(**values)
        if self.fit == "inside":
            return InputConfig(**values)
        return InputConfig(**values, padding=self.padding, crop=self.crop)


class TensorRecord(Record):
    """One output of the network, float32: its name, and its shape for one image, without the batch."""

    name: str
    shape: tuple[int, ...]


class FileRecord(Record):
    """A file beside `pose.json`."""

    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ModelRecord(Record):
    """One model: for which engine and machine, and its files, the one to open first."""

    name: str
    engine: Literal["paddle-lite", "onnxruntime", "paddle-inference", "openvino", "mnn", "ncnn"]
    target: Literal["arm", "x86", "any"]
    precision: Literal["fp32", "fp16", "int8"]
    files: tuple[FileRecord, ...] = Field(min_length=1)
    error: float | None = Field(
        None,
        ge=0,
        description="FP16 and INT8: relative squared error on `tinypose.noise` against FP32, when exported",
    )
    extra: tuple[str, ...] = Field(
        (), description="operators for which Paddle-Lite's library must be built with_extra"
    )


class OriginRecord(Record):
    """Where the models come from."""

    config: dict[str, Any] = Field(description="the whole config, as `tinypose config show` prints it")
    config_file: str
    weights: str
    weights_sha256: str
    rewritten: bool = Field(description="whether the network was rewritten for export (compress.graph)")
    trained: bool = Field(False, description="whether quantisation trained the weights further")
    quantised: int = Field(ge=0, description="convolutions in INT8 in the INT8 models")
    kept_fp32: tuple[str, ...] = Field((), description="convolutions left in FP32 for accuracy")
    int8_for: Literal["sdot", "no-sdot", "any"] | None = Field(
        None,
        description="the core that the INT8 models are for: there they take fewer instructions than FP32",
    )


class QuantisedRecord(Record):
    """What `compress quant` measured of what the INT8 models hold, on data.val, without flip test."""

    people: int
    fp32_ap: float = Field(description="percent")
    ap: float = Field(description="percent, mean over draws of the roundings")
    spread: float = Field(description="standard deviation over the draws")
    heatmap_error: float = Field(description="relative squared error of the outputs against FP32")


class CostRecord(Record):
    """What one kind of operator costs for one image, as traced and as exported (`compress.graph.cost`)."""

    kind: str
    operators: tuple[int, int]
    bytes: tuple[int, int]
    multiply_adds: tuple[int, int]
    instructions: tuple[int, int] = Field(description="estimated, FP32 on ARM")


class ParityRecord(Record):
    """How far a model is from the reference on the same inputs (`lite-deploy verify`)."""

    model: str
    reference: str
    images: int
    difference: float = Field(description="largest difference, relative to the reference's largest value")
    correlation: float
    moved: int = Field(description="joints whose maximum lies elsewhere")
    joints: int = Field(description="of how many")
    device: str = Field("", description="where the model ran; empty: on the machine that compared")
    error: float | None = Field(None, description="relative squared error of the worst output")


class AccuracyRecord(Record):
    """What `lite-deploy eval` measured."""

    model: str
    data: str
    people: int
    flip: bool
    device: str = Field("", description="where the model ran; empty: on the machine that measured")
    metrics: dict[str, float | None] = Field(description="percent")


class FoundRecord(Record):
    """A person that was found in a picture: pixels, whole numbers are pixel centres."""

    box: tuple[float, float, float, float] = Field(description="left, top, width, height")
    score: float
    keypoints: tuple[float, ...] = Field(description="x, y, score of each joint")


class SelfTestRecord(Record):
    """What Python found in the picture that an app compares its own result with (`lite-deploy android`)."""

    picture_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    detector_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the detector's pose.json")
    engine: str
    sure: float = Field(description="score from which a joint must be where it is here")
    allowed: dict[str, float] = Field(description="by precision: how many pixels it may be off")
    people: tuple[FoundRecord, ...] = Field(min_length=1)


class Artifact(Record):
    """The content of `pose.json`."""

    format: Literal["edge-pose artifact"] = "edge-pose artifact"
    version: Literal[2] = VERSION
    input: InputRecord
    output: Codec = Field(description="what the outputs mean: the config's section")
    tensors: tuple[TensorRecord, ...] = Field(min_length=1, description="the outputs, in order")
    skeleton: Skeleton | None = Field(None, description="none: the network finds no joints")
    models: tuple[ModelRecord, ...] = Field(min_length=1)
    tools: dict[str, str] = Field(description="versions; runtime and optimiser must be of one version")
    origin: OriginRecord
    cost: tuple[CostRecord, ...] = ()
    parity: tuple[ParityRecord, ...] = ()
    accuracy: tuple[AccuracyRecord, ...] = ()
    quantised: QuantisedRecord | None = Field(None, description="none: there is no INT8 model")
    self_test: SelfTestRecord | None = Field(None, description="only inside an app")

    @model_validator(mode="after")
    def _whole(self) -> "Artifact":
        if (self.output.gives == "boxes") != (self.skeleton is None):
            raise ValueError("skeleton: expected one for a network that finds joints, and none otherwise")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the network's input in pixels."""
        return self.input.width, self.input.height

    def model(self, name: str) -> ModelRecord:
        """Return a model by name.

        Raises:
            UserError: there is none of that name.
        """
        for each in self.models:
            if each.name == name:
                return each
        raise UserError(f"no model '{name}' in this folder; it has: {', '.join(m.name for m in self.models)}")


def record_file(path: str | Path) -> FileRecord:
    """Describe a file of the folder: its name, size and checksum."""
    path = Path(path)
    return FileRecord(file=path.name, bytes=path.stat().st_size, sha256=sha256(path))


def write_artifact(folder: str | Path, artifact: Artifact) -> None:
    """Write `pose.json`, with a checksum over its own content."""
    content = artifact.model_dump(mode="json")
    write_json(Path(folder) / FILE, {**content, "sha256": content_digest(content)})


def read_artifact(folder: str | Path, check_files: bool = True, gives: Gives | None = None) -> Artifact:
    """Read an artifact folder and check every file in it.

    Args:
        folder: the folder, or its `pose.json`.
        check_files: compute the checksums of the models too.
        gives: what the network must give; None: anything.

    Raises:
        UserError: no artifact, one of another version or kind, or a file that is missing, damaged or edited.
    """
    path = artifact_folder(folder) / FILE
    if not path.is_file() and (path.parent / "detector.json").is_file():
        raise UserError(f"{path.parent / 'detector.json'}: a folder of an older version; export it again")
    content = read_json(path, "artifact's description; expected a folder that `lite-deploy export` made")
    if not isinstance(content, dict) or content.get("format") != Artifact.model_fields["format"].default:
        raise UserError(f"{path}: not an artifact's description; expected what `lite-deploy export` writes")
    if content.get("version") != VERSION:
        raise UserError(
            f"{path}: version {content.get('version')!r}, and this tool reads version {VERSION}; export again"
        )
    if content.pop("sha256", None) != content_digest(content):
        raise UserError(f"{path}: damaged or edited: its content does not match its checksum; export again")
    artifact = validate(Artifact, content, {}, str(path))
    if gives is not None and artifact.output.gives != gives:
        found, expected = KINDS[artifact.output.gives], KINDS[gives]
        raise UserError(f"{path}: {found} folder; expected {expected}, as `lite-deploy export` makes it")
    if check_files:
        problems = [p for m in artifact.models for f in m.files if (p := _problem(path.parent / f.file, f))]
        if problems:
            raise UserError("\n".join(problems) + "\nexport again, or take a fresh copy of the folder")
    return artifact


def _problem(path: Path, record: FileRecord) -> str:
    """Return what is wrong with a file, or nothing."""
    if not path.is_file():
        return f"{path}: missing"
    size = path.stat().st_size
    if size != record.bytes:
        return f"{path}: damaged or edited: {size} bytes, expected {record.bytes}"
    found = sha256(path)
    if found != record.sha256:
        return f"{path}: damaged or edited: SHA-256 {found[:12]}..., expected {record.sha256[:12]}..."
    return ""
