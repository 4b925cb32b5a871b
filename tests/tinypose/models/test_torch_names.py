"""The `.pth` files of HRNet, PoseResNet and MMPose: every name has its place, and no other is taken."""

import json

import numpy as np
import paddle
import pytest

from tinypose.config import load_config
from tinypose.errors import UserError
from tinypose.models import build_model, weights
from tinypose.models.torch_names import own_names
from tinypose.models.weights import load_backbone, load_weights

JOINTS = 17


def network(name, *options):
    return build_model(load_config(name, list(options)), JOINTS)


def own_key(name, resnet=False):
    """Return where an array of a file goes."""
    (key,) = own_names({name: np.zeros(3)}, "file", resnet)
    return key


def as_torch(names):
    """Give names the statistics of PyTorch's batch norms, and the counter that each of them has."""
    named = [name.replace("_mean", "running_mean").replace("_variance", "running_var") for name in names]
    counters = [name.replace("mean", "num") for name in named if name.endswith("running_mean")]
    return named + [name.replace("running_num", "num_batches_tracked") for name in counters]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Let a `.pth` file hold arrays of these names, shaped as the network's, each of another value."""

    def write(net, names, own):
        state = net.state_dict()
        shapes = {name: state[key].shape for name, key in own.items()}
        content = {
            name: np.full(shapes.get(name, [3]), 1 + number, np.float32) for number, name in enumerate(names)
        }
        path = tmp_path / "weights.pth"
        path.write_bytes(b"PK\x03\x04")
        monkeypatch.setattr(weights, "read_torch", lambda path: content)
        return path, content

    return write


def hrnet_names(shared):
    """DEKR's backbone is HRNet with all of its last fusion; the top-down network has the first row of it."""
    content = json.loads((shared / "reference" / "dekr_w32_512.keys.json").read_text())
    first = ("conv", "bn", "layer1.", "transition1.", "transition2.", "transition3.", "stage")
    names = [
        name
        for name in content
        if name.startswith(first)
        and not name.startswith(tuple(f"stage4.2.fuse_layers.{row}." for row in (1, 2, 3)))
    ]
    return [*as_torch(names), "final_layer.weight", "final_layer.bias"]


@pytest.mark.parametrize("mmpose", [False, True])
def test_hrnet_is_filled(shared, file, mmpose):
    net = network("hrnet_w32_256x192", "model.width=4")
    names = hrnet_names(shared)
    if mmpose:
        names = [f"{'keypoint_head' if name.startswith('final') else 'backbone'}.{name}" for name in names]
    own = {name: own_key(name) for name in names if "num_batches" not in name}
    assert sorted(own.values()) == sorted(net.state_dict())
    path, content = file(net, names, own)
    assert load_weights(net, path) == []
    state = net.state_dict()
    for name, key in own.items():
        assert (state[key].numpy() == content[name].flat[0]).all(), name


def resnet_names(depth):
    """Paddle's classifiers have torchvision's names."""
    names = list(getattr(paddle.vision.models, f"resnet{depth}")().state_dict())
    head = [f"deconv_layers.{place}.weight" for place in range(9) if place % 3 < 2]
    head += [
        f"deconv_layers.{place}.{kind}" for place in (1, 4, 7) for kind in ("bias", "_mean", "_variance")
    ]
    return as_torch(names), as_torch(head), ["final_layer.weight", "final_layer.bias"]


def test_pose_resnet_is_filled_and_a_classifier_fills_its_backbone(file):
    net = network("pose_resnet_50_256x192")
    body, head, last = resnet_names(50)
    names = [name for name in body if not name.startswith("fc.")] + head + last
    own = {name: own_key(name, True) for name in names if "num_batches" not in name}
    assert sorted(own.values()) == sorted(net.state_dict())
    path, content = file(net, names, own)
    assert load_weights(net, path) == []
    assert (net.backbone.deconv_layers[1].norm.weight.numpy() == content["deconv_layers.4.weight"]).all()
    assert (
        net.backbone.layer2[0].downsample[1]._mean.numpy() == content["layer2.0.downsample.1.running_mean"]
    ).all()

    path, _ = file(net, body, {name: own[name] for name in body if name in own})
    left = load_backbone(net, path)
    assert {name.split(".")[1] for name in left if name.startswith("backbone.")} == {"deconv_layers"}
    with pytest.raises(UserError, match="'fc.weight' is no layer of PoseResNet's"):
        load_weights(net, path)
