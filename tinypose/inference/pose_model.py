"""A pose model from an artifact folder: preprocess, inference, postprocess.

    model = PoseModel("artifacts/tinypose_256x192")
    keypoints = model(image, boxes)          # float32 [P, J, 3]: x, y in image pixels, score

Nothing here imports the training code or, unless the model asks for it, Paddle.
"""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tinypose.artifact.engines import machine, open_engine
from tinypose.artifact.record import Artifact, OutputRecord, read_artifact
from tinypose.codecs import heatmap
from tinypose.config import HeatmapConfig
from tinypose.geometry import invert, transform
from tinypose.preprocess import crop_person, normalise


class PoseModel:
    """One model of an artifact folder, ready to run."""

    def __init__(self, folder: str | Path, model: str | None = None, threads: int = 1) -> None:
        """Open a model.

        Args:
            folder: what `lite-deploy export` made; every file's checksum is verified.
            model: its name; none: Paddle-Lite in FP32 for this machine.
            threads: how many the engine may use.

        Raises:
            UserError: the folder is damaged, or the model must not run here.
        """
        self.artifact = read_artifact(folder)
        self.name = model or default_model()
        self._run = open_engine(self.artifact, folder, self.name, threads)

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
            return np.zeros((0, self.artifact.output.joints, 3), np.float32)
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
        config = self.artifact.input.config()
        crops, matrices = zip(*(crop_person(image, box, config) for box in boxes), strict=True)
        return network_input(self.artifact, np.stack(crops)), list(matrices)

    def inference(self, inputs: np.ndarray) -> np.ndarray:
        """Run the network: float32 [P, 3, height, width] to heatmaps float32 [P, J, h, w]."""
        return self._run(inputs)[0]

    def postprocess(self, heatmaps: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
        """Read the joints off the heatmaps float32 [P, J, h, w]; return float32 [P, J, 3] in image pixels."""
        settings = self.artifact.input
        return read_joints(heatmaps, matrices, (settings.width, settings.height), self.artifact.output)


def read_joints(
    heatmaps: np.ndarray,
    matrices: list[np.ndarray],
    size: tuple[int, int],
    settings: OutputRecord | HeatmapConfig,
) -> np.ndarray:
    """Read joints off heatmaps.

    Args:
        heatmaps: float32 [P, J, h, w].
        matrices: float64 [2, 3] each, image to crop pixels.
        size: width and height of the crops.
        settings: how heatmaps are decoded and lie on the crop.

    Returns:
        float32 [P, J, 3]: x and y in image pixels, and the score.
    """
    keypoints = heatmap.decode(heatmaps, settings.decode, settings.blur)
    keypoints = heatmap.to_crop(keypoints, size, (heatmaps.shape[3], heatmaps.shape[2]), settings.grid)
    for points, matrix in zip(keypoints, matrices, strict=True):
        points[:, :2] = transform(invert(matrix), points[:, :2])
    return keypoints.astype(np.float32)


def network_input(artifact: Artifact, crops: np.ndarray) -> np.ndarray:
    """Return what the network reads from crops uint8 RGB [N, H, W, 3]: float32 [N, 3, H, W]."""
    if artifact.input.normalise == "model":
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    return normalise(crops, artifact.input.config())


def default_model() -> str:
    """Return the name of Paddle-Lite's FP32 model for this machine."""
    return f"{machine()}_fp32"
