"""A whole training run of a network so small that it can be killed often. Run as a script by the tests.

python small_training.py CONFIG OUTPUT [KEY=VALUE ...]
"""

import signal
import sys

from paddle import nn


class SmallNet(nn.Layer):
    """Two strided convolutions with batch norm: images [N, 3, H, W] -> [heatmaps [N, J, H / 4, W / 4]]."""

    def __init__(self, joints: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2D(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2D(8),
            nn.ReLU(),
            nn.Conv2D(8, 8, 3, stride=2, padding=1),
            nn.BatchNorm2D(8),
            nn.ReLU(),
            nn.Conv2D(8, joints, 3, padding=1),
        )

    def forward(self, image):
        return [self.layers(image)]


class SmallWhole(nn.Layer):
    """The same for whole pictures: images [N, 3, H, W] -> the outputs that a bottom-up codec decodes."""

    def __init__(self, joints: int, codec):
        super().__init__()
        # A picture of 32x32 has the codec's maps at 1/4, and perhaps at 1/2.
        shapes = codec.shapes(joints, (32, 32))
        self.fine = nn.Sequential(nn.Conv2D(3, 8, 3, stride=2, padding=1), nn.BatchNorm2D(8), nn.ReLU())
        self.rough = nn.Sequential(nn.Conv2D(8, 8, 3, stride=2, padding=1), nn.BatchNorm2D(8), nn.ReLU())
        self.coarse = [size == 8 for _, size, _ in shapes]
        self.heads = nn.LayerList([nn.Conv2D(8, channels, 3, padding=1) for channels, _, _ in shapes])

    def forward(self, image):
        half = self.fine(image)
        quarter = self.rough(half)
        pairs = zip(self.heads, self.coarse, strict=True)
        return [head(quarter if coarse else half) for head, coarse in pairs]


def small_net(codec, joints: int = 17) -> nn.Layer:
    """Return the small network for a codec."""
    return SmallWhole(joints, codec) if codec.gives == "people" else SmallNet(joints)


def run(config: str, output: str, overrides: list[str]) -> dict:
    """Train a `SmallNet`, going on with what is in `output`."""
    import paddle

    from tinypose.config import load_config
    from tinypose.engine.loss import PoseObjective
    from tinypose.engine.train import batch_inputs, fit

    loaded = load_config(config, overrides)
    paddle.seed(loaded.train.seed)
    net = small_net(loaded.output)
    objective = PoseObjective(net, loaded.output, loaded.train.hard_joints)
    return fit(loaded, output, net, objective, batch_inputs, resume=True, quiet=True)


def main() -> None:
    from tinypose.engine.train import Stopped

    try:
        run(sys.argv[1], sys.argv[2], sys.argv[3:])
    except Stopped as stopped:
        sys.exit(128 + stopped.signal)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
