"""A backbone and a head: every network that finds joints."""

import paddle
from paddle import nn


class PoseNet(nn.Layer):
    """A pose network.

    Args:
        backbone: turns images [N, 3, H, W] into one feature map, or a list of them, finest first. Its
            `channels` says how many each has, `stages` the names of its layers.
        head: turns that into an output, or a list of them.
        head_key: the name of the head in checkpoints, so that published weights fit.
    """

    def __init__(self, backbone: nn.Layer, head: nn.Layer, head_key: str):
        super().__init__()
        self.backbone = backbone
        self.head_key = head_key
        self.add_sublayer(head_key, head)

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        """Turn float32 images [N, 3, H, W] into the outputs that the config's codec decodes.

        Height and width are multiples of 32; images are RGB, normalised as the config says.
        """
        return self.outputs(self.backbone(image))

    def outputs(self, features: paddle.Tensor | list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Turn what the backbone gives into the list of outputs."""
        outputs = getattr(self, self.head_key)(features)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the names of the layers that make each stage: those of the backbone, and the head."""
        stages = {
            name: [f"backbone.{layer}" for layer in layers] for name, layers in self.backbone.stages.items()
        }
        return stages | {"head": [*stages.get("head", []), self.head_key]}
