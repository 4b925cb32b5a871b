"""The whole way in a few minutes: draw people, train, quantise, export, verify, measure, report.

    make demo        (or: .venv/bin/python scripts/demo.py)

Needs nothing but the package. Everything it makes is under output/demo, which it empties first.
Each step is the command that a user would type; it is printed before it runs.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lite_deploy.bench.results import read_results
from tinypose.artifact.record import Artifact, read_artifact
from tinypose.console import out, table
from tinypose.drawing import contact_sheet, draw_people
from tinypose.files import read_json, write_whole
from tinypose.images import read_image
from tinypose.skeleton import Skeleton

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = Path("output/demo")
CONFIG = "configs/tinypose_synthetic.yml"
START = "configs/weights/tinypose_synthetic_128x96.pdparams"
TRAIN, VAL, RUN, INT8, ARTIFACT = (FOLDER / name for name in ("train", "val", "run", "int8", "artifact"))
DATA = [
    f"-odata.train.annotations={TRAIN}/annotations.json",
    f"-odata.train.images={TRAIN}/images",
    f"-odata.val.annotations={VAL}/annotations.json",
    f"-odata.val.images={VAL}/images",
]
# From the shipped weights on: a short training at a small rate, on people it has not seen.
TRAINING = [
    f"-oweights={START}",
    "-otrain.epochs=2",
    "-otrain.learning_rate=2.0e-4",
    "-otrain.warmup_steps=20",
]
MEASURED = ("x86_fp32", "arm_fp16", "arm_int8")
PICTURES = 12


def main() -> None:
    """Run every step, then print one table and draw the predictions."""
    start = time.monotonic()
    shutil.rmtree(PROJECT / FOLDER, ignore_errors=True)
    command("tinypose", "synth", TRAIN, "--images", 600, "--seed", 11)
    command("tinypose", "synth", VAL, "--images", 60, "--seed", 12)
    command("tinypose", "train", "-c", CONFIG, *DATA, *TRAINING, "--output", RUN)
    trained = [*DATA, f"-oweights={RUN}/best.pdparams", "-oquant.people=128"]
    command("compress", "quant", "-c", CONFIG, *trained, "--max-drop", 0.5, "--output", INT8, allow=(0, 1))
    command("lite-deploy", "export", ARTIFACT, "-c", CONFIG, *trained, "--quant", INT8)
    command("lite-deploy", "verify", ARTIFACT)
    for model in MEASURED:
        predictions = FOLDER / f"{model}.json"
        options = ("--model", model, "--no-flip", "--output", predictions)
        command("lite-deploy", "eval", ARTIFACT, *options)
    bench = FOLDER / "bench.jsonl"
    short = ("--threads", 1, "--rounds", 3, "--max-rounds", 3, "--seconds", 1, "--warmup-seconds", 1)
    command("lite-deploy", "bench", ARTIFACT, "--output", bench, *short)
    command("lite-deploy", "report", bench, "--output", FOLDER / "report.html")

    artifact = read_artifact(PROJECT / ARTIFACT)
    out.print(results(artifact, median_times(bench)))
    picture = FOLDER / "predictions.png"
    draw(artifact.skeleton, FOLDER / "arm_int8.json", picture)
    out.print(f"pictures with the INT8 network's predictions: {picture}", markup=False)
    out.print(f"report of this machine: {FOLDER}/report.html", markup=False)
    out.print(f"done in {time.monotonic() - start:.0f} s", markup=False)


def command(name: str, *arguments: object, allow: tuple[int, ...] = (0,)) -> None:
    """Print a command and run it; end with its exit code if that is not among `allow`."""
    words = [name, *(str(each) for each in arguments)]
    out.print(f"\n$ {' '.join(words)}", style="bold", markup=False)
    program = Path(sys.executable).parent / name
    code = subprocess.run([program, *words[1:]], cwd=PROJECT, check=False).returncode
    if code not in allow:
        sys.exit(code)


def median_times(results_file: Path) -> dict[str, float]:
    """Return the network's median milliseconds by model, from the benchmark's lines."""
    cases = read_results(PROJECT / results_file).by_case()
    return {
        model: float(np.median(np.concatenate([visit.network_ms for visit in visits])))
        for (model, _, _), visits in cases.items()
    }


def results(artifact: Artifact, times: dict[str, float]):
    """Return the table of what was measured: accuracy, size, time on this machine, parity."""
    accuracy = {each.model: each.metrics["AP"] for each in artifact.accuracy}
    parity = {each.model: each.difference for each in artifact.parity}
    rows = []
    for model in artifact.models:
        size = sum(file.bytes for file in model.files) / 1e6
        ap, difference, took = accuracy.get(model.name), parity.get(model.name), times.get(model.name)
        rows.append(
            (
                f"{model.name} ({model.engine})",
                "" if ap is None else f"{ap:.1f}",
                f"{size:.2f}",
                "" if took is None else f"{took:.1f}",
                "" if difference is None else f"{difference:.1e}",
            )
        )
    title = "AP without flip test; milliseconds on this machine, one thread, not ARM; parity: see verify"
    return table(title, ("model", "AP", "MB", "ms here", "parity"), rows)


def draw(skeleton: Skeleton, predictions: Path, picture: Path) -> None:
    """Draw the predictions on the first pictures of the validation set, as one sheet."""
    annotations = read_json(PROJECT / VAL / "annotations.json")
    found: dict[int, list] = {}
    for entry in read_json(PROJECT / predictions):
        found.setdefault(entry["image_id"], []).append(np.reshape(entry["keypoints"], (-1, 3)))
    drawn = []
    for entry in annotations["images"][:PICTURES]:
        image = read_image(PROJECT / VAL / "images" / entry["file_name"])
        people = np.array(found.get(entry["id"], np.zeros((0, len(skeleton.joints), 3))), np.float32)
        drawn.append(draw_people(image, people, skeleton, threshold=0.2))
    import cv2

    with write_whole(PROJECT / picture) as temporary:
        cv2.imwrite(str(temporary), contact_sheet(drawn, columns=4)[..., ::-1])


if __name__ == "__main__":
    main()
