"""The pose networks, by the names that configs use."""

from tinypose.config import Config
from tinypose.errors import UserError
from tinypose.models.cspnext import CSPNeXt
from tinypose.models.heads import HEADS
from tinypose.models.hrnet import HRNet
from tinypose.models.lite_hrnet import LiteHRNet
from tinypose.models.pose_net import PoseNet
from tinypose.models.pose_resnet import PoseResNet

BACKBONES = {"lite_hrnet": LiteHRNet, "hrnet": HRNet, "pose_resnet": PoseResNet, "cspnext": CSPNeXt}


def build_model(config: Config, joints: int) -> PoseNet:
    """Build a network with fresh weights, in training mode.

    Args:
        config: sections `model`, `output` and `input`.
        joints: of the skeleton.

    Raises:
        UserError: no head gives such outputs, or it needs more resolutions than this backbone gives.
    """
    if config.output.name not in HEADS:
        raise UserError(
            f"output.name: no head gives '{config.output.name}'; expected one of: {', '.join(HEADS)}"
        )
    head = HEADS[config.output.name]
    settings = config.model.model_dump(exclude={"name"})
    if head.branches > 1:
        if config.model.name != "hrnet":
            raise UserError(
                f"model: output '{config.output.name}' needs an 'hrnet', found '{config.model.name}'"
            )
        settings["outputs"] = head.branches
    if config.output.name == "simcc":
        if config.model.name not in ("cspnext", "lite_hrnet"):
            raise UserError(
                f"model: output 'simcc' reads a map of a 32nd of the input, which '{config.model.name}' does "
                "not give; expected 'cspnext' or 'lite_hrnet'"
            )
        if config.model.name == "lite_hrnet":
            settings["coarsest"] = True
    backbone = BACKBONES[config.model.name](**settings)
    layer = head.build(backbone.channels, joints, config.output, config.input.size)
    return PoseNet(backbone, layer, head.key)
