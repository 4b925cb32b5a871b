"""The parts of the C++ pipeline against Python's: on this machine, under sanitizers and as ARM code."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tinypose.boxes import suppress
from tinypose.codecs import simcc
from tinypose.codecs.centres import letterbox
from tinypose.codecs.fairmot import FairMOTCodec
from tinypose.codecs.picodet import PicoDetCodec
from tinypose.config import DetectorInputConfig, LetterboxConfig
from tinypose.detection.detector import Detector, fit_whole
from tinypose.inference.estimator import _different
from tinypose.inference.people import NOBODY, People
from tinypose.skeleton import load_skeleton
from tinypose.tracking.smooth import Ema, OneEuro
from tinypose.tracking.tracker import Tracker

SKELETON = load_skeleton("coco17")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# One process answers all examples, so its fixture may outlive them.
examples = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def hexed(*values) -> str:
    return " ".join(float(value).hex() for each in values for value in np.ravel(each))


def numbers(words: list[str], width: int) -> np.ndarray:
    return np.array([float.fromhex(word) for word in words]).reshape(-1, width)


@examples
@given(
    rng=seeds,
    count=st.integers(0, 60),
    coarse=st.booleans(),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]),
)
def test_suppression_is_opencvs(ask, rng, count, coarse, overlap):
    """Coarse: many equal scores, equal boxes, boxes without an area, and overlaps of just the threshold."""
    boxes = np.concatenate([rng.uniform(-20, 60, (count, 2)), rng.uniform(0, 50, (count, 2))], axis=1)
    scores = rng.uniform(0, 1, count)
    if coarse:
        boxes, scores = np.round(boxes / 10) * 10, np.round(scores * 4) / 4
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    expected = suppress(boxes, scores, overlap, 20)
    line = f"suppress {hexed(overlap)} 20 {count} {hexed(np.column_stack([boxes, scores]))}"
    assert [int(word) for word in ask(line)] == expected.tolist()


def test_suppression_looks_at_the_best_thousand(ask):
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 1e5, (1300, 2)), np.ones((1300, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0.1, 1, 1300).astype(np.float32)
    expected = suppress(boxes, scores, 0.5, 1200)
    assert len(expected) == 1000
    line = f"suppress {hexed(0.5)} 1200 1300 {hexed(np.column_stack([boxes, scores]))}"
    assert [int(word) for word in ask(line)] == expected.tolist()


@pytest.mark.parametrize("form", ["esnet", "lcnet"])
def test_picodet_is_decoded_as_in_python(ask, tmp_path, form):
    rng = np.random.default_rng(1)
    aligned, width, height, classes = form == "lcnet", 96, 64, 3
    channels = classes + 32 + aligned
    settings = DetectorInputConfig(width=width, height=height)
    codec = PicoDetCodec(aligned=aligned, person=1, score=0.4, nms=0.5, most=30)
    for image_width, image_height in ((96, 64), (640, 480), (33, 201)):
        shapes = [(1, channels, -(-height // stride), -(-width // stride)) for stride in (8, 16, 32, 64)]
        maps = [rng.normal(0, 2, shape).astype(np.float32) for shape in shapes]
        np.concatenate([each.ravel() for each in maps]).tofile(tmp_path / "maps.f32")
        expected = Detector(None, settings, codec).postprocess(maps, image_width, image_height)
        found = numbers(
            ask(
                f"picodet {tmp_path}/maps.f32 {width} {height} {channels} 1 {int(aligned)}"
                f" {hexed(0.4, 0.5)} 30 {image_width} {image_height}"
            ),
            5,
        )
        assert len(expected) > 8
        np.testing.assert_allclose(found[:, :4], expected.boxes, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found[:, 4], expected.scores, rtol=0, atol=1e-6)
    maps[0][0, 1, 0, 0], maps[0][0, classes:, 0, 0] = 9, np.nan
    np.concatenate([each.ravel() for each in maps]).tofile(tmp_path / "maps.f32")
    line = f"picodet {tmp_path}/maps.f32 {width} {height} {channels} 1 {int(aligned)} 0 0.5 30 9 9"
    assert ask(line) == ["wrong"]


def test_fairmot_is_decoded_as_in_python(ask, tmp_path):
    rng = np.random.default_rng(2)
    width, height, looks = 96, 64, 3
    settings = LetterboxConfig(width=width, height=height)
    codec = FairMOTCodec(score=0.4, most=30, looks=looks)
    for image_width, image_height in ((96, 64), (640, 480), (33, 201), (1000, 40)):
        maps = [rng.normal(0, 2, (1, count, height // 4, width // 4)).astype(np.float32)
                for count in (1, 4, 2, looks)]  # fmt: skip
        maps[0][0, 0, 3, 3:6] = 1.5  # neighbours that are alike are two people
        maps[1] += 3
        np.concatenate([each.ravel() for each in maps]).tofile(tmp_path / "maps.f32")
        expected = Detector(None, settings, codec).postprocess(maps, image_width, image_height)
        line = f"fairmot {tmp_path}/maps.f32 {width} {height} {looks} {hexed(0.4)} 30"
        found = numbers(ask(f"{line} {image_width} {image_height}"), 5)
        assert len(expected) > 15
        np.testing.assert_allclose(found[:, :4], expected.boxes, rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(found[:, 4], expected.scores, rtol=0, atol=1e-6)
    maps[0][0, 0, 2, 2] = np.nan
    np.concatenate([each.ravel() for each in maps]).tofile(tmp_path / "maps.f32")
    assert ask(f"fairmot {tmp_path}/maps.f32 {width} {height} {looks} 0 30 9 9") == ["wrong"]


@examples
@given(seeds)
def test_letterbox_is_opencvs(ask, tmp_path_factory, rng):
    folder = tmp_path_factory.getbasetemp()
    channels = int(rng.choice([3, 4]))
    image = rng.integers(0, 256, (*rng.integers(1, 150, 2), channels), np.uint8)
    size = tuple(int(side) * 32 for side in rng.integers(2, 5, 2))
    levels = grey_levels(resize_with(ask, folder, image, size, "letterbox"))
    expected = fit_whole(image[..., :3].copy(), LetterboxConfig(width=size[0], height=size[1]))
    differ = np.abs(levels - expected) > 0.5
    _, inner, _ = letterbox(image.shape[1::-1], size)
    assert np.abs(levels - expected).max() < 1.001
    if inner[0] < image.shape[1] and inner[1] < image.shape[0]:  # enlarging, OpenCV rounds the weights
        assert differ.mean() < 0.002


def cubic(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """OpenCV's cubic interpolation in real numbers: float64 [height, width, 3], not rounded."""
    for axis in (0, 1):
        before, after = image.shape[axis], size[1 - axis]
        at = (np.arange(after) + 0.5) * before / after - 0.5
        places = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
        d = np.abs(at[:, None] - places)
        near, far = (1.25 * d - 2.25) * d * d + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3
        taken = image.take(np.clip(places, 0, before - 1), axis=axis).astype(np.float64)
        weights = np.where(d <= 1, near, far)
        image = np.einsum("yk...,yk->y..." if axis == 0 else "yxk...,xk->yx...", taken, weights)
    return image


def grey_levels(planes: np.ndarray) -> np.ndarray:
    """Undo the normalisation: float [3, h, w] to [h, w, 3], 0 to 255."""
    return (planes.transpose(1, 2, 0) * np.array(STD) + MEAN) * 255


def resize_with(ask, folder, image, size, how="resize") -> np.ndarray:
    """Resize in C++; returns float32 [3, height, width], normalised."""
    image.tofile(folder / "image.raw")
    height, width, channels = image.shape
    ask(
        f"{how} {folder}/image.raw {width} {height} {channels} {size[0]} {size[1]}"
        f" {hexed(MEAN, STD)} {folder}/small.f32"
    )
    return np.fromfile(folder / "small.f32", np.float32).reshape(3, size[1], size[0])


@examples
@given(
    rng=seeds,
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    target=st.tuples(st.integers(2, 6), st.integers(2, 6)).map(lambda s: (32 * s[0], 32 * s[1])),
    four=st.booleans(),
)
def test_resize_is_cubic_interpolation_rounded(ask, tmp_path_factory, rng, size, target, four):
    image = rng.integers(0, 256, (size[1], size[0], 4 if four else 3), np.uint8)
    levels = grey_levels(resize_with(ask, tmp_path_factory.getbasetemp(), image, target))
    image = image[..., :3].copy()
    assert np.abs(levels - np.round(levels)).max() < 1e-3
    assert np.abs(levels - np.clip(cubic(image, target), 0, 255)).max() < 0.501
    opencv = fit_whole(image, DetectorInputConfig(width=target[0], height=target[1]))
    assert np.abs(levels - opencv).max() < 1.001


def test_resize_of_a_photograph_is_opencvs(ask, shared, tmp_path):
    """On x86-64, where OpenCV calls Intel's library; elsewhere it rounds the weights."""
    image = cv2.imread(str(shared / "samples" / "hrnet_demo.jpg"))[..., ::-1].copy()
    for size in ((416, 416), (320, 320), (192, 192), (320, 256)):
        levels = grey_levels(resize_with(ask, tmp_path, image, size))
        opencv = fit_whole(image, DetectorInputConfig(width=size[0], height=size[1]))
        differ = np.abs(levels - opencv) > 0.5
        assert differ.mean() < (1e-4 if cv2.ipp.useIPP() else 0.1)


def yuv_to_rgb(y: np.ndarray, u: np.ndarray, v: np.ndarray, limited: bool) -> np.ndarray:
    """BT.601 in real numbers: float64 [..., 3], not rounded, not cut to 0 to 255."""
    y, u, v = (each.astype(np.float64) for each in (y, u, v))
    u, v = u - 128, v - 128
    if limited:
        y, u, v = (y - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    red, blue = y + 1.402 * v, y + 1.772 * u
    return np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=-1)


def upright(ask, folder, raw, form, size, rotation, limited, planes):
    raw.tofile(folder / "frame.raw")
    words = " ".join(str(each) for plane in planes for each in plane)
    width, height = size
    answer = ask(
        f"upright {folder}/frame.raw {form} {width} {height} {rotation} {int(limited)} {words}"
        f" {folder}/up.raw"
    )
    shape = [int(word) for word in answer]
    return np.fromfile(folder / "up.raw", np.uint8).reshape(shape[1], shape[0], shape[2])


@pytest.mark.parametrize("limited", [False, True])
def test_every_colour(ask, tmp_path, limited):
    """Every Y with every U and V in steps of 3, and both ends: within 0.501 of BT.601 in real numbers."""
    chroma = np.union1d(np.arange(0, 256, 3), [127, 128, 254]).astype(np.uint8)
    u, v = (each.ravel() for each in np.meshgrid(chroma, chroma))
    y = np.repeat(np.arange(256, dtype=np.uint8)[None], len(u), axis=0)  # a row of 256 for each pair
    # Two rows share their chroma, which is constant along them.
    luma = np.repeat(y, 2, axis=0)
    planes = [np.repeat(each[:, None], 128, axis=1) for each in (u, v)]
    found, rows = [], 2 * 4096
    for start in range(0, len(luma), rows):
        part = luma[start : start + rows]
        chromas = [plane[start // 2 : (start + rows) // 2] for plane in planes]
        raw = np.concatenate([part.ravel(), *(each.ravel() for each in chromas)])
        offsets = (0, part.size, part.size + chromas[0].size)
        layout = list(zip(offsets, (256, 128, 128), (1, 1, 1), strict=True))
        found.append(upright(ask, tmp_path, raw, 2, (256, len(part)), 0, limited, layout))
    found = np.concatenate(found)[::2, :, :3]
    real = np.clip(yuv_to_rgb(y, u[:, None], v[:, None], limited), 0, 255)
    assert np.abs(found - real).max() <= 0.501


@examples
@given(
    rng=seeds,
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rotation=st.sampled_from([0, 90, 180, 270]),
    step=st.sampled_from([1, 2, 3]),
    padding=st.integers(0, 5),
    form=st.sampled_from(["rgb", "rgba", "yuv", "nv21"]),
)
def test_frames_of_any_layout_turn_upright(ask, tmp_path_factory, rng, size, rotation, step, padding, form):
    folder = tmp_path_factory.getbasetemp()
    width, height = size
    turned = {0: 0, 90: 3, 180: 2, 270: 1}[rotation]  # np.rot90 counts the other way
    if form in ("rgb", "rgba"):
        channels = len(form)
        stride = width * channels + padding
        # Not a byte beyond the last pixel, so that a sanitizer sees a read there.
        raw = rng.integers(0, 256, stride * (height - 1) + width * channels, np.uint8)
        rows = np.lib.stride_tricks.as_strided(raw, (height, width, channels), (stride, channels, 1))
        planes = [(0, stride, channels), (0, 0, 0), (0, 0, 0)]
        found = upright(ask, folder, raw, int(form == "rgba"), size, rotation, False, planes)
        np.testing.assert_array_equal(found, np.rot90(rows, turned))
        return
    half = ((width + 1) // 2, (height + 1) // 2)
    luma_step, luma_stride = (1, width + padding) if form == "nv21" else (step, width * step + padding)
    luma_size = luma_stride * (height - 1) + luma_step * (width - 1) + 1
    if form == "nv21":  # V and U in turn; the last U is the last byte
        step, stride = 2, 2 * half[0] + padding
        offsets = (luma_size + 1, luma_size)
        raw = rng.integers(0, 256, luma_size + stride * (half[1] - 1) + 2 * half[0], np.uint8)
    else:
        stride = half[0] * step + padding
        chroma_size = stride * (half[1] - 1) + step * (half[0] - 1) + 1
        offsets = (luma_size, luma_size + chroma_size)
        raw = rng.integers(0, 256, luma_size + 2 * chroma_size, np.uint8)
    view = np.lib.stride_tricks.as_strided
    y = view(raw, (height, width), (luma_stride, luma_step))
    u, v = (view(raw[at:], half[::-1], (stride, step)) for at in offsets)
    u, v = (np.repeat(np.repeat(each, 2, axis=0), 2, axis=1)[:height, :width] for each in (u, v))
    planes = [(0, luma_stride, luma_step), (offsets[0], stride, step), (offsets[1], stride, step)]
    found = upright(ask, folder, raw, 2, size, rotation, False, planes)
    real = np.clip(yuv_to_rgb(y, u, v, limited=False), 0, 255)
    assert np.abs(found[..., :3] - np.rot90(real, turned)).max() <= 0.501


def test_frames_that_are_wrong(ask, tmp_path):
    np.zeros(100, np.uint8).tofile(tmp_path / "frame.raw")
    rgb, nothing = "0 12 3", "0 0 0 0 0 0"
    for line, message in (
        (f"7 4 4 0 0 {rgb} {nothing}", "format"),
        (f"0 0 4 0 0 {rgb} {nothing}", "width"),
        (f"0 4 40000 0 0 {rgb} {nothing}", "width"),
        (f"0 30000 30000 0 0 0 90000 3 {nothing}", "pixels"),
        (f"0 4 4 45 0 {rgb} {nothing}", "rotation"),
        (f"0 4 4 0 2 {rgb} {nothing}", "range"),
        (f"0 5 4 0 0 {rgb} {nothing}", "strides"),
        (f"1 3 4 0 0 {rgb} {nothing}", "strides"),
        ("2 4 4 0 0 0 4 1 16 1 1 20 2 1", "strides"),
        ("2 4 4 0 0 0 4 0 16 2 1 20 2 1", "strides"),
    ):
        answer = " ".join(ask(f"upright {tmp_path}/frame.raw {line} {tmp_path}/up.raw"))
        assert answer.startswith("frame: ") and message in answer, (line, answer)


def simcc_with(ask, folder, x, y, split, blurs) -> np.ndarray:
    """Decode in C++: float [J, bins] each; returns [J, 3]."""
    np.concatenate([x.ravel(), y.ravel()]).astype(np.float32).tofile(folder / "v.f32")
    words = f"{len(x)} {x.shape[1]} {y.shape[1]} {hexed(split)} {blurs[0]} {blurs[1]}"
    return numbers(ask(f"simcc {folder}/v.f32 {words}"), 3)


def test_simcc(ask, shared, tmp_path):
    """The results of mmpose: the bins, and DARK's refinement of the absolute values."""
    cases = np.load(shared / "reference" / "simcc_decode.npz")
    x, y = (cases[name].astype(np.float32) / 1024 for name in ("simcc_x", "simcc_y"))
    for i in range(len(x)):
        found = simcc_with(ask, tmp_path, x[i], y[i], 2, (0, 0))
        np.testing.assert_array_equal(found[:, :2], cases["keypoints"][i])
        np.testing.assert_array_equal(found[:, 2], cases["scores"][i])
        found = simcc_with(ask, tmp_path, np.abs(x[i]), np.abs(y[i]), 2, (29, 35))
        np.testing.assert_allclose(found[:, :2], cases["dark_keypoints_of_abs"][i], rtol=0, atol=2e-3)


@examples
@given(rng=seeds, blurs=st.tuples(st.integers(0, 20), st.integers(0, 20)), split=st.sampled_from([1, 2, 3.5]))
def test_simcc_is_pythons(ask, tmp_path_factory, rng, blurs, split):
    x, y = (
        simcc.encode(rng.uniform(-9, 70, (9, 2)), np.ones(9), (60, 40), (4.9, 5.66), split)[axis]
        + rng.normal(0, 0.05, (9, round((60, 40)[axis] * split))).astype(np.float32)
        for axis in (0, 1)
    )
    dark = tuple(2 * blur + 3 for blur in blurs)
    for kernels in (None, dark):
        expected = simcc.decode(x[None], y[None], split, kernels)[0]
        found = simcc_with(ask, tmp_path_factory.getbasetemp(), x, y, split, kernels or (0, 0))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_plain_crops_are_mmposes(ask, shared):
    cases = np.load(shared / "reference" / "rtmpose_crop.npz")
    for (left, top, right, bottom), matrix in zip(cases["boxes_xyxy"], cases["matrix_rot0"], strict=True):
        box = hexed(left, top, right - left, bottom - top)
        found = numbers(ask(f"matrix {box} 192 256 {hexed(1.25)}"), 3)
        np.testing.assert_allclose(found, matrix, rtol=1e-5, atol=1e-4)  # made with float32 boxes


@examples
@given(
    rng=seeds, rows=st.integers(0, 12), columns=st.integers(0, 12), levels=st.sampled_from([0, 1, 3, 10**9])
)
def test_assignment_is_scipys(ask, rng, rows, columns, levels):
    """Few levels: many assignments have the greatest sum, and the same one is chosen."""
    values = rng.integers(0, levels + 1, (rows, columns))
    expected = np.column_stack(linear_sum_assignment(values, maximize=True))
    found = np.array(ask(f"assign {rows} {columns} {hexed(values)}"), int).reshape(-1, 2)
    np.testing.assert_array_equal(found, expected)


def crowd(rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 [count, 4] and joints float32 [count, 17, 3]: people near one another, some unsure."""
    boxes = np.concatenate([rng.uniform(0, 120, (count, 2)), rng.uniform(20, 100, (count, 2))], axis=1)
    places = boxes[:, None, :2] + rng.uniform(0, 1, (count, 17, 2)) * boxes[:, None, 2:]
    scores = rng.uniform(0, 1, (count, 17, 1)) ** rng.uniform(0.2, 3, (count, 1, 1))
    return boxes.astype(np.float32), np.concatenate([places, scores], axis=2).astype(np.float32)


@examples
@given(rng=seeds, count=st.integers(0, 8))
def test_same_people_are_merged(ask, rng, count):
    boxes, joints = crowd(rng, count)
    for i in range(count):  # half of them are someone else once more, moved a little
        if i and rng.random() < 0.5:
            other = rng.integers(i)
            joints[i, :, :2] = joints[other, :, :2] + rng.normal(0, 0.06, (17, 2)) * boxes[other, 2:].max()
            boxes[i] = boxes[other]
    scores = np.round(rng.uniform(0, 1, count), 1).astype(np.float32)
    people = People(boxes, joints, scores, scores, np.full(count, NOBODY), SKELETON)
    each = " ".join(hexed(*one) for one in zip(boxes, scores, joints, strict=True))
    found = ask(f"different 17 {hexed(SKELETON.sigmas)} {count} {each}")
    assert [int(word) for word in found] == _different(people)


@examples
@given(rng=seeds, most=st.integers(1, 6), frames=st.integers(1, 25))
def test_ids_are_pythons(ask, rng, most, frames):
    """People who walk, meet, hide, return, and whose scores vary."""
    tracker = Tracker(SKELETON.sigmas, sure=0.2)
    ask(f"tracker 17 {hexed(SKELETON.sigmas, 0.2, 1.0)}")
    boxes, joints = crowd(rng, most)
    speed = rng.normal(0, 80, (most, 2))
    time = 0.0
    for _ in range(frames):
        step = float(rng.choice([1 / 30, 0.1, 0.6, 1.5], p=[0.7, 0.2, 0.07, 0.03]))
        time += step
        boxes[:, :2] += speed * step
        joints[..., :2] += (speed * step)[:, None] + rng.normal(0, 2, joints[..., :2].shape)
        there = rng.permutation(most)[: rng.integers(0, most + 1)]
        scores = rng.uniform(0, 0.6, len(there)).astype(np.float32)
        expected = tracker.update(joints[there], boxes[there], scores, scores, time)
        each = " ".join(
            hexed(box, score, score, one)
            for box, score, one in zip(boxes[there], scores, joints[there], strict=True)
        )
        assert [int(word) for word in ask(f"track {hexed(time)} {len(there)} {each}")] == expected.tolist()


@examples
@given(rng=seeds, kind=st.sampled_from(["one_euro", "ema"]), frames=st.integers(1, 30))
def test_smoothing_is_pythons(ask, rng, kind, frames):
    cutoff, beta, constant = rng.uniform(0.1, 5), rng.uniform(0, 40), rng.uniform(0.01, 0.3)
    python = OneEuro(cutoff=cutoff, beta=beta) if kind == "one_euro" else Ema(constant=constant)
    ask(f"smoother {int(kind == 'ema')} {hexed(cutoff, beta, constant)}")
    points, time = rng.uniform(0, 500, (19, 2)), 0.0
    for _ in range(frames):
        time += float(rng.choice([1 / 60, 1 / 30, 0.5, 0.7], p=[0.4, 0.5, 0.05, 0.05]))
        points = points + rng.normal(0, 5, points.shape)
        size = rng.uniform(30, 300)
        found = numbers(ask(f"smooth {hexed(time, size)} 19 {hexed(points)}"), 2)
        np.testing.assert_allclose(found, python(points, time, size), rtol=0, atol=1e-9)
