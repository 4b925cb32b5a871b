"""The picture that devices are measured with, and the outputs they must give for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lite_deploy.bench.results import CheckLine
from lite_deploy.verify import compare, open_or_interpret
from tinypose.artifact.record import Artifact, ModelRecord
from tinypose.codecs import Outputs
from tinypose.geometry import crop_matrix, invert, to_image
from tinypose.inference.pose_model import network_input
from tinypose.preprocess import crop_person

Box = tuple[float, float, float, float]

SURE = 0.3  # score from which a joint must stay where it is
# What is allowed by precision: the relative difference, the correlation, and how far a sure joint may move as
# a share of the crop's height. Devices round each step of FP16 and INT8 otherwise than the interpreter does.
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


def default_scene() -> Scene:
    """Draw one person, the same every time, in a picture of VGA size."""
    from tinypose.data.synthetic import draw_picture

    picture = draw_picture(seed=6, index=0, size=(640, 480), people=(1, 1), yaw=0.0)
    return Scene(picture.image, tuple(float(each) for each in picture.people[0].box))


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
    crop, _ = crop_person(scene.image, scene.box, artifact.input.config())
    return run(network_input(artifact, crop[None])), f"{source.name} ({how})"


def check(
    artifact: Artifact, model: ModelRecord, scene: Scene, expected: Outputs, found: Outputs, how: str
) -> CheckLine:
    """Compare a device's outputs with the expected ones, both of a batch of one.

    A fast wrong answer is an error: `passed` is false if they differ by more than the precision explains.
    """
    parity = compare(expected, found, model.name, how)
    joints, moved_joints = (joints_in_picture(artifact, scene, each) for each in (expected, found))
    sure = joints[:, 2] >= SURE
    distances = np.linalg.norm(joints[sure, :2] - moved_joints[sure, :2], axis=1)
    moved = float(distances.max(initial=0))
    difference, correlation, share = LIMITS[model.precision]
    crop_height = np.linalg.norm(invert(_matrix(artifact, scene))[:, 1]) * artifact.input.height
    return CheckLine(
        model=model.name,
        expected_by=how,
        difference=parity.difference,
        correlation=parity.correlation,
        moved=round(moved, 3),
        passed=parity.difference <= difference
        and parity.correlation >= correlation
        and moved <= share * crop_height,
    )


def joints_in_picture(artifact: Artifact, scene: Scene, outputs: Outputs) -> np.ndarray:
    """Return the joints, float32 [J, 3] (x, y in pixels of the picture, score)."""
    return to_image(artifact.output.keypoints(outputs, artifact.size), [_matrix(artifact, scene)])[0]


def _matrix(artifact: Artifact, scene: Scene) -> np.ndarray:
    """Return the map from the picture to the crop, float64 [2, 3]."""
    return crop_matrix(scene.box, artifact.size, artifact.input.padding)
