"""A pose model from an artifact folder: preprocess, inference, postprocess.

    model = PoseModel("artifacts/tinypose_256x192")
    keypoints = model(image, boxes)          # float32 [P, J, 3]: x, y in image pixels, score

Nothing here imports the training code or, unless the model asks for it, Paddle.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tinypose.artifact.engines import machine, open_engine
from tinypose.artifact.record import Artifact, read_artifact
from tinypose.codecs import JointCodec, Outputs
from tinypose.config import InputConfig
from tinypose.geometry import to_image
from tinypose.network import Network
from tinypose.preprocess import as_read, crop_person


class CropModel:
    """A network that finds one person's joints in a crop, whatever runs it."""

    def __init__(
        self, network: Network, settings: InputConfig, codec: JointCodec, joints: int, raw: bool = False
    ) -> None:
        """Put the parts together.

        Args:
            network: what runs.
            settings: size, padding and normalisation of the crops.
            codec: what the outputs mean.
            joints: how many there are.
            raw: whether the network takes pixels, 0 to 255, and normalises them itself.
        """
        self.network, self.settings, self.codec, self.joints, self.raw = network, settings, codec, joints, raw

    def __call__(self, image: np.ndarray, boxes: ArrayLike) -> np.ndarray:
        """Find the joints of each person.

        Args:
            image: uint8 RGB [H, W, 3].
            boxes: [P, 4], left, top, width, height in image pixels.

        Returns:
            float32 [P, J, 3]: x and y in image pixels, and the score.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        if not len(boxes):
            return np.zeros((0, self.joints, 3), np.float32)
        inputs, matrices = self.preprocess(image, boxes)
        return self.postprocess(self.inference(inputs), matrices)

    def preprocess(self, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Cut the people out.

        Args:
            image: uint8 RGB [H, W, 3].
            boxes: [P, 4].

        Returns:
            What the network reads, float32 [P, 3, height, width]; float64 [2, 3] each, image to crop pixels.
        """
        crops, matrices = zip(*(crop_person(image, box, self.settings) for box in boxes), strict=True)
        return as_read(np.stack(crops), self.settings, self.raw), list(matrices)

    def inference(self, inputs: np.ndarray) -> Outputs:
        """Run the network: float32 [P, 3, height, width] to its outputs."""
        return self.network(inputs)

    def postprocess(self, outputs: Outputs, matrices: Sequence[np.ndarray]) -> np.ndarray:
        """Read the joints off the outputs; return float32 [P, J, 3] in image pixels."""
        return to_image(self.codec.keypoints(outputs, self.settings.size), matrices)


class PoseModel(CropModel):
    """One model of an artifact folder, ready to run."""

    def __init__(self, folder: str | Path, model: str | None = None, threads: int = 1) -> None:
        """Open a model.

        Args:
            folder: what `lite-deploy export` made; every file's checksum is verified.
            model: its name; none: Paddle-Lite in FP32 for this machine.
            threads: how many the engine may use.

        Raises:
            UserError: the folder is damaged or a detector's, or the model must not run here.
        """
        self.artifact = artifact = read_artifact(folder, gives="joints")
        self.name = model or default_model()
        network = open_engine(artifact, folder, self.name, threads)
        raw = artifact.input.normalise == "model"
        super().__init__(
            network, artifact.input.config(), artifact.output, len(artifact.skeleton.joints), raw
        )


def network_input(artifact: Artifact, crops: np.ndarray) -> np.ndarray:
    """Return what the network reads from crops uint8 RGB [N, H, W, 3]: float32 [N, 3, H, W]."""
    return as_read(crops, artifact.input.config(), artifact.input.normalise == "model")


def default_model() -> str:
    """Return the name of Paddle-Lite's FP32 model for this machine."""
    return f"{machine()}_fp32"
