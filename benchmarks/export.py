"""The rewritten network against the one as trained: time here, and what ARM would have to do.

    python benchmarks/export.py [--network tinypose] [--size 128x96] [--rounds 12] [--shared ../shared]

Both networks run in turn in one process on one thread, through ONNX Runtime and through Paddle-Lite's x86
kernels; times are of the processor, and each round gives one ratio. TinyPose has its published weights if
they are in the folder of real data, the others random ones. Without `--rounds` nothing is timed.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # Paddle-Lite's x86 kernels read it when they are loaded

import numpy as np
import onnxruntime
from paddlelite.lite import MobileConfig, create_paddle_predictor

from compress.graph.ir import Graph
from compress.graph.rewrite import rewrite
from compress.graph.run import run
from compress.graph.trace import trace
from compress.quant.scales import ConvScale, quantise, weight_ranges
from compress.quant.simulate import quantisable
from lite_deploy.nb.estimate import estimate
from lite_deploy.nb.file import LiteModel
from lite_deploy.write.lite import optimise
from lite_deploy.write.onnx import write_onnx
from lite_deploy.write.paddle import write_program
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.models import build_model
from tinypose.models.weights import load_weights

NETWORKS = (
    "tinypose",
    "naive_lite_hrnet",
    "lite_hrnet_18",
    "lite_hrnet_30",
    "tinypose_simcc",
    "rtmpose_t",
    "rtmpose_s",
    "rtmpose_m",
)
SIZES = {"128x96": (128, 96), "256x192": (256, 192)}
RUNS = 3  # of each network in a round
Engine = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print what each network is made of, and the times, before and after rewriting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, action="append", help="default: all")
    parser.add_argument("--size", choices=SIZES, action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    parts, times = [], []
    for name in args.network or NETWORKS:
        for size in args.size or SIZES:
            with tempfile.TemporaryDirectory() as folder:
                more, measured = compare(name, size, args.shared, args.rounds, Path(folder))
            parts.append((name, size, *more))
            times += [(name, size, *row) for row in measured]
    columns = ("network", "input", ".nb steps", "FP32 MB", "INT8 MB", "ARM FP32*", "FP16*", "INT8*")
    out.print(table("As trained > rewritten", columns, parts))
    out.print("* millions of processor instructions, estimated (lite_deploy/nb/estimate.py); INT8 with sdot")
    if not args.rounds:
        return
    columns = (
        "network",
        "input",
        "engine",
        "ms as trained",
        "rewritten",
        "ratio",
        "80 % of rounds",
        "differs",
    )
    out.print(table(f"One thread, medians of {args.rounds} rounds in turn", columns, times))


def compare(name: str, size: str, shared: Path, rounds: int, folder: Path) -> tuple[list[str], list[tuple]]:
    """Return one row about what the network is made of, and one about time for each engine."""
    height, width = SIZES[size]
    config = load_config(f"{name}_256x192", [f"input.height={height}", f"input.width={width}"])
    net = build_model(config, 17)
    weights = shared / "weights" / f"{name}_{size}.pdparams"
    if weights.is_file():
        load_weights(net, weights)
    traced = trace(net, (1, 3, height, width))
    image = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    counts: dict[str, list[float]] = {}
    engines: dict[str, list[Engine]] = {"ONNX Runtime": [], "Paddle-Lite x86": []}
    for graph, rewritten in ((traced, False), (rewrite(traced), True)):
        made = folder / ("rewritten" if rewritten else "trained")
        for precision in ("fp32", "fp16", "int8"):
            scales = ranges(graph, image) if precision == "int8" else None
            model = build(graph, made, "arm", precision, rewritten, scales)
            counts.setdefault(precision, []).append(estimate(model, (height, width)) / 1e6)
            counts.setdefault(f"{precision} MB", []).append(
                (made / f"arm_{precision}.nb").stat().st_size / 1e6
            )
            counts.setdefault(f"{precision} instructions", []).append(len(model.operators))
        if not rounds:
            continue
        build(graph, made, "x86", "fp32", rewritten)
        write_onnx(graph, made / "model.onnx")
        engines["ONNX Runtime"].append(open_onnx(made / "model.onnx"))
        engines["Paddle-Lite x86"].append(open_lite(made / "x86_fp32.nb"))
    row = ["{:.0f} > {:.0f}".format(*counts["fp32 instructions"])]
    row += ["{:.2f} > {:.2f}".format(*counts[each]) for each in ("fp32 MB", "int8 MB")]
    row += ["{:.1f} > {:.1f}".format(*counts[each]) for each in ("fp32", "fp16", "int8")]
    pairs = engines.items() if rounds else ()
    return row, [(engine, *measure(*pair, image, rounds)) for engine, pair in pairs]


def build(
    graph: Graph, folder: Path, target: str, precision: str, rewritten: bool, scales: dict | None = None
) -> LiteModel:
    """Write `folder/TARGET_PRECISION.nb` as `lite-deploy export` does, and return what is in it."""
    quantised = quantise(graph, scales or {})
    write_program(graph, folder, quantised, fuse_shuffles=rewritten, copy_rows=rewritten)
    model, params = folder / "model.pdmodel", folder / "model.pdiparams"
    return optimise(model, params, folder / f"{target}_{precision}.nb", target, precision)


def ranges(graph: Graph, image: np.ndarray) -> dict[str, ConvScale]:
    """Return ranges for all convolutions but the first: they say how fast INT8 is, not how accurate."""
    _, *others = quantisable(graph)
    tensors = run(graph, image, keep={node.inputs[0] for node in others})
    largest = {name: float(tensor.abs().max()) or 1.0 for name, tensor in tensors.items()}
    return {node.name: ConvScale(largest[node.inputs[0]], weight_ranges(node)) for node in others}


def open_onnx(path: Path) -> Engine:
    """Open an ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def open_lite(path: Path) -> Engine:
    """Open a `.nb` for this machine."""
    config = MobileConfig()
    config.set_model_from_file(str(path))
    predictor = create_paddle_predictor(config)

    def run(image: np.ndarray) -> np.ndarray:
        predictor.get_input(0).from_numpy(image)
        predictor.run()
        return predictor.get_output(0).numpy().copy()

    return run


def measure(before: Engine, after: Engine, image: np.ndarray, rounds: int) -> tuple[str, ...]:
    """Return medians in milliseconds, the median ratio, its spread, and how far the outputs differ."""
    expected, found = before(image), after(image)
    times = []
    for number in range(rounds):
        pair = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.process_time()
            for _ in range(RUNS):
                (before, after)[which](image)
            pair[which] = 1000 * (time.process_time() - start) / RUNS
        times.append(pair)
    old, new = np.median(times, axis=0)
    ratios = np.array([a / b for a, b in times])
    low, high = np.percentile(ratios, [10, 90])
    differs = np.abs(found - expected).max() / np.abs(expected).max()
    spread = f"{low:.2f} to {high:.2f}"
    return f"{old:.2f}", f"{new:.2f}", f"{np.median(ratios):.2f}", spread, f"{differs:.0e}"


if __name__ == "__main__":
    main()
