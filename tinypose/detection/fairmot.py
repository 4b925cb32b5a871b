"""FairMOT: one network that finds people and gives each a vector of its looks.

Zhang et al., "FairMOT: On the Fairness of Detection and Re-Identification in Multiple Object Tracking", IJCV
2021. Layers have the names of PaddleDetection's, so that its weights load.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import Constant

from tinypose.detection.dla import DLA34, WIDTH, DLANeck

HEATMAP_START = -2.19  # bias of the centres' logits: a tenth of the pixels at first
LOOKS = 128  # numbers in the vector of someone's looks
HIDDEN = 4  # channels within the heads, times those of the feature map


class _BiasedConv(nn.Layer):
    """A convolution with bias, under the name that published weights give it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: float = 0.0):
        super().__init__()
        start = paddle.ParamAttr(initializer=Constant(bias))
        self.conv = nn.Conv2D(inputs, outputs, kernel, padding=kernel // 2, bias_attr=start)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv(x)


def _branch(channels: int, hidden: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    return nn.Sequential(_BiasedConv(channels, hidden, 3), nn.ReLU(), _BiasedConv(hidden, outputs, 1, bias))


class CenterHead(nn.Layer):
    """Where middles are, how far boxes reach, and what rounding the middle took away."""

    def __init__(self, channels: int, hidden: int = 256):
        super().__init__()
        self.heatmap = _branch(channels, hidden, 1, HEATMAP_START)
        self.size = _branch(channels, hidden, 4)
        self.offset = _branch(channels, hidden, 2)

    def forward(self, features: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """Return logits [N, 1, h, w], left to bottom [N, 4, h, w] in map pixels, x and y [N, 2, h, w]."""
        return self.heatmap(features), self.size(features), self.offset(features)


class LooksHead(nn.Layer):
    """A vector of length 1 at each pixel, alike for one person and unlike for others.

    Args:
        channels: of the features.
        identities: people in the training set, among whom the classifier tells.
        hidden: channels between.
        looks: numbers in a vector.
    """

    def __init__(self, channels: int, identities: int, hidden: int = 256, looks: int = LOOKS):
        super().__init__()
        self.reid = _branch(channels, hidden, looks)
        self.classifier = nn.Linear(looks, identities)

    def forward(self, features: paddle.Tensor) -> paddle.Tensor:
        """Return float32 [N, looks, h, w], of length 1 along the channels."""
        return F.normalize(self.reid(features), axis=1)


class LossWeights(nn.Layer):
    """How much finding and telling apart count, learned (Kendall et al., CVPR 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.det_weight = self.create_parameter([1], default_initializer=Constant(-1.85))
        self.reid_weight = self.create_parameter([1], default_initializer=Constant(-1.05))


class _Detector(nn.Layer):
    def __init__(self, width: int, deformable: bool):
        super().__init__()
        self.backbone, self.neck = DLA34(width), DLANeck(width, deformable)
        self.head = CenterHead(width, HIDDEN * width)

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        return self.neck(self.backbone(image))


class FairMOT(nn.Layer):
    """The network.

    Args:
        identities: people in the training set.
        width: channels of the feature map; of all others in proportion.
        looks: numbers in the vector of someone's looks.
        deformable: of the neck's convolutions.
    """

    def __init__(self, identities: int, width: int = WIDTH, looks: int = LOOKS, deformable: bool = True):
        super().__init__()
        self.detector = _Detector(width, deformable)
        self.reid = LooksHead(width, identities, HIDDEN * width, looks)
        self.loss = LossWeights()

    def forward(
        self, image: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """Turn float32 [N, 3, H, W] (RGB, 0 to 1) into logits of middles, sizes, offsets and looks at 1/4.

        H and W are multiples of 32; see `CenterHead` and `LooksHead` for the shapes.
        """
        features = self.detector(image)
        return (*self.detector.head(features), self.reid(features))


class FairMOTMaps(nn.Layer):
    """What of a trained network devices run: without classifier and losses, looks not brought to length 1.

    The last is left to the codec, which does it for the people and not for every pixel.
    """

    def __init__(self, net: FairMOT):
        super().__init__()
        self.detector, self.reid = net.detector, net.reid.reid

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the names of the layers that make each stage."""
        backbone = {"stem": ["base_layer", "level0", "level1"]} | {
            f"level{number}": [f"level{number}"] for number in range(2, 6)
        }
        stages = {name: [f"detector.backbone.{each}" for each in layers] for name, layers in backbone.items()}
        return stages | {"neck": ["detector.neck"], "head": ["detector.head"], "looks": ["reid"]}

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        """Return the list that `tinypose.codecs.fairmot` decodes."""
        features = self.detector(image)
        return [*self.detector.head(features), self.reid(features)]
