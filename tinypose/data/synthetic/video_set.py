"""Write a set of drawn videos: MOT challenge's folders, video files, and annotations like COCO's."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from tinypose.data.synthetic.dataset import check_values, is_finished, write_set
from tinypose.data.synthetic.person import JOINTS, MOST_PEOPLE
from tinypose.data.synthetic.video import VERSION, Drawn, draw_video
from tinypose.errors import UserError
from tinypose.files import claim_folder, read_json, write_json, write_text, write_whole, writing
from tinypose.skeleton import load_skeleton

OURS = {"recipe.json", "partial", "sequences", "videos", "annotations.json"}
LEAST_VISIBLE = 0.1  # of a silhouette; somebody less visible does not count in the MOT challenge's text
QUALITY = 90  # of the JPEG files
PERSON = 1  # the MOT challenge's number of pedestrians, and COCO's of people


@dataclass(frozen=True)
class VideoRecipe:
    """All that a set depends on."""

    version: int
    seed: int
    videos: int
    size: tuple[int, int]
    people: tuple[int, int]
    seconds: float
    rate: float


def draw_videos(
    folder: str | Path,
    videos: int,
    seed: int,
    size: tuple[int, int] = (480, 288),
    people: tuple[int, int] = (3, 8),
    seconds: float = 6.0,
    rate: float = 15.0,
    workers: int = 1,
) -> None:
    """Draw videos of people who cross each other's way into `folder`.

        videos/0001.mp4                 to look for people in
        sequences/0001/img1/000001.jpg  the same frames, in the MOT challenge's layout,
        sequences/0001/gt/gt.txt        with the truth: frame, id, box, counts, class, visibility
        annotations.json                the same truth with joints, in COCO's form with videos and track ids

    The same arguments give the same bytes with the same versions of the libraries. A run that was cut short
    goes on where it stopped when called again with the same arguments.

    Args:
        folder: where to; new, empty, or of an earlier call with the same arguments.
        videos: how many.
        seed: 0 or more.
        size: width and height, pixels; even, as video files want it.
        people: fewest and most people a video.
        seconds: how long each lasts.
        rate: frames a second.
        workers: processes that draw.

    Raises:
        UserError: a value out of bounds, or a folder that holds something else.
    """
    folder = Path(folder)
    recipe = VideoRecipe(VERSION, seed, videos, size, people, seconds, rate)
    check_values(
        ("videos", videos, 1, 9999),
        ("seed", seed, 0, 2**63 - 1),
        ("width", size[0], 64, 4096),
        ("height", size[1], 64, 4096),
        ("fewest people", people[0], 1, MOST_PEOPLE),
        ("most people", people[1], people[0], MOST_PEOPLE),
        ("seconds", seconds, 0.1, 3600),
        ("rate", rate, 1, 120),
        ("workers", workers, 1, 256),
    )
    if size[0] % 2 or size[1] % 2:
        raise UserError(f"width and height: expected even numbers for video files, found {size[0]}x{size[1]}")
    files = [folder / "videos" / f"{name_of(index)}.mp4" for index in range(videos)]
    if is_finished(folder, asdict(recipe), OURS, files):
        return
    with claim_folder(folder):
        draw = partial(_draw_one, folder, recipe)
        finish = partial(_write_annotations, folder, recipe)
        folders = ["sequences", "videos"]
        write_set(folder, asdict(recipe), folders, draw, range(videos), "drawing videos", finish, workers)


def name_of(index: int) -> str:
    """Return the name of a video; `index` starts at 0."""
    return f"{index + 1:04d}"


def _draw_one(folder: Path, recipe: VideoRecipe, index: int) -> None:
    """Draw a video and, when all of it is on disk, note what is in it."""
    from tinypose.video import VideoWriter

    note = folder / "partial" / f"{name_of(index)}.json"
    if note.is_file():
        return
    sequence = folder / "sequences" / name_of(index)
    (sequence / "img1").mkdir(parents=True, exist_ok=True)
    (sequence / "gt").mkdir(exist_ok=True)
    frames, lines = [], []
    drawn = draw_video(recipe.seed, index, recipe.size, recipe.people, recipe.seconds, recipe.rate)
    with (
        write_whole(folder / "videos" / f"{name_of(index)}.mp4") as temporary,
        VideoWriter(temporary, recipe.rate) as writer,
    ):
        for number, frame in enumerate(drawn):
            bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            path = sequence / "img1" / frame_name(number)
            with writing(path):
                path.write_bytes(data.tobytes())
            writer.write(frame.image, frame.time)
            frames.append([_annotation(each) for each in frame.people])
            lines += _truth_lines(number, frame)
    write_text(sequence / "gt" / "gt.txt", "".join(lines))
    width, height = recipe.size
    write_text(
        sequence / "seqinfo.ini",
        f"[Sequence]\nname={name_of(index)}\nimDir=img1\nframeRate={recipe.rate:g}\nseqLength={len(frames)}\n"
        f"imWidth={width}\nimHeight={height}\nimExt=.jpg\n",
    )
    write_json(note, frames)


def frame_name(number: int) -> str:
    """Return the name of a frame's file; `number` starts at 0."""
    return f"{number + 1:06d}.jpg"


def _truth_lines(number: int, frame: Drawn) -> list[str]:
    """Return the MOT challenge's lines: who can hardly be seen does not count."""
    return [
        f"{number + 1},{each.number},{','.join(f'{value:g}' for value in each.truth.box)},"
        f"{int(each.visible >= LEAST_VISIBLE)},{PERSON},{each.visible:.3f}\n"
        for each in frame.people
    ]


def _annotation(each: Any) -> dict[str, Any]:
    """Return what of COCO's annotation of somebody does not depend on numbers given later."""
    joints = each.truth.joints
    return {
        "category_id": PERSON,
        "track_id": each.number,
        "iscrowd": int(each.visible < LEAST_VISIBLE),
        "visibility": round(each.visible, 3),
        "bbox": list(each.truth.box),
        "area": each.truth.area,
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "keypoints": [value for x, y, v in joints for value in (round(x, 2), round(y, 2), int(v))],
    }


def _write_annotations(folder: Path, recipe: VideoRecipe) -> None:
    """Join the notes of all videos into one file, which is the last to be written."""
    width, height = recipe.size
    videos, images, annotations = [], [], []
    for index in range(recipe.videos):
        name = name_of(index)
        videos.append({"id": index + 1, "name": name, "frame_rate": recipe.rate})
        for number, people in enumerate(read_json(folder / "partial" / f"{name}.json")):
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": f"{name}/img1/{frame_name(number)}",
                    "width": width,
                    "height": height,
                    "video_id": index + 1,
                    "frame_id": number,
                }
            )
            for person in people:
                numbers = {"id": len(annotations) + 1, "image_id": len(images), "video_id": index + 1}
                annotations.append(numbers | person)
    limbs = [[i + 1, j + 1] for i, j in load_skeleton("coco17").limb_indices]
    category = {"id": PERSON, "name": "person", "keypoints": list(JOINTS), "skeleton": limbs}
    whole = {
        "info": {"description": "drawn videos", **asdict(recipe)},
        "videos": videos,
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
    write_text(folder / "annotations.json", json.dumps(whole) + "\n")
