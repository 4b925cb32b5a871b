"""Find people in a picture: `preprocess`, the network, `postprocess`."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tinypose.artifact import artifact_folder
from tinypose.artifact.engines import choose_model, open_engine
from tinypose.artifact.record import read_artifact
from tinypose.codecs import BoxCodec
from tinypose.detection.config import DetectorInputConfig
from tinypose.errors import UserError
from tinypose.network import Network
from tinypose.preprocess import normalise


@dataclass(frozen=True)
class Boxes:
    """People in one picture, best first.

    Attributes:
        boxes: float32 [K, 4], left, top, width, height in image pixels.
        scores: float32 [K], 0 to 1.
    """

    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> "Boxes":
        """Return those that score more than `score`."""
        keep = self.scores > score
        return Boxes(self.boxes[keep], self.scores[keep])


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
            folder: what `lite-deploy export-detector` made.
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
        return squeeze(image, self.input)

    def postprocess(self, outputs: list[np.ndarray], width: int, height: int) -> Boxes:
        """Return the people in a picture of `width` x `height` pixels, given the network's outputs."""
        if not all(np.isfinite(each).all() for each in outputs):
            raise UserError("the detector gives numbers that are not finite (NaN or infinity)")
        return Boxes(*self.codec.boxes(outputs, (self.input.width, self.input.height), (width, height)))


def squeeze(image: np.ndarray, settings: DetectorInputConfig) -> np.ndarray:
    """Resize a picture to the detector's input, whatever its shape, and normalise it.

    Args:
        image: uint8 RGB [H, W, 3].
        settings: size, mean and std.

    Returns:
        float32 [1, 3, height, width].
    """
    return normalise(shrink(image, settings)[None], settings)


def shrink(image: np.ndarray, settings: DetectorInputConfig) -> np.ndarray:
    """Resize a picture to the detector's input, whatever its shape, uint8 RGB [height, width, 3]."""
    # Cubic, as the published networks were measured. It aliases when shrinking; they are used to that.
    return cv2.resize(image, (settings.width, settings.height), interpolation=cv2.INTER_CUBIC)
