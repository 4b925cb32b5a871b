"""Decoding of centres and offsets against the published code."""

import numpy as np
import pytest

from tinypose.codecs import regressed
from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.seen import Seen, View
from tinypose.codecs.summit import fit_gaussians
from tinypose.skeleton import load_skeleton


def order(name):
    return load_skeleton("crowdpose14" if "crowdpose" in name else "coco17").flip_order


def scale_maps(case, scale, name, codec):
    """Go the way of the flip test: the outputs of the picture and of its mirror images, made one."""

    def outputs(flip):
        keys = [f"heatmap{flip}_s{scale}", f"offset{flip}_s{scale}"]
        if codec.higher:
            branches = [f"heatmap{flip}_s{scale}_branch{i}" for i in range(3)]
            keys = [*branches, f"heatmap2x{flip}_s{scale}", keys[1]]
        return [case[key].astype(np.float32) for key in keys]

    mirrored = outputs("_flip") * (2 if codec.higher else 1)
    return [each[0] for each in codec.with_mirrored(outputs(""), mirrored, order(name))]


def all_scales(case, name, kind="adaptive"):
    codec = OffsetCodec(name="offsets", kind=kind, higher="higher" in name)
    scales = (2.0, 1.0, 0.5) if "multi" in name else (1.0,)
    outputs = {scale: scale_maps(case, scale, name, codec) for scale in scales}
    height, width = case["offset_s1.0"].shape[2:]
    return codec, outputs, codec.maps(outputs), (4 * width, 4 * height)


def assert_close(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def far_inside(keypoints, size):
    """Where the border cuts a joint's window, published code mixes up the window's rows and columns."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    return (np.minimum(x, y) > 6) & (x < size[0] - 7) & (y < size[1] - 7)


@pytest.mark.parametrize("name", ["coco", "coco_multi", "crowdpose", "higher"])
def test_adaptive(shared, name):
    case = np.load(shared / "reference" / f"case_adaptive_decode_{name}.npz")
    codec, outputs, maps, size = all_scales(case, name)
    rows = case["scale_heatmap_rows"]
    step = -(-maps[1.0][0].shape[1] // rows.shape[1])
    assert_close(maps[1.0][0][:, ::step], rows, 1e-5)
    fused = regressed.fuse(list(maps.values()), size)
    assert_close(fused[:, ::32], case["fused_heatmap_rows"], 1e-5)
    people, centres = regressed.adaptive_proposals(maps, size[0])
    assert_close(people, case["regressed"][..., :2])
    assert_close(centres, case["centre_score"])
    absorbed = regressed.absorb(people, centres, fused)
    assert_close(absorbed, case["absorbed"])
    keypoints, scores = codec.combine(outputs, size)
    inside = far_inside(absorbed, size)
    assert_close(keypoints[inside], case["final"][inside], 2e-4)
    whole = inside.all(axis=1)
    assert_close(scores[whole], case["scores"][whole])


def test_adaptive_suppression(shared):
    case = np.load(shared / "reference" / "case_adaptive_nms.npz")
    points = case["posemap"].reshape(17, 2, 32, 32)
    maps = {1.0: (case["centre_map"][None], points)}
    people, values = regressed.adaptive_proposals(maps, 128)
    assert_close(people, case["kept"][..., :2])
    assert_close(values, case["centre_score"])


@pytest.mark.parametrize("name", ["coco", "coco_multi", "crowdpose"])
def test_dekr(shared, name):
    case = np.load(shared / "reference" / f"case_dekr_decode_{name}.npz")
    codec, outputs, maps, size = all_scales(case, name, "dekr")
    heatmaps, points = maps[1.0]
    assert_close(heatmaps[[0, 1, -1]], case["heatmap_avg_s1"][0], 1e-5)
    assert_close(points[:3].reshape(6, *points.shape[2:]), case["posemap_s1"][0], 1e-4)
    fused = regressed.fuse(list(maps.values()), size)
    assert_close(fused[:, ::32], case["fused_heatmap_rows"], 1e-5)
    decay = 0.8 if name == "crowdpose" else 0.9
    codec = codec.model_copy(update={"decay": decay})
    keypoints, scores = codec.combine(outputs, size)
    assert_close(keypoints, case["poses"])
    assert_close(scores, case["scores"])
    keypoints, _ = codec.model_copy(update={"match": True}).combine(outputs, size)
    inside = far_inside(case["poses_matched"], size) & far_inside(keypoints, size)
    assert inside.mean() > 0.9
    assert_close(keypoints[inside], case["poses_matched"][inside], 2e-4)


@pytest.mark.parametrize("name", ["coco", "crowdpose"])
def test_dekr_suppression(shared, name):
    case = np.load(shared / "reference" / "case_dekr_nms.npz")
    people = case[f"{name}_poses"]
    kept = regressed.suppress(people, case[f"{name}_scores"], regressed.near_by_extent(people))
    assert kept == case[f"{name}_keep"].tolist()


def test_fits_find_gaussians_and_say_where_there_is_none():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :50]
    truth = [(20.3, 15.8, 0.9, 2.2), (3.4, 2.7, 0.5, 1.5), (44.9, 36.2, 0.2, 3.0)]
    maps = [a * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s**2)) for cx, cy, a, s in truth]
    maps = np.stack([*maps, np.zeros((40, 50))]).astype(np.float32)
    px, py = np.array([20, 3, 45, 9]), np.array([16, 3, 36, 9])
    fits, good = fit_gaussians(maps, np.arange(4), px, py, np.array([0.9, 0.5, 0.2, 0.0]))
    assert good[:3].all()
    np.testing.assert_allclose(fits[:3], truth, atol=1e-4)
    noise = rng.random((1, 40, 50)).astype(np.float32)
    fits, good = fit_gaussians(noise, np.zeros(1, int), np.array([20]), np.array([20]), np.array([1.0]))
    assert fits.shape == (1, 4)


@pytest.mark.parametrize("kind", ["adaptive", "dekr"])
def test_a_crowd_is_found_where_most_allows_it(kind):
    rng = np.random.default_rng(0)
    middles = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 1, 2) * 64 + 32
    joints = np.concatenate([middles + rng.uniform(-20, 20, (64, 17, 2)), np.ones((64, 17, 1))], axis=2)
    view = View(joints * [0.25, 0.25, 1], np.ones((128, 128), np.float32))
    seen = Seen((view,), joints, np.full((64, 2), 40.0), np.full(64, 2000.0), 1.0, 1.0)
    codec = OffsetCodec(name="offsets", kind=kind)
    heatmaps, _, offsets, _ = codec.targets(seen)
    assert len(codec.combine({1.0: [heatmaps, offsets]}, (512, 512))[0]) == 30
    found, _ = codec.model_copy(update={"most": 100}).combine({1.0: [heatmaps, offsets]}, (512, 512))
    assert len(found) == 64
    apart = np.abs(found[:, None, :, :2] - joints[None, ..., :2]).max(axis=(2, 3)).min(axis=1)
    assert (apart < 8).mean() > 0.9
