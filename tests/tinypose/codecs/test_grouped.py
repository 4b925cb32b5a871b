"""Grouping by tags against HigherHRNet's and PaddleDetection's own."""

import numpy as np
import pytest

from tinypose.codecs import grouped
from tinypose.codecs.best_pixel import best_pixels
from tinypose.codecs.peaks import resize
from tinypose.codecs.tag_maps import TagMaps
from tinypose.codecs.tags import TagCodec
from tinypose.skeleton import load_skeleton

# Not `ties`: which of several equally cheap assignments is taken is the solver's choice.
CASES = ("coco_simple", "coco_flip", "crowdpose", "toomuch", "toomuch_off", "empty")


def load(shared, name):
    case = np.load(shared / "reference" / f"case_higherhrnet_group_{name}.npz")
    heatmaps = case["heatmap"][0].astype(np.float32)
    tags = np.ascontiguousarray(case["tag"][0].astype(np.float32).transpose(3, 0, 1, 2))
    return case, heatmaps, TagMaps(tags)


def grouped_people(case, heatmaps, tags):
    most = int(case["max_num_people"])
    found, width = grouped.candidates(heatmaps, tags, float(case["detection_threshold"]), most)
    return grouped.group(found, width, most, bool(case["ignore_too_much"])), found


def whole(tags, size, joints):
    """Return all pixels' tags, [J, H, W, T]."""
    y, x = np.indices(size).reshape(2, -1)
    return np.stack([tags.at(joint, x, y).T.reshape(*size, -1) for joint in joints])


@pytest.mark.parametrize("name", CASES)
def test_equals_higherhrnets_grouping(shared, name):
    case, heatmaps, tags = load(shared, name)
    people, found = grouped_people(case, heatmaps, tags)
    for joint, each in enumerate(found):
        (x, y), value = case["top_loc"][joint].T, case["top_val"][joint]
        # Of two equally high pixels either may come first.
        order = np.lexsort([x, y, -value])[: np.count_nonzero(value > case["detection_threshold"])]
        np.testing.assert_array_equal(each[:, :2], case["top_loc"][joint][order])
        np.testing.assert_array_equal(each[:, 2], value[order])
        np.testing.assert_array_equal(each[:, 3:], case["top_tag"][joint][order])
    np.testing.assert_allclose(people, case["grouped"], atol=1e-6)
    grouped.adjust(heatmaps, people)
    np.testing.assert_allclose(people, case["adjusted"], atol=1e-6)
    np.testing.assert_allclose(people[..., 2].mean(axis=1), case["score"], atol=1e-6)
    grouped.refine(heatmaps, tags, people)
    np.testing.assert_allclose(people[..., :3], case["final"][..., :3], atol=1e-6)


@pytest.mark.parametrize("name", [name for name in (*CASES, "ties") if name != "toomuch"])
def test_finds_paddledetections_people(shared, name, monkeypatch):
    """It goes through joints as they are numbered. What it fills in afterwards follows another rule."""
    monkeypatch.setattr(grouped, "JOINT_ORDER", range(17))
    case, heatmaps, tags = load(shared, name)
    expected = np.load(shared / "reference" / "case_paddledet_group.npz")
    people, _ = grouped_people(case, heatmaps, tags)
    grouped.adjust(heatmaps, people)
    assert len(people) == len(expected[f"{name}_keypoints"])
    there = people[..., 2] > 0
    np.testing.assert_allclose(people[there][:, :3], expected[f"{name}_keypoints"][there], atol=1e-6)
    if len(people):
        np.testing.assert_allclose(people[..., 2].mean(axis=1), expected[f"{name}_scores"], atol=1e-6)


def test_outputs_of_scales_and_mirror_images_become_one(shared):
    case = np.load(shared / "reference" / "case_higherhrnet_aggregate.npz")
    size = tuple(case["base_size_wh"])
    order = load_skeleton("coco17").flip_order

    def outputs(scale, kind):
        return [case[f"stage{stage}_s{scale}_{kind}"][0].astype(np.float32) for stage in (1, 2)]

    codec = TagCodec(name="tags")

    def both(scale):
        plain, mirrored = ([each[None] for each in outputs(scale, kind)] for kind in ("plain", "flip"))
        return [each[0] for each in codec.with_mirrored(plain, mirrored, order)]

    pairs = {scale: both(scale) for scale in (2.0, 1.0, 0.5)}
    heatmaps, tags = grouped.aggregate(pairs, size)
    np.testing.assert_allclose(heatmaps, case["multi_heatmap"][0], atol=1e-6)
    heatmaps, tags = grouped.aggregate({1.0: pairs[1.0]}, size)
    np.testing.assert_allclose(heatmaps, case["single_heatmap"][0], atol=1e-6)
    np.testing.assert_allclose(
        whole(tags, (size[1], size[0]), [0, 1, 5, 16]), case["tag"][0].astype(np.float32), atol=1e-5
    )


@pytest.mark.parametrize("spread", [0.1, 1, 10])
def test_filling_in_finds_the_best_pixel(spread):
    """Against the plain search of the whole map; with heights below zero there is no joint."""
    rng = np.random.default_rng(0)
    heatmaps = (rng.random((3, 70, 54)) ** 6 * [[[0.5]], [[1e-3]], [[-1]]]).astype(np.float32)
    tags = (spread * rng.normal(size=(2, 3, 70, 54))).astype(np.float32)
    people = np.zeros((4, 3, 5), np.float32)
    people[:, 0, :3] = [[2, 3, 0.5], [7, 9, 0.4], [50, 68, 0.3], [31, 1, 0.2]]
    expected = people.copy()
    for person in expected:
        x, y = person[0, :2].astype(int)
        mean = tags[:, 0, y, x]
        for joint in (1, 2):
            distance = np.sqrt(((tags[:, joint] - mean[:, None, None]) ** 2).sum(axis=0))
            best = (heatmaps[joint] - np.round(distance)).argmax()
            row, column = np.divmod(best, 54)
            if heatmaps[joint, row, column] > 0:
                person[joint, 2] = heatmaps[joint, row, column]
                person[joint, :2] = column, row
    grouped.refine(heatmaps, TagMaps(tags), people)
    np.testing.assert_allclose(people[..., 2], expected[..., 2])
    np.testing.assert_array_equal(people[..., :2].astype(int), expected[..., :2].astype(int))


def test_tags_read_where_they_are_needed_are_those_of_enlarged_maps():
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(2, 3, 9, 7)).astype(np.float32)
    whole_maps = TagMaps([resize(resize(each, (14, 18)), (28, 36)) for each in coarse])
    read = TagMaps(coarse, factor=4)
    y, x = np.indices((36, 28)).reshape(2, -1)
    heatmap = rng.random((36, 28), np.float32)
    for joint in range(3):
        np.testing.assert_allclose(read.at(joint, x, y), whole_maps.at(joint, x, y), atol=1e-6)
        for (low, high), (least, greatest) in zip(
            read.extremes(joint), whole_maps.extremes(joint), strict=True
        ):
            assert (low <= least + 1e-6).all() and (high >= greatest - 1e-6).all()
        wanted = 3 * rng.normal(size=(2, 20)).astype(np.float32)
        np.testing.assert_array_equal(
            best_pixels(heatmap, read, joint, wanted), best_pixels(heatmap, whole_maps, joint, wanted)
        )


def test_an_empty_map_has_nobody():
    keypoints, scores = grouped.decode(
        np.zeros((17, 8, 8), np.float32), TagMaps(np.zeros((1, 17, 8, 8), np.float32))
    )
    assert keypoints.shape == (0, 17, 3) and scores.shape == (0,)
