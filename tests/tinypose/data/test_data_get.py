"""`tinypose data get` against a real server on this machine: sizes, breaks, checks, unpacking."""

import hashlib
import io
import json
import tarfile
import zipfile

import pytest
from typer.testing import CliRunner

from tinypose.cli import app
from tinypose.data import get as module
from tinypose.data.get import SOURCES, Part, Source
from tinypose.models import zoo
from tinypose.models.zoo import Published

PICTURES = {f"val2017/{number:012d}.jpg": bytes([number]) * 5000 for number in range(1, 6)}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def published(server, monkeypatch):
    """COCO's and MPII's archives in small, on the server, under their real patterns."""
    pictures = zipped({**PICTURES, "val2017/": b"", "../evil.jpg": b"x", "val2017/../../evil.jpg": b"x"})
    notes = zipped(
        {
            "annotations/person_keypoints_val2017.json": json.dumps({"images": []}).encode(),
            "annotations/captions_val2017.json": b"not wanted",
        }
    )
    server.files = {
        "/val2017.zip": pictures,
        "/annotations.zip": notes,
        "/mpii.tar": tarred(
            {"mpii_annotations/mpii_val.json": b"[]", "mpii_annotations/mpii_gt_val.mat": b"x"}
        ),
        "/mpii.tar.gz": tarred(
            {"./images/012345678.jpg": b"picture", "./images/../x.jpg": b"x", "readme": b"x"}
        ),
    }
    coco, mpii = SOURCES["coco"], SOURCES["mpii"]

    def at(part, path):
        data = server.files[path]
        return Part(
            part.name,
            Published(server.url(path), md5=hashlib.md5(data).hexdigest()),
            part.members,
            part.folder,
        )

    monkeypatch.setitem(
        SOURCES,
        "coco",
        Source("coco", (at(coco.parts[0], "/annotations.zip"), at(coco.parts[1], "/val2017.zip"))),
    )
    monkeypatch.setitem(
        SOURCES, "mpii", Source("mpii", (at(mpii.parts[0], "/mpii.tar"), at(mpii.parts[1], "/mpii.tar.gz")))
    )
    return server


def run(*arguments):
    return CliRunner().invoke(app, ["data", "get", *map(str, arguments)])


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_unpacks_what_is_needed_where_configs_look_for_it(published, tmp_path):
    result = run("coco", "--output", tmp_path)
    assert result.exit_code == 0, (result.output, result.exception)
    found = {name: data for name, data in tree(tmp_path).items() if not name.endswith(".done")}
    expected = {f"coco/{name}": data for name, data in PICTURES.items()}
    expected["coco/annotations/person_keypoints_val2017.json"] = b'{"images": []}'
    assert found == expected
    assert not (tmp_path.parent / "evil.jpg").exists()
    result = run("mpii", "--output", tmp_path)
    assert result.exit_code == 0, (result.output, result.exception)
    found = {name for name in tree(tmp_path / "mpii") if not name.endswith(".done")}
    assert found == {"annotations/mpii_val.json", "images/012345678.jpg"}


def test_a_second_time_nothing_is_fetched(published, tmp_path):
    run("coco", "--output", tmp_path)
    gets = len([each for each in published.requests if each[0] == "/val2017.zip"])
    result = run("coco", "--output", tmp_path)
    assert "val: there already" in result.output
    assert len([each for each in published.requests if each[0] == "/val2017.zip"]) == gets


def test_sizes_are_said_before(published, tmp_path):
    result = run("coco", "--output", tmp_path / "new", "--dry-run")
    assert result.exit_code == 0
    assert f"{len(published.files['/val2017.zip']) / 1e6:,.1f}" in result.output
    assert not (tmp_path / "new").exists() and published.requests == []


def test_goes_on_after_a_break_and_after_a_kill(published, tmp_path):
    published.cuts = [1000] * zoo.ATTEMPTS
    result = run("coco", "--part", "val", "--output", tmp_path)
    assert "bytes are kept: run the command again" in str(result.exception)
    result = run("coco", "--part", "val", "--output", tmp_path)
    assert result.exit_code == 0, result.exception
    assert ("/val2017.zip", f"bytes={1000 * zoo.ATTEMPTS}-") in published.requests
    (tmp_path / "coco" / ".val.done").unlink()  # killed while it unpacked: what is whole stays
    name = tmp_path / "coco" / next(iter(PICTURES))
    name.write_bytes(b"half")
    assert "val: 1 file written" in run("coco", "--part", "val", "--output", tmp_path).output
    assert name.read_bytes() == next(iter(PICTURES.values()))


def test_what_was_not_published_is_not_unpacked(published, tmp_path):
    published.files["/val2017.zip"] = zipped({"val2017/000000000001.jpg": b"other"})
    result = run("coco", "--part", "val", "--output", tmp_path)
    assert "not the published file: MD5" in str(result.exception)
    assert tree(tmp_path) == {}


def test_a_full_disk_is_said_before(published, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    result = run("coco", "--output", tmp_path)
    assert "GB are free" in str(result.exception)
    assert published.requests == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["crowdpose"], "github.com/Jeff-sjtu/CrowdPose"),
        (["aic"], "who registers"),
        (["imagenet"], "expected one of: coco, mpii"),
        (["coco", "--part", "test"], "--part test: expected one of: annotations, val"),
    ],
)
def test_where_to_ask_and_what_there_is(published, arguments, words):
    result = run(*arguments)
    assert result.exit_code != 0 and words in str(result.exception)
    assert published.requests == []
