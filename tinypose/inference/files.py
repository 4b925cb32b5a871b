"""From sources to results: pictures with a file of keypoints, videos with one each."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tinypose.console import count, kept
from tinypose.drawing import label
from tinypose.errors import UserError
from tinypose.files import LONGEST_NAME, write_whole
from tinypose.images import read_image
from tinypose.inference.background import ahead, behind
from tinypose.inference.estimator import PoseEstimator
from tinypose.inference.follow_looks import follow_people
from tinypose.inference.networks import Estimator
from tinypose.inference.people import People
from tinypose.inference.results import SeenLog, json_list
from tinypose.inference.settings import FollowSettings
from tinypose.inference.sources import Source
from tinypose.video import Frame, Video, VideoWriter, read_camera

LONGEST_ENDING = 20  # bytes that `.seen.jsonl` and a number take

Track = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class Output:
    """Where results go, and which.

    Attributes:
        folder: made if it is not there.
        draw: pictures and videos with the people drawn in.
        text: a line of numbers for each person, beside the JSON.
        overwrite: an interrupted video of other networks or settings is begun anew.
        mot: of videos, the MOT challenge's text beside the JSON.
    """

    folder: Path
    draw: bool = True
    text: bool = False
    overwrite: bool = False
    mot: bool = False

    def of_pictures(self, sources: Sequence[Source]) -> list[Path]:
        """Return the files that pictures lead to: keypoints, text, and a drawing of each."""
        lists = [self.folder / "keypoints.json", *([self.folder / "keypoints.txt"] if self.text else [])]
        return [*lists, *self.drawings(sources)] if sources else []

    def drawings(self, sources: Sequence[Source]) -> list[Path]:
        """Return a file for the drawing of each picture, in the sub-folders of the sources."""
        if not self.draw:
            return []
        places = [each.place if each.place.name else PurePosixPath(Path(each.name).name) for each in sources]
        names = [
            str(place.with_suffix(".png" if place.suffix.lower() == ".png" else ".jpg")) for place in places
        ]
        return [self.folder / name for name in unique_names(names)]

    def of_video(self, name: str) -> list[Path]:
        """Return the files that a video leads to."""
        endings = [".json", *([".txt"] if self.text else []), *([".mot.txt"] if self.mot else [])]
        endings += [".mp4"] if self.draw else []
        return [self.folder / f"{name}{ending}" for ending in endings]

    def seen_log(self, name: str) -> Path:
        """Return where what the networks saw of a video is kept until all is done."""
        return self.folder / f"{name}.seen.jsonl"


@dataclass
class Summary:
    """What came of a run.

    Attributes:
        frames: pictures or frames that were looked at.
        people: found in them, in total.
        ids: how many different people, in a video.
        unreadable: for pictures, which, and why; for a camera, why it ended; for a video, see `lost`.
        lost: frames that could not be decoded.
        reconnected: how many times a stream that broke was connected again.
        resumed: frames taken over from an interrupted run.
        seconds: how long the rest took.
        files: what was written.
    """

    frames: int = 0
    people: int = 0
    ids: set[int] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    lost: int = 0
    reconnected: int = 0
    resumed: int = 0
    seconds: float = 0.0
    files: list[Path] = field(default_factory=list)


def infer_pictures(
    sources: Sequence[Source],
    estimate: PoseEstimator,
    output: Output,
    boxes: Mapping[str, np.ndarray] | None = None,
    track: Track = lambda items, what, total: items,
) -> Summary:
    """Find the people of pictures; write `keypoints.json`, and the pictures with the people drawn in.

    A picture that cannot be read is noted and left out.

    Args:
        sources: the pictures.
        estimate: finds people.
        output: what to write.
        boxes: by the picture's path, where to look, [N, 4]; none: the detector says.
        track: wraps the loop over pictures, for a progress bar.

    Raises:
        UserError: not one picture could be read.
    """
    summary = Summary()
    paths = [Path(source.name) for source in sources]
    numbers = picture_numbers(paths)
    names = file_names(sources)
    drawings = output.drawings(sources)
    start = time.perf_counter()
    with ExitStack() as stack:
        results = _Results(output, "keypoints", stack, summary)
        draw = stack.enter_context(behind(_save_drawing))
        read = stack.enter_context(closing(ahead(map(_read, paths))))
        stack.enter_context(kept(lambda: _kept(drawings, summary)))
        for i, (path, image) in enumerate(track(read, "pictures", len(paths))):
            if isinstance(image, UserError):
                summary.unreadable.append(str(image))
                continue
            people = estimate(image, None if boxes is None else boxes[str(path)])
            summary.frames += 1
            results.add(people, numbers[i], {"file_name": names[i]}, names[i])
            if output.draw:
                draw(drawings[i], image, people)
                summary.files.append(drawings[i])
        if not summary.frames:
            raise UserError("\n".join([*summary.unreadable, "none of the pictures could be read"]))
    summary.seconds = time.perf_counter() - start
    return summary


def infer_video(
    source: Source,
    name: str,
    estimate: Estimator,
    output: Output,
    settings: FollowSettings,
    origin: dict[str, Any],
    limit: int | None = None,
    track: Track = lambda items, what, total: items,
) -> Summary:
    """Follow the people of a video, camera or stream; write NAME.json, and NAME.mp4 with them drawn in.

    What was seen in a video file is kept in NAME.seen.jsonl, for `Output.seen_log` to be removed when all is
    done: interrupted, the next run goes on where this one stopped, and ends with the same results. A camera
    or stream ends, with its results written, when it is interrupted or gives no more.

    Args:
        source: what to read.
        name: of the results.
        estimate: finds people.
        output: what to write.
        settings: how people are followed.
        origin: what else the results depend on (the networks); plain containers.
        limit: frames to look at, at most.
        track: wraps the loop over frames, for a progress bar.

    Raises:
        UserError: it cannot be opened, or not one frame of it could be read.
    """
    summary = Summary()
    video = None if source.kind == "camera" else Video(source.name)
    frames: Iterator[Frame] = iter(video) if video else read_camera(int(source.name))
    live = video is None or video.live
    total = limit if live else min(filter(None, (video.total, limit)), default=None)
    follow = follow_people(estimate, settings)
    with ExitStack() as stack:
        log = None
        if source.kind == "video":
            origin = {"video": _identity(source.name), "follow": settings.model_dump(), **origin}
            log = SeenLog(output.seen_log(name), origin, estimate.skeleton, output.overwrite)
            stack.callback(log.close)
            stack.enter_context(kept(lambda: f"kept: what was seen of {count(log.count, 'frame')}, in "
                                             f"{log.path}; the same command goes on there"))  # fmt: skip
            summary.resumed = min(len(log.seen), total or len(log.seen))
        results = _Results(output, name, stack, summary, video=True)
        draw = None
        if output.draw:
            path = output.folder / f"{name}.mp4"
            temporary = stack.enter_context(write_whole(path))
            writer = stack.enter_context(VideoWriter(temporary, video.rate if video else None))
            draw = stack.enter_context(behind(lambda *each: writer.write(_drawing(*each), each[2])))
            summary.files.append(path)
        read = stack.enter_context(closing(ahead(frames, drop=live)))
        start = time.perf_counter()
        try:
            for frame in track(islice(read, limit), name, total):
                if log and frame.index < len(log.seen):
                    seen = log.seen[frame.index]
                else:
                    seen = follow.look(frame.image, frame.time)
                    if log:
                        log.add(seen)
                people = follow.take(seen)
                summary.frames += 1
                summary.ids.update(people.ids.tolist())
                results.add(
                    people, frame.index, {"time": round(frame.time, 4)}, f"{frame.index} {frame.time:.4f}"
                )
                if draw:
                    draw(frame.image, people, frame.time)
        except KeyboardInterrupt:
            if not live:
                raise
        except UserError as error:  # a camera that is pulled out ends the run as Ctrl-C does
            if not live or not summary.frames:
                raise
            summary.unreadable.append(str(error))
        if not summary.frames:
            raise UserError(f"{source.name}: not one frame of it could be read")
        summary.seconds = time.perf_counter() - start
    summary.reconnected = video.reconnected if video else 0
    summary.lost = video.unreadable if video and limit is None else 0
    return summary


class _Results:
    """The files of keypoints: JSON, and lines of text if they are wanted."""

    def __init__(self, output: Output, name: str, stack: ExitStack, summary: Summary, video: bool = False):
        self._summary = summary
        path = output.folder / f"{name}.json"
        self._json = stack.enter_context(json_list(path))
        summary.files.append(path)
        self._text = None
        if output.text:
            path = output.folder / f"{name}.txt"
            temporary = stack.enter_context(write_whole(path))
            self._text = stack.enter_context(temporary.open("w", encoding="utf-8"))
            summary.files.append(path)
        self._mot = None
        if output.mot and video:
            path = output.folder / f"{name}.mot.txt"
            temporary = stack.enter_context(write_whole(path))
            self._mot = stack.enter_context(temporary.open("w", encoding="utf-8"))
            summary.files.append(path)

    def add(self, people: People, number: int, extra: dict[str, Any], head: str) -> None:
        """Add the people of one picture or frame: `extra` to each in JSON, `head` before each line."""
        self._summary.people += len(people)
        for entry in people.to_coco(number):
            self._json.add(entry | extra)
            if self._text:
                joints = entry.get("keypoints", [])
                numbers = [entry.get("track_id", "-"), entry["score"], *entry["bbox"], *joints]
                self._text.write(" ".join([head, *map(str, numbers)]) + "\n")
        if self._mot:
            self._mot.writelines(mot_lines(people, number))


def mot_lines(people: People, frame: int) -> list[str]:
    """Return the MOT challenge's lines: frame from 1, id, left, top, width, height, score, and three -1.

    Args:
        people: with ids.
        frame: from 0.
    """
    lines = []
    for box, number, score in zip(people.boxes, people.ids, people.box_scores, strict=True):
        place = ",".join(f"{float(value):.2f}" for value in box)
        lines.append(f"{frame + 1},{number},{place},{float(score):.5f},-1,-1,-1\n")
    return lines


def _kept(drawings: list[Path], summary: Summary) -> str:
    drawn = f"{count(len(summary.files) - 1, 'drawing')} in {drawings[0].parent}" if drawings else "nothing"
    return f"kept: {drawn}; keypoints.json is written at the end only"


def picture_numbers(paths: Sequence[Path]) -> list[int]:
    """Return COCO's image ids: the numbers that the files are named by if all are, else 1, 2, ..."""
    numbers = [int(path.stem) if re.fullmatch("[0-9]{1,15}", path.stem) else None for path in paths]
    if None in numbers or len(set(numbers)) < len(numbers):
        return list(range(1, len(paths) + 1))
    return numbers


def file_names(sources: Sequence[Source]) -> list[str]:
    """Return what results call each picture: its place in its folder, or where two have it, its path."""
    places = [str(each.place) if each.place.name else Path(each.name).name for each in sources]
    several = {place for place, times in Counter(places).items() if times > 1}
    return [each.name if place in several else place for each, place in zip(sources, places, strict=True)]


def unique_names(names: Sequence[str], used: Sequence[str] = ()) -> list[str]:
    """Return the names with `_2`, `_3`, ... before the suffix of those that come again or are too long.

    Args:
        names: may have folders before them.
        used: names that are not free.
    """
    taken = {name.lower() for name in used}
    result = []
    for name in names:
        path, times = PurePosixPath(name), 1
        stem = os.fsdecode(os.fsencode(path.stem)[: LONGEST_NAME - LONGEST_ENDING])
        name = str(path.with_name(f"{stem}{path.suffix}"))
        while name.lower() in taken:
            times += 1
            name = str(path.with_name(f"{stem}_{times}{path.suffix}"))
        taken.add(name.lower())
        result.append(name)
    return result


def _read(path: Path) -> tuple[Path, np.ndarray | UserError]:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path, UserError(f"{path}: its name is not UTF-8, and JSON has no other; rename it")
    try:
        return path, read_image(path, as_shown=True)
    except UserError as error:
        return path, error


def _save_drawing(path: Path, image: np.ndarray, people: People) -> None:
    with write_whole(path) as temporary:
        Image.fromarray(people.draw(image)).save(temporary, quality=92)


def _drawing(image: np.ndarray, people: People, seconds: float) -> np.ndarray:
    drawn = people.draw(image)
    label(drawn, f"{seconds:.2f} s", (0, drawn.shape[0]), max(drawn.shape) / 1000)
    return drawn


def _identity(path: str) -> dict[str, Any]:
    state = Path(path).stat()
    return {"file": Path(path).name, "bytes": state.st_size, "modified": state.st_mtime_ns}
