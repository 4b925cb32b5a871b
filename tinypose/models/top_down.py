"""A backbone and the convolution that makes heatmaps of its features."""

import paddle
from paddle import nn
from paddle.nn.initializer import Normal


class TopDownNet(nn.Layer):
    """A pose network for one person a crop.

    Args:
        backbone: turns images into [N, backbone.channels, H / 4, W / 4].
        joints: number of heatmaps.
    """

    def __init__(self, backbone: nn.Layer, joints: int):
        super().__init__()
        self.backbone = backbone
        weights = paddle.ParamAttr(initializer=Normal(std=0.001))
        self.final_conv = nn.Conv2D(backbone.channels, joints, 1, weight_attr=weights)

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        """Turn float32 images [N, 3, H, W] into heatmaps [N, J, H / 4, W / 4].

        Height and width are multiples of 32; images are RGB, normalised as the config says.
        """
        return self.final_conv(self.backbone(image))

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the names of the layers that make each stage: stem, stage2 to stage4, head."""
        stages = {
            name: [f"backbone.{layer}" for layer in layers] for name, layers in self.backbone.stages.items()
        }
        return stages | {"head": [*stages.get("head", []), "final_conv"]}
