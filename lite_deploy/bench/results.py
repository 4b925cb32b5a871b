"""The results file: one JSON object a line, appended as it is measured, so that nothing is lost.

Each line has `schema` (the version) and `kind`; docs/benchmark.md lists the fields. A file starts with one
`run` line. Readers of a version ignore fields they do not know.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tinypose.codecs import CODECS
from tinypose.errors import UserError
from tinypose.files import parse_json, writing

SCHEMA = 1


Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Line(BaseModel):
    """What every line has."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    # `schema` itself is taken by pydantic.
    version: Literal[1] = Field(SCHEMA, alias="schema", serialization_alias="schema")


class _Part(BaseModel):
    """What readers take of a description that is kept as it was written; the rest is not looked at."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Cluster(_Part):
    name: str
    cores: list[int] = []
    kind: str | None = None
    clock: float | None = None


class _Core(_Part):
    governor: str | None = None


class _Machine(_Part):
    model: str = ""
    soc: str = ""
    system: str = ""
    kernel: str = ""
    arm: bool = False
    memory_mb: float | None = None
    instructions: list[str] = []
    clusters: list[_Cluster] = []
    cores: list[_Core] = []


class _Model(_Part):
    name: str
    precision: str = ""
    bytes: int = Field(0, ge=0, le=1 << 50)
    sha256: str | None = None


class _Measured(_Part):
    model: str
    metrics: dict[str, float | None]


class _Output(_Part):
    name: str | None = None


class _Artifact(_Part):
    models: list[_Model] = []
    accuracy: list[_Measured] = []
    output: _Output = _Output()
    input: dict[str, Any] = {}
    tools: dict[str, str] = {}


class _Options(_Part):
    confidence: float = Field(0.95, gt=0, lt=1)
    precision: float = Field(0.03, gt=0)


_PARTS: dict[str, type[_Part]] = {"machine": _Machine, "artifact": _Artifact, "options": _Options}


class RunLine(Line):
    """The first line: what is measured, where, with what."""

    kind: Literal["run"] = "run"
    started: str = Field(description="ISO 8601, with the time zone")
    device: str = Field(description="as given: adb:SERIAL, ssh:USER@HOST, local")
    label: str = Field("", description="the user's name for this run")
    machine: dict[str, Any] = Field(description="lite_deploy.bench.machine.Machine")
    artifact: dict[str, Any] = Field(description="of pose.json: folder, checksum, sizes, models, accuracy")
    tools: dict[str, str]
    options: dict[str, Any] = Field(description="a resumed run must have the same")
    folder: str = Field(description="on the device")

    @field_validator("machine", "artifact", "options")
    @classmethod
    def _as_read(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        _PARTS[info.field_name].model_validate(value)
        return value


class CaseLine(Line):
    """What was measured: a model, with so many threads, on these cores."""

    model: str
    threads: int
    cluster: str = Field(description="any: wherever the system puts it")

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells cases apart."""
        return self.model, self.threads, self.cluster


class CheckLine(Line):
    """A model's outputs on the device against those that are expected."""

    kind: Literal["check"] = "check"
    model: str
    expected_by: str = Field(description="what computed the expected outputs")
    difference: float = Field(description="largest, relative to the largest expected value")
    correlation: float
    moved: float = Field(
        description="how far the farthest sure joint, or corner of a box, moved, in pixels of the picture"
    )
    passed: bool


class VisitLine(CaseLine):
    """One process that measured one case: a round's share."""

    kind: Literal["visit"] = "visit"
    round: int
    runner: str
    engine: str
    engine_version: str
    cores: list[int]
    load_ms: float
    first_ms: float
    warmup_runs: int
    warm: bool
    crop_ms: list[Milliseconds] = Field(min_length=1)
    network_ms: list[Milliseconds] = Field(min_length=1)
    decode_ms: list[Milliseconds] = Field(min_length=1)
    peak_kb: int
    clocks_khz: dict[str, list[int]]
    others: float | None = Field(description="cores that other programs kept busy")
    preempted: int
    temperature_c: dict[str, float | None] = Field(description="before, after")
    cooled_s: float = Field(description="how long it waited for the device to cool down")

    @model_validator(mode="after")
    def _of_the_same_runs(self) -> "VisitLine":
        if not len(self.crop_ms) == len(self.network_ms) == len(self.decode_ms):
            raise ValueError("crop_ms, network_ms, decode_ms: expected as many numbers in each")
        return self

    @property
    def total_ms(self) -> np.ndarray:
        """Latency of each run from picture to joints or boxes, float64 [n]."""
        return np.sum([self.crop_ms, self.network_ms, self.decode_ms], axis=0)


class OperatorCount(BaseModel):
    """The instructions of one operator of a `.nb`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str
    kernel: str
    precision: str
    counts: dict[str, int] = Field(description="by class")

    @property
    def name(self) -> str:
        """What to call its kind: the type, and how it computes where that differs within a model."""
        if self.type == "calib":
            return f"calib {self.kernel}"
        return f"{self.type} int8, {self.kernel}" if self.precision == "int8" else self.type


class CountLine(Line):
    """The instructions of one inference on an emulated core, one thread: a count and no time."""

    kind: Literal["count"] = "count"
    model: str
    core: str = Field(description="that was described to the engine, for example A78")
    engine_version: str
    total: int
    counts: dict[str, int] = Field(description="by class: lite_deploy.bench.emulator.count.CLASSES")
    again: int = Field(description="the total of another inference of the same process")
    operators: list[OperatorCount] = Field(description="in order; empty if they could not be told apart")


class FailureLine(CaseLine):
    """A model that must not, or could not, be measured."""

    kind: Literal["failure"] = "failure"
    message: str


class EndLine(Line):
    """Why the file ends here: complete, interrupted, or lost. A run that is resumed has several."""

    kind: Literal["end"] = "end"
    reason: Literal["complete", "interrupted", "lost"]


AnyLine = Annotated[
    RunLine | CheckLine | VisitLine | CountLine | FailureLine | EndLine, Field(discriminator="kind")
]
_LINE: TypeAdapter[Any] = TypeAdapter(AnyLine)


@dataclass
class Results:
    """What a results file holds."""

    path: Path
    run: RunLine
    checks: list[CheckLine] = field(default_factory=list)
    visits: list[VisitLine] = field(default_factory=list)
    counts: list[CountLine] = field(default_factory=list)
    failures: list[FailureLine] = field(default_factory=list)
    complete: bool = False

    @property
    def name(self) -> str:
        """What to call it beside others."""
        return self.run.label or self.run.machine.get("model") or self.run.device

    @property
    def finds(self) -> Literal["joints", "boxes"]:
        """What its networks find: people's joints, or a detector's boxes."""
        codec = CODECS.get(self.run.artifact.get("output", {}).get("name"))
        return "boxes" if codec is not None and codec.gives == "boxes" else "joints"

    def by_case(self) -> dict[tuple[str, int, str], list[VisitLine]]:
        """Return the visits of each case, in the order of rounds."""
        cases: dict[tuple[str, int, str], list[VisitLine]] = {}
        for visit in sorted(self.visits, key=lambda each: each.round):
            cases.setdefault(visit.key, []).append(visit)
        return cases


def counted(checksums: Mapping[str, str], every: Iterable[Results]) -> dict[str, dict[str, int]]:
    """Return the counted instructions of those models whose very files were counted.

    Args:
        checksums: SHA-256 of each model's first file, by model.
        every: results; those without counts add nothing.

    Returns:
        By emulated core, then by model.
    """
    found: dict[str, dict[str, int]] = {}
    for results in every:
        theirs = model_checksums(results)
        for line in results.counts:
            if checksums.get(line.model) == theirs.get(line.model, ""):
                found.setdefault(line.core, {})[line.model] = line.total
    return found


def model_checksums(results: Results) -> dict[str, str]:
    """Return the SHA-256 of each model's first file; older results have none."""
    models = results.run.artifact.get("models", ())
    return {each["name"]: each["sha256"] for each in models if each.get("sha256")}


def append(path: Path, line: Line) -> None:
    """Add a line to a results file and see that it is on the disk."""
    text = line.model_dump_json(by_alias=True) + "\n"
    with writing(path), open(path, "ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_results(path: str | Path) -> Results:
    """Read a results file; half a last line, the mark of a killed process, is left out.

    Raises:
        UserError: no such file, or not one that `lite-deploy bench` wrote, with the line.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such results file; `lite-deploy bench` writes them") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    results: Results | None = None
    for number, text in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        line = _read_line(path, number, text)
        if isinstance(line, RunLine) == (results is not None):
            raise UserError(f"{path}:{number}: expected one line of kind 'run', and that the first")
        if isinstance(line, RunLine):
            results = Results(path, line)
        elif isinstance(line, CheckLine):
            results.checks.append(line)
        elif isinstance(line, VisitLine):
            results.visits.append(line)
        elif isinstance(line, CountLine):
            results.counts.append(line)
        elif isinstance(line, FailureLine):
            results.failures.append(line)
        else:
            results.complete = line.reason == "complete"
    if results is None:
        raise UserError(f"{path}: has no whole line; expected what `lite-deploy bench` writes")
    return results


def drop_half_line(path: Path) -> None:
    """Cut off what a killed process left of its last line."""
    with open(path, "rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _read_line(path: Path, number: int, text: bytes) -> Any:
    try:
        content = parse_json(text.decode())
    except ValueError as error:
        raise UserError(
            f"{path}:{number}: not JSON ({error}); expected what `lite-deploy bench` writes"
        ) from None
    if isinstance(content, dict) and content.get("schema") != SCHEMA:
        found = content.get("schema")
        raise UserError(f"{path}:{number}: schema {found!r}, and this tool reads {SCHEMA}; measure again")
    try:
        return _LINE.validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"][1:]) or "the line"
        raise UserError(f"{path}:{number}: {where}: {problem['msg']}") from None
