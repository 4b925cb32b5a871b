"""`tinypose infer`: people in pictures, videos, cameras and streams."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tinypose.config import CONFIGS
from tinypose.console import err, out, track
from tinypose.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from tinypose.inference.estimator import PoseEstimator
    from tinypose.inference.files import Summary
    from tinypose.inference.sources import Source

NETWORKS = "An artifact folder, or a config (.yml), whose published weights are downloaded."


def infer(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Pictures, folders, videos, a camera's number, a stream's address."
        ),
    ],
    output: Annotated[Path, typer.Option("-d", "--output", help="The folder for the results.")] = Path(
        "results"
    ),
    pose: Annotated[Path, typer.Option(help=f"The pose network. {NETWORKS}")] = CONFIGS
    / "tinypose_256x192.yml",
    detector: Annotated[
        Path | None, typer.Option(help=f"The detector; for an artifact none means pose/detector. {NETWORKS}")
    ] = None,
    pose_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="For a config: the pose network's weights.")
    ] = None,
    detector_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="For a config: the detector's weights.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="The whole picture is one person.")] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Boxes of people in the pictures, in COCO's results format."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="For artifacts: paddle-lite, onnxruntime, paddle-inference; none: the fastest."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="For artifacts: threads of each engine.")] = 1,
    box_score: Annotated[float, typer.Option(min=0, max=1, help="Boxes scoring no more are left.")] = 0.4,
    detect_every: Annotated[
        int, typer.Option(min=1, help="In video: frames from detection to detection.")
    ] = 5,
    smooth: Annotated[
        Literal["one_euro", "ema", "none"], typer.Option(help="In video: smoothing over time.")
    ] = "one_euro",
    draw: Annotated[bool, typer.Option(help="Write pictures and videos with the people drawn in.")] = True,
    text: Annotated[bool, typer.Option("--text", help="Write a line of numbers a person, too.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="In video: stop after so many frames.")] = None,
) -> None:
    """Find people and their joints; write COCO's results as JSON, and pictures and videos that show them.

    An interrupted video file goes on where it stopped when the same command is run again. What cannot be
    read is counted and left out.
    """
    from tinypose.inference.files import Output, infer_pictures, infer_video, unique_names
    from tinypose.inference.follow import FollowSettings
    from tinypose.inference.sources import find_sources

    sources = find_sources(source)
    pictures = [each for each in sources if each.kind == "picture"]
    videos = [each for each in sources if each.kind != "picture"]
    if boxes is not None and (videos or whole or detector):
        raise UserError("--boxes is for pictures, and stands instead of --detector and --whole")
    if whole and detector:
        raise UserError("--whole stands instead of --detector; give one of them")
    given = _read_boxes(boxes, pictures) if boxes else None
    estimate, origin = _open(pose, detector, pose_weights, detector_weights, whole or given is not None,
                             engine, threads, box_score)  # fmt: skip
    target = Output(output, draw, text)
    settings = FollowSettings(detect_every=detect_every, smooth=smooth)
    failed = []
    if pictures:
        try:
            _report(infer_pictures(pictures, estimate, target, given, track), "picture")
        except UserError as error:
            failed.append(str(error))
    for video, name in zip(videos, unique_names([each.stem for each in videos]), strict=True):
        err.print(f"{video.name}:", markup=False)
        try:
            _report(infer_video(video, name, estimate, target, settings, origin, frames, track), "frame")
        except UserError as error:
            failed.append(str(error))
    if len(failed) == len(videos) + bool(pictures):
        raise UserError("\n".join(failed))
    for problem in failed:
        err.print(f"left out: {problem}", style="yellow", markup=False)


def _open(
    pose: Path,
    detector: Path | None,
    pose_weights: str | None,
    detector_weights: str | None,
    no_detector: bool,
    engine: str | None,
    threads: int,
    box_score: float,
) -> tuple["PoseEstimator", dict[str, Any]]:
    """Open the networks; also say what results depend on."""
    from dataclasses import replace

    origin: dict[str, Any] = {"box_score": box_score, "detector": None}
    if pose.suffix in (".yml", ".yaml"):
        from tinypose.inference.checkpoint import estimator_from_configs

        detector = None if no_detector else detector or CONFIGS / "picodet_s_416_coco.yml"
        names = [str(each) for each in (pose, pose_weights, detector, detector_weights)]
        estimate = estimator_from_configs(pose, detector, pose_weights, detector_weights, box_score)
        return estimate, origin | {"networks": names}
    if pose_weights or detector_weights:
        raise UserError("--pose-weights and --detector-weights go with configs; an artifact has its weights")

    from tinypose.files import read_json
    from tinypose.inference.estimator import PoseEstimator

    estimate = PoseEstimator.from_artifact(pose, detector, engine, threads, box_score)
    if no_detector:
        estimate = replace(estimate, detect=None)
    elif estimate.detect is None:
        raise UserError(
            f"{pose}: no detector in it; give --detector FOLDER (`lite-deploy export-detector` makes one), "
            "or --whole if each picture shows one person"
        )
    folders = [pose] if no_detector else [pose, detector or pose / "detector"]
    descriptions = [next(folder.glob("*.json")) for folder in folders]
    return estimate, origin | {"networks": [read_json(each)["sha256"] for each in descriptions]}


def _read_boxes(path: Path, pictures: list["Source"]) -> dict[str, "np.ndarray"]:
    """Return the boxes of a file by the path of their picture; its entries name it, or give its number."""
    import numpy as np

    from tinypose.files import read_json
    from tinypose.inference.files import picture_numbers

    content = read_json(path, "file of boxes")
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of boxes (COCO's results format)")
    names = [Path(each.name) for each in pictures]
    keys: dict[Any, str] = {
        number: str(each) for number, each in zip(picture_numbers(names), names, strict=True)
    }
    keys |= {each.name: str(each) for each in names}
    result: dict[str, list] = {str(each): [] for each in names}
    for number, entry in enumerate(content):
        try:
            key = entry["file_name"] if "file_name" in entry else entry["image_id"]
            box = np.array(entry["bbox"], np.float32).reshape(4)
        except (TypeError, KeyError, ValueError):
            raise UserError(
                f"{path}: [{number}]: expected image_id (or file_name) and bbox: left, top, width, height"
            ) from None
        if key in keys:
            result[keys[key]].append(box)
    if not any(result.values()):
        raise UserError(f"{path}: no box for any of these pictures; they are known by their number or name")
    return {name: np.array(each, np.float32).reshape(-1, 4) for name, each in result.items()}


def _report(summary: "Summary", what: str) -> None:
    found = _count(summary.people, "person", "people")
    if what == "frame":
        found = _count(len(summary.ids), "different person", "different people")
    line = f"{_count(summary.frames, what)}, {found}"
    new = summary.frames - summary.resumed
    if summary.resumed:
        line += f", {_count(summary.resumed, 'frame')} taken over from the run before"
    if new > 0:
        line += f", {new / max(summary.seconds, 1e-9):.1f} a second"
    out.print(line, markup=False)
    for problem in summary.unreadable:
        err.print(f"left out: {problem}", style="yellow", markup=False)
    if summary.lost:
        err.print(f"left out: {_count(summary.lost, 'frame')} that cannot be read", style="yellow")
    shown = summary.files if len(summary.files) <= 3 else summary.files[:2]
    more = "" if len(shown) == len(summary.files) else f" and {len(summary.files) - len(shown)} more"
    out.print(f"written: {', '.join(map(str, shown))}{more}", markup=False)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
