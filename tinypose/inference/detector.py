"""Find people in a picture: `preprocess`, the network, `postprocess`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tinypose.inference.boxes import clip_boxes, decode_boxes, suppress
from tinypose.inference.detector_config import DetectorInputConfig, DetectorSpec

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
        return Boxes(clip_boxes(boxes[kept], width, height), scores[kept])


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
    gain = 1 / (255 * np.array(settings.std, np.float32))
    shift = -np.array(settings.mean, np.float32) / np.array(settings.std, np.float32)
    planes = small.transpose(2, 0, 1).astype(np.float32)
    planes *= gain[:, None, None]
    planes += shift[:, None, None]
    return planes[None]
