"""The picture that devices are measured with, and the outputs they must give for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lite_deploy.bench.results import CheckLine
from lite_deploy.verify import compare, fit_picture, open_or_interpret
from tinypose.artifact.record import Artifact, ModelRecord
from tinypose.codecs import Outputs
from tinypose.codecs.centres import letterbox
from tinypose.codecs.peaks import peaks
from tinypose.geometry import crop_matrix, invert, to_image, transform
from tinypose.inference.pose_model import network_input
from tinypose.whole_picture import inside_matrix

Box = tuple[float, float, float, float]

SURE = 0.3  # score from which a joint, or a corner of a box, must stay where it is
# What is allowed by precision: the relative difference, the correlation, and how far what is sure may move,
# as a share of the height that the network sees. Devices round each step of FP16 and INT8 otherwise than the
# interpreter does.
LIMITS = {"fp32": (1e-3, 0.9999, 0.005), "fp16": (0.2, 0.98, 0.03), "int8": (0.5, 0.9, 0.05)}


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 RGB [H, W, 3], and a person's box in it: left, top, width, height in pixels."""

    image: np.ndarray
    box: Box

    def write(self, path: Path) -> None:
        """Write the picture as binary PPM, which the runner reads."""
        height, width, _ = self.image.shape
        path.write_bytes(f"P6\n{width} {height}\n255\n".encode() + np.ascontiguousarray(self.image).tobytes())


def default_scene(people: int = 1) -> Scene:
    """Draw one person, the same every time, or a few, in a picture of VGA size."""
    from tinypose.data.synthetic import draw_picture

    picture = draw_picture(seed=6, index=0, size=(640, 480), people=(people, people), yaw=0.0)
    return Scene(picture.image, tuple(float(each) for each in picture.people[0].box))


def scene_input(artifact: Artifact, scene: Scene) -> np.ndarray:
    """Return what the network reads of a scene, float32 [1, 3, H, W]: the person, or the whole picture."""
    return network_input(artifact, fit_picture(artifact, scene.image, scene.box)[None])


def expected_outputs(
    artifact: Artifact, folder: Path, model: ModelRecord, scene: Scene
) -> tuple[Outputs, str]:
    """Compute what a model must give.

    In FP32 every engine must give the same, so another engine is asked. Else the model itself is run here,
    or, for another processor, interpreted.

    Returns:
        The outputs for a batch of one, and what computed them.
    """
    source = model
    if model.precision == "fp32":
        others = [m for m in artifact.models if m.precision == "fp32" and m.engine != model.engine]
        source = next((m for m in others if m.engine in ("onnxruntime", "paddle-lite")), model)
    run, how = open_or_interpret(artifact, folder, source)
    return run(scene_input(artifact, scene)), f"{source.name} ({how})"


def check(
    artifact: Artifact, model: ModelRecord, scene: Scene, expected: Outputs, found: Outputs, how: str
) -> CheckLine:
    """Compare a device's outputs with the expected ones, both of a batch of one.

    A fast wrong answer is an error: `passed` is false if they differ by more than the precision explains.
    """
    parity = compare(expected, found, model.name, how)
    if artifact.output.gives == "people":
        moved = max(_summits_moved(artifact, scene, *each) for each in ((expected, found), (found, expected)))
    else:
        right, other = (decode(artifact, scene, each) for each in (expected, found))
        moved = _moved(right, other, scene)
        if (
            artifact.output.gives == "boxes"
        ):  # one that should not be there is as wrong as one that is missing
            moved = max(moved, _moved(other, right, scene))
    difference, correlation, _ = LIMITS[model.precision]
    return CheckLine(
        model=model.name,
        expected_by=how,
        difference=parity.difference,
        correlation=parity.correlation,
        moved=round(moved, 3),
        passed=parity.difference <= difference
        and parity.correlation >= correlation
        and moved <= allowed_move(artifact, scene, model.precision),
    )


def allowed_move(artifact: Artifact, scene: Scene, precision: str) -> float:
    """Return how far what is sure may move, in pixels of the picture."""
    return LIMITS[precision][2] * _height(artifact, scene)


def decode(artifact: Artifact, scene: Scene, outputs: Outputs) -> np.ndarray:
    """Return what a network found, in pixels of the picture.

    Returns:
        float32 [1, J, 3], the person's joints (x, y, score); [P, J, 3], those of everybody found; or
        [K, 2, 3], two corners of each box found.
    """
    if artifact.output.gives == "people":
        keypoints, _ = artifact.output.combine({1.0: [each[0] for each in outputs]}, artifact.size)
        keypoints[..., :2] = transform(invert(_matrix(artifact, scene)), keypoints[..., :2])
        return keypoints
    if artifact.output.gives == "boxes":
        height, width = scene.image.shape[:2]
        boxes, scores, *_ = artifact.output.boxes(outputs, artifact.size, (width, height))
        corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        return np.concatenate([corners, np.repeat(scores[:, None, None], 2, axis=1)], axis=2)
    return to_image(artifact.output.keypoints(outputs, artifact.size), [_matrix(artifact, scene)])


def _summits_moved(artifact: Artifact, scene: Scene, expected: Outputs, found: Outputs) -> float:
    """Return by how many pixels of the picture the joints' heatmaps' summits moved, the farthest.

    Who is whose joint hangs on all of the maps, and is no measure of them: two people may be told apart
    otherwise after the last bit of a tag. One of several equally high summits may become the highest, so each
    is looked for among those half as high.
    """
    pixel = _height(artifact, scene) / expected[0].shape[2]  # of a map, in the picture's
    farthest = 0.0
    for one, other in zip(expected[0][0], found[0][0, : len(artifact.skeleton.joints)], strict=False):
        x, y, value = peaks(one, 5, 1, SURE)
        if not len(x):
            continue
        others_x, others_y, _ = peaks(other, 5, other.size, float(value[0]) / 2)
        nearest = np.hypot(others_x - x[0], others_y - y[0]).min(initial=np.hypot(*other.shape))
        farthest = max(farthest, float(nearest) * pixel)
    return farthest


def _moved(expected: np.ndarray, found: np.ndarray, scene: Scene) -> float:
    """Return by how many pixels the farthest sure point moved.

    Boxes have no order: each is compared with the nearest. One that is gone moved by the picture's diagonal.
    """
    gone = float(np.hypot(*scene.image.shape[:2]))
    farthest = 0.0
    for points in expected:
        sure = points[:, 2] >= SURE
        if sure.any():
            distances = np.linalg.norm(found[:, sure, :2] - points[sure, :2], axis=2).max(axis=1)
            farthest = max(farthest, float(distances.min(initial=gone)))
    return farthest


def _height(artifact: Artifact, scene: Scene) -> float:
    """Return the height of what the network sees, in pixels of the picture."""
    if artifact.input.fit == "squeeze":
        return float(scene.image.shape[0])
    if artifact.input.fit == "letterbox":
        return artifact.input.height / letterbox(scene.image.shape[1::-1], artifact.size)[0]
    return float(np.linalg.norm(invert(_matrix(artifact, scene))[:, 1]) * artifact.input.height)


def _matrix(artifact: Artifact, scene: Scene) -> np.ndarray:
    """Return the map from the picture to the crop, or to what is seen of all of it, float64 [2, 3]."""
    if artifact.input.fit == "inside":
        return inside_matrix(scene.image.shape[1::-1], artifact.size)
    return crop_matrix(scene.box, artifact.size, artifact.input.padding, crop=artifact.input.crop)
