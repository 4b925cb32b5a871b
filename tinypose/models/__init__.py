"""The pose networks, by the names that configs use."""

from paddle import nn

from tinypose.config import ModelConfig
from tinypose.models.hrnet import HRNet
from tinypose.models.lite_hrnet import LiteHRNet
from tinypose.models.pose_resnet import PoseResNet
from tinypose.models.top_down import TopDownNet

BACKBONES = {"lite_hrnet": LiteHRNet, "hrnet": HRNet, "pose_resnet": PoseResNet}


def build_model(model: ModelConfig, joints: int) -> nn.Layer:
    """Build a network with fresh weights, in training mode.

    Args:
        model: the config's `model` section.
        joints: number of heatmaps.

    Returns:
        A layer whose `forward` turns float32 images [N, 3, H, W] into heatmaps [N, J, H / 4, W / 4];
        H and W are multiples of 32.
    """
    settings = model.model_dump(exclude={"name"})
    return TopDownNet(BACKBONES[model.name](**settings), joints)
