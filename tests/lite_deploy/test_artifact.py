"""`pose.json`: read back, and any change to the folder noticed."""

import hashlib
import json

import pytest

from tinypose.artifact.record import FILE, read_artifact, write_artifact
from tinypose.errors import UserError


def test_round_trip(exported, tmp_path):
    artifact = read_artifact(exported.folder)
    write_artifact(tmp_path, artifact)
    assert read_artifact(tmp_path, check_files=False) == artifact
    assert (tmp_path / FILE).read_bytes() == (exported.folder / FILE).read_bytes()


def test_every_file_is_watched(exported, tmp_path):
    names = sorted(path.name for path in exported.folder.iterdir() if path.name != FILE)
    for number, name in enumerate(names):
        folder = exported.copy(tmp_path / str(number))
        path = folder / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(UserError, match=rf"{name}: damaged or edited: SHA-256"):
            read_artifact(folder)
        path.write_bytes(data[:-1])
        with pytest.raises(UserError, match=rf"{name}: damaged or edited: \d+ bytes"):
            read_artifact(folder)
        path.unlink()
        with pytest.raises(UserError, match=rf"{name}: missing"):
            read_artifact(folder)


def edit(folder, change) -> None:
    content = json.loads((folder / FILE).read_text())
    change(content)
    (folder / FILE).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["input"].update(mean=[0.5, 0.5, 0.5]), "does not match its checksum"),
        (lambda c: c["output"].update(decode="max"), "does not match its checksum"),
        (lambda c: c.pop("sha256"), "does not match its checksum"),
        (lambda c: c.update(version=1), "version 1, and this tool reads version 2; export again"),
        (lambda c: c.update(format="other"), "not an artifact's description"),
        (lambda c: c["skeleton"].update(sigmas=[]), "does not match its checksum"),
    ],
)
def test_an_edited_description_is_noticed(exported, tmp_path, change, words):
    folder = exported.copy(tmp_path)
    edit(folder, change)
    with pytest.raises(UserError, match=words):
        read_artifact(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["input"].update(colour="BGR"), "unknown key 'input.colour'; did you mean 'color'"),
        (lambda c: c["models"][0]["files"][0].update(file="../secret"), "models.0.files.0.file"),
        (lambda c: c.update(models=[]), "models"),
    ],
)
def test_a_description_that_is_signed_and_wrong(exported, tmp_path, change, words):
    folder = exported.copy(tmp_path)
    content = json.loads((folder / FILE).read_text())
    content.pop("sha256")
    change(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / FILE).write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        read_artifact(folder)


def test_no_artifact(tmp_path):
    with pytest.raises(UserError, match=r"pose\.json"):
        read_artifact(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_artifact(tmp_path)


def test_a_model_that_is_not_there_is_answered_with_those_that_are(exported):
    with pytest.raises(UserError, match="no model 'arm_fp64' in this folder; it has: paddle_fp32"):
        read_artifact(exported.folder).model("arm_fp64")
