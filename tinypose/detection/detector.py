"""Find people in a picture: `preprocess`, the network, `postprocess`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tinypose.artifact.engines import choose_model, open_engine
from tinypose.artifact.record import read_detector
from tinypose.detection.boxes import clip_boxes, decode_boxes, suppress
from tinypose.detection.config import DetectorInputConfig, DetectorSpec
from tinypose.preprocess import normalise

# float32 [1, 3, H, W] to the four raw maps of PicoDet: a paddle layer or any engine.
RunDetector = Callable[[np.ndarray], Sequence[np.ndarray]]


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
        run: the network.
        spec: what it sees, and which boxes count.
    """

    run: RunDetector
    spec: DetectorSpec

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
        artifact = read_detector(folder)
        run = open_engine(artifact, folder, choose_model(artifact, engine), threads)
        spec = artifact.detector
        if score is not None:
            spec = spec.model_copy(update={"boxes": spec.boxes.model_copy(update={"score": score})})
        return cls(run, spec)

    def __call__(self, image: np.ndarray) -> Boxes:
        """Return the people of a picture, uint8 RGB [H, W, 3]."""
        height, width = image.shape[:2]
        return self.postprocess(self.run(self.preprocess(image)), width, height)

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """Return the network's input, float32 [1, 3, H, W], of a picture uint8 RGB [H, W, 3]."""
        return squeeze(image, self.spec.input)

    def postprocess(self, outputs: Sequence[np.ndarray], width: int, height: int) -> Boxes:
        """Return the people in a picture of `width` x `height` pixels, given the network's outputs."""
        spec = self.spec
        boxes, scores = decode_boxes(
            list(outputs), spec.boxes.person, spec.model.form == "lcnet", spec.boxes.score
        )
        scale = np.array([width / spec.input.width, height / spec.input.height] * 2, np.float32)
        boxes = boxes * scale
        kept = suppress(boxes, scores, spec.boxes.nms, spec.boxes.most)
        # Cut to the picture after suppression: so were the published numbers made.
        boxes, scores = clip_boxes(boxes[kept], width, height), scores[kept]
        inside = boxes[:, 2:].min(axis=1, initial=np.inf) > 0
        return Boxes(boxes[inside], scores[inside])


def squeeze(image: np.ndarray, settings: DetectorInputConfig) -> np.ndarray:
    """Resize a picture to the detector's input, whatever its shape, and normalise it.

    Args:
        image: uint8 RGB [H, W, 3].
        settings: size, mean and std.

    Returns:
        float32 [1, 3, height, width].
    """
    # Cubic, as the published networks were measured. It aliases when shrinking; they are used to that.
    small = cv2.resize(image, (settings.width, settings.height), interpolation=cv2.INTER_CUBIC)
    return normalise(small[None], settings)
