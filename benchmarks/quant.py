"""Quantisation of published PP-TinyPose: accuracy beside PaddleSlim's, and where the time goes.

    python benchmarks/quant.py [--size 128x96] [--shared ../shared] [--for CORE] [--train EPOCHS]
        [--charts FOLDER]
    python benchmarks/quant.py --config CONFIG -o weights=FILE -o data.train... [-o KEY=VALUE]

Calibrates on coco-mini train2017, measures on val2017, annotated boxes, no flip test. All is measured in this
one run on this one machine. With `--train`, PaddleSlim's quantisation-aware training with its default
settings, PACT and LSQ are trained as long as each other, on the same people, from the same plain INT8 network
with nothing left in FP32. Needs the folder of real data and weights; with `--config` another network, weights
and people, as `compress quant` takes them.
"""

from tinypose.cpu import prepare_cpu

prepare_cpu()  # as `compress quant` does, and before anything imports Paddle

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from compress.quant import climb, sensitivity
from compress.quant.accuracy import Baseline, compared, measure_int8
from compress.quant.chart import write_sensitivity
from compress.quant.data import batches_of
from compress.quant.pact import train_quantised
from compress.quant.result import sentences
from compress.quant.task import Task, read_task
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.engine.loss import PoseObjective
from tinypose.engine.train import batch_inputs, fit
from tinypose.models import build_model
from tinypose.models.weights import load_weights, read_params
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton

PARTS = ("channel_statistics", "noise_gains", "observe", "search_ranges", "find_factors", "sensitivity")
PLAIN = "ranges (mse)"
# Setting, convolutions in INT8, AP, its spread over draws, error of the heatmaps.
Row = tuple[str, str, float, float | None, float]


def main() -> None:
    """Print both tables, and draw the sensitivities if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="128x96", choices=["128x96", "256x192"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--max-drop", type=float, default=0.5)
    parser.add_argument("--for", dest="target", default="sdot", choices=["sdot", "no-sdot", "any"])
    parser.add_argument("--train", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--charts", type=Path, help="draw the sensitivities into this folder")
    parser.add_argument("--config", help="another network's")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    name = args.config or f"tinypose_{args.size}"
    overrides = args.overrides
    if args.config is None:
        if not args.shared.is_dir():
            sys.exit(f"{args.shared}: needs the real data and weights, which are not there")
        overrides = [*published(args.shared, args.size), *overrides]
    limits = [f"quant.max_drop={args.max_drop}", f"quant.target={args.target}"]
    config = load_config(name, ["quant.method=ptq", *limits, *overrides])

    start = time.perf_counter()
    task = read_task(config, Path(name))
    spent = {"reading, cropping, tracing, rewriting": time.perf_counter() - start}
    for part in PARTS:
        setattr(climb, part, timed(getattr(climb, part), part, spent))
    measure = replace(task.measure, parts=timed(task.measure.parts, "measuring AP", spent))
    task = replace(task, measure=measure)
    with tempfile.TemporaryDirectory() as folder:
        result = climb.quantise(task, Path(folder))
    total = time.perf_counter() - start
    spent["the rest"] = total - sum(spent.values())
    spent = dict(spent)  # what is measured below does not count

    net = build_model(config, len(load_skeleton(config.skeleton).joints))
    load_weights(net, config.weights)
    rows = [("FP32", "0", result.fp32.ap, None, 0.0)]
    rows.append(measured(task, result.fp32, "PaddleSlim, after training", paddleslim(net, task)))
    rows.append(drawn(task, result.fp32, f"ours, all: {PLAIN}", *plain_int8(task)))
    rows.append(drawn(task, result.fp32, "ours, all: equalised", *all_equalised(task)))
    rows += [
        (f"ours: {rung.name}", str(len(rung.scales)), rung.accuracy.ap, rung.accuracy.spread)
        + (rung.accuracy.error,)
        for rung in result.rungs
    ]
    if args.train:
        rows += trained(task, result.fp32, net, args.train)

    title = f"{name}, {len(task.crops)} people calibrated on"
    title += f", {task.measure.people} measured"
    shown = [
        (name, count, f"{ap:.2f}", "" if spread is None else f"{spread:.2f}")
        + (f"{result.fp32.ap - ap:.2f}", f"{error:.4f}")
        for name, count, ap, spread, error in rows
    ]
    out.print(table(title, ("setting", "in INT8", "AP", "spread", "AP lost", "heatmap error"), shown))
    for line in sentences(result):
        out.print(line, markup=False)
    times = [(name, f"{seconds:.1f}", f"{100 * seconds / total:.0f}") for name, seconds in spent.items()]
    out.print(table(f"compress quant: {total:.0f} s in all", ("part", "s", "%"), times))
    if args.charts:
        draw(args.charts, task, name.removeprefix("tinypose_"))


def published(shared: Path, size: str) -> list[str]:
    """Return the overrides that name a published network's weights, and coco-mini."""
    options = [f"weights={shared}/weights/tinypose_{size}.pdparams"]
    data = shared / "data" / "coco-mini"
    for part in ("train", "val"):
        options += [f"data.{part}.annotations={data}/annotations/person_keypoints_{part}2017.json"]
        options += [f"data.{part}.images={data}/{part}2017"]
    return options


def plain_int8(task: Task) -> tuple[Any, dict]:
    """Return the network with one common method for all ranges, nothing equalised, nothing left in FP32."""
    settings = task.config.quant.model_copy(update={"ranges": "mse"})
    plain = replace(task, config=task.config.model_copy(update={"quant": settings}))
    statistics = climb.channel_statistics(task.graph, batches_of(task.crops, task.config))
    return task.graph, climb.calibrated(plain, task.graph, statistics, {})


def all_equalised(task: Task) -> tuple[Any, dict]:
    """Return the network equalised for INT8 in all convolutions, whatever they cost."""
    few = climb.some_batches(task, climb.SENSITIVITY_PEOPLE)
    statistics = climb.channel_statistics(task.graph, batches_of(task.crops, task.config))
    gains = climb.noise_gains(task.graph, few)
    found = climb.equalised(*climb.open_worthwhile(task.graph, statistics, gains), gains)
    return found[0], climb.calibrated(task, *found)


def measured(task: Task, fp32: Baseline, name: str, net: paddle.nn.Layer) -> Row:
    """Measure a layer once; return a row of the table."""
    sums = np.zeros(2)
    ap = task.measure.of(compared(as_network(net), fp32.outputs, sums))
    count = sum(type(layer).__name__ in ("QuantizedConv2D", "QuantizedLinear") for layer in net.sublayers())
    return name, str(count), ap, None, sums[0] / sums[1]


def drawn(task: Task, fp32: Baseline, name: str, graph: Any, scales: dict) -> Row:
    """Measure one of our settings over draws of the roundings; return a row of the table."""
    found = measure_int8(task, fp32, graph, scales, None)
    return name, str(len(scales)), found.ap, found.spread, found.error


def trained(task: Task, fp32: Baseline, net: paddle.nn.Layer, epochs: int) -> list[Row]:
    """Train with fake quantisation: as PaddleSlim does by default, PACT and LSQ; return rows of the table."""
    few = {"batch_size": 8, "epochs": epochs, "eval_epochs": max(1, epochs // 8)}
    settings = task.config.quant.train.model_copy(update=few)
    quant = task.config.quant.model_copy(update={"train": settings})
    config = task.config.model_copy(update={"quant": quant, "train": settings})
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        quantised = paddleslim(net, task)
        fit(config, Path(folder) / "slim", quantised, PoseObjective(quantised, config.output), batch_inputs)
        params = read_params(Path(folder) / "slim" / "best.pdparams")
        quantised.set_state_dict({key: paddle.to_tensor(value) for key, value in params.items()})
        rows.append(measured(task, fp32, f"PaddleSlim, {epochs} epochs", quantised))
        for method in ("pact", "lsq"):
            found = train_quantised(*plain_int8(task), task.graph, config, method, Path(folder) / method)
            rows.append(drawn(task, fp32, f"ours, all: {PLAIN}, then {method}, {epochs} epochs", *found))
    return rows


def paddleslim(net: paddle.nn.Layer, task: Task) -> paddle.nn.Layer:
    """Quantise with PaddleSlim's own layers and default settings, calibrated by moving averages."""
    from paddleslim import QAT

    quantised = deepcopy(net)
    QAT(config={"quantizable_layer_type": ["Conv2D", "Linear"]}).quantize(quantised)
    quantised.train()
    for layer in quantised.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.eval()
    with paddle.no_grad():
        for images in batches_of(task.crops, task.config)():
            quantised(paddle.to_tensor(images))
    return quantised


def timed(function: Callable, name: str, spent: dict[str, float]) -> Callable:
    """Return `function` with its seconds added to `spent[name]`."""

    def wrapped(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

    return wrapped


def draw(folder: Path, task: Task, size: str) -> None:
    """Draw the sensitivity of each convolution before and after equalisation."""
    batches = batches_of(task.crops, task.config)
    few = climb.some_batches(task, climb.SENSITIVITY_PEOPLE)
    statistics = climb.channel_statistics(task.graph, batches)
    found = (task.graph, statistics, climb.noise_gains(task.graph, few))
    for name, (graph, reach, gains) in (("plain", found), ("equalised", climb.equalised(*found))):
        scales = climb.calibrated(task, graph, reach, gains)
        with tempfile.TemporaryDirectory() as temporary:
            write_sensitivity(Path(temporary), sensitivity.sensitivity(graph, scales, few), {}, None)
            folder.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / "sensitivity.png").replace(folder / f"sensitivity_{size}_{name}.png")


if __name__ == "__main__":
    main()
