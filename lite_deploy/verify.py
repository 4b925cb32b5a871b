"""The same inputs through every model of a folder: how far is each from the network as trained?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lite_deploy.engines import open_model
from lite_deploy.nb.combinations import check_run
from lite_deploy.nb.read import read_nb
from tinypose.artifact.engines import answered
from tinypose.artifact.record import Artifact, ModelRecord, ParityRecord
from tinypose.codecs import Outputs
from tinypose.config import Config
from tinypose.console import track
from tinypose.detection.config import DetectorConfig, schema_of
from tinypose.detection.detector import fit_whole
from tinypose.errors import UserError
from tinypose.files import sha256
from tinypose.geometry import crop_image
from tinypose.inference.pose_model import network_input
from tinypose.network import Network, as_network
from tinypose.noise import noise_pictures, relative_error
from tinypose.preprocess import crop_person, normalise
from tinypose.whole_picture import inside_matrix

TOLERANCE = 1e-4
# Of an error that was measured before: how much more it may be, and what is nothing.
ROOM, LEAST_ERROR = 1.5, 1e-5


@dataclass(frozen=True)
class Verified:
    """One row: a model against the reference; `passed` is None where no limit is known.

    `limit` is that of the relative squared error, for FP16 and INT8.
    """

    parity: ParityRecord
    how: str
    passed: bool | None
    limit: float | None = None


def verify(
    artifact: Artifact,
    folder: str | Path,
    crops: np.ndarray,
    tolerance: float = TOLERANCE,
    noise: bool = True,
) -> tuple[str, list[Verified]]:
    """Compare every model of a folder with the reference.

    The reference is the network itself in Paddle (dygraph) if its weights are found, else the folder's
    Paddle model. FP32 models must keep the tolerance. FP16 and INT8 differ by design, and must keep
    `error_allowed`. ARM models are computed instruction by instruction (`lite_deploy.nb.interpret`).

    Args:
        artifact: what the folder's `pose.json` says, its files checked.
        folder: where the files are.
        crops: uint8 RGB [N, H, W, 3], as large as the network's input.
        tolerance: largest difference allowed, relative to the reference's largest value.
        noise: whether the crops are noise, of which the errors are known.

    Returns:
        What the reference is, and a row for each model.
    """
    images = network_input(artifact, crops)
    network, note = reference_network(artifact)
    records = list(artifact.models)
    if network is None:
        first = next((each for each in records if each.name == "paddle_fp32"), records[0])
        note = f"{first.name} ({note})"
        expected = open_model(artifact, folder, first.name)(images)
    else:
        expected = network(normalise(crops, artifact.input.config()))
    rows = []
    for record in track(records, "comparing"):
        run, how = open_or_interpret(artifact, folder, record)
        parity = compare(expected, run(images), record.name, note)
        limit = error_allowed(artifact, record, noise)
        if record.precision == "fp32":
            passed = parity.difference <= tolerance
        else:
            passed = None if limit is None else parity.error <= limit
        rows.append(Verified(parity, how, passed, limit))
    return note, rows


def error_allowed(artifact: Artifact, record: ModelRecord, noise: bool = True) -> float | None:
    """Return the largest relative squared error that an FP16 or INT8 model may have; None: nothing is known.

    On noise it is what was measured of this very file when it was exported, with room for the arithmetic of
    other machines. On pictures it is that for INT8, or ten times what `compress quant` measured on people, if
    that is more, as single pictures lie far from the mean, and noise farther; for FP16 ten times as much.
    """
    if record.precision == "fp32" or record.error is None:
        return None
    allowed = (ROOM if noise or record.precision == "int8" else 10) * record.error
    if not noise and record.precision == "int8" and artifact.quantised:
        allowed = max(allowed, 10 * artifact.quantised.heatmap_error)
    return allowed + LEAST_ERROR


def compare(expected: Outputs, found: Outputs, model: str, reference: str) -> ParityRecord:
    """Measure how far a model's outputs are from the expected ones; of several outputs, the worst counts."""
    shapes, others = ([list(each.shape) for each in outputs] for outputs in (expected, found))
    if shapes != others:
        raise UserError(f"{model}: gives {others}, and the reference {shapes}")
    pairs = [_compare(one, other) for one, other in zip(expected, found, strict=True)]
    differences, correlations, moved, maxima = zip(*pairs, strict=True)
    return ParityRecord(
        model=model,
        reference=reference,
        images=len(expected[0]),
        difference=max(differences),
        correlation=min(correlations),
        moved=sum(moved),
        joints=sum(maxima),
        error=min(relative_error(expected, found), 1e9),
    )


def _compare(expected: np.ndarray, found: np.ndarray) -> tuple[float, float, int, int]:
    """Return difference, correlation, and how many maxima moved, of how many: one in each [N, C]."""
    finite = bool(np.isfinite(found).all())
    flat, other = (each.reshape(*each.shape[:2], -1) for each in (expected, found))
    varied = finite and expected.std() > 0 and found.std() > 0
    return (
        float(np.abs(found - expected).max() / np.abs(expected).max()) if finite else 1e9,
        float(np.corrcoef(expected.ravel(), found.ravel())[0, 1]) if varied else 0.0,
        int((flat.argmax(-1) != other.argmax(-1)).sum()),
        flat.shape[0] * flat.shape[1],
    )


def open_or_interpret(artifact: Artifact, folder: str | Path, record: ModelRecord) -> tuple[Network, str]:
    """Open a model with its engine, or, if it is for another machine, interpret it. Also say which."""
    if record.engine == "paddle-lite":
        path = Path(folder) / record.files[0].file
        model = read_nb(path)
        try:
            check_run(model, str(path))
        except UserError:
            from lite_deploy.nb.interpret import interpreter

            compute = interpreter(model)

            def run(images: np.ndarray) -> Outputs:
                with answered(path, "compute with this model"):
                    return compute(images)

            return run, "interpreted"
    return open_model(artifact, folder, record.name), {"paddle-lite": "Paddle-Lite"}.get(
        record.engine, record.engine
    )


def reference_network(artifact: Artifact) -> tuple[Network | None, str]:
    """Return the network as trained, and what to call it; none, and why, if its weights are not here."""
    weights = Path(artifact.origin.weights)
    if artifact.origin.trained:
        return None, f"the weights, {weights}, were trained further in quantisation"
    if not weights.is_file():
        return None, f"the weights, {weights}, are not here"
    if sha256(weights) != artifact.origin.weights_sha256:
        return None, f"the weights, {weights}, are not those that were exported"
    from compress.trained import load_trained

    return as_network(load_trained(exported_config(artifact), weights).net), "dygraph"


def exported_config(artifact: Artifact) -> Config | DetectorConfig:
    """Return the config that a folder was made from."""
    values = artifact.origin.config
    return schema_of(values).model_validate(values)


def noise_crops(artifact: Artifact, count: int | None = None, seed: int = 0) -> np.ndarray:
    """Return uint8 RGB [count, H, W, 3] of noise, as large as the network's input (`tinypose.noise`)."""
    return noise_pictures(*artifact.size, count, seed)


def picture_crops(artifact: Artifact, paths: Sequence[str | Path]) -> np.ndarray:
    """Return pictures as the network sees them, each one person or whole, uint8 RGB [N, H, W, 3]."""
    from tinypose.images import read_image

    return np.stack([fit_picture(artifact, read_image(path)) for path in paths])


def fit_picture(artifact: Artifact, image: np.ndarray, box: ArrayLike | None = None) -> np.ndarray:
    """Return a picture, uint8 RGB [H, W, 3], as a network sees it, uint8 RGB [height, width, 3].

    Args:
        artifact: `input.fit` says how.
        image: the picture.
        box: of the person to look at, left, top, width, height; None: the whole picture is one person.
    """
    settings = artifact.input.config()
    if artifact.input.fit in ("squeeze", "letterbox"):
        return fit_whole(image, settings)
    if artifact.input.fit == "inside":
        return crop_image(image, inside_matrix(image.shape[1::-1], settings.size), settings.size)
    whole = (0, 0, image.shape[1], image.shape[0])
    return crop_person(image, whole if box is None else box, settings)[0]
