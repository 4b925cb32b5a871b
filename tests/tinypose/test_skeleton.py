"""Skeletons as data: what ships is consistent, a new one is one YAML, a bad one is named."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from pycocotools.cocoeval import Params

from tinypose.config import CONFIGS
from tinypose.errors import UserError
from tinypose.skeleton import load_skeleton

BODIES = ("coco17", "mpii16", "crowdpose14", "aic14", "halpe26")
SHIPPED = (*BODIES, "feet23", "face68", "hand21", "wholebody133")

HAND = {
    "name": "hand",
    "joints": ["wrist", "left_thumb", "right_thumb"],
    "pairs": [["left_thumb", "right_thumb"]],
    "sigmas": [0.05, 0.03, 0.03],
    "limbs": [{"joints": ["wrist", "left_thumb"], "color": [255, 0, 0]}],
    "upper_body": ["wrist"],
}


def write(folder: Path, values: object) -> Path:
    path = folder / "hand.yml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_these_and_no_others_ship():
    assert {path.stem for path in (CONFIGS / "skeletons").glob("*.yml")} == set(SHIPPED)


@pytest.mark.parametrize("name", BODIES)
def test_flip_is_an_involution_that_moves_every_sided_joint(name):
    skeleton = load_skeleton(name)
    order = skeleton.flip_order
    assert order.dtype == np.int64
    assert np.array_equal(order[order], np.arange(len(skeleton.joints)))
    for index, joint in enumerate(skeleton.joints):
        mirrored = joint
        if joint.startswith("left_"):
            mirrored = joint.replace("left_", "right_")
        elif joint.startswith("right_"):
            mirrored = joint.replace("right_", "left_")
        assert skeleton.joints[order[index]] == mirrored


@pytest.mark.parametrize("name", BODIES)
def test_shipped_skeleton_is_whole(name):
    skeleton = load_skeleton(name)
    assert skeleton.name == name
    assert len(skeleton.joints) == int("".join(c for c in name if c.isdigit()))
    assert len({frozenset(pair) for pair in skeleton.limb_indices}) == len(skeleton.limbs)
    touched = {joint for limb in skeleton.limb_indices for joint in limb}
    assert touched == set(range(len(skeleton.joints))), "a joint that no limb shows"
    lower = ("hip", "knee", "ankle", "pelvis", "toe", "heel")
    assert skeleton.upper_body == tuple(j for j in skeleton.joints if not j.endswith(lower))


@pytest.mark.parametrize("name", SHIPPED)
def test_limbs_show_every_joint_and_mirror(name):
    skeleton = load_skeleton(name)
    order, limbs = skeleton.flip_order, {frozenset(pair) for pair in skeleton.limb_indices}
    assert skeleton.name == name and np.array_equal(order[order], np.arange(len(order)))
    assert {joint for limb in limbs for joint in limb} == set(range(len(order)))
    assert {frozenset(int(order[joint]) for joint in limb) for limb in limbs} == limbs


@pytest.mark.parametrize("name", BODIES)
def test_limbs_are_symmetric_and_their_colours_tell_the_sides(name):
    skeleton = load_skeleton(name)
    order = skeleton.flip_order
    limbs = {
        frozenset(pair): limb.color for pair, limb in zip(skeleton.limb_indices, skeleton.limbs, strict=True)
    }
    for pair, color in limbs.items():
        mirrored = frozenset(int(order[joint]) for joint in pair)
        assert mirrored in limbs
        sides = {skeleton.joints[joint].split("_")[0] for joint in pair} & {"left", "right"}
        if len(sides) == 1:
            red, _, blue = color
            assert (blue > red) == (sides == {"left"})
            assert np.abs(np.subtract(color, limbs[mirrored])).max() > 100
        else:
            assert max(color) == color[1], "what is on the middle line is green"


def test_coco_sigmas_and_order_are_those_of_pycocotools():
    skeleton = load_skeleton("coco17")
    np.testing.assert_allclose(skeleton.sigmas, Params("keypoints").kpt_oks_sigmas, rtol=1e-12)
    assert skeleton.flip_order.tolist() == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco17", "coco-mini/annotations/person_keypoints_val2017.json"),
        ("crowdpose14", "crowdpose-mini/test_crowdpose.json"),
        ("aic14", "aic-mini/test_aic.json"),
    ],
)
def test_joint_order_is_that_of_the_data_set(name, file, shared):
    category = json.loads((shared / "data" / file).read_text())["categories"][0]
    assert load_skeleton(name).joints == tuple(j.lower().replace(" ", "_") for j in category["keypoints"])


def test_mpii_order_fits_real_annotations(shared):
    """MPII's JSON names no joints: limbs must be short and the head above the feet, as on real people."""
    skeleton = load_skeleton("mpii16")
    standing = 0
    for person in json.loads((shared / "data/mpii-mini/test_mpii.json").read_text()):
        joints = np.array(person["joints"])
        visible = np.array(person["joints_vis"]) > 0
        height = 200 * person["scale"]
        for i, j in skeleton.limb_indices:
            if visible[i] and visible[j]:
                assert np.linalg.norm(joints[i] - joints[j]) < 0.45 * height
        if visible.all():
            standing += 1
            rows = [
                joints[skeleton.index(name), 1] for name in ("head_top", "thorax", "pelvis", "right_ankle")
            ]
            assert rows == sorted(rows)
    assert standing > 0


def test_a_new_skeleton_is_one_yaml(tmp_path):
    skeleton = load_skeleton(write(tmp_path, HAND))
    assert skeleton.joints == ("wrist", "left_thumb", "right_thumb")
    assert skeleton.flip_order.tolist() == [0, 2, 1]
    assert skeleton.limb_indices == [(0, 1)]
    assert skeleton.upper_body_indices == [0]
    assert skeleton.head_segment is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigmas": [0.05, 0.03]}, "expected 3 sigmas, one a joint, found 2"),
        ({"sigmas": [0.05, 0.03, 0.0]}, "sigmas must be above 0"),
        ({"sigmas": [0.05, 0.03, float("nan")]}, "sigmas must be above 0"),
        ({"joints": ["wrist", "wrist", "left_thumb"]}, "a joint stands twice in `joints`"),
        ({"pairs": [["left_thumb", "left_thumb"]]}, "a joint stands twice in `pairs`"),
        ({"pairs": [["left_thumb", "nose"]]}, "not in `joints`: nose"),
        ({"limbs": [{"joints": ["wrist", "elbow"], "color": [1, 2, 3]}]}, "not in `joints`: elbow"),
        ({"upper_body": ["knee"]}, "not in `joints`: knee"),
        ({"head_segment": ["wrist", "crown"]}, "not in `joints`: crown"),
        ({"joints": []}, "joints"),
        ({"sigmas": ["wide", 0.03, 0.03]}, "sigmas.0"),
        ({"sigma": [1]}, "unknown key 'sigma'; did you mean 'sigmas'?"),
        ({"limbs": [{"joints": ["wrist", "left_thumb"], "colour": [1, 2, 3]}]}, "did you mean 'color'?"),
        ({"limbs": [{"joints": ["wrist", "left_thumb"], "color": [1, 2, 300]}]}, "limbs.0.color.2"),
        ({"limbs": [{"joints": ["wrist", "left_thumb"], "color": [-1, 2, 3]}]}, "limbs.0.color.0"),
    ],
)
def test_a_bad_skeleton_is_named_with_file_and_field(tmp_path, change, message):
    path = write(tmp_path, HAND | change)
    with pytest.raises(UserError) as caught:
        load_skeleton(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_unknown_name_lists_those_that_ship():
    with pytest.raises(
        UserError, match="no 'coco18'.*aic14, coco17, crowdpose14, face68, feet23, halpe26, hand21, mpii16"
    ):
        load_skeleton("coco18")


@pytest.mark.parametrize("text", ["- a\n- b\n", "joints: [a", "", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, text):
    path = tmp_path / "odd.yml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_skeleton(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="none.yml: no such skeleton"):
        load_skeleton(tmp_path / "none.yml")


def test_the_whole_body_is_its_parts():
    """In COCO-WholeBody's order: body, feet, face, hands; each part alone has the same sigmas."""
    whole = load_skeleton("wholebody133")
    parts = [load_skeleton(name) for name in ("feet23", "face68", "hand21", "hand21")]
    assert [sigma for part in parts for sigma in part.sigmas] == list(whole.sigmas)
    assert whole.joints[: 23 + 68] == (*parts[0].joints, *parts[1].joints)
    assert whole.joints[:17] == load_skeleton("coco17").joints
    # Mirrored, the outline of the face runs backwards, and each hand is the other.
    assert whole.flip_order[23:40].tolist() == list(range(39, 22, -1))
    assert whole.flip_order[91:112].tolist() == list(range(112, 133))
