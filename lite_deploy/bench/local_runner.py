"""pose_runner in Python: for this machine, and for boards that have this package installed.

    python -m lite_deploy.bench.local_runner --pose FOLDER/pose.json --model x86_fp32

It takes the options of the C++ runner (`lite_deploy/cpp/runner/main.cc`), prints the same line of JSON, and
measures Paddle-Lite's Python package, ONNX Runtime, OpenVINO, MNN or ncnn.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from lite_deploy.bench.results import SCHEMA
from lite_deploy.bench.warmup import is_warm


def main() -> int:
    """Measure and print one line; return the exit code."""
    # The engines print what they like to standard output, from C++: what is ours goes out by another door.
    ours = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    options = _parse(sys.argv[1:])
    try:
        line = _measure(options) if options.batch is None else _compute(options)
    except Exception as error:  # whatever it is, the caller reads it in the one line it expects
        line = {"kind": "error", "message": f"{error}"}
    print(json.dumps({"schema": SCHEMA, **line}), file=ours, flush=True)
    return int(line["kind"] == "error")


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_runner", description=__doc__.splitlines()[0])
    parser.add_argument("--pose", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--box")
    parser.add_argument("--batch", type=Path)
    parser.add_argument("--outputs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--warmup-seconds", type=float, default=10)
    parser.add_argument("--heatmaps", type=Path)
    options = parser.parse_args(words)
    if options.batch is None and None in (options.image, options.box):
        parser.error("expected --image and --box, or --batch")
    if (options.batch is None) != (options.outputs is None):
        parser.error("--batch and --outputs go together")
    return options


def _compute(options: argparse.Namespace) -> dict:
    """Compute a file of inputs, float32 [N, 3, H, W], to a file for each output, float32 [N, ...]."""
    _bind(options)
    from lite_deploy.engines import open_model
    from tinypose.artifact.record import read_artifact

    artifact = read_artifact(options.pose, check_files=False)
    inputs = np.load(options.batch, allow_pickle=False)
    outputs = open_model(artifact, options.pose.parent, options.model, options.threads)(inputs)
    names = [f"{options.outputs}.{number}.npy" for number in range(len(outputs))]
    for name, value in zip(names, outputs, strict=True):
        np.save(name, value.astype("<f4"))
    engine, version = _engine(artifact.model(options.model).engine)
    return {
        "kind": "batch",
        "engine": engine,
        "engine_version": version,
        "runner": "python",
        "model": options.model,
        "threads": options.threads,
        "inputs": len(inputs),
        "outputs": names,
    }


def _bind(options: argparse.Namespace) -> None:
    """Keep to the cores and threads that were asked for; before an engine is loaded."""
    if options.cores:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    os.environ["OMP_NUM_THREADS"] = str(options.threads)


def _measure(options: argparse.Namespace) -> dict:
    _bind(options)
    from lite_deploy.bench.scene import Scene, decode, scene_input
    from lite_deploy.engines import open_model
    from tinypose.artifact.record import read_artifact
    from tinypose.images import read_image

    cv2.setNumThreads(options.threads)
    # Only the files of one model are here; the runner's caller has compared their checksums.
    artifact = read_artifact(options.pose, check_files=False)
    scene = Scene(read_image(options.image), tuple(float(number) for number in options.box.split(",")))

    start = time.perf_counter()
    network = open_model(artifact, options.pose.parent, options.model, options.threads)
    load = _since(start)
    cores = sorted(os.sched_getaffinity(0))
    stages: list[tuple[float, float, float]] = []

    def run() -> list[np.ndarray]:
        times = [time.perf_counter()]
        inputs = scene_input(artifact, scene)
        times.append(time.perf_counter())
        outputs = network(inputs)
        times.append(time.perf_counter())
        decode(artifact, scene, outputs)
        times.append(time.perf_counter())
        stages.append(tuple(1000 * np.diff(times)))
        return outputs

    run()
    first = sum(stages.pop())
    warm_by = time.perf_counter() + options.warmup_seconds
    totals: list[float] = []
    while not is_warm(totals) and time.perf_counter() < warm_by:
        run()
        totals.append(sum(stages[-1]))
    warmup = len(stages)

    clocks, busy = _clocks(cores), _Busy()
    end = time.perf_counter() + options.seconds
    outputs = run()
    while len(stages) - warmup < options.runs and time.perf_counter() < end:
        outputs = run()
    others, preempted = busy.others(), busy.preempted()
    shapes = [each.shape[1:] for each in outputs]
    if shapes != [each.shape for each in artifact.tensors]:
        raise ValueError(f"the network gives {shapes}, which is not what pose.json says")
    if options.heatmaps:
        np.concatenate([each.ravel() for each in outputs]).astype("<f4").tofile(options.heatmaps)
    crop, inference, decoding = np.round(np.array(stages[warmup:]).T, 4).tolist()
    engine, version = _engine(artifact.model(options.model).engine)
    return {
        "kind": "visit",
        "engine": engine,
        "engine_version": version,
        "runner": "python",
        "model": options.model,
        "threads": options.threads,
        "cores": cores,
        "load_ms": round(load, 4),
        "first_ms": round(first, 4),
        "warmup_runs": warmup,
        "warm": is_warm(totals),
        "crop_ms": crop,
        "network_ms": inference,
        "decode_ms": decoding,
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "clocks_khz": {"before": clocks, "after": _clocks(cores)},
        "others": others,
        "preempted": preempted,
    }


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _engine(name: str) -> tuple[str, str]:
    package = {"paddle-lite": "paddlelite", "paddle-inference": "paddlepaddle"}.get(name, name)
    return name, importlib.metadata.version(package)


def _clocks(cores: list[int]) -> list[int]:
    """Return the current clock of each core in kHz, 0 where the system does not tell."""
    clocks = []
    for core in cores:
        clock = 0
        with contextlib.suppress(OSError, ValueError):
            clock = int(Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq").read_text())
        clocks.append(clock)
    return clocks


class _Busy:
    """How busy other programs keep the processor from now on."""

    def __init__(self) -> None:
        self._start = self._read()

    def _read(self) -> tuple[float, float, float | None, int]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        total = None
        with contextlib.suppress(OSError, ValueError):
            ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
            # All but idle and waiting for disks.
            total = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), usage.ru_utime + usage.ru_stime, total, usage.ru_nivcsw

    def others(self) -> float | None:
        """Return the cores that other programs kept busy, on average; None where the system does not tell."""
        now = self._read()
        if now[2] is None or self._start[2] is None:
            return None
        seconds = max(now[0] - self._start[0], 1e-6)
        return round(max(0.0, (now[2] - self._start[2]) - (now[1] - self._start[1])) / seconds, 3)

    def preempted(self) -> int:
        """Return how often another program took the core away."""
        return self._read()[3] - self._start[3]


if __name__ == "__main__":
    sys.exit(main())
