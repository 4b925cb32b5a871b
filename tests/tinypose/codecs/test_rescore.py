"""Learning to score, against DEKR's own network, features, rows and steps."""

import json

import numpy as np
import paddle
import pytest

from tinypose.codecs.rescore import features, judge, read_rescorer, rescore
from tinypose.engine.rescore import RescoreNet, Rows, collect, step, train
from tinypose.errors import UserError
from tinypose.models.weights import write_params
from tinypose.skeleton import load_skeleton

SKELETONS = {"coco": load_skeleton("coco17"), "crowdpose": load_skeleton("crowdpose14")}


@pytest.fixture
def rescorers(shared, reference_fill):
    folder = shared / "reference"
    result = {}
    for name in SKELETONS:
        keys = json.loads((folder / f"rescore_{name}.keys.json").read_text())
        result[name] = {key: reference_fill(key, tuple(shape)).T for key, shape in keys.items()}
    return result


@pytest.mark.parametrize("name", SKELETONS)
def test_the_published_network(shared, rescorers, name, tmp_path):
    skeleton = SKELETONS[name]
    width = 3 * len(skeleton.links) + len(skeleton.joints)
    assert width == {"coco": 74, "crowdpose": 59}[name]
    x = np.random.RandomState(0).standard_normal((8, width)).astype("float32")
    expected = np.load(shared / "reference" / f"rescore_{name}.npz")["output0"]
    write_params(tmp_path / "rescorer.pdparams", rescorers[name])
    read = read_rescorer(tmp_path / "rescorer.pdparams", skeleton)
    np.testing.assert_allclose(judge(read, x), expected[:, 0], rtol=1e-4, atol=1e-5)
    net = RescoreNet(width)
    net.set_state_dict({key: paddle.to_tensor(value) for key, value in rescorers[name].items()})
    np.testing.assert_allclose(net(paddle.to_tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["coco", "coco_multi", "crowdpose"])
def test_poses_are_scored_anew(shared, rescorers, case):
    expected = np.load(shared / "reference" / f"case_dekr_decode_{case}.npz")
    name = case.removesuffix("_multi")
    found = features(expected["final"], SKELETONS[name])
    np.testing.assert_allclose(found, expected["feature"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        judge(rescorers[name], found), expected["rescore_raw"][:, 0], rtol=1e-4, atol=1e-4
    )
    scores = rescore(rescorers[name], expected["final"], expected["scores"], SKELETONS[name])
    np.testing.assert_allclose(scores, expected["rescored"], rtol=1e-3, atol=1e-5)


def test_nobody_is_scored():
    nobody = np.zeros((0, 17, 3), np.float32)
    assert features(nobody, SKELETONS["coco"]).shape == (0, 74)


def test_rows_and_first_steps(shared, rescorers):
    case = json.loads((shared / "reference" / "case_rescore_data.json").read_text())
    expected = np.load(shared / "reference" / "case_rescore_data.npz")
    rows = collect(case["gt"], case["dt"], SKELETONS["coco"])
    np.testing.assert_allclose(rows.keypoints, expected["pose"], rtol=1e-5)
    np.testing.assert_allclose(rows.likeness, expected["oks"], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(rows.targets, expected["target"], rtol=1e-5, atol=1e-12)
    inputs = features(rows.keypoints, SKELETONS["coco"])
    np.testing.assert_allclose(inputs, expected["feature"], rtol=1e-4, atol=1e-5)
    net = RescoreNet(74)
    net.set_state_dict({key: paddle.to_tensor(value) for key, value in rescorers["coco"].items()})
    optimizer = paddle.optimizer.Adam(1e-3, parameters=net.parameters())
    losses = [step(net, optimizer, inputs, rows.targets[:, None]) for _ in range(3)]
    np.testing.assert_allclose(losses, expected["adam_losses"], rtol=1e-3)


def test_training_learns_which_poses_are_good():
    """Poses whose right wrist lies far off are half as good; the same seed gives the same weights."""
    rng = np.random.default_rng(0)
    skeleton = SKELETONS["coco"]
    keypoints = np.concatenate([rng.normal(100, 30, (400, 17, 2)), rng.random((400, 17, 1))], axis=-1)
    bad = rng.random(400) < 0.5
    keypoints[bad, skeleton.index("right_wrist"), 0] += 400
    rows = Rows(keypoints.astype(np.float32), np.where(bad, 0.3, 0.8).astype(np.float32))
    rescorer, losses = train(rows, skeleton, epochs=30, batch_size=100)
    assert losses[-1] < 0.1 * losses[0]
    opinions = judge(rescorer, features(keypoints, skeleton))
    assert opinions[~bad].mean() > opinions[bad].mean() + 0.3
    again, _ = train(rows, skeleton, epochs=30, batch_size=100)
    assert all((again[key] == rescorer[key]).all() for key in rescorer)


def test_what_is_no_rescorer_is_refused(tmp_path):
    write_params(tmp_path / "other.pdparams", {"l1.weight": np.zeros((59, 256), np.float32)})
    with pytest.raises(UserError, match=r"other\.pdparams: not a rescorer for skeleton 'coco17'"):
        read_rescorer(tmp_path / "other.pdparams", SKELETONS["coco"])
    with pytest.raises(UserError, match="'mpii16': rescoring needs its `links`"):
        features(np.zeros((1, 16, 3)), load_skeleton("mpii16"))
    with pytest.raises(UserError, match="no pose in a picture"):
        truth = {"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
        collect(truth, [], SKELETONS["coco"])
