"""The checkpoints that PaddleDetection and MMPose publish, and how to get them here.

Addresses are those of PaddleDetection's configs/keypoint/README.md, configs/keypoint/tiny_pose/README.md,
configs/picodet/README.md, configs/picodet/legacy_model/README.md, configs/mot/fairmot/README.md; these name
neither sizes nor checksums, so a download is checked against the size that the server announces. And those of
MMPose's projects/rtmpose and configs/body_2d_keypoint/topdown_heatmap, whose files' names hold checksums.
"""

import difflib
import fcntl
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tinypose import console
from tinypose.config import CONFIGS
from tinypose.errors import UserError
from tinypose.files import cache_folder, sha256

ATTEMPTS = 3  # before a connection that keeps breaking is reported


@dataclass(frozen=True)
class Published:
    """A file to download; what is not known of it is None."""

    url: str
    size: int | None = None  # bytes
    sha256: str | None = None  # in hex, or only the first digits of it
    md5: str | None = None


_BUCKET = "https://bj.bcebos.com/v1/paddledet/models/keypoint"
_MODELS = "https://paddledet.bj.bcebos.com/models"

_MMPOSE_HRNET = "https://download.openmmlab.com/mmpose/top_down/hrnet"
_MMPOSE = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1"


def _rtmpose(stem: str, date: str) -> Published:
    """Return a file of RTMPose's, whose name ends with the first digits of its checksum and with its date."""
    return Published(f"{_MMPOSE}/{stem}_{date}.pth", sha256=stem.rsplit("-", 1)[1])


ZOO = {
    # PP-TinyPose of 2021 (COCO AP 68.8 and 58.1) and of 2022 (68.3 and 58.4, better at sports).
    "tinypose_256x192": Published(f"{_BUCKET}/tinypose_256x192.pdparams"),
    "tinypose_128x96": Published(f"{_BUCKET}/tinypose_128x96.pdparams"),
    "tinypose_256x192_enhance": Published(f"{_BUCKET}/tinypose_enhance/tinypose_256x192.pdparams"),
    "tinypose_128x96_enhance": Published(f"{_BUCKET}/tinypose_enhance/tinypose_128x96.pdparams"),
    # The person detectors that go with them, of the same years.
    "picodet_s_192_pedestrian": Published(f"{_BUCKET}/picodet_s_192_pedestrian.pdparams"),
    "picodet_s_320_pedestrian": Published(f"{_BUCKET}/picodet_s_320_pedestrian.pdparams"),
    "picodet_s_192_lcnet_pedestrian": Published(
        f"{_BUCKET}/tinypose_enhance/picodet_s_192_lcnet_pedestrian.pdparams"
    ),
    "picodet_s_320_lcnet_pedestrian": Published(
        f"{_BUCKET}/tinypose_enhance/picodet_s_320_lcnet_pedestrian.pdparams"
    ),
    # Detectors of COCO's 80 classes.
    "picodet_s_320_coco": Published(f"{_MODELS}/picodet_s_320_coco.pdparams"),
    "picodet_s_416_coco": Published(f"{_MODELS}/picodet_s_416_coco.pdparams"),
    "picodet_s_320_coco_lcnet": Published(f"{_MODELS}/picodet_s_320_coco_lcnet.pdparams"),
    "picodet_s_416_coco_lcnet": Published(f"{_MODELS}/picodet_s_416_coco_lcnet.pdparams"),
    # FairMOT: people and their looks, at three sizes; and with CrowdHuman in the training set.
    "fairmot_dla34": Published(f"{_MODELS}/mot/fairmot_dla34_30e_1088x608.pdparams"),
    "fairmot_dla34_864x480": Published(f"{_MODELS}/mot/fairmot_dla34_30e_864x480.pdparams"),
    "fairmot_dla34_576x320": Published(f"{_MODELS}/mot/fairmot_dla34_30e_576x320.pdparams"),
    "fairmot_enhance_dla34": Published(f"{_MODELS}/mot/fairmot_enhance_dla34_60e_1088x608.pdparams"),
    # LiteHRNet.
    "lite_hrnet_18_256x192": Published(f"{_BUCKET}/lite_hrnet_18_256x192_coco.pdparams"),
    "lite_hrnet_18_384x288": Published(f"{_BUCKET}/lite_hrnet_18_384x288_coco.pdparams"),
    "lite_hrnet_30_256x192": Published(f"{_BUCKET}/lite_hrnet_30_256x192_coco.pdparams"),
    "lite_hrnet_30_384x288": Published(f"{_BUCKET}/lite_hrnet_30_384x288_coco.pdparams"),
    "wider_naive_hrnet_18_256x192": Published(f"{_BUCKET}/wider_naive_hrnet_18_256x192_coco.pdparams"),
    # HRNet: COCO, COCO with DARK, MPII. Of width 48 only the ImageNet backbone is published.
    "hrnet_w32_256x192": Published(f"{_MODELS}/keypoint/hrnet_w32_256x192.pdparams"),
    "hrnet_w32_384x288": Published(f"{_MODELS}/keypoint/hrnet_w32_384x288.pdparams"),
    "dark_hrnet_w32_256x192": Published(f"{_MODELS}/keypoint/dark_hrnet_w32_256x192.pdparams"),
    "dark_hrnet_w32_384x288": Published(f"{_MODELS}/keypoint/dark_hrnet_w32_384x288.pdparams"),
    # What PP-Human tells falls by.
    "fall_dark_hrnet_w32_256x192": Published(
        "https://bj.bcebos.com/v1/paddledet/models/pipeline/dark_hrnet_w32_256x192.pdparams"
    ),
    "hrnet_w32_256x256_mpii": Published(f"{_MODELS}/keypoint/hrnet_w32_256x256_mpii.pdparams"),
    # MMPose's HRNet for CrowdPose and AI Challenger.
    "hrnet_w32_256x192_crowdpose": Published(
        f"{_MMPOSE_HRNET}/hrnet_w32_crowdpose_256x192-960be101_20201227.pth", sha256="960be101"
    ),
    "hrnet_w32_256x192_aic": Published(
        f"{_MMPOSE_HRNET}/hrnet_w32_aic_256x192-30a4e465_20200826.pth", sha256="30a4e465"
    ),
    # HigherHRNet, bottom-up.
    "higherhrnet_hrnet_w32_512": Published(f"{_MODELS}/keypoint/higherhrnet_hrnet_w32_512.pdparams"),
    "higherhrnet_hrnet_w32_640": Published(f"{_MODELS}/keypoint/higherhrnet_hrnet_w32_640.pdparams"),
    "higherhrnet_hrnet_w32_512_swahr": Published(
        f"{_MODELS}/keypoint/higherhrnet_hrnet_w32_512_swahr.pdparams"
    ),
    # RTMPose, of AI Challenger and COCO (AP 68.5, 72.2, 75.8), of COCO alone (68.2, 71.6, 74.6) and of seven
    # sets (65.9, 69.7, 74.9), all on COCO val2017 with a detector of AP 56.4 and flip test.
    "rtmpose_t_256x192": _rtmpose(
        "rtmpose-tiny_simcc-aic-coco_pt-aic-coco_420e-256x192-cfc8f33d", "20230126"
    ),
    "rtmpose_s_256x192": _rtmpose("rtmpose-s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b", "20230126"),
    "rtmpose_m_256x192": _rtmpose("rtmpose-m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7", "20230126"),
    "rtmpose_t_256x192_coco": _rtmpose(
        "rtmpose-tiny_simcc-coco_pt-aic-coco_420e-256x192-e613ba3f", "20230127"
    ),
    "rtmpose_s_256x192_coco": _rtmpose("rtmpose-s_simcc-coco_pt-aic-coco_420e-256x192-8edcf0d7", "20230127"),
    "rtmpose_m_256x192_coco": _rtmpose("rtmpose-m_simcc-coco_pt-aic-coco_420e-256x192-d8dd5ca4", "20230127"),
    "rtmpose_t_256x192_body7": _rtmpose("rtmpose-t_simcc-body7_pt-body7_420e-256x192-026a1439", "20230504"),
    "rtmpose_s_256x192_body7": _rtmpose("rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef", "20230504"),
    "rtmpose_m_256x192_body7": _rtmpose("rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0", "20230504"),
    # Its backbones, trained with heatmaps, to start from (`train.backbone`).
    "cspnext_t_aic_coco": _rtmpose("cspnext-tiny_udp-aic-coco_210e-256x192-cbed682d", "20230130"),
    "cspnext_s_aic_coco": _rtmpose("cspnext-s_udp-aic-coco_210e-256x192-92f5a029", "20230130"),
    "cspnext_m_aic_coco": _rtmpose("cspnext-m_udp-aic-coco_210e-256x192-f2f7d6f6", "20230130"),
}

# What detectors found: PaddleDetection publishes the people of COCO's val2017 that one of AP 56.4 sees.
BOXES = {
    "coco_val2017_person": Published("https://paddledet.bj.bcebos.com/data/bbox.json"),
}


class _Interrupted(Exception):
    """The connection broke; what has come so far is kept."""


def locate(source: str | Path) -> Path:
    """Return where the file of `source` is: a local path, weights that ship, or a download.

    Args:
        source: a path, a name in `configs/weights`, a URL, or a name of the zoo.

    Raises:
        UserError: there is no such file or name, or it cannot be downloaded.
    """
    if isinstance(source, str) and "://" in source:
        return fetch(source)
    if Path(source).is_file():
        return Path(source)
    shipped = CONFIGS / "weights" / f"{source}.pdparams"
    if re.fullmatch(r"\w+", str(source)) and shipped.is_file():
        return shipped
    if source in ZOO:
        return fetch(str(source))
    close = difflib.get_close_matches(str(source), ZOO, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; the published ones are: {', '.join(ZOO)}"
    raise UserError(f"{source}: no such file, nor a URL, nor the name of a published checkpoint{hint}")


def fetch(name_or_url: str) -> Path:
    """Download a file of the zoo, or of any address, unless it is in the cache.

    A download that broke off goes on where it stopped. A file gets its name only when it is complete
    and its size, and its checksum where one is known, are right.

    Args:
        name_or_url: a name in `ZOO`, or an http or https address.

    Returns:
        The file in the cache (see `cache_folder`).

    Raises:
        UserError: an unknown name or scheme, no connection, no such file on the server, or a file
            of another size or checksum.
    """
    wanted = ZOO.get(name_or_url) or BOXES.get(name_or_url) or Published(name_or_url)
    target = _place(wanted.url)
    fetch_to(target, wanted, "; set EDGE_POSE_CACHE to another folder")
    return target


def fetch_to(target: Path, wanted: Published, hint: str = "") -> None:
    """Download a file to `target`, unless it is there; see `fetch`. `hint`: said if it cannot be written."""
    if target.is_file():
        return
    try:
        _fetch_into(target, wanted)
    except OSError as error:
        raise UserError(f"{target}: cannot write: {error.strerror}{hint}") from None


def announced_size(url: str) -> int | None:
    """Ask a server how many bytes a file has; None: it does not say.

    Raises:
        UserError: it cannot be reached, or does not have the file.
    """
    try:
        response = httpx.head(url, follow_redirects=True, timeout=30, headers={"Accept-Encoding": "identity"})
    except httpx.HTTPError as error:
        raise UserError(
            f"{url}: cannot reach {urlsplit(url).hostname} ({error}); check the network"
        ) from None
    if response.status_code in (404, 410):
        raise UserError(f"{url}: not there (HTTP {response.status_code} {response.reason_phrase})")
    length = response.headers.get("Content-Length") if response.is_success else None
    return int(length) if length else None


def cached(name: str) -> Path | None:
    """Return where a file of the zoo is, if it was fetched."""
    target = _place(ZOO[name].url)
    return target if target.is_file() else None


def locate_boxes(source: str | Path) -> Path:
    """Return where a detector's boxes are: a local path, or published ones by name, fetched.

    Raises:
        UserError: they cannot be downloaded.
    """
    if str(source) in BOXES and not Path(source).exists():
        return fetch(str(source))
    return Path(source)


def _place(url: str) -> Path:
    """Return where in the cache the file of an address belongs."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError(f"{url}: expected an address that begins with http:// or https://")
    name = re.sub(r"[^\w.-]", "_", Path(unquote(address.path)).name).lstrip(".") or "file"
    return cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:12] / name


def _fetch_into(target: Path, wanted: Published) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    note = target.with_name(f"{target.name}.part.json")
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another process may be at it
        if target.is_file():
            part.unlink(missing_ok=True)
            return
        try:
            _complete(wanted.url, file, note)
        finally:
            if not _size(file):
                part.unlink()
        note.unlink(missing_ok=True)
        if not part.is_file():
            raise UserError(f"{wanted.url}: the server gives an empty file")
        _check(wanted, file, part)
        part.replace(target)


def _complete(url: str, file, note: Path) -> None:
    """Download, and go on a few times if the connection breaks."""
    for attempt in range(ATTEMPTS):
        try:
            return _download(url, file, note)
        except _Interrupted as error:
            if attempt == ATTEMPTS - 1:
                raise UserError(
                    f"{url}: the connection broke: {error}. {_size(file)} bytes are kept: "
                    "run the command again to go on from there"
                ) from None
    return None


def _download(url: str, file, note: Path) -> None:
    """Append to `file` what it lacks of `url`; `note` keeps which version of it is being fetched."""
    version = _version(note)
    start = _size(file) if version else 0
    headers = {"Accept-Encoding": "identity"}  # so that sizes are those of the file
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=30) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            _receive(url, response, start, file, note)
    except httpx.ConnectError as error:
        raise UserError(
            f"{url}: cannot reach {urlsplit(url).hostname} ({error}). Check the network, or bring the file "
            "here by other means and give its path"
        ) from None
    except httpx.HTTPError as error:
        raise _Interrupted(str(error) or type(error).__name__) from None
    except httpx.InvalidURL as error:
        raise UserError(f"{url}: not an address: {error}") from None


def _version(note: Path) -> str | None:
    try:
        return json.loads(note.read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _receive(url: str, response: httpx.Response, start: int, file, note: Path) -> None:
    if url.startswith("https:") and response.url.scheme != "https":
        raise UserError(f"{url}: leads to {response.url}, which is not encrypted; refused")
    goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    if response.status_code == 416 or (response.status_code == 206 and not goes_on):
        file.truncate(0)
        note.unlink(missing_ok=True)
        raise _Interrupted("the server does not go on where the download stopped")
    if response.status_code not in (200, 206):
        there = "not there" if response.status_code in (404, 410) else "the server does not give it"
        raise UserError(f"{url}: {there} (HTTP {response.status_code} {response.reason_phrase})")
    if response.status_code == 200:
        start = 0
        file.truncate(0)
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        weak = not version or version.startswith("W/")  # cannot tell one version from another
        note.write_text(json.dumps({"version": None if weak else version}))
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), *columns, console=console.err, transient=True
    ) as progress:
        task = progress.add_task(Path(urlsplit(url).path).name, total=total, completed=start)
        for block in response.iter_bytes():
            file.write(block)
            progress.advance(task, len(block))
    if total is not None and _size(file) != total:
        raise _Interrupted(f"{_size(file)} of {total} bytes came")


def _check(wanted: Published, file, part: Path) -> None:
    """Remove the file and say why if it is not the one that was published."""
    file.flush()
    os.fsync(file.fileno())
    found: list[str] = []
    if wanted.size is not None and _size(file) != wanted.size:
        found.append(f"{_size(file)} bytes, expected {wanted.size}")
    elif wanted.sha256 is not None and not (digest := sha256(part)).startswith(wanted.sha256):
        found.append(f"SHA-256 {digest}, expected {wanted.sha256}")
    elif wanted.md5 is not None and (digest := _md5(part)) != wanted.md5:
        found.append(f"MD5 {digest}, expected {wanted.md5}")
    if found:
        part.unlink()
        raise UserError(f"{wanted.url}: not the published file: {'; '.join(found)}. It was removed")


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.md5(usedforsecurity=False)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _size(file) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size
