"""The artifact folder: the models and `pose.json`, which says all that a runtime must know.

Python, the C++ runner and the Android app read this one file, so that what happens before and after the
network is the same in training and on a phone. A detector's folder holds `detector.json` instead.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tinypose.config import InputConfig, validate
from tinypose.detection.config import DetectorSpec
from tinypose.errors import UserError
from tinypose.files import read_json, sha256, write_json
from tinypose.skeleton import Skeleton

FILE = "pose.json"
VERSION = 1


class Record(BaseModel):
    """A part of `pose.json`: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputRecord(Record):
    """What the network reads: one person's crop, float32 [N, 3, height, width]."""

    name: str = "image"
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    layout: Literal["NCHW"] = "NCHW"
    color: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = Field(description="of each colour, where white is 1")
    std: tuple[float, float, float]
    normalise: Literal["caller", "model"] = Field(
        "caller",
        description="caller: the network reads (pixel / 255 - mean) / std; model: it reads pixels, 0 to 255",
    )
    padding: float = Field(ge=1, description="how much larger than the person's box the crop is")

    def config(self) -> InputConfig:
        """Return it as the section of a config that the library's preprocessing takes."""
        return InputConfig(
            width=self.width, height=self.height, mean=self.mean, std=self.std, padding=self.padding
        )


class OutputRecord(Record):
    """What the network gives, float32 [N, joints, height, width], and how joints are read from it."""

    name: str = "heatmaps"
    joints: int = Field(gt=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    decode: Literal["dark", "shift", "max"]
    blur: int = Field(ge=3, description="DARK's Gaussian kernel, in heatmap pixels, odd")
    grid: Literal["stride", "udp"] = Field(
        description="heatmap pixel to crop pixel: stride: times width / heatmap width; udp: times "
        "(width - 1) / (heatmap width - 1)"
    )


class FileRecord(Record):
    """A file beside `pose.json`."""

    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ModelRecord(Record):
    """One model: for which engine and machine, and its files, the one to open first."""

    name: str
    engine: Literal["paddle-lite", "onnxruntime", "paddle-inference"]
    target: Literal["arm", "x86", "any"]
    precision: Literal["fp32", "fp16", "int8"]
    files: tuple[FileRecord, ...] = Field(min_length=1)


class OriginRecord(Record):
    """Where the models come from."""

    config: dict[str, Any] = Field(description="the whole config, as `tinypose config show` prints it")
    config_file: str
    weights: str
    weights_sha256: str
    rewritten: bool = Field(description="whether the network was rewritten for export (compress.graph)")
    trained: bool = Field(False, description="whether quantisation trained the weights further")
    quantised: int = Field(ge=0, description="convolutions in INT8 in the INT8 models")
    kept_fp32: tuple[str, ...] = Field((), description="convolutions left in FP32 in the INT8 models")


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


class AccuracyRecord(Record):
    """What `lite-deploy eval` measured."""

    model: str
    data: str
    people: int
    flip: bool
    metrics: dict[str, float | None] = Field(description="percent")


class _WithModels(Record):
    """What the descriptions of pose networks and of detectors have in common."""

    file: ClassVar[str]
    models: tuple[ModelRecord, ...] = ()

    def model(self, name: str) -> ModelRecord:
        """Return a model by name.

        Raises:
            UserError: there is none of that name.
        """
        for each in self.models:
            if each.name == name:
                return each
        raise UserError(f"no model '{name}' in this folder; it has: {', '.join(m.name for m in self.models)}")


class Artifact(_WithModels):
    """The content of `pose.json`."""

    file: ClassVar[str] = FILE
    format: Literal["edge-pose artifact"] = "edge-pose artifact"
    version: Literal[1] = VERSION
    input: InputRecord
    output: OutputRecord
    skeleton: Skeleton
    models: tuple[ModelRecord, ...] = Field(min_length=1)
    tools: dict[str, str] = Field(description="versions; runtime and optimiser must be of one version")
    origin: OriginRecord
    cost: tuple[CostRecord, ...] = ()
    parity: tuple[ParityRecord, ...] = ()
    accuracy: tuple[AccuracyRecord, ...] = ()


class DetectorArtifact(_WithModels):
    """The content of `detector.json`."""

    file: ClassVar[str] = "detector.json"
    format: Literal["edge-pose detector"] = "edge-pose detector"
    version: Literal[1] = VERSION
    detector: DetectorSpec
    models: tuple[ModelRecord, ...] = Field(min_length=1)
    tools: dict[str, str]
    origin: OriginRecord


AnyArtifact = TypeVar("AnyArtifact", Artifact, DetectorArtifact)


def record_file(path: str | Path) -> FileRecord:
    """Describe a file of the folder: its name, size and checksum."""
    path = Path(path)
    return FileRecord(file=path.name, bytes=path.stat().st_size, sha256=sha256(path))


def write_artifact(folder: str | Path, artifact: Artifact | DetectorArtifact) -> None:
    """Write the description, `pose.json` or `detector.json`, with a checksum over its own content."""
    content = artifact.model_dump(mode="json")
    write_json(Path(folder) / artifact.file, {**content, "sha256": _digest(content)})


def read_artifact(folder: str | Path, check_files: bool = True) -> Artifact:
    """Read the artifact folder of a pose network and check every file in it.

    Args:
        folder: the folder, or its `pose.json`.
        check_files: compute the checksums of the models too.

    Raises:
        UserError: no artifact, one of another version, or a file that is missing, damaged or edited.
    """
    return _read(folder, Artifact, "lite-deploy export", check_files)


def read_detector(folder: str | Path, check_files: bool = True) -> DetectorArtifact:
    """Read the artifact folder of a detector; see `read_artifact`."""
    return _read(folder, DetectorArtifact, "lite-deploy export-detector", check_files)


def _read(folder: str | Path, schema: type[AnyArtifact], maker: str, check_files: bool) -> AnyArtifact:
    folder = Path(folder)
    path = folder if folder.name == schema.file else folder / schema.file
    content = read_json(path, f"artifact's description; expected a folder that `{maker}` made")
    if not isinstance(content, dict) or content.get("format") != schema.model_fields["format"].default:
        raise UserError(f"{path}: not an artifact's description; expected what `{maker}` writes")
    if content.get("version") != VERSION:
        raise UserError(
            f"{path}: version {content.get('version')!r}, and this tool reads version {VERSION}; export again"
        )
    if content.pop("sha256", None) != _digest(content):
        raise UserError(f"{path}: damaged or edited: its content does not match its checksum; export again")
    artifact = validate(schema, content, {}, str(path))
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


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
