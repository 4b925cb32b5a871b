"""Who was where in videos: the MOT challenge's text, and JSON like COCO's with videos and track ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.data.boxes import finite_numbers
from tinypose.errors import UserError
from tinypose.files import read_json, read_text

PEDESTRIAN = 1
# The challenge's classes that look like people and are none: people on vehicles, statues, reflections, ...
ALIKE = (2, 7, 8, 12)
FARTHEST = 1e7


@dataclass(frozen=True)
class Tracks:
    """Boxes of one video.

    Attributes:
        frames: int64 [N], from 0.
        ids: int64 [N].
        boxes: float64 [N, 4], left, top, width, height.
        counts: bool [N]; who does not count is neither missed nor wrong when found.
    """

    frames: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


def read_tracks(path: str | Path, truth: bool) -> dict[str, Tracks]:
    """Read the tracks of one video or several, by the video's name.

    Args:
        path: a file of the MOT challenge's text (`NAME.txt`, `NAME.mot.txt`); JSON of `tinypose infer`, or
            like COCO's with `videos`; or a folder of them, or of the challenge's sequences (NAME/gt/gt.txt).
        truth: of the text, whether the seventh number says who counts; in results it is a score.

    Raises:
        UserError: a file that is none of these, or contradicts itself.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, truth)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder; expected MOT text, JSON with track ids, or a folder"
        )
    if path.suffix.lower() == ".json":
        return _read_video_json(path)
    return {_name(path): read_mot(path, truth)}


def _folder(path: Path, truth: bool) -> dict[str, Tracks]:
    sequences = sorted(path.glob("*/gt/gt.txt")) if truth else []
    if sequences:
        return {each.parent.parent.name: read_mot(each, truth) for each in sequences}
    texts = sorted(path.glob("*.mot.txt")) or sorted(path.glob("*.txt"))
    if texts:
        return {_name(each): read_mot(each, truth) for each in texts}
    found: dict[str, Tracks] = {}
    for each in sorted(path.glob("*.json")):
        found |= _read_video_json(each)
    if not found:
        raise UserError(f"{path}: no tracks in it: expected NAME/gt/gt.txt, NAME.txt or NAME.json")
    return found


def _name(path: Path) -> str:
    if path.name == "gt.txt" and path.parent.name == "gt":
        return path.parent.parent.name
    return path.name.removesuffix(".txt").removesuffix(".mot")


def read_mot(path: str | Path, truth: bool) -> Tracks:
    """Read the MOT challenge's text: frame from 1, id, left, top, width, height, counts or score, class, ...

    Raises:
        UserError: a line with too few numbers, or one person twice in a frame.
    """
    rows = []
    for number, line in enumerate(read_text(path, "file of tracks").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = [float(part) for part in line.split(",")]
        except ValueError:
            values = []
        if len(values) < 6 or finite_numbers(values, FARTHEST) is None or values[0] < 1:
            raise UserError(
                f"{path}: line {number}: expected frame (from 1), id, left, top, width, height with commas "
                f"between, found {line[:60]!r}"
            )
        kind = int(values[7]) if len(values) > 7 else PEDESTRIAN
        if truth and kind not in (PEDESTRIAN, *ALIKE) and kind > 0:
            continue  # vehicles and things
        counts = not truth or len(values) < 7 or (values[6] != 0 and kind in (PEDESTRIAN, -1))
        rows.append((int(values[0]) - 1, int(values[1]), values[2:6], counts))
    return _tracks(str(path), rows)


def _read_video_json(path: Path) -> dict[str, Tracks]:
    """Read results of `tinypose infer`, a list, or annotations with `videos`."""
    content = read_json(path, "file of tracks")
    if isinstance(content, list):
        entries = [each for each in content if isinstance(each, dict) and "track_id" in each]
        if content and not entries:
            raise UserError(f"{path}: nobody has a `track_id` in it; `tinypose infer` writes them of videos")
        rows = [_row(path, place, each, each.get("image_id")) for place, each in enumerate(entries)]
        return {path.stem: _tracks(str(path), rows)}
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("videos", "images", "annotations")
    ):
        raise UserError(f"{path}: expected a list of results, or lists `videos`, `images` and `annotations`")
    try:
        names = {each["id"]: str(each.get("name", each["id"])) for each in content["videos"]}
        place_of = {each["id"]: (each.get("video_id", each.get("vid_id")), each["frame_id"])
                    for each in content["images"]}  # fmt: skip
    except (TypeError, KeyError) as error:
        raise UserError(f"{path}: videos, images: expected `id`, and of images `frame_id`: {error}") from None
    rows_of: dict[Any, list] = {key: [] for key in names}
    for place, entry in enumerate(content["annotations"]):
        if not isinstance(entry, dict) or entry.get("image_id") not in place_of:
            raise UserError(f"{path}: annotations[{place}]: image_id: not among `images`")
        video, frame = place_of[entry["image_id"]]
        if video not in names:
            raise UserError(
                f"{path}: image {entry['image_id']}: video_id {video!r:.40} is not among `videos`"
            )
        rows_of[video].append(_row(path, place, entry, frame))
    return {names[key]: _tracks(f"{path}: video {names[key]}", rows) for key, rows in rows_of.items()}


def _row(path: Path, place: int, entry: dict[str, Any], frame: Any) -> tuple:
    who = entry.get("track_id", entry.get("instance_id"))
    box = finite_numbers(entry.get("bbox"), FARTHEST)
    if not isinstance(who, int) or not isinstance(frame, int) or box is None or len(box) != 4:
        raise UserError(
            f"{path}: [{place}]: expected a whole frame number, a `track_id` and a `bbox` of four numbers"
        )
    return frame, who, box, not (entry.get("iscrowd") or entry.get("ignore"))


def _tracks(where: str, rows: Iterable[tuple]) -> Tracks:
    rows = sorted(rows, key=lambda row: (row[0], row[1]))
    for one, other in zip(rows, rows[1:], strict=False):
        if one[:2] == other[:2]:
            raise UserError(f"{where}: id {one[1]} stands twice in frame {one[0] + 1}")
    frames, ids, boxes, counts = ([row[k] for row in rows] for k in range(4))
    return Tracks(
        np.array(frames, np.int64),
        np.array(ids, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(counts, bool),
    )
