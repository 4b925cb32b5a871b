"""LiteHRNet (Yu et al. 2021, "Lite-HRNet: A Lightweight High-Resolution Network").

Branches of 1/4, 1/8, 1/16 and 1/32 of the input's size run side by side and exchange what they
know after each module. The naive variants are built of ShuffleNet's units, the lite ones replace
their pointwise convolutions by channel weights computed across all branches. PP-TinyPose is the
wider naive variant. Sublayers bear PaddleDetection's names, so that its checkpoints fit.
"""

from dataclasses import dataclass

import paddle
import paddle.nn.functional as F
from paddle import nn

from tinypose.models.layers import ConvNorm, channel_shuffle, depthwise_separable, resize_nearest

STEM = 32  # channels
BLOCKS = 2  # in a module
REDUCTION = 8  # of the channels in cross-resolution weighting


@dataclass(frozen=True)
class Variant:
    """What sets the variants apart."""

    modules: tuple[int, int, int]  # in the stages of two, three and four branches
    width: int  # channels of the finest branch; each coarser one has twice as many
    lite: bool


VARIANTS = {
    "lite_18": Variant((2, 4, 2), 40, lite=True),
    "lite_30": Variant((3, 8, 3), 40, lite=True),
    "naive": Variant((2, 4, 2), 30, lite=False),
    "wider_naive": Variant((2, 4, 2), 40, lite=False),
}


class LiteHRNet(nn.Layer):
    """The network up to the feature map of the finest branch, or of the coarsest.

    Args:
        variant: one of `VARIANTS`.
        coarsest: give the coarsest branch's map, a 32nd of the input, for heads that need no places; then
            nothing is brought back to the finest.
    """

    def __init__(self, variant: str, coarsest: bool = False):
        super().__init__()
        config = VARIANTS[variant]
        self.stem = Stem(STEM)
        before = [STEM]
        for index, modules in enumerate(config.modules):
            channels = [config.width * 2**branch for branch in range(index + 2)]
            stage = nn.Sequential(*(FusedModule(channels, config.lite) for _ in range(modules)))
            setattr(self, f"transition{index}", make_transition(before, channels))
            setattr(self, f"stage{index}", stage)
            before = channels
        self.channels = before[-1] if coarsest else config.width
        self.head_layer = None if coarsest else IterativeHead(before)

    @property
    def stages(self) -> dict[str, list[str]]:
        """Return the layers of the paper's parts; a stage's number is how many branches it has."""
        stages = {
            "stem": ["stem"],
            "stage2": ["transition0", "stage0"],
            "stage3": ["transition1", "stage1"],
            "stage4": ["transition2", "stage2"],
        }
        return stages if self.head_layer is None else stages | {"head": ["head_layer"]}

    @paddle.jit.not_to_static  # no branch depends on data, so nothing to translate: traced as it stands
    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        """Turn images [N, 3, H, W] into features [N, channels, H / 4, W / 4], or H / 32 and W / 32."""
        maps = [self.stem(image)]
        for transition, stage in (
            (self.transition0, self.stage0),
            (self.transition1, self.stage1),
            (self.transition2, self.stage2),
        ):
            # A branch that is new starts from the coarsest one there is.
            maps = stage([step(maps[min(i, len(maps) - 1)]) for i, step in enumerate(transition)])
        return maps[-1] if self.head_layer is None else self.head_layer(maps)


class Stem(nn.Layer):
    """A strided convolution and a strided shuffle unit: a quarter of the input's size."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.conv1 = ConvNorm(3, channels, 3, stride=2, act="relu")
        self.branch1 = nn.Sequential(
            ConvNorm(half, half, 3, stride=2, groups=half), ConvNorm(half, half, 1, act="relu")
        )
        self.expand_conv = ConvNorm(half, channels, 1, act="relu")
        self.depthwise_conv = ConvNorm(channels, channels, 3, stride=2, groups=channels)
        self.linear_conv = ConvNorm(channels, half, 1, act="relu")

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Turn [N, 3, H, W] into [N, channels, H / 4, W / 4]."""
        left, right = self.conv1(x).chunk(2, axis=1)
        left = self.branch1(left)
        right = self.linear_conv(self.depthwise_conv(self.expand_conv(right)))
        return channel_shuffle(paddle.concat([left, right], axis=1))


def make_transition(before: list[int], after: list[int]) -> nn.LayerList:
    """Make the layers that bring a stage's branches to the next stage's channels, and add one branch."""
    kept = [
        nn.Identity() if old == new else nn.Sequential(*depthwise_separable(old, new, 1), nn.ReLU())
        for old, new in zip(before, after[:-1], strict=True)
    ]
    added = nn.Sequential(*depthwise_separable(before[-1], after[-1], 2), nn.ReLU())
    return nn.LayerList([*kept, nn.Sequential(added)])


class FusedModule(nn.Layer):
    """Each branch on its own, or weighted by all, and then the sum of all at every resolution."""

    def __init__(self, channels: list[int], lite: bool):
        super().__init__()
        if lite:
            self.layers = nn.Sequential(*(WeightingBlock(channels) for _ in range(BLOCKS)))
        else:
            self.layers = nn.LayerList(
                [nn.Sequential(*(ShuffleUnit(width) for _ in range(BLOCKS))) for width in channels]
            )
        self.lite = lite
        self.fuse_layers = nn.LayerList(
            [
                nn.LayerList([make_fusion(channels, j, i) for j in range(len(channels))])
                for i in range(len(channels))
            ]
        )

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Turn the branches' maps, finest first, into as many of the same shapes."""
        maps = self.layers(maps) if self.lite else [self.layers[i](x) for i, x in enumerate(maps)]
        fused = []
        for i, steps in enumerate(self.fuse_layers):
            parts = [step(maps[j]) for j, step in enumerate(steps)]
            total = 2 * parts[0]  # as the published networks were trained
            for j, part in enumerate(parts[1:]):
                total = total + (resize_nearest(part, maps[i]) if j + 1 > i else part)
            if i == 0:
                # Also as they were trained: not its own map but this sum goes down to the others.
                maps = [total, *maps[1:]]
            fused.append(F.relu(total))
        return fused


def make_fusion(channels: list[int], source: int, target: int) -> nn.Layer:
    """Make the layers from one branch to another. To a finer one, resizing is left to do."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2D(channels[source], channels[target], 1, bias_attr=False),
            nn.BatchNorm2D(channels[target]),
        )
    halvings = [
        nn.Sequential(*depthwise_separable(channels[source], channels[source], 2), nn.ReLU())
        for _ in range(target - source - 1)
    ]
    last = nn.Sequential(*depthwise_separable(channels[source], channels[target], 2))
    return nn.Sequential(*halvings, last)


class ShuffleUnit(nn.Layer):
    """ShuffleNet v2's unit (Ma et al. 2018): one half passes, the other is convolved, and they mix."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            ConvNorm(half, half, 1, act="relu"),
            ConvNorm(half, half, 3, groups=half),
            ConvNorm(half, half, 1, act="relu"),
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Keep the shape [N, channels, H, W]."""
        left, right = x.chunk(2, axis=1)
        return channel_shuffle(paddle.concat([left, self.branch2(right)], axis=1))


class WeightingBlock(nn.Layer):
    """Conditional channel weighting: half of each branch is weighted across and within resolutions."""

    def __init__(self, channels: list[int]):
        super().__init__()
        halves = [width // 2 for width in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.LayerList([ConvNorm(half, half, 3, groups=half) for half in halves])
        self.spatial_weighting = nn.LayerList([SpatialWeighting(half) for half in halves])

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Keep the shapes of the branches."""
        halves = [x.chunk(2, axis=1) for x in maps]
        weighted = self.cross_resolution_weighting([right for _, right in halves])
        mixed = []
        for i, (left, _) in enumerate(halves):
            right = self.spatial_weighting[i](self.depthwise_convs[i](weighted[i]))
            mixed.append(channel_shuffle(paddle.concat([left, right], axis=1)))
        return mixed


class CrossResolutionWeighting(nn.Layer):
    """Weights for each channel of each branch, from all branches at the coarsest resolution."""

    def __init__(self, channels: list[int]):
        super().__init__()
        total = sum(channels)
        self.channels = channels
        self.conv1 = ConvNorm(total, total // REDUCTION, 1, act="relu")
        self.conv2 = ConvNorm(total // REDUCTION, total, 1, act="sigmoid")

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Keep the shapes of the branches."""
        coarsest = maps[-1].shape[2:]
        pooled = [F.adaptive_avg_pool2d(x, coarsest) for x in maps[:-1]]
        weights = self.conv2(self.conv1(paddle.concat([*pooled, maps[-1]], axis=1)))
        weights = paddle.split(weights, self.channels, axis=1)
        return [x * resize_nearest(weights[i], x) for i, x in enumerate(maps)]


class SpatialWeighting(nn.Layer):
    """Weights for each channel from its mean over the whole map (squeeze and excitation)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = ConvNorm(channels, channels // 4, 1, act="relu", norm=False)
        self.conv2 = ConvNorm(channels // 4, channels, 1, act="sigmoid", norm=False)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Keep the shape [N, channels, H, W]."""
        return x * self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1)))


class IterativeHead(nn.Layer):
    """From the coarsest branch to the finest: add what came before, enlarged, and convolve."""

    def __init__(self, channels: list[int]):
        super().__init__()
        coarsest_first = channels[::-1]
        outputs = [*coarsest_first[1:], channels[0]]
        self.projects = nn.LayerList([HeadStep(a, b) for a, b in zip(coarsest_first, outputs, strict=True)])

    def forward(self, maps: list[paddle.Tensor]) -> paddle.Tensor:
        """Turn the branches' maps into one of the finest one's shape."""
        coarsest_first = maps[::-1]
        y = self.projects[0](coarsest_first[0])
        for i, x in enumerate(coarsest_first[1:]):
            y = F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)
            y = self.projects[i + 1](x + y)
        return y


class HeadStep(nn.Layer):
    """A depthwise separable convolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.depthwise_conv = ConvNorm(inputs, inputs, 3, groups=inputs)
        self.pointwise_conv = ConvNorm(inputs, outputs, 1, act="relu")

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Turn [N, inputs, H, W] into [N, outputs, H, W]."""
        return self.pointwise_conv(self.depthwise_conv(x))
