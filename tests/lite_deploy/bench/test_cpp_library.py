"""The C++ pre- and postprocessing against Python's, on this machine, under sanitizers and as ARM code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lite_deploy.bench.warmup import is_warm
from tinypose import geometry
from tinypose.codecs import heatmap

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
METHODS = {"max": 0, "shift": 1, "dark": 2}


def hexed(values) -> str:
    return " ".join(float(value).hex() for value in np.ravel(values))


def normalise(crop: np.ndarray) -> np.ndarray:
    """The definition: (pixel / 255 - mean) / std, channels first."""
    return ((crop.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def crop_with(pose_check, folder, jobs) -> list[np.ndarray]:
    """Crop in C++: jobs are (image, matrix, (width, height)); returns float32 [3, height, width] each."""
    lines, raws = [], {}
    for number, (image, matrix, (width, height)) in enumerate(jobs):
        if id(image) not in raws:
            raws[id(image)] = folder / f"{len(raws)}.raw"
            image.tofile(raws[id(image)])
        h, w, channels = image.shape
        lines.append(
            f"crop {raws[id(image)]} {w} {h} {channels} {hexed(matrix)} {width} {height}"
            f" {hexed(MEAN)} {hexed(STD)} {folder}/{number}.f32"
        )
    pose_check(lines)
    return [
        np.fromfile(folder / f"{i}.f32", np.float32).reshape(3, h, w) for i, (_, _, (w, h)) in enumerate(jobs)
    ]


def same_crop(result: np.ndarray, image: np.ndarray, matrix: np.ndarray) -> None:
    """Equal to OpenCV's crop to 1e-4, which is a hundredth of one grey level: every pixel the same."""
    expected = normalise(geometry.crop_image(image[..., :3].copy(), matrix, result.shape[:0:-1]))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


def real_people(root: Path, sizes) -> list[tuple]:
    """Return (image, matrix, size) of each annotated person of coco-mini, the sizes in turn."""
    content = json.loads((root / "annotations" / "person_keypoints_val2017.json").read_text())
    names = {each["id"]: each["file_name"] for each in content["images"]}
    images = {key: cv2.imread(str(root / "val2017" / name))[..., ::-1].copy() for key, name in names.items()}
    people = []
    for number, person in enumerate(a for a in content["annotations"] if a["num_keypoints"]):
        size = sizes[number % len(sizes)]
        people.append((images[person["image_id"]], geometry.crop_matrix(person["bbox"], size), size))
    return people


def test_crops_of_real_people(pose_check, shared, tmp_path):
    jobs = real_people(shared / "data" / "coco-mini", ((192, 256), (96, 128)))
    assert len(jobs) == 68
    for result, (image, matrix, _) in zip(crop_with(pose_check, tmp_path, jobs), jobs, strict=True):
        same_crop(result, image, matrix)


def test_crops_of_odd_maps(pose_check, tmp_path):
    """Turned, stretched, far outside, magnified, tiny pictures, odd sizes, four bytes a pixel."""
    rng = np.random.default_rng(0)
    jobs = []
    for number in range(150):
        height, width = rng.integers(1, 60, 2)
        image = rng.integers(0, 256, (height, width, 3 + number % 2), np.uint8)
        size = tuple(int(each) for each in rng.integers(1, 40, 2))
        box = np.concatenate([rng.uniform(-60, 80, 2), rng.uniform(0.5, 90, 2)])
        matrix = geometry.crop_matrix(box, (max(size[0], 2), max(size[1], 2)), 1.25, rng.uniform(-180, 180))
        jobs.append((image, matrix, size))
    jobs.append((jobs[0][0], np.zeros((2, 3)), (8, 8)))  # no inverse: OpenCV samples the corner
    jobs.append((jobs[1][0], np.array([[1e-9, 0, 3e9], [0, 1e-9, -1e300]]), (8, 8)))
    for result, (image, matrix, _) in zip(crop_with(pose_check, tmp_path, jobs), jobs, strict=True):
        same_crop(result, image, matrix)


def decode_with(pose_check, folder, maps, method, blur):
    maps.astype(np.float32).tofile(folder / "maps.f32")
    _, joints, height, width = maps.shape
    pose_check(
        [f"decode {folder}/maps.f32 {joints} {height} {width} {METHODS[method]} {blur} {folder}/out.f32"]
    )
    return np.fromfile(folder / "out.f32", np.float32).reshape(1, joints, 3)


@pytest.mark.parametrize("method", list(METHODS))
def test_decode(pose_check, tmp_path, method):
    rng = np.random.default_rng(1)
    for width, height in ((48, 64), (24, 32), (7, 5), (3, 2)):
        joints = np.column_stack([rng.uniform(-2, width * 4 + 2, 120), rng.uniform(-2, height * 4 + 2, 120)])
        maps, _ = heatmap.encode(joints, np.ones(120), (width * 4, height * 4), (width, height), 2.0)
        maps = maps[None] + 0.02 * rng.standard_normal((1, *maps.shape))
        maps[0, 0], maps[0, 1] = 0, -1  # flat: the first pixel
        maps[0, 2, height // 2] = maps.max() + 1  # a ridge: many equal pixels
        maps = maps.astype(np.float32)
        for blur in (1, 3, 5, 9, 11) if method == "dark" else (3,):
            found = decode_with(pose_check, tmp_path, maps, method, blur)
            expected = heatmap.decode(maps, method, blur)
            np.testing.assert_allclose(found[..., :2], expected[..., :2], rtol=0, atol=0.01)
            np.testing.assert_array_equal(found[..., 2], expected[..., 2])


@pytest.fixture(scope="session")
def real_heatmaps(shared):
    """What the published network makes of coco-mini: float32 [68, 17, 32, 24]; and the crops' matrices."""
    import paddle

    from tinypose.config import CONFIGS, load_config
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    net = build_model(load_config(CONFIGS / "tinypose_128x96.yml"), 17)
    load_weights(net, shared / "weights" / "tinypose_128x96.pdparams")
    net.eval()
    people = real_people(shared / "data" / "coco-mini", ((96, 128),))
    crops = [normalise(geometry.crop_image(image, matrix, size)) for image, matrix, size in people]
    with paddle.no_grad():
        maps = [net(paddle.to_tensor(np.stack(crops[i : i + 17])))[0].numpy() for i in range(0, 68, 17)]
    return np.concatenate(maps), [matrix for _, matrix, _ in people]


def test_joints_of_real_people(pose_check, real_heatmaps, tmp_path):
    """From the network's heatmaps to pixels of the picture, to a hundredth of a pixel."""
    maps, matrices = real_heatmaps
    assert (maps.max(axis=(2, 3)) > 0.3).mean() > 0.5  # it did see people
    found = decode_with(pose_check, tmp_path, maps.reshape(1, -1, 32, 24), "dark", 3).reshape(68, 17, 3)
    expected = heatmap.decode(maps, "dark", 3)
    np.testing.assert_array_equal(found[..., 2], expected[..., 2])
    lines = [
        f"image 96 128 24 32 stride {hexed(matrix)} {hexed(point[:2])}"
        for matrix, points in zip(matrices, found, strict=True)
        for point in points
    ]
    moved = [[float.fromhex(word) for word in line.split()] for line in pose_check(lines)]
    in_crops = heatmap.to_crop(expected, (96, 128), (24, 32), "stride")
    pictures = [
        geometry.transform(geometry.invert(matrix), points[:, :2])
        for matrix, points in zip(matrices, in_crops, strict=True)
    ]
    np.testing.assert_allclose(np.reshape(moved, (68, 17, 2)), pictures, rtol=0, atol=0.01)


def test_matrices(pose_check):
    rng = np.random.default_rng(2)
    boxes = np.column_stack([rng.uniform(-100, 600, (50, 2)), rng.uniform(1, 500, (50, 2))])
    sizes = [((192, 256), (96, 128))[i % 2] for i in range(50)]
    lines = [f"matrix {hexed(box)} {w} {h} {hexed(1.25)}" for box, (w, h) in zip(boxes, sizes, strict=True)]
    for line, box, size in zip(pose_check(lines), boxes, sizes, strict=True):
        numbers = np.array([float.fromhex(word) for word in line.split()]).reshape(2, 2, 3)
        matrix = geometry.crop_matrix(box, size)
        np.testing.assert_allclose(numbers[0], matrix, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(numbers[1], geometry.invert(matrix), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("grid", ["udp", "stride"])
def test_keypoints_return_to_the_picture(pose_check, grid):
    rng = np.random.default_rng(3)
    matrices = [geometry.crop_matrix([x, y, 80, 150], (192, 256)) for x, y in rng.uniform(-50, 500, (20, 2))]
    points = rng.uniform(0, 47, (20, 2))
    lines = [
        f"image 192 256 48 64 {grid} {hexed(m)} {hexed(p)}" for m, p in zip(matrices, points, strict=True)
    ]
    for line, matrix, point in zip(pose_check(lines), matrices, points, strict=True):
        in_crop = heatmap.to_crop(point, (192, 256), (48, 64), grid)
        expected = geometry.transform(geometry.invert(matrix), in_crop)
        found = [float.fromhex(word) for word in line.split()]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_warm_up_ends_where_python_says(pose_check):
    rng = np.random.default_rng(4)
    series = []
    for _ in range(60):
        runs = 10 * (1 + np.exp(-np.arange(40) / 5)) * np.exp(0.005 * rng.standard_normal(40))
        series.append(runs[: rng.integers(10, 41)])
    found = [line == "1" for line in pose_check([f"warm {hexed(runs)}" for runs in series])]
    assert found == [is_warm(runs) for runs in series]
    assert 5 < sum(found) < 55


def test_faster_than_opencv(native_build):
    """The claim of benchmarks/preprocess.py: at least level with OpenCV's path, one thread."""
    benchmark = Path(__file__).resolve().parents[3] / "benchmarks" / "preprocess.py"
    command = [sys.executable, benchmark, "--library", native_build / "libpose_c.so"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"│ (\d+x\d+) +│ +(\S.*?) │ +(\d+) │", done.stdout)
    medians = {(size, way): int(median) for size, way, median in rows}
    for size in ("256x192", "128x96"):
        fastest = medians[size, "OpenCV, warpAffine + split + LUT"]
        assert medians[size, "C++ in one pass"] <= fastest < medians[size, "OpenCV and numpy"]
