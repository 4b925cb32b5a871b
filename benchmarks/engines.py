"""What every engine of this machine takes for one artifact, in one run, and that all compute the same.

    .venv/bin/python benchmarks/engines.py [FOLDER] [--shared ../shared]

FOLDER was made by `lite-deploy export --engine openvino --engine mnn --engine ncnn`; without it that is done
first, with PP-TinyPose 128x96, its published weights from the folder of real data. The models take turns on
one thread, and times are of the processor, so that what else the machine does hits all alike.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from lite_deploy.engines import open_model
from lite_deploy.export import export
from lite_deploy.verify import noise_crops
from tinypose.artifact.engines import machine
from tinypose.artifact.other_engines import MODULES
from tinypose.artifact.record import read_artifact
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.errors import UserError
from tinypose.inference.pose_model import network_input

ROUNDS, RUNS = 15, 5


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    options = parser.parse_args()
    if options.folder is not None:
        return measure(options.folder)
    with tempfile.TemporaryDirectory() as folder:
        weights = options.shared / "weights" / "tinypose_128x96.pdparams"
        config = load_config("tinypose_128x96", [f"weights={weights}"])
        made = Path(folder) / "tinypose_128x96"
        export(config, made, models=["x86_fp32"], engines=list(MODULES))
        return measure(made)


def measure(folder: Path) -> None:
    """Measure the models of a folder, and print a table."""
    artifact = read_artifact(folder)
    images = network_input(artifact, noise_crops(artifact, 1))
    networks, left = {}, []
    for model in artifact.models:
        if model.target in ("any", machine()):
            try:
                networks[model.name] = open_model(artifact, folder, model.name)
            except UserError as error:
                left.append(f"{model.name}: {error}")
    expected = networks["onnx_fp32"](images)
    times: dict[str, list[float]] = {name: [] for name in networks}
    far: dict[str, float] = {}
    for number in range(ROUNDS + 1):  # the first warms up
        for name in np.random.default_rng(number).permutation(list(networks)):
            start = time.process_time()
            for _ in range(RUNS):
                found = networks[name](images)
            if number:
                times[name].append(1000 * (time.process_time() - start) / RUNS)
            else:
                pairs = zip(found, expected, strict=True)
                far[name] = max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)
                if artifact.model(name).precision == "fp32" and far[name] > 1e-4:
                    raise SystemExit(f"{name}: {far[name]:.1e} from onnx_fp32")
    rows = []
    for name in sorted(times, key=lambda each: np.median(times[each])):
        model, values = artifact.model(name), times[name]
        row = (f"{np.median(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}", f"{far[name]:.1e}")
        rows.append((name, model.engine, artifact.tools.get(_package(model.engine), ""), *row))
    columns = ("model", "engine", "version", "ms, median", "least", "most", "furthest")
    out.print(table(f"{folder}, {ROUNDS} rounds of {RUNS} runs", columns, rows))
    for line in left:
        out.print(f"left out: {line}", markup=False)


def _package(engine: str) -> str:
    return {"paddle-lite": "paddlelite", "paddle-inference": "paddlepaddle"}.get(engine, engine)


if __name__ == "__main__":
    main()
