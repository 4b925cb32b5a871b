"""Find people in a picture: `preprocess`, the network, `postprocess`."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tinypose.artifact import artifact_folder
from tinypose.artifact.engines import choose_model, open_engine
from tinypose.artifact.record import read_artifact
from tinypose.codecs import BoxCodec
from tinypose.codecs.centres import letterbox
from tinypose.config import DetectorInputConfig, LetterboxConfig
from tinypose.errors import UserError
from tinypose.network import Network
from tinypose.preprocess import normalise

GREY = 128  # around a picture that keeps its ratio


@dataclass(frozen=True)
class Boxes:
    """People in one picture, best first.

    Attributes:
        boxes: float32 [K, 4], left, top, width, height in image pixels.
        scores: float32 [K], 0 to 1.
        looks: float32 [K, D], vectors that are alike for one person; None: the detector gives none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    looks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> "Boxes":
        """Return those that score more than `score`."""
        keep = self.scores > score
        return self.take(keep)

    def take(self, which: np.ndarray | list[int]) -> "Boxes":
        """Return some of them: their places, or a mask."""
        looks = None if self.looks is None else self.looks[which]
        return Boxes(self.boxes[which], self.scores[which], looks)


@dataclass(frozen=True)
class Detector:
    """A detector of people: call it with a picture, uint8 RGB [H, W, 3].

    Attributes:
        network: gives raw maps for float32 [1, 3, H, W].
        input: what it sees.
        codec: what its outputs mean, and which boxes count.
    """

    network: Network
    input: DetectorInputConfig
    codec: BoxCodec

    @classmethod
    def from_artifact(
        cls, folder: str | Path, engine: str | None = None, threads: int = 1, score: float | None = None
    ) -> "Detector":
        """Open a detector's artifact folder.

        Args:
            folder: what `lite-deploy export` made.
            engine: one of `tinypose.artifact.engines.ENGINES`; none: the fastest on this machine.
            threads: how many the engine may use.
            score: boxes that score no more are dropped; none: as the folder says.

        Raises:
            UserError: the folder is damaged, or has no model for this engine and machine.
        """
        folder = artifact_folder(folder)
        artifact = read_artifact(folder, gives="boxes")
        network = open_engine(artifact, folder, choose_model(artifact, engine), threads)
        codec = artifact.output
        if score is not None:
            codec = codec.model_copy(update={"score": score})
        return cls(network, artifact.input.config(), codec)

    def __call__(self, image: np.ndarray) -> Boxes:
        """Return the people of a picture, uint8 RGB [H, W, 3]."""
        height, width = image.shape[:2]
        return self.postprocess(self.network(self.preprocess(image)), width, height)

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """Return the network's input, float32 [1, 3, H, W], of a picture uint8 RGB [H, W, 3]."""
        return normalise(fit_whole(image, self.input)[None], self.input)

    def postprocess(self, outputs: list[np.ndarray], width: int, height: int) -> Boxes:
        """Return the people in a picture of `width` x `height` pixels, given the network's outputs."""
        if not all(np.isfinite(each).all() for each in outputs):
            raise UserError("the detector gives numbers that are not finite (NaN or infinity)")
        return Boxes(*self.codec.boxes(outputs, (self.input.width, self.input.height), (width, height)))


def fit_whole(image: np.ndarray, settings: DetectorInputConfig) -> np.ndarray:
    """Bring a whole picture to the detector's input, uint8 RGB [height, width, 3].

    Args:
        image: uint8 RGB [H, W, 3].
        settings: the size; of a `LetterboxConfig` the picture keeps its ratio.
    """
    if not isinstance(settings, LetterboxConfig):
        # Cubic, as the published networks were measured. It aliases when shrinking; they are used to that.
        return cv2.resize(image, (settings.width, settings.height), interpolation=cv2.INTER_CUBIC)
    size = (settings.width, settings.height)
    _, inner, (left, top) = letterbox(image.shape[1::-1], size)
    result = np.full((settings.height, settings.width, 3), GREY, np.uint8)
    resized = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    result[top : top + inner[1], left : left + inner[0]] = resized
    return result
