"""What the outputs of networks mean: a codec for each kind, told apart by its name.

A codec is plain numpy, and it is a section: the config's `output` and `output` of `pose.json` are the same
few values, so training, evaluation and every device read one thing. There are three kinds (`gives`):

- `joints`: the network sees one person's crop (`JointCodec`): heatmap, simcc.
- `people`: it sees the whole picture and finds everybody (`PeopleCodec`): tags, offsets.
- `boxes`: it sees the whole picture and finds boxes (`BoxCodec`): picodet, fairmot.

To add one: a file in this folder with a frozen section that has a `name: Literal[...]`, its settings, and the
methods of its protocol below; one line in `CODECS`; a loss under the same name in `tinypose.engine.loss`; a
head in `tinypose.models.heads`; tests. Importing a codec must not import OpenCV or Paddle: configs do it.

In all of them `size` is the width and height of the network's input in pixels, coordinates are input pixels
with pixel centres at whole numbers, and outputs are the list that a network gives for a batch, float32 arrays
whose first axis is the batch.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from tinypose.codecs.fairmot import FairMOTCodec
from tinypose.codecs.heatmap import HeatmapCodec
from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.picodet import PicoDetCodec
from tinypose.codecs.seen import Seen
from tinypose.codecs.simcc import SimccCodec
from tinypose.codecs.tags import TagCodec

Size = tuple[int, int]
Outputs = list[np.ndarray]
Gives = Literal["joints", "people", "boxes"]


class PoseCodec(Protocol):
    """What the codecs of pose networks have in common."""

    name: str
    gives: ClassVar[Gives]

    def shapes(self, joints: int, size: Size) -> list[tuple[int, ...]]:
        """Return the shape of each output of one image, without the batch."""

    def with_mirrored(self, outputs: Outputs, mirrored: Outputs, flip_order: np.ndarray) -> Outputs:
        """Join the outputs of images with those of the mirrored images (the flip test).

        Args:
            outputs: of the images.
            mirrored: of the mirrored images.
            flip_order: int [J] (`Skeleton.flip_order`).

        Returns:
            Outputs that are decoded like those of the images: most codecs average.
        """


class JointCodec(PoseCodec, Protocol):
    """One person's crop in, that person's joints out."""

    def targets(self, joints: np.ndarray, size: Size) -> tuple[np.ndarray, ...]:
        """Return what the outputs of one crop should be, and what the loss needs to know besides.

        Args:
            joints: float [J, 3], x, y in input pixels and v: 0 not annotated, 1 hidden, 2 visible.
            size: of the crop.

        Returns:
            float32 arrays that stack to a batch, in the order of the loss's arguments; the last is the weight
            of each joint, [J], 0 where it does not count.
        """

    def keypoints(self, outputs: Outputs, size: Size) -> np.ndarray:
        """Return float64 [N, J, 3]: x and y in input pixels, and the score, for a batch of N crops."""


class PeopleCodec(PoseCodec, Protocol):
    """A whole picture in, everybody's joints out. A network takes pictures of any size, scaled as needed."""

    rounds_at_smallest: ClassVar[bool]  # sizes are multiples of 64 at the smallest scale, not at 1

    def map_sizes(self, size: int) -> list[int]:
        """Return the sides of the maps that a square input of this side gives, coarse first."""

    def targets(self, seen: Seen) -> tuple[np.ndarray, ...]:
        """Return what the outputs of one picture should be, and what the loss needs to know besides.

        Args:
            seen: the picture's people at each of `map_sizes`.
        """

    def mirrors(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the mirror images [N, 3, H, W] that the flip test looks at.

        `with_mirrored` takes the outputs of all of them, one after another.
        """

    def combine(
        self, scales: Mapping[float, Sequence[np.ndarray]], size: Size
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find everybody in one picture.

        Args:
            scales: the outputs for the picture at each scale, 1 among them, without the batch, perhaps
                joined with the mirrored ones.
            size: width and height of the input at scale 1.

        Returns:
            Keypoints float32 [P, J, 3], x and y in input pixels and value, and scores float32 [P].
        """


class BoxCodec(Protocol):
    """A whole picture in, boxes out."""

    name: str
    gives: ClassVar[Gives]

    def boxes(self, outputs: Outputs, size: Size, picture: Size) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes of one picture that was squeezed to the input, best first.

        Args:
            outputs: of a batch of one.
            size: of the input.
            picture: width and height of the picture.

        Returns:
            float32 [K, 4], left, top, width, height in pixels of the picture, scores float32 [K], and of
            codecs that tell people apart vectors of their looks, float32 [K, D].
        """


CODECS = {
    "heatmap": HeatmapCodec,
    "tags": TagCodec,
    "offsets": OffsetCodec,
    "picodet": PicoDetCodec,
    "fairmot": FairMOTCodec,
    "simcc": SimccCodec,
}

# Any of them, told apart by `name`: a pydantic type.
Codec = Annotated[reduce(or_, CODECS.values()), Field(discriminator="name")]
