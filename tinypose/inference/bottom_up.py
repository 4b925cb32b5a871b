"""People in pictures by one look at the whole: a network that finds all joints of everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinypose.artifact.engines import choose_model, open_engine
from tinypose.artifact.record import read_artifact
from tinypose.codecs import PeopleCodec
from tinypose.codecs.rescore import Rescorer
from tinypose.config import InputConfig
from tinypose.crowds import find_people
from tinypose.inference.estimator import PoseEstimator
from tinypose.inference.people import JOINT_SCORE, NOBODY, People
from tinypose.network import Network
from tinypose.skeleton import Skeleton


@dataclass(frozen=True)
class BottomUp(PoseEstimator):
    """One network finds everybody: it needs no detector, and no more time for more people.

        estimate = BottomUp.from_artifact("artifacts/higherhrnet_w32_512")
        people = estimate(image)  # uint8 RGB [H, W, 3]

    Attributes:
        network: what finds people.
        settings: size and normalisation of what it sees.
        codec: what its outputs mean.
        skeleton: names the joints.
        score: people who score no more are left out.
        flip: look at the mirrored picture too: twice the time.
        scales: look at the picture at each of these sizes.
        fixed: the network takes pictures of one size.
        raw: the network takes pixels, 0 to 255, and normalises them itself.
        rescorer: judges the poses.
    """

    network: Network
    settings: InputConfig
    codec: PeopleCodec
    skeleton: Skeleton
    score: float = 0.15
    flip: bool = False
    scales: Sequence[float] = (1.0,)
    fixed: bool = False
    raw: bool = False
    rescorer: Rescorer | None = None

    @classmethod
    def from_artifact(
        cls, folder: str | Path, engine: str | None = None, threads: int = 1, score: float = 0.15
    ) -> "BottomUp":
        """Open an artifact folder; nothing else is needed, neither configs nor the training code.

        Args:
            folder: what `lite-deploy export` made.
            engine: `paddle-lite`, `onnxruntime` or `paddle-inference`; none: the fastest here.
            threads: how many the engine may use; Paddle-Lite's Python package has one.
            score: people who score no more are left out.

        Raises:
            UserError: the folder is damaged, of another kind of network, or has no model for this machine.
        """
        artifact = read_artifact(folder, gives="people")
        network = open_engine(artifact, folder, choose_model(artifact, engine), threads)
        return cls(
            network=network,
            settings=artifact.input.config(),
            codec=artifact.output,
            skeleton=artifact.skeleton,
            score=score,
            fixed=True,
            raw=artifact.input.normalise == "model",
        )

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> People:
        """Find the people of a picture uint8 RGB [H, W, 3]; boxes cannot be given."""
        if boxes is not None:
            raise ValueError("boxes: this network looks at the whole picture")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"expected a picture uint8 [H, W, 3], found {image.dtype} {list(image.shape)}")
        keypoints, scores = find_people(
            self.network,
            image,
            self.settings,
            self.codec,
            self.skeleton,
            flip=self.flip,
            scales=self.scales,
            fixed=self.fixed,
            raw=self.raw,
            rescorer=self.rescorer,
        )
        kept = scores > self.score
        keypoints, scores = keypoints[kept].astype(np.float32), scores[kept].clip(0, 1).astype(np.float32)
        boxes = extents(keypoints)
        return People(boxes, keypoints, scores.copy(), scores, np.full(len(scores), NOBODY), self.skeleton)


def extents(keypoints: np.ndarray) -> np.ndarray:
    """Return the boxes around people's sure joints, or all where there are not two: float32 [P, 4]."""
    sure = keypoints[..., 2] > JOINT_SCORE
    sure |= (sure.sum(axis=1) < 2)[:, None]
    points = keypoints[..., :2]
    low = np.where(sure[..., None], points, np.inf).min(axis=1) if len(points) else np.zeros((0, 2))
    high = np.where(sure[..., None], points, -np.inf).max(axis=1) if len(points) else np.zeros((0, 2))
    return np.concatenate([low, high - low], axis=1).astype(np.float32)
