"""`tinypose infer`: people in pictures, videos, cameras and streams."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinypose.console import count, err, out, track
from tinypose.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from tinypose.inference.files import Summary
    from tinypose.inference.sources import Source

NETWORKS = "An artifact folder, or a config (a .yml or a name), whose published weights are downloaded."


def infer(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Pictures, folders, videos, a camera's number, a stream's address."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", metavar="FOLDER", help="For the results.")] = Path(
        "results"
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there already.")
    ] = False,
    pose: Annotated[
        Path | None,
        typer.Option(
            help=f"The pose network; tinypose_256x192 if not given; 'none' for boxes alone. {NETWORKS}"
        ),
    ] = None,
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
    boxes_form: Annotated[
        Literal["size", "corners"] | None,
        typer.Option(help="Of --boxes: left, top, width, height, or left, top, right, bottom."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="For artifacts: paddle-lite, onnxruntime, paddle-inference, openvino, mnn or ncnn; "
            "none: the fastest."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="For artifacts: threads of each engine.")] = 1,
    box_score: Annotated[float, typer.Option(min=0, max=1, help="Boxes scoring no more are left.")] = 0.4,
    score: Annotated[
        float, typer.Option(min=0, max=1, help="Bottom-up: people scoring no more are left out.")
    ] = 0.15,
    detect_every: Annotated[
        int, typer.Option(min=1, help="In video: frames from detection to detection.")
    ] = 5,
    tracker: Annotated[
        Literal["keypoints", "looks"],
        typer.Option(help="In video: who is who by joints and boxes, or by what FairMOT sees of people."),
    ] = "keypoints",
    smooth: Annotated[
        Literal["one_euro", "ema", "none"], typer.Option(help="In video: smoothing over time.")
    ] = "one_euro",
    draw: Annotated[bool, typer.Option(help="Write pictures and videos with the people drawn in.")] = True,
    text: Annotated[bool, typer.Option("--text", help="Write a line of numbers a person, too.")] = False,
    mot: Annotated[
        bool, typer.Option("--mot", help="In video: write the MOT challenge's text too, NAME.mot.txt.")
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="In video: stop after so many frames.")] = None,
) -> None:
    """Find people and their joints; write COCO's results as JSON, and pictures and videos that show them.

    An interrupted video file goes on where it stopped when the same command is run again. What cannot be
    read is counted and left out.
    """
    from tinypose.config import CONFIGS
    from tinypose.files import check_new, check_not_read, claim_folder, clear_dead
    from tinypose.inference.sources import find_sources

    pose = pose or CONFIGS / "tinypose_256x192.yml"
    sources = find_sources(source, output)
    pictures = [each for each in sources if each.kind == "picture"]
    videos = [each for each in sources if each.kind != "picture"]
    if boxes is not None and (videos or whole or detector):
        raise UserError("--boxes is for pictures, and stands instead of --detector and --whole")
    if whole and detector:
        raise UserError("--whole stands instead of --detector; give one of them")

    from tinypose.inference.files import Output, infer_pictures, infer_video, unique_names
    from tinypose.inference.networks import open_networks
    from tinypose.inference.settings import FollowSettings

    target = Output(output, draw, text, overwrite, mot)
    names = unique_names([each.stem for each in videos], ["keypoints"] if pictures else [])
    with claim_folder(output):
        outputs = target.of_pictures(pictures)
        outputs += [path for name in names for path in target.of_video(name)]
        for folder in {path.parent for path in outputs}:
            clear_dead(folder)
        files = [each.name for each in sources if each.kind in ("picture", "video")]
        check_not_read(outputs, [*files, boxes, pose_weights, detector_weights])
        given = _read_boxes(boxes, boxes_form, pictures) if boxes else None
        alone = whole or given is not None
        estimate, origin = open_networks(
            pose, detector, pose_weights, detector_weights, alone, engine, threads, box_score, score
        )
        begun = [path for name in names if target.seen_log(name).exists() for path in target.of_video(name)]
        check_new([path for path in outputs if path not in begun], overwrite)
        settings = FollowSettings(tracker=tracker, detect_every=detect_every, smooth=smooth)
        failed = []
        # Videos first: what was seen of them is kept, and taken over if this is stopped and run again.
        for video, name in zip(videos, names, strict=True):
            err.print(f"{video.name}:", markup=False)
            try:
                _report(infer_video(video, name, estimate, target, settings, origin, frames, track), "frame")
            except UserError as error:
                failed.append(str(error))
        if pictures:
            try:
                _report(infer_pictures(pictures, estimate, target, given, track), "picture")
            except UserError as error:
                failed.append(str(error))
        for name in names:
            target.seen_log(name).unlink(missing_ok=True)
    if len(failed) == len(videos) + bool(pictures):
        raise UserError("\n".join(failed))
    for problem in failed:
        err.print(f"left out: {problem}", style="yellow", markup=False)


def _read_boxes(
    path: Path, form: Literal["size", "corners"] | None, pictures: list["Source"]
) -> dict[str, "np.ndarray"]:
    """Return the boxes of a file by the path of their picture, whose number or name its entries give."""
    import numpy as np

    from tinypose.data.boxes import as_sizes, read_boxes
    from tinypose.images import picture_size
    from tinypose.inference.files import picture_numbers

    entries = read_boxes(path)
    numbers = dict(zip(picture_numbers([Path(each.name) for each in pictures]), pictures, strict=True))
    endings: dict[str, list[Source]] = {}
    for each in pictures:
        parts = Path(each.name).absolute().parts[1:]
        for start in range(len(parts)):
            endings.setdefault("/".join(parts[start:]), []).append(each)
    found, unknown = [], 0
    for entry in entries:
        if entry.file_name is None:
            named = [numbers[entry.image_id]] if entry.image_id in numbers else []
        else:
            named = endings.get(entry.file_name.removeprefix("./").strip("/"), [])
            named = [each for each in named if str(each.place) == entry.file_name] or named
        if len(named) > 1:
            raise UserError(
                f"{path}: [{entry.place}]: file_name '{entry.file_name}' names {len(named)} of the pictures; "
                "give more of its path"
            )
        unknown += not named
        found += [(named[0].name, entry.box)] if named else []
    if not found:
        raise UserError(f"{path}: no box for any of these pictures; they are known by their number or name")
    if unknown:
        err.print(f"left out: {count(unknown, 'box', 'boxes')} of other pictures than these", style="yellow")
    sizes: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(name for name, _ in found):
        try:
            sizes[name] = picture_size(name)
        except UserError:  # said when the pictures are read
            sizes[name] = (0, 0)
    known = [(name, box) for name, box in found if sizes[name] != (0, 0)]
    boxes = as_sizes(path, [b for _, b in known], [sizes[name] for name, _ in known], form, "--boxes-form")
    result: dict[str, list] = {each.name: [] for each in pictures}
    for (name, _), box in zip(known, boxes, strict=True):
        result[name].append(box)
    return {str(Path(name)): np.array(each, np.float32).reshape(-1, 4) for name, each in result.items()}


def _report(summary: "Summary", what: str) -> None:
    found = count(summary.people, "person", "people")
    if what == "frame":
        found = count(len(summary.ids), "different person", "different people")
    line = f"{count(summary.frames, what)}, {found}"
    new = summary.frames - summary.resumed
    if summary.resumed:
        line += f", {count(summary.resumed, 'frame')} taken over from the run before"
    if new > 0:
        line += f", {new / max(summary.seconds, 1e-9):.1f} a second"
    out.print(line, markup=False)
    for problem in summary.unreadable:
        err.print(f"left out: {problem}", style="yellow", markup=False)
    if summary.reconnected:
        err.print(
            f"the stream broke, and was connected again {count(summary.reconnected, 'time')}", style="yellow"
        )
    if summary.lost:
        err.print(f"left out: {count(summary.lost, 'frame')} that cannot be read", style="yellow")
    shown = summary.files if len(summary.files) <= 3 else summary.files[:2]
    more = "" if len(shown) == len(summary.files) else f" and {len(summary.files) - len(shown)} more"
    out.print(f"written: {', '.join(map(str, shown))}{more}", markup=False)
