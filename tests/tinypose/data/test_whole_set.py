"""Whole pictures as training batches."""

import dataclasses
import json

import numpy as np
import pytest

from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.tags import TagCodec
from tinypose.config import DatasetConfig, InputConfig, WholeConfig
from tinypose.data.merge import load_set
from tinypose.data.synthetic import draw_set
from tinypose.data.whole import WholeSet, drawn_shape, gather_pictures, make_whole_batch
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")
CODECS = {
    "tags": TagCodec(name="tags"),
    "swahr": TagCodec(name="tags", scale_aware=True),
    "adaptive": OffsetCodec(name="offsets", kind="adaptive"),
    "higher": OffsetCodec(name="offsets", kind="adaptive", higher=True),
    "dekr": OffsetCodec(name="offsets", kind="dekr"),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "set"
    draw_set(folder, 6, 3, (200, 160), (2, 4))
    return DatasetConfig(annotations=folder / "annotations.json", images=folder / "images")


def whole_set(dataset, codec, vary=None):
    pictures = gather_pictures(load_set(dataset, COCO), dataset)
    return WholeSet(pictures, COCO, InputConfig(width=128, height=128), codec, vary, 5, 3)


@pytest.mark.parametrize("name", CODECS)
def test_batches_are_the_same_for_the_same_place_and_vary_between_epochs(drawn, name):
    pictures = whole_set(drawn, CODECS[name], WholeConfig())
    numbers = np.array([0, 2, 1])
    first = make_whole_batch(pictures, 0, numbers)
    again = make_whole_batch(pictures, 0, numbers[:1])
    later = make_whole_batch(pictures, 1, numbers)
    assert first.images.shape == (3, 3, 128, 128)
    np.testing.assert_array_equal(first.images[:1], again.images)
    for one, other in zip(first.targets, again.targets, strict=True):
        np.testing.assert_array_equal(one[:1], other)
    assert np.abs(first.images - later.images).max() > 1
    shapes = [list(each.shape[1:]) for each in first.targets]
    expected = {
        "tags": [[17, 32, 32], [1, 32, 32], [17, 64, 64], [1, 64, 64], [30, 17, 2]],
        "adaptive": [[18, 32, 32], [1, 32, 32], [34, 32, 32], [34, 32, 32]],
        "dekr": [[18, 32, 32], [18, 32, 32], [34, 32, 32], [34, 32, 32]],
    }
    expected["swahr"] = expected["tags"]
    expected["higher"] = [*expected["adaptive"], [17, 64, 64], [1, 64, 64]]
    assert shapes == expected[name]


def perfect(codec, targets):
    """Return the outputs of a network that gives the targets, one picture."""
    if codec.name == "tags":
        coarse, _, fine, _, places = targets
        tags = np.zeros(coarse.shape, np.float32)
        size = coarse.shape[-1]
        for person, each in enumerate(places):
            for place in each[each[:, 1] > 0, 0]:
                joint, rest = divmod(int(place), size * size)
                y, x = divmod(rest, size)
                tags[joint, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 5 * person
        return [np.concatenate([coarse, tags]), fine]
    heatmaps, _, offsets, _, *fine = targets
    return [heatmaps, offsets] if not codec.higher else [heatmaps, heatmaps, heatmaps, fine[0], offsets]


@pytest.mark.parametrize("name", CODECS)
def test_perfect_outputs_give_the_people_back(name, tmp_path):
    """A round trip: annotations, targets, decoding. One picture with people far apart."""
    rng = np.random.default_rng(0)
    annotations = []
    for number, (x, y) in enumerate([(100, 120), (300, 110), (200, 290)]):
        joints = np.column_stack([rng.normal((x, y), 30, (17, 2)).clip(10, 390), np.full(17, 2)])
        box = [x - 60, y - 60, 120, 120]
        keypoints = joints.ravel().tolist()
        person = {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": 8000.0}
        annotations.append({**person, "keypoints": keypoints, "num_keypoints": 17, "iscrowd": 0})
    images = [{"id": 1, "file_name": "1.png", "width": 400, "height": 400}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    import cv2

    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((400, 400, 3), np.uint8))
    dataset = DatasetConfig(annotations=tmp_path / "a.json", images=tmp_path)
    codec = CODECS[name]
    pictures = dataclasses.replace(whole_set(dataset, codec), settings=InputConfig(width=512, height=512))
    batch = make_whole_batch(pictures, 0, np.array([0]))
    outputs = perfect(codec, [each[0] for each in batch.targets])
    keypoints, scores = codec.combine({1.0: outputs}, (512, 512))
    assert len(keypoints) == 3 and (scores > 0.5).all()
    truth = np.array([person.joints[:, :2] for person in pictures.people[0].people]) * 512 / 400
    far = np.abs(keypoints[:, None, :, :2] - truth[None]).max(axis=(2, 3))
    # HigherHRNet's targets are cut to whole pixels of maps of a quarter and a half of the size.
    assert (np.sort(far, axis=1)[:, 0] < (6 if codec.name == "tags" else 8)).all()
    assert sorted(far.argmin(axis=1)) == [0, 1, 2]


def test_crowds_and_people_without_joints_are_masked(drawn, tmp_path):
    content = json.loads(drawn.annotations.read_text())
    image = content["images"][0]["id"]
    polygon = [[10.0, 10.0, 60.0, 10.0, 60.0, 50.0, 10.0, 50.0]]
    base = {"image_id": image, "category_id": 1, "bbox": [10, 10, 50, 40], "keypoints": [0] * 51}
    content["annotations"].append({**base, "id": 9001, "iscrowd": 0, "segmentation": polygon})
    box = {**base, "id": 9002, "iscrowd": 1, "bbox": [100, 20, 30, 30], "num_keypoints": 0}
    content["annotations"].append(box)
    (tmp_path / "masked.json").write_text(json.dumps(content))
    dataset = drawn.model_copy(update={"annotations": tmp_path / "masked.json"})
    pictures = whole_set(dataset, CODECS["tags"])
    mask = next(each for each in pictures.people if each.image_id == image).mask()
    assert mask.shape == (160, 200)
    assert not mask[12:48, 12:58].any() and not mask[20:50, 100:130].any() and mask[100:].all()
    crowd = gather_pictures(load_set(dataset, COCO), dataset.model_copy(update={"format": "crowdpose"}))
    assert all(each.mask().all() for each in crowd)
    content["annotations"][-1]["bbox"], content["annotations"][-2]["segmentation"] = [1, 2, 3, 4], [[1]]
    (tmp_path / "masked.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"\(id 9001\): segmentation, bbox: expected"):
        gather_pictures(load_set(dataset, COCO), dataset)


def test_segmentations_as_runs():
    runs = {"size": [4, 5], "counts": [5, 3, 12]}
    drawn = drawn_shape(runs, 5, 4)
    assert drawn.sum() == 3 and drawn[1:4, 1].all()
