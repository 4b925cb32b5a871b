"""Fetch the published sets of people where their publishers allow it: sizes said, resumed, checked, unpacked.

Addresses and MD5 sums of COCO are those of PaddleDetection's ppdet/utils/download.py, MPII's that of its page
and, for the annotations as JSON, of PaddleDetection's docs/tutorials/data/PrepareKeypointDataSet_en.md.
"""

import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tinypose.errors import UserError
from tinypose.files import write_text, write_whole
from tinypose.models.zoo import Published, announced_size, fetch_to

COCO = "http://images.cocodataset.org"


@dataclass(frozen=True)
class Part:
    """One archive of a set.

    Attributes:
        name: what to call it: `--part NAME`.
        file: the archive.
        members: a regular expression; files of the archive that match it are wanted, under its group `path`.
        folder: put before that, with a slash, or nothing.
    """

    name: str
    file: Published
    members: str
    folder: str = ""


@dataclass(frozen=True)
class Source:
    """A set: what can be fetched of it, or where to ask."""

    folder: str
    parts: tuple[Part, ...] = ()
    terms: str = ""
    ask: str = ""


SOURCES = {
    "coco": Source(
        "coco",
        (
            Part(
                "annotations",
                Published(
                    f"{COCO}/annotations/annotations_trainval2017.zip",
                    md5="f4bbac642086de4f52a3fdda2de5fa2c",
                ),
                r"(?P<path>annotations/person_keypoints_(train|val)2017\.json)",
            ),
            Part(
                "val",
                Published(f"{COCO}/zips/val2017.zip", md5="442b8da7639aecaf257c1dceb8ba8c80"),
                r"(?P<path>val2017/\d+\.jpg)",
            ),
            Part(
                "train",
                Published(f"{COCO}/zips/train2017.zip", md5="cced6f7f71b7629ddf16f17bbcfab6b2"),
                r"(?P<path>train2017/\d+\.jpg)",
            ),
        ),
        "annotations under CC BY 4.0; each picture has its own licence: cocodataset.org",
    ),
    "mpii": Source(
        "mpii",
        (
            Part(
                "annotations",
                Published("https://download.openmmlab.com/mmpose/datasets/mpii_annotations.tar"),
                r"(.*/)?(?P<path>mpii_(train|trainval|val|test)\.json)",
                "annotations/",
            ),
            Part(
                "images",
                Published("https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr/mpii_human_pose_v1.tar.gz"),
                r"(\./)?(?P<path>images/\d+\.jpg)",
            ),
        ),
        "under the simplified BSD licence: human-pose.mpi-inf.mpg.de",
    ),
    "crowdpose": Source(
        "crowdpose",
        ask="its publishers give it by Google Drive only, where programs cannot fetch it: "
        "https://github.com/Jeff-sjtu/CrowdPose#dataset. Put the pictures into {folder}/images and the "
        "annotations beside them; `tinypose data merge` makes crowdpose_trainval.json",
    ),
    "aic": Source(
        "aic",
        ask="AI Challenger gives it to who registers: https://github.com/AIChallenger/AI_Challenger_2017. "
        "Put the pictures into {folder}/images and annotations in COCO's form into {folder}/annotations",
    ),
}


def source(name: str, folder: str | Path) -> Source:
    """Return a set that can be fetched.

    Raises:
        UserError: there is none of that name, or it has to be asked for, and where.
    """
    if name not in SOURCES:
        raise UserError(f"{name}: no such set; expected one of: {', '.join(SOURCES)}")
    found = SOURCES[name]
    if not found.parts:
        raise UserError(f"{name}: {found.ask.format(folder=Path(folder) / found.folder)}")
    return found


def sizes(parts: list[Part]) -> dict[str, int | None]:
    """Ask the servers how large the archives are; None where one does not say.

    Raises:
        UserError: a server cannot be reached, or does not have the file.
    """
    return {part.name: announced_size(part.file.url) for part in parts}


def check_space(folder: Path, wanted: dict[str, int | None]) -> int:
    """Return how many bytes are free where `folder` will be.

    Raises:
        UserError: too few: archives and what is in them lie side by side while one is unpacked.
    """
    known = [each for each in wanted.values() if each is not None]
    needed = sum(known) + max(known, default=0)
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UserError(
            f"{folder}: {needed / 1e9:.1f} GB are needed for a while, and {free / 1e9:.1f} GB are free; give "
            "another --output, or a part at a time: --part NAME"
        )
    return free


def get_part(part: Part, folder: Path, progress: Callable[[list, str], Iterator]) -> int:
    """Fetch an archive, check it, unpack what is wanted, and remove it.

    A download that broke off goes on; a file that is there in full is not written again. When all is there a
    note says so, and the part is not fetched again.

    Args:
        part: what to fetch.
        folder: of the set.
        progress: shows a bar over files: (files, what is done).

    Returns:
        How many files were written; 0 if all were there.

    Raises:
        UserError: the download or the archive is not what was published.
    """
    done = folder / f".{part.name}.done"
    if done.is_file():
        return 0
    archive = folder / ".downloads" / part.file.url.rsplit("/", 1)[-1]
    fetch_to(archive, part.file)
    written = 0
    with _members(archive) as (names, size, read):
        wanted = [(name, target) for name in names if (target := _target(part, name)) is not None]
        if not wanted:
            raise UserError(f"{archive}: holds none of the files that belong to '{part.name}'; remove it")
        for name, target in progress(wanted, f"unpacking {part.name}"):
            path = folder / target
            if path.is_file() and path.stat().st_size == size(name):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_whole(path) as temporary, read(name) as stream, open(temporary, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            written += 1
    write_text(done, f"{part.file.url}\n{len(wanted)} files\n")
    archive.unlink()
    return written


def _target(part: Part, name: str) -> str | None:
    """Return where a file of an archive belongs in the set's folder; None: it is not wanted."""
    match = re.fullmatch(part.members, name)
    return None if match is None or ".." in name.split("/") else part.folder + match["path"]


@contextmanager
def _members(archive: Path):
    """Open an archive: give the names of its files, their sizes, and a function to read one."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                infos = {each.filename: each.file_size for each in opened.infolist() if not each.is_dir()}
                yield list(infos), infos.__getitem__, opened.open
        else:
            with tarfile.open(archive) as opened:
                members = {each.name: each for each in opened if each.isfile()}

                def read(name: str) -> IO[bytes]:
                    return opened.extractfile(members[name])

                yield list(members), lambda name: members[name].size, read
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise UserError(f"{archive}: a damaged archive ({error}); remove it, run the command again") from None
