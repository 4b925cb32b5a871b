"""Write a synthetic set: pictures, annotations in COCO's format, and the recipe they came from."""

import json
import multiprocessing
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tinypose.console import track, workers_start
from tinypose.data.synthetic.person import JOINTS, MOST_PEOPLE
from tinypose.data.synthetic.picture import VERSION, Picture, draw_picture
from tinypose.errors import UserError
from tinypose.files import claim_folder, clear_dead, read_json, write_json, write_text, writing
from tinypose.skeleton import load_skeleton

CHUNK = 50  # pictures that are drawn, or drawn again after an interruption, together
OURS = {"recipe.json", "partial", "images", "annotations.json"}


@dataclass(frozen=True)
class Recipe:
    """All that a set depends on."""

    version: int
    seed: int
    images: int
    size: tuple[int, int]
    people: tuple[int, int]


def draw_set(
    folder: str | Path,
    images: int,
    seed: int,
    size: tuple[int, int] = (320, 320),
    people: tuple[int, int] = (1, 5),
    workers: int = 1,
) -> None:
    """Draw people with COCO's joints into `folder`, with `images/*.jpg` and `annotations.json`.

    The same arguments give the same bytes with the same versions of OpenCV and NumPy. A picture depends on
    the seed and its own number, not on how many there are. A run that was cut short goes on where it
    stopped when called again with the same arguments; a finished one is left as it is.

    In the annotations, a joint's visibility is 0 outside the picture, 1 where its own body, somebody or
    something hides it, and 2 where it is seen. The box holds the person's whole silhouette inside the
    picture, the area counts the pixels of it that are seen. Somebody almost wholly hidden has
    `num_keypoints` 0, as such people have in COCO.

    Args:
        folder: where to; new, empty, or of an earlier call with the same arguments.
        images: how many pictures.
        seed: 0 or more.
        size: width and height of each picture, pixels.
        people: fewest and most people a picture.
        workers: processes that draw.

    Raises:
        UserError: a value out of bounds, or a folder that holds something else.
    """
    folder = Path(folder)
    recipe = Recipe(VERSION, seed, images, size, people)
    check_values(
        ("images", images, 1, 10_000_000),
        ("seed", seed, 0, 2**63 - 1),
        ("width", size[0], 64, 4096),
        ("height", size[1], 64, 4096),
        ("fewest people", people[0], 1, MOST_PEOPLE),
        ("most people", people[1], people[0], MOST_PEOPLE),
        ("workers", workers, 1, 256),
    )
    if is_finished(folder, asdict(recipe), OURS, [folder / "images" / file_name(i) for i in range(images)]):
        return
    with claim_folder(folder):
        starts = range(0, recipe.images, CHUNK)
        draw = partial(_draw_chunk, folder, recipe)
        finish = partial(_write_annotations, folder, recipe)
        write_set(folder, asdict(recipe), ["images"], draw, starts, "drawing people", finish, workers)


def write_set(
    folder: Path,
    recipe: dict,
    folders: Sequence[str],
    draw: Callable[[Any], None],
    parts: Sequence,
    title: str,
    finish: Callable[[], None],
    workers: int,
) -> None:
    """Draw a set part by part, and finish it; what an earlier call has drawn is left to `draw` to skip.

    Args:
        folder: of the set; nobody else writes to it.
        recipe: what the set depends on.
        folders: in it, that `draw` writes to; what a call that was cut short left half written there goes.
        draw: draws a part, in a process of its own with several workers, and notes it in `folder/partial`.
        parts: what it is called with.
        title: of the bar.
        finish: joins the notes, when all parts are drawn.
        workers: processes that draw.
    """
    for name in ("partial", *folders):
        (folder / name).mkdir(exist_ok=True)
        clear_dead(folder / name)
    write_json(folder / "recipe.json", recipe)
    # A process that is spawned inherits no threads or locks of ours, which Paddle and OpenCV would trip over.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn) if workers > 1 else nullcontext() as pool:
        with workers_start():  # they start while they are given work
            drawn = pool.map(draw, parts) if pool else map(draw, parts)
        for _ in track(drawn, title, len(parts)):
            pass
    finish()
    shutil.rmtree(folder / "partial")


def check_values(*bounds: tuple[str, float, float, float]) -> None:
    """Complain of the first (name, value, least, most) whose value is out of bounds."""
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise UserError(f"{name}: expected {least} to {most}, found {value}")


def is_finished(folder: Path, recipe: dict, ours: set[str], files: list[Path]) -> bool:
    """Say whether a set is already there; complain if the folder holds something else.

    Args:
        folder: of the set.
        recipe: what it is to be.
        ours: what may be in the folder.
        files: what must be there when it is finished, beside the annotations.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected a new or empty folder")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not found:
        return False
    if foreign := sorted(found - ours):
        raise UserError(f"{folder}: holds other files ({', '.join(foreign[:3])}); name a new or empty folder")
    if "recipe.json" not in found:
        raise UserError(
            f"{folder}: holds files but no recipe.json to say of what; name a new or empty folder"
        )
    there = read_json(folder / "recipe.json", "recipe of a synthetic set")
    wanted = json.loads(json.dumps(recipe))
    if there != wanted:
        raise UserError(f"{folder}: holds a set drawn as {there}, not as {wanted}; name a new folder")
    drawn = all(path.is_file() for path in files)
    return drawn and "annotations.json" in found and "partial" not in found


def file_name(index: int) -> str:
    """Return the name of a picture's file; `index` starts at 0 and COCO's ids at 1."""
    return f"{index + 1:012d}.jpg"


def _draw_chunk(folder: Path, recipe: Recipe, start: int) -> None:
    """Draw some pictures and, when all of them are on disk, note what is on them."""
    note = folder / "partial" / f"{start:08d}.json"
    indices = range(start, min(start + CHUNK, recipe.images))
    if note.is_file() and all((folder / "images" / file_name(index)).is_file() for index in indices):
        return
    annotations = []
    for index in indices:
        picture = draw_picture(recipe.seed, index, recipe.size, recipe.people)
        # Not worth a wait for the disk each: one that was cut short is drawn again, its chunk having no note.
        path = folder / "images" / file_name(index)
        with writing(path):
            path.write_bytes(_jpeg(picture.image, recipe.seed, index))
        annotations += _annotations(picture, index)
    write_json(note, annotations)


def _jpeg(image: np.ndarray, seed: int, index: int) -> bytes:
    quality = np.random.default_rng([VERSION, seed, index]).integers(45, 96)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    )
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()


def _annotations(picture: Picture, index: int) -> list[dict]:
    """Return COCO's annotations of one picture."""
    return [
        {
            "id": (index + 1) * 100 + number,
            "image_id": index + 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": list(person.box),
            "area": person.area,
            "num_keypoints": int(np.count_nonzero(person.joints[:, 2])),
            "keypoints": [value for x, y, v in person.joints for value in (round(x, 2), round(y, 2), int(v))],
        }
        for number, person in enumerate(picture.people, start=1)
    ]


def _write_annotations(folder: Path, recipe: Recipe) -> None:
    """Join the notes of all chunks into one file, which is the last to be written."""
    annotations = []
    for start in range(0, recipe.images, CHUNK):
        annotations += read_json(folder / "partial" / f"{start:08d}.json")
    width, height = recipe.size
    limbs = [[i + 1, j + 1] for i, j in load_skeleton("coco17").limb_indices]
    whole = {
        "info": {"description": "synthetic people", **asdict(recipe)},
        "licenses": [],
        "images": [
            {"id": index + 1, "file_name": file_name(index), "width": width, "height": height}
            for index in range(recipe.images)
        ],
        "annotations": annotations,
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(JOINTS),
                "skeleton": limbs,
            }
        ],
    }
    write_text(folder / "annotations.json", json.dumps(whole) + "\n")
