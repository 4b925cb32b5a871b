"""What the app carries beside its code: networks, the self-test's picture and joints, what models cost.

    app.json                which networks there are, what the engine's library can, what is needed to choose
    picture.png             of the self-test and of the benchmark
    NAME/pose.json, *.nb    an artifact folder's Paddle-Lite models for the target
    NAME/expected_*.f32     the outputs that each model must give for the picture

The app's Catalogue.java and Description.java read it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lite_deploy.android.library import Library
from lite_deploy.bench.choose import ENGINE_KNOWS_SDOT
from lite_deploy.bench.machine import core_names
from lite_deploy.bench.scene import LIMITS, SURE, Scene, allowed_move, decode, expected_outputs
from lite_deploy.bench.session import describe_artifact
from lite_deploy.engines import tool_versions
from lite_deploy.nb.estimate import estimate
from lite_deploy.nb.read import read_nb
from tinypose.artifact.record import (
    FILE,
    Artifact,
    FoundRecord,
    ModelRecord,
    SelfTestRecord,
    read_artifact,
    write_artifact,
)
from tinypose.console import track
from tinypose.data.coco import cut_box
from tinypose.errors import UserError
from tinypose.files import sha256, write_json

_READ = ("heatmap", "simcc", "picodet", "fairmot")  # codecs that the C++ library has
INDEX, PICTURE = "app.json", "picture.png"


def read_networks(poses: Sequence[Path], detector: Path, target: str) -> dict[Path, Artifact]:
    """Read the folders that are to go into an app, the detector's last.

    Args:
        poses: pose networks' folders.
        detector: the detector's.
        target: of their models: arm, or x86 for tests.

    Raises:
        UserError: a folder is damaged, of the wrong kind or without such a model; or two have one name.
    """
    found: dict[Path, Artifact] = {}
    for folder in (*poses, detector):
        artifact = read_artifact(folder)
        wanted = "boxes" if folder is detector else "joints"
        if artifact.output.gives == "people":
            raise UserError(
                f"{folder}: a bottom-up network, which finds everybody at once; the app does not read its "
                "description yet: give a network with output heatmap or simcc, and a detector"
            )
        if artifact.output.gives != wanted:
            read_artifact(folder, check_files=False, gives=wanted)  # says so
        if artifact.output.name not in _READ:
            raise UserError(f"{folder}: output {artifact.output.name}; the app reads {', '.join(_READ)}")
        if not _models(artifact, target):
            raise UserError(
                f"{folder}: no Paddle-Lite model for {target}; it has: "
                f"{', '.join(model.name for model in artifact.models)}; export it again with --model "
                f"{target}_fp32 --model {target}_fp16"
            )
        found[folder] = artifact
    names = [folder.resolve().name for folder in found]
    if len(found) != len(poses) + 1 or len(set(names)) != len(names):
        raise UserError(f"{', '.join(names)}: two folders of one name; rename one: the app shows these names")
    return found


def write_assets(
    folder: Path,
    networks: dict[Path, Artifact],
    library: Library,
    target: str = "arm",
    image: np.ndarray | None = None,
) -> dict[str, Any]:
    """Fill a folder with what the app carries; return the content of its index.

    Args:
        folder: a new one.
        networks: of `read_networks`.
        library: what the engine's library can.
        target: of the models that are taken.
        image: of the self-test, uint8 RGB [H, W, 3]; None: a drawn one.

    Raises:
        UserError: nobody is found in the picture.
    """
    import cv2

    *poses, detector = networks
    scene = _scene(image, poses[0], detector)
    height, width = scene.image.shape[:2]
    seen = Scene(scene.image, tuple(cut_box(np.array(scene.box), (width, height))))  # as the pipeline cuts it
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / PICTURE), scene.image[..., ::-1])
    index: dict[str, Any] = {
        "format": "edge-pose app",
        "version": 1,
        "poses": [each.resolve().name for each in poses],
        "detector": detector.resolve().name,
        "picture": PICTURE,
        "box": list(scene.box),
        "library": library.as_dict(),
        "sdot_parts": sorted(part for part, name in core_names().items() if name in ENGINE_KNOWS_SDOT),
        "core_kinds": core_names(),
        "sure": SURE,
        "limits": LIMITS,
        "tools": tool_versions(),
        "artifacts": {each.resolve().name: describe_artifact(networks[each], each) for each in poses},
        "instructions": {},
        "expected": {},
    }
    for each, artifact in networks.items():
        name = each.resolve().name
        models = _models(artifact, target)
        (folder / name).mkdir()
        for model in models:
            shutil.copyfile(each / model.files[0].file, folder / name / model.files[0].file)
            size = (artifact.input.height, artifact.input.width)
            if target == "arm":
                index["instructions"][f"{name}/{model.name}"] = costs(each / model.files[0].file, size)
        test = None
        if each is not detector:
            test = _self_test(artifact, each, detector, scene, folder / PICTURE)
            for model in track(models, f"{name}: what each model must give"):
                index["expected"][f"{name}/{model.name}"] = _expect(
                    artifact, each, model, seen, folder / name
                )
        write_artifact(folder / name, artifact.model_copy(update={"models": models, "self_test": test}))
    write_json(folder / INDEX, index)
    return index


def _models(artifact: Artifact, target: str) -> tuple[ModelRecord, ...]:
    return tuple(each for each in artifact.models if each.engine == "paddle-lite" and each.target == target)


def _estimator(pose: Path, detector: Path):
    from tinypose import PoseEstimator

    return PoseEstimator.from_artifact(pose, detector, engine="onnxruntime")


def _scene(image: np.ndarray | None, pose: Path, detector: Path) -> Scene:
    """Return the picture, and the box of the person in it who is found best."""
    if image is None:
        from tinypose.data.synthetic import draw_picture

        # A drawn person whom PicoDet-S finds with a score of 0.95, so that FP16 and INT8 do not lose it.
        drawn = draw_picture(seed=15, index=0, size=(640, 480), people=(1, 1), yaw=0.0)
        return Scene(drawn.image, _as_floats(drawn.people[0].box))
    found = _estimator(pose, detector)(image)
    if not len(found):
        raise UserError("--picture: nobody is found in it; name one that shows people")
    return Scene(image, _as_floats(found.boxes[0]))


def _as_floats(box) -> tuple[float, float, float, float]:
    """The box as the app has it, in 32 bits."""
    return tuple(float(np.float32(side)) for side in box)


def _self_test(artifact: Artifact, folder: Path, detector: Path, scene: Scene, picture: Path):
    found = _estimator(folder, detector)(scene.image)
    if not len(found):
        raise UserError(
            f"{folder}: with {detector} nobody is found in the built-in picture; name another with --picture"
        )
    people = tuple(
        FoundRecord(
            box=tuple(np.round(box, 3).tolist()),
            score=round(float(score), 5),
            keypoints=tuple(np.round(joints, 3).astype(float).ravel().tolist()),
        )
        for box, joints, score in zip(found.boxes, found.keypoints, found.scores, strict=True)
    )
    return SelfTestRecord(
        picture_sha256=sha256(picture),
        detector_sha256=sha256(detector / FILE),
        engine="onnxruntime",
        sure=SURE,
        allowed={name: round(allowed_move(artifact, scene, name), 3) for name in LIMITS},
        people=people,
    )


def _expect(artifact: Artifact, folder: Path, model: ModelRecord, scene: Scene, target: Path) -> dict:
    """Write what a model must give for the person in the picture; return what the index says of it."""
    outputs, by = expected_outputs(artifact, folder, model, scene)
    name = f"expected_{model.name}.f32"
    np.concatenate([each.ravel() for each in outputs]).astype("<f4").tofile(target / name)
    return {
        "file": name,
        "by": by,
        "keypoints": decode(artifact, scene, outputs)[0].astype(float).round(3).tolist(),
        "allowed": allowed_move(artifact, scene, model.precision),
    }


def costs(file: Path, size: tuple[int, int]) -> dict[str, float]:
    """Return the estimated instructions of a `.nb`, where the engine uses `sdot` and where it does not."""
    model = read_nb(file)
    return {"sdot": estimate(model, size, True), "no_sdot": estimate(model, size, False)}
