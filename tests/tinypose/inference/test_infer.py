"""`tinypose infer` on what users have: real files, odd files, broken files."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from tinypose import Video, read_image
from tinypose.cli import app
from tinypose.errors import UserError
from tinypose.inference.sources import find_sources


def results(tmp_path):
    return json.loads((tmp_path / "out" / "keypoints.json").read_text())


def test_pictures_of_every_kind(shared, infer, tmp_path):
    """One person stored in many ways is found in the same place; what is no picture is left out."""
    folder = tmp_path / "in"
    folder.mkdir()
    picture = Image.open(shared / "samples" / "hrnet_demo.jpg").convert("RGB")
    picture.save(folder / "plain.png")
    picture.convert("L").save(folder / "grey.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    alpha = picture.convert("RGBA")
    alpha.putalpha(200)
    alpha.save(folder / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    picture.rotate(90, expand=True).save(folder / "turned.jpg", exif=exif, quality=95)
    Image.new("RGB", (1, 1)).save(folder / "one.png")
    Image.new("RGB", (12_000, 40), "green").save(folder / "wide.png")
    Image.new("RGB", (40_000, 20), "green").save(folder / "wider.png")
    Image.new("1", (12_000, 12_000)).save(folder / "huge.png")
    (folder / "text.jpg").write_text("this is not a picture")
    (folder / "cut.jpg").write_bytes((shared / "samples" / "hrnet_demo.jpg").read_bytes()[:20_000])
    (folder / "notes.txt").write_text("not looked at")
    result = infer(folder)
    assert "7 pictures" in result.output and "5 people" in result.output
    assert "wider.png: 40000x20 pixels" in result.output and "huge.png: 12000x12000" in result.output
    assert "text.jpg: not a picture" in result.output and "cut.jpg: cannot read" in result.output
    found = {each["file_name"]: np.array(each["keypoints"]).reshape(17, 3) for each in results(tmp_path)}
    assert set(found) == {"plain.png", "grey.png", "cmyk.jpg", "alpha.png", "turned.jpg"}
    expected = found["plain.png"]
    sure = expected[:, 2] > 0.5
    for name, joints in found.items():
        apart = np.abs(joints - expected)[sure, :2] / picture.height
        assert apart.max() < 0.04 and np.median(apart) < 0.01, name
    drawn = read_image(tmp_path / "out" / "turned.jpg")
    assert drawn.shape == (picture.height, picture.width, 3)
    assert (tmp_path / "out" / "one.png").is_file()


def test_pycocotools_reads_the_results(shared, infer, tmp_path):
    """And measures what there is: on coco-mini val2017, boxes that score over 0.2, no flip test."""
    data = shared / "data" / "coco-mini"
    infer(data / "val2017", "--box-score", "0.2", "--no-draw")
    truth = COCO(str(data / "annotations" / "person_keypoints_val2017.json"))
    stats = {}
    for kind in ("keypoints", "bbox"):
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out" / "keypoints.json")), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        stats[kind] = 100 * evaluation.stats[0]
    assert stats["keypoints"] == pytest.approx(49, abs=3)
    assert stats["bbox"] == pytest.approx(53, abs=3)


def test_results_are_cocos(shared, infer, tmp_path):
    data = shared / "data" / "coco-mini" / "val2017"
    pictures = sorted(data.glob("*.jpg"))[:3]
    infer(*pictures, "--no-draw", "--text")
    found = results(tmp_path)
    assert {each["image_id"] for each in found} <= {int(each.stem) for each in pictures}
    assert not list((tmp_path / "out").glob("*.jpg"))
    lines = (tmp_path / "out" / "keypoints.txt").read_text().splitlines()
    assert len(lines) == len(found)
    assert all(len(line.split()) == 1 + 1 + 1 + 4 + 51 for line in lines)


def test_a_text_file_alone_is_an_error(infer, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    infer(tmp_path / "text.jpg", fails="none of the pictures could be read")
    assert not (tmp_path / "out" / "keypoints.json").exists()


def test_an_empty_folder_is_an_error(infer, tmp_path):
    (tmp_path / "empty").mkdir()
    infer(tmp_path / "empty", fails="no pictures or videos in this folder")
    infer(tmp_path / "nothing.jpg", fails="no such file or folder")


def test_boxes_from_a_file(shared, infer, tmp_path):
    picture = shared / "samples" / "000000014439.jpg"
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": [411, 94, 101, 189], "score": 0.9},
                                 {"file_name": "other.jpg", "bbox": [0, 0, 1, 1]}]))  # fmt: skip
    infer(picture, "--boxes", boxes, detector=False)
    assert [each["bbox"] for each in results(tmp_path)] == [[411, 94, 101, 189]]
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": [411, 94]}]))
    infer(picture, "--boxes", boxes, detector=False, fails="[0]: expected image_id")
    boxes.write_text(json.dumps([{"image_id": 3, "bbox": [411, 94, 1, 1]}]))
    infer(picture, "--boxes", boxes, detector=False, fails="no box for any of these pictures")


def test_the_whole_picture_as_one_person(shared, infer, tmp_path):
    infer(shared / "samples" / "hrnet_demo.jpg", "--whole", detector=False)
    assert results(tmp_path)[0]["bbox"][:2] == [0, 0]
    infer(shared / "samples" / "hrnet_demo.jpg", detector=False, fails="no detector in it")


def test_networks_from_configs_and_weights(shared, tmp_path):
    weights = shared / "weights"
    command = ["infer", shared / "samples" / "hrnet_demo.jpg", "-d", tmp_path / "out", "--pose",
               "configs/tinypose_128x96.yml", "--pose-weights", weights / "tinypose_128x96.pdparams",
               "--detector-weights", weights / "picodet_s_416_coco.pdparams"]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "1 picture, 1 person" in result.output


def test_nothing_that_is_read_or_was_there_is_written_over(shared, infer, tmp_path):
    out, photo = tmp_path / "out", (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    out.mkdir()
    (out / "a.jpg").write_bytes(photo)
    (tmp_path / "b.jpg").write_bytes(photo)
    infer(out / "a.jpg", "--whole", "--overwrite", detector=False, fails="is read here")
    infer(tmp_path / "b.jpg", "--whole", detector=False)
    first = (out / "keypoints.json").read_bytes()
    (tmp_path / "c.jpg").write_bytes(photo)
    infer(tmp_path / "c.jpg", "--whole", detector=False, fails="keypoints.json: there already")
    assert (out / "keypoints.json").read_bytes() == first and not (out / "c.jpg").exists()
    infer(tmp_path / "c.jpg", "--whole", "--overwrite", detector=False)
    assert {each["file_name"] for each in results(tmp_path)} == {"c.jpg"}
    assert (out / "a.jpg").read_bytes() == photo


def test_sub_folders_are_searched_and_kept(shared, infer, tmp_path):
    photo = (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    for place in ("in/1.jpg", "in/a/1.jpg", "in/a/b/1.png", "in/.hidden/1.jpg", "in/a/1.bmp"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(photo)
    infer(tmp_path / "in", tmp_path / "in" / "a", "--whole", detector=False)
    names = ["1.jpg", "a/1.bmp", "a/1.jpg", "a/b/1.png"]
    assert sorted(each["file_name"] for each in results(tmp_path)) == names
    drawn = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*g"))
    assert drawn == ["1.jpg", "a/1.jpg", "a/1_2.jpg", "a/b/1.png"]


def test_one_folder_belongs_to_one_run_and_dead_runs_leave_nothing(infer, shared, tmp_path):
    from tinypose.files import claim_folder

    with claim_folder(tmp_path / "out"):
        infer(shared / "samples" / "hrnet_demo.jpg", "--whole", detector=False, fails="another run")
    assert not (tmp_path / "out").exists()
    code = ("import sys, os, signal; from tinypose.files import claim_folder, write_whole\n"
            "with claim_folder(sys.argv[1]) as folder, write_whole(folder / 'a.json'):\n"
            "    os.kill(os.getpid(), signal.SIGKILL)")  # fmt: skip
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")])
    assert [path.name[:8] for path in (tmp_path / "out").iterdir()] == [".a.part-"]
    infer(shared / "samples" / "hrnet_demo.jpg", "--whole", "--no-draw", detector=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["keypoints.json"]


def test_a_picture_that_is_too_wide_or_a_name_of_other_bytes_is_counted(shared, infer, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (33_000, 2)).save(folder / "wide.png")
    photo = (shared / "samples" / "hrnet_demo.jpg").read_bytes()
    (folder / "good.jpg").write_bytes(photo)
    with open(bytes(folder) + b"/\xff.jpg", "wb") as file:
        file.write(photo)
    result = infer(folder, "--whole", detector=False)
    assert "33000x2 pixels" in result.output and "its name is not UTF-8" in result.output
    assert {each["file_name"] for each in results(tmp_path)} == {"good.jpg"}


def test_boxes_as_corners_are_told(shared, infer, tmp_path):
    boxes = tmp_path / "boxes.json"
    corners = [[411, 94, 512, 283], [300, 100, 400, 300]]
    boxes.write_text(json.dumps([{"image_id": 14439, "bbox": box} for box in corners]))
    picture = shared / "samples" / "000000014439.jpg"
    infer(picture, "--boxes", boxes, "--no-draw", detector=False, fails="--boxes-form=corners")
    infer(picture, "--boxes", boxes, "--boxes-form", "corners", "--no-draw", detector=False)
    assert [each["bbox"] for each in results(tmp_path)] == [[411, 94, 101, 189], [300, 100, 100, 200]]


@pytest.mark.parametrize(
    "bad", ["[NaN, 2, 3, 4]", "[1e400, 2, 3, 4]", '["1", 2, 3, 4]', "[true, 2, 3, 4]", "null"]
)
def test_boxes_that_are_none_are_named(shared, infer, tmp_path, bad):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'[{{"image_id": 14439, "bbox": {bad}}}]')
    infer(shared / "samples" / "000000014439.jpg", "--boxes", boxes, detector=False, fails=r"[0]: expected")


def test_an_svg_is_no_video(tmp_path):
    for name in ("a.svg", "a.mp4"):
        (tmp_path / name).write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    with pytest.raises(UserError, match="neither a picture nor a video"):
        find_sources([str(tmp_path / "a.svg")])
    with pytest.raises(UserError, match="cannot read this as a video"):
        Video(tmp_path / "a.mp4")


def test_the_same_command_writes_the_same_bytes(short, infer, tmp_path):
    infer(short, "--frames", "6")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    infer(short, "--frames", "6", "--overwrite")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
