"""MPII, CrowdPose, AI Challenger and merged sets: on real samples, and against closed forms."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinypose.config import CONFIGS, DataConfig, DatasetConfig, load_config
from tinypose.data.coco import PeopleSet, Person, Picture
from tinypose.data.examples import TrainingSet, make_batch
from tinypose.data.merge import joint_map, load_set, load_training, map_people
from tinypose.data.mpii import load_mpii, mpii_box
from tinypose.data.synthetic import draw_set
from tinypose.engine.evaluate import to_results
from tinypose.engine.measure import main_metric, measure
from tinypose.errors import UserError
from tinypose.geometry import crop_matrix, transform
from tinypose.metrics.crowdpose import crowdpose_ap
from tinypose.metrics.pckh import head_sizes, pckh
from tinypose.skeleton import load_skeleton

COCO, MPII, AIC, CROWD = (load_skeleton(name) for name in ("coco17", "mpii16", "aic14", "crowdpose14"))


@pytest.fixture
def mpii(shared) -> DatasetConfig:
    folder = shared / "data" / "mpii-mini"
    return DatasetConfig(
        annotations=folder / "test_mpii.json", images=folder, format="mpii", skeleton="mpii16"
    )


@pytest.fixture
def aic(shared) -> DatasetConfig:
    folder = shared / "data" / "aic-mini"
    return DatasetConfig(annotations=folder / "test_aic.json", images=folder, skeleton="aic14")


@pytest.fixture
def crowdpose(shared) -> DatasetConfig:
    folder = shared / "data" / "crowdpose-mini"
    return DatasetConfig(
        annotations=folder / "test_crowdpose.json", images=folder, format="crowdpose", skeleton="crowdpose14"
    )


@pytest.fixture
def coco(shared) -> DatasetConfig:
    folder = shared / "data" / "coco-mini"
    annotations = folder / "annotations" / "person_keypoints_train2017.json"
    return DatasetConfig(annotations=annotations, images=folder / "train2017")


def test_real_mpii_people_are_in_their_crops(mpii):
    people = load_set(mpii, MPII)
    assert len(people.people) == 5 and len(people.pictures) == 5
    inside = []
    for person in people.people:
        image = person.read()
        seen = person.joints[person.joints[:, 2] > 0, :2]
        assert (seen >= 0).all() and (seen <= np.array(image.shape[1::-1])).all()
        crop = transform(crop_matrix(person.box, (256, 256), 1.25), seen)
        inside.append(((crop >= 0) & (crop <= 255)).all(axis=1).mean())
    assert np.mean(inside) > 0.95


def test_mpii_counts_from_one(mpii, tmp_path):
    entry = json.loads(mpii.annotations.read_text())[0]
    person = load_set(mpii, MPII).people[0]
    np.testing.assert_allclose(person.joints[0, :2], np.array(entry["joints"][0]) - 1, rtol=1e-6)
    side = 200 * entry["scale"]
    np.testing.assert_allclose(person.box[2:], side)
    center = person.box[:2] + person.box[2:] / 2
    np.testing.assert_allclose(center, np.array(entry["center"]) - 1 + [0, 15 * entry["scale"]])


def test_real_aic_people_become_coco_people(aic):
    own, mapped = load_set(aic.model_copy(update={"skeleton": None}), AIC), load_set(aic, COCO)
    assert len(mapped.people) == len(own.people) == 9
    faces = [COCO.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    for before, after in zip(own.people, mapped.people, strict=True):
        assert after.joints.shape == (17, 3) and not after.joints[faces].any()
        for name in ("right_shoulder", "left_wrist", "left_ankle"):
            np.testing.assert_array_equal(after.joints[COCO.index(name)], before.joints[AIC.index(name)])
        np.testing.assert_array_equal(after.box, before.box)


def test_real_crowdpose_people_and_pictures(crowdpose):
    people = load_set(crowdpose, CROWD)
    assert len(people.people) == 4 and people.skipped == {"without keypoints": 1}
    assert all(
        person.area == pytest.approx(0.53 * person.box[2:].prod(), rel=0.02) for person in people.people
    )


def test_sets_are_merged_and_missing_joints_masked(coco, aic, mpii, crowdpose):
    data = DataConfig(
        sets={"coco": coco, "aic": aic, "mpii": mpii, "crowd": crowdpose},
        datasets=("coco", "aic", "mpii", "crowd"),
    )
    people, lines = load_training(data, COCO)
    alone = load_set(coco, COCO).people
    assert len(people) == len(alone) + 9 + 5 + 4 and len(lines) == 4
    config = load_config(CONFIGS / "tinypose_128x96.yml")
    merged = TrainingSet(people, COCO, config.input, config.output, config.augment, 0, 8)
    numbers = np.arange(len(alone), len(people))
    batch = make_batch(merged, 0, numbers)
    assert not batch.targets[1][:, :5].any() and not batch.targets[0][:, :5].any()  # nobody has a face
    assert batch.targets[1][:, 5:].mean() > 0.6


def test_a_config_names_its_sets(tmp_path):
    path = tmp_path / "merged.yml"
    path.write_text(
        f"inherits: {CONFIGS / 'tinypose_128x96.yml'}\n"
        "data:\n  datasets: [coco, aic]\n  sets:\n"
        "    coco: {annotations: c.json, images: c}\n"
        "    aic: {annotations: a.json, images: a, skeleton: aic14}\n"
    )
    assert load_config(path).data.datasets == ("coco", "aic")
    with pytest.raises(UserError, match=r"not in `sets`: posetrack; known: .*coco.*aic"):
        load_config(path, ["data.datasets=[coco, posetrack]"])


def test_a_skeleton_of_ones_own_is_one_file(tmp_path):
    (tmp_path / "arm.yml").write_text(
        "name: arm\njoints: [left_wrist, tool, right_wrist]\npairs: [[left_wrist, right_wrist]]\n"
        "sigmas: [0.06, 0.1, 0.06]\n"
    )
    draw_set(tmp_path / "set", 3, seed=1, size=(96, 96))
    dataset = DatasetConfig(
        annotations=tmp_path / "set" / "annotations.json",
        images=tmp_path / "set" / "images",
        skeleton="coco17",
    )
    arm = load_skeleton(tmp_path / "arm.yml")
    people = load_set(dataset, arm)
    original = load_set(dataset, COCO)
    wrists = {tuple(p.joints[COCO.index("left_wrist")]) for p in original.people}
    assert people.people and {tuple(p.joints[0]) for p in people.people} <= wrists
    assert not any(person.joints[1].any() for person in people.people)


def small_set(skeleton, joints: np.ndarray) -> PeopleSet:
    people = [
        Person(1, number, Path("x.jpg"), (100, 100), np.array([0.0, 0, 50, 50]), each, 1.0)
        for number, each in enumerate(joints.astype(np.float32))
    ]
    return PeopleSet(Path("set.json"), people, {1: Picture(1, Path("x.jpg"), (100, 100))})


def test_people_without_a_common_joint_are_counted():
    joints = np.zeros((2, 14, 3))
    joints[0, AIC.index("neck")] = [1, 2, 2]
    joints[1, AIC.index("left_knee")] = [3, 4, 2]
    mapped = map_people(small_set(AIC, joints), AIC, COCO)
    assert [person.annotation_id for person in mapped.people] == [1]
    assert mapped.skipped == {"without a joint of coco17": 1}
    with pytest.raises(UserError, match="no joint in common"):
        other = COCO.model_copy(update={"joints": ("a", "b"), "name": "other"})
        map_people(small_set(AIC, joints), AIC, other)
    assert joint_map(AIC.joints, CROWD.joints) and (13, 13) in joint_map(AIC.joints, CROWD.joints)  # the neck


def test_pckh_counts_joints_within_the_threshold():
    names = ("left_knee", "pelvis", "right_knee")
    joints = np.zeros((2, 3, 3))
    joints[..., 2] = [[1, 1, 1], [1, 0, 0]]
    found = np.zeros((2, 3, 2))
    found[0, :, 0] = [5.0, 100.0, 0.9]  # heads are 10 and 20 pixels: 0.5, 10 and 0.09 heads
    found[1, :, 0] = [10.1, 0, 0]  # 0.505 heads
    result = pckh(found, joints, np.array([10.0, 20.0]), names)
    assert result["PCKh"] == pytest.approx(100 * 2 / 3)  # the pelvis is left out of the mean
    assert result["PCKh@0.1"] == pytest.approx(100 / 3)
    assert result["PCKh left_knee"] == 50 and result["PCKh right_knee"] == 100 and result["PCKh pelvis"] == 0
    assert result["PCKh@0.1 right_knee"] == 100
    unknown = pckh(found, joints, np.array([0.0, 0.0]), names)
    assert unknown["PCKh"] is None


def test_head_sizes_come_from_boxes_or_the_head_segment(mpii, tmp_path):
    people = load_set(mpii, MPII)
    entry = json.loads(mpii.annotations.read_text())[0]
    neck, top = np.array(entry["joints"])[[8, 9]]
    assert head_sizes(people, MPII)[0] == pytest.approx(np.linalg.norm(top - neck), rel=1e-5)
    entries = json.loads(mpii.annotations.read_text())
    for each in entries:
        each["head_box"] = [10, 20, 30, 40]
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    boxed = load_mpii(tmp_path / "boxes.json", mpii.images, MPII)
    np.testing.assert_allclose(head_sizes(boxed, MPII), 0.6 * 50)


def perfect(config, people, skeleton):
    """A network that answers with the truth: heatmaps drawn from the annotated joints."""
    from tinypose.codecs import heatmap

    size = (config.input.width, config.input.height)
    order = sorted(range(len(people.people)), key=lambda number: str(people.people[number].path))
    queue = list(order)

    def run(images):
        maps = []
        for _ in range(len(images)):
            person = people.people[queue.pop(0)]
            joints = transform(crop_matrix(person.box, size, config.input.padding), person.joints[:, :2])
            small = (size[0] // 4, size[1] // 4)
            settings = config.output
            maps.append(
                heatmap.encode(
                    joints, np.ones(len(joints)), size, small, settings.sigma, "unbiased", settings.grid
                )[0]
            )
        return [np.stack(maps)]

    return run


@pytest.mark.parametrize("name", ["mpii", "crowdpose"])
def test_the_truth_gets_full_marks_by_each_sets_own_metric(name, request):
    dataset = request.getfixturevalue(name)
    config = load_config(
        CONFIGS / "tinypose_256x192.yml",
        [f"skeleton={dataset.skeleton}", "eval.flip=false", "input.height=256", "input.width=256"],
    )
    config = config.model_copy(update={"data": DataConfig(val=dataset)})
    skeleton = load_skeleton(dataset.skeleton)
    people = load_set(dataset, skeleton)
    metrics, results = measure(perfect(config, people, skeleton), people, config, skeleton, progress="")
    assert len(results) == len(people.people)
    assert metrics[main_metric(config)] > 95
    if name == "mpii":
        assert metrics["PCKh@0.1"] > 90 and metrics["PCKh left_wrist"] > 90
    else:
        assert metrics["AP medium"] == metrics["AP"]  # both pictures are of medium crowding
        assert metrics["AP easy"] is None and metrics["AP hard"] is None


def test_crowding_levels_split_the_pictures(crowdpose, tmp_path):
    content = json.loads(crowdpose.annotations.read_text())
    content["images"][0]["crowdIndex"], content["images"][1]["crowdIndex"] = 0.0, 0.95
    (tmp_path / "levels.json").write_text(json.dumps(content))
    moved = crowdpose.model_copy(update={"annotations": tmp_path / "levels.json"})
    people = load_set(moved, CROWD)
    config = load_config(CONFIGS / "tinypose_256x192.yml")
    truth = np.stack([person.joints for person in people.people])
    truth[..., 2] = 1
    easy = content["images"][0]["id"]
    truth[[p.image_id != easy for p in people.people], :, :2] += 1000  # all wrong in the hard picture
    metrics = crowdpose_ap(people, to_results(people.people, truth, config, CROWD), CROWD)
    assert metrics["AP easy"] == pytest.approx(100) and metrics["AP hard"] == 0
    assert metrics["AP medium"] is None and 0 < metrics["AP"] < 100
    del content["images"][0]["crowdIndex"]
    (tmp_path / "levels.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"image {easy}: crowdIndex: expected a number"):
        crowdpose_ap(load_set(moved, CROWD), [], CROWD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.pop("scale"), r"\[1\]: expected a person with the key 'scale'"),
        (lambda e: e.update(scale=0), "scale: expected a number above 0"),
        (lambda e: e.update(center=[1]), "center: expected 2 finite number"),
        (lambda e: e.update(joints=e["joints"][:3]), "joints: expected 16 positions"),
        (lambda e: e.update(joints="x"), "expected numbers"),
        (lambda e: e.update(image="nobody.jpg"), "nobody.jpg: no such picture"),
    ],
)
def test_bad_mpii_is_named(mpii, tmp_path, change, message):
    entries = json.loads(mpii.annotations.read_text())
    change(entries[1])
    (tmp_path / "bad.json").write_text(json.dumps(entries))
    with pytest.raises(UserError, match=message):
        load_mpii(tmp_path / "bad.json", mpii.images, MPII)


def test_the_mpii_box_needs_no_picture():
    np.testing.assert_allclose(mpii_box(np.array([101, 51]), 1.0), [0, -35, 200, 200])
    assert replace(small_set(MPII, np.ones((1, 16, 3))).people[0], score=0.5).score == 0.5
