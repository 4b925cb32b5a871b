"""HRNet (Sun et al. 2019, "Deep High-Resolution Representation Learning for Human Pose Estimation").

A full-size residual network whose branches of 1/4, 1/8, 1/16 and 1/32 of the input's size exchange
what they know after every module. Sublayers bear PaddleDetection's names, so that its checkpoints fit.
"""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn

from tinypose.models.layers import ConvNorm, resize_nearest

STD = 0.01  # of the kernels' initial values
BLOCKS = 4  # of the first stage, and of a branch in a module of the published networks
MODULES = (1, 4, 3)  # in the stages of two, three and four branches of the published networks


class HRNet(nn.Layer):
    """The network up to the feature maps of the finest branches.

    Args:
        width: channels of the finest branch; each coarser one has twice as many.
        stem: channels before the branches; 64 in the published networks.
        outputs: how many branches are read at the end, finest first, 1 to 4.
        modules: in the stages of two, three and four branches.
        blocks: residual blocks of a branch in a module, and of the first stage.
    """

    # What the paper calls the parts; a stage's number is how many branches it has.
    stages = {
        "stem": ["conv_layer1_1", "conv_layer1_2"],
        "stage1": ["la1"],
        "stage2": ["tr1", "st2"],
        "stage3": ["tr2", "st3"],
        "stage4": ["tr3", "st4"],
    }

    def __init__(
        self,
        width: int,
        stem: int = 64,
        outputs: int = 1,
        modules: Sequence[int] = MODULES,
        blocks: int = BLOCKS,
    ):
        super().__init__()
        self.channels = width if outputs == 1 else [width * 2**branch for branch in range(outputs)]
        self.conv_layer1_1 = _conv(3, stem, 3, stride=2, act="relu")
        self.conv_layer1_2 = _conv(stem, stem, 3, stride=2, act="relu")
        expanded = stem * Bottleneck.expansion
        self.la1 = nn.Sequential(
            *(
                (f"block_layer2_{i + 1}", Bottleneck(stem if i == 0 else expanded, stem))
                for i in range(blocks)
            )
        )
        before = [expanded]
        for index, count in enumerate(modules):
            channels = [width * 2**branch for branch in range(index + 2)]
            last_stage = index == len(modules) - 1
            stage = f"st{index + 2}"
            fused = [
                # Of the very last module only the branches that are read are fused.
                FusedModule(
                    f"{stage}_{i + 1}",
                    channels,
                    outputs if last_stage and i == count - 1 else len(channels),
                    blocks,
                )
                for i in range(count)
            ]
            setattr(self, f"tr{index + 1}", Transition(f"tr{index + 1}", before, channels))
            setattr(self, stage, nn.Sequential(*((f"stage_{stage}_{i + 1}", m) for i, m in enumerate(fused))))
            before = channels

    @paddle.jit.not_to_static  # no branch depends on data, so nothing to translate: traced as it stands
    def forward(self, image: paddle.Tensor) -> paddle.Tensor | list[paddle.Tensor]:
        """Turn images [N, 3, H, W] into features [N, channels, H / 4, W / 4], or a list, halving in size."""
        maps = [self.la1(self.conv_layer1_2(self.conv_layer1_1(image)))]
        maps = self.st2(self.tr1(maps))
        maps = self.st3(self.tr2(maps))
        maps = self.st4(self.tr3(maps))
        return maps[0] if len(maps) == 1 else maps


class Bottleneck(nn.Layer):
    """ResNet's bottleneck (He et al. 2016)."""

    expansion = 4

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = _conv(inputs, channels, 1, act="relu")
        self.conv2 = _conv(channels, channels, 3, act="relu")
        self.conv3 = _conv(channels, outputs, 1)
        self.conv_down = nn.Identity() if inputs == outputs else _conv(inputs, outputs, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Turn [N, inputs, H, W] into [N, 4 * channels, H, W]."""
        return F.relu(self.conv_down(x) + self.conv3(self.conv2(self.conv1(x))))


class BasicBlock(nn.Layer):
    """ResNet's basic block (He et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = _conv(channels, channels, 3, act="relu")
        self.conv2 = _conv(channels, channels, 3)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Keep the shape [N, channels, H, W]."""
        return F.relu(x + self.conv2(self.conv1(x)))


class Transition(nn.Layer):
    """Bring a stage's branches to the next stage's channels, and add one branch."""

    def __init__(self, name: str, before: list[int], after: list[int]):
        super().__init__()
        self.steps = []
        for i, outputs in enumerate(after):
            if i < len(before) and before[i] == outputs:
                self.steps.append(None)
                continue
            source = min(i, len(before) - 1)
            step = _conv(before[source], outputs, 3, stride=1 if i < len(before) else 2, act="relu")
            self.steps.append(f"transition_{name}_layer_{i + 1}")
            self.add_sublayer(self.steps[-1], step)

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Turn the branches' maps, finest first, into one more."""
        return [
            maps[i] if name is None else getattr(self, name)(maps[min(i, len(maps) - 1)])
            for i, name in enumerate(self.steps)
        ]


class FusedModule(nn.Layer):
    """Residual blocks in each branch, and then the sum of all at the first `outputs` resolutions."""

    def __init__(self, name: str, channels: list[int], outputs: int, blocks: int):
        super().__init__()
        self.name = name
        self.blocks = blocks
        self.branches = len(channels)
        self.outputs = outputs
        self.branches_func = nn.LayerDict(
            {
                f"bb_{name}_branch_layer_{i + 1}_{block + 1}": BasicBlock(width)
                for i, width in enumerate(channels)
                for block in range(blocks)
            }
        )
        fusions = {}
        for i in range(outputs):
            for j in range(len(channels)):
                prefix = f"residual_{name}_layer_{i + 1}_{j + 1}"
                if j > i:
                    fusions[prefix] = _conv(channels[j], channels[i], 1)
                for k in range(i - j):
                    last = k == i - j - 1
                    target, act = (channels[i], None) if last else (channels[j], "relu")
                    fusions[f"{prefix}_{k + 1}"] = _conv(channels[j], target, 3, stride=2, act=act)
        self.fuse_func = nn.LayerDict(fusions)

    def forward(self, maps: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Turn the branches' maps, finest first, into `outputs` of the same shapes."""
        maps = [self._branch(i, x) for i, x in enumerate(maps)]
        return [self._fuse(i, maps) for i in range(self.outputs)]

    def _branch(self, i: int, x: paddle.Tensor) -> paddle.Tensor:
        for block in range(self.blocks):
            x = self.branches_func[f"bb_{self.name}_branch_layer_{i + 1}_{block + 1}"](x)
        return x

    def _fuse(self, i: int, maps: list[paddle.Tensor]) -> paddle.Tensor:
        total = maps[i]
        for j in range(self.branches):
            prefix = f"residual_{self.name}_layer_{i + 1}_{j + 1}"
            if j > i:
                total = total + resize_nearest(self.fuse_func[prefix](maps[j]), maps[i])
            elif j < i:
                y = maps[j]
                for k in range(i - j):
                    y = self.fuse_func[f"{prefix}_{k + 1}"](y)
                total = total + y
        return F.relu(total)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, act: str | None = None) -> ConvNorm:
    return ConvNorm(inputs, outputs, kernel, stride=stride, act=act, std=STD)
