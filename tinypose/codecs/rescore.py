"""A score that is learnt from how a pose looks: the rescoring network, and what it sees.

"Bottom-Up Human Pose Estimation by Ranking Heatmap-Guided Adaptive Keypoint Estimates" (Sun et al. 2020);
DEKR's is the same. It is small enough to be computed with numpy.
"""

from pathlib import Path

import numpy as np

from tinypose.errors import UserError
from tinypose.pdparams import read_params
from tinypose.skeleton import Skeleton

HIDDEN = 256
LAYERS = ("l1", "l2", "l3")

Rescorer = dict[str, np.ndarray]  # names as published; weights are [inputs, outputs]


def features(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Describe poses by their links: directions, lengths, both in sizes of the trunk, and joints' values.

    Args:
        keypoints: float [P, J, 3], x and y in the picture's pixels and value.
        skeleton: its `links` and `trunk`.

    Returns:
        float32 [P, 3 L + J].

    Raises:
        UserError: a skeleton without links.
    """
    if not skeleton.links or not skeleton.trunk:
        raise UserError(f"skeleton '{skeleton.name}': rescoring needs its `links` and `trunk`")
    keypoints = np.asarray(keypoints, np.float32)
    first, second = (np.array([skeleton.index(link[end]) for link in skeleton.links]) for end in (0, 1))
    apart = keypoints[:, first, :2] - keypoints[:, second, :2]
    length = np.linalg.norm(apart, axis=-1)
    trunk = [skeleton.links.index(link) for link in skeleton.trunk]
    size = np.maximum(length[:, trunk].mean(axis=1, keepdims=True), 1)
    directions = (apart / size[..., None]).reshape(len(keypoints), 2 * len(skeleton.links))
    return np.concatenate([directions, length / size, keypoints[..., 2]], axis=1)


def rescore(rescorer: Rescorer, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return new scores float32 [P]: the network's opinion of keypoints [P, J, 3] times the old ones [P]."""
    judged = scores * judge(rescorer, features(keypoints, skeleton))
    return np.where(np.isnan(judged), 0, judged).astype(np.float32)


def judge(rescorer: Rescorer, x: np.ndarray) -> np.ndarray:
    """Return what the network says of features float32 [P, F]: float32 [P], about 1 for a good pose."""
    for layer in LAYERS:
        x = x @ rescorer[f"{layer}.weight"] + rescorer[f"{layer}.bias"]
        if layer != LAYERS[-1]:
            x = np.maximum(x, 0)
    return x[:, 0]


def read_rescorer(path: str | Path, skeleton: Skeleton) -> Rescorer:
    """Read the network's weights.

    Raises:
        UserError: the file cannot be read, or is not a rescorer for this skeleton.
    """
    params = read_params(path)
    width = 3 * len(skeleton.links) + len(skeleton.joints)
    sides = (width, HIDDEN, HIDDEN, 1)
    shapes = {}
    for number, layer in enumerate(LAYERS):
        shapes |= {
            f"{layer}.weight": (sides[number], sides[number + 1]),
            f"{layer}.bias": (sides[number + 1],),
        }
    found = {key: value.shape for key, value in params.items()}
    if found != shapes:
        raise UserError(
            f"{path}: not a rescorer for skeleton '{skeleton.name}': expected {shapes}, found "
            f"{dict(list(found.items())[:6])}; `tinypose rescore train` makes one"
        )
    return {key: value.astype(np.float32) for key, value in params.items()}
