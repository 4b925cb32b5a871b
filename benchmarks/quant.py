"""Post-training quantisation of published PP-TinyPose: accuracy beside PaddleSlim's, and where the time goes.

    .venv/bin/python benchmarks/quant.py [--size 128x96] [--shared ../shared] [--out docs/images]

Calibrates on coco-mini train2017, measures on val2017, annotated boxes, no flip test. All is measured in
this one run on this one machine. Needs the folder of real data and weights.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import paddle

from compress.graph.rewrite import rewrite
from compress.graph.trace import trace
from compress.quant import climb
from compress.quant.data import batches_of, calibration_people, crops_of
from compress.quant.sensitivity import sensitivity
from compress.quant.simulate import find_scales
from tinypose.config import Config, load_config
from tinypose.console import out, table
from tinypose.engine.evaluate import as_run, evaluate, people_to_evaluate
from tinypose.files import write_whole
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.skeleton import load_skeleton

PARTS = ("observe", "channel_statistics", "noise_gains", "find_factors", "sensitivity")


def main() -> None:
    """Print both tables, and draw the sensitivity before and after equalisation if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="128x96", choices=["128x96", "256x192"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--max-drop", type=float, default=0.5)
    parser.add_argument("--out", type=Path, help="draw the sensitivities into this folder")
    args = parser.parse_args()
    if not args.shared.is_dir():
        sys.exit(f"{args.shared}: needs the real data and weights, which are not there")
    config = real_config(args.shared, args.size, args.max_drop)
    skeleton = load_skeleton(config.skeleton)
    validation = people_to_evaluate(config, skeleton)

    def ap(run: Callable[[np.ndarray], np.ndarray]) -> float:
        return evaluate(run, validation, config, skeleton, "")[0]["AP"]

    net = build_model(config.model, len(skeleton.joints))
    load_weights(net, config.weights)
    net.eval()
    crops = crops_of(calibration_people(config, skeleton), config)
    rows = [("FP32", "", ap(as_run(net)))]
    rows.append(("PaddleSlim, after training", "all", ap(paddleslim(net, crops, config))))

    start = time.perf_counter()
    graph = rewrite(trace(net, (1, 3, config.input.height, config.input.width)))
    spent = {"trace and rewrite": time.perf_counter() - start}
    for part in PARTS:
        setattr(climb, part, timed(getattr(climb, part), part, spent))
    with tempfile.TemporaryDirectory() as folder:
        result = climb.quantise(graph, crops, config, timed(ap, "measuring AP", spent), Path(folder))
    total = time.perf_counter() - start
    for rung in result.rungs:
        rows.append((f"ours: {rung.name}", str(len(rung.scales)), rung.ap))

    title = f"PP-TinyPose {args.size}, {len(crops)} people calibrated on, {len(validation.people)} measured"
    fp32 = rows[0][2]
    shown = [(name, count, f"{value:.2f}", f"{fp32 - value:.2f}") for name, count, value in rows]
    out.print(table(title, ("setting", "in INT8", "AP", "AP lost"), shown))
    spent["the rest"] = total - sum(spent.values())
    times = [(name, f"{seconds:.1f}", f"{100 * seconds / total:.0f}") for name, seconds in spent.items()]
    out.print(table(f"{total:.0f} s in all", ("part", "s", "%"), times))
    if args.out:
        chosen = result.rungs[-1]
        draw(args.out / f"sensitivity_{args.size}.png", graph, chosen.graph, crops, config)


def real_config(shared: Path, size: str, max_drop: float) -> Config:
    """Return the config of a published network on coco-mini, without flip test."""
    options = [f"weights={shared}/weights/tinypose_{size}.pdparams", "eval.flip=false"]
    data = shared / "data" / "coco-mini"
    for part in ("train", "val"):
        options += [f"data.{part}.annotations={data}/annotations/person_keypoints_{part}2017.json"]
        options += [f"data.{part}.images={data}/{part}2017"]
    return load_config(f"configs/tinypose_{size}.yml", [*options, f"quant.max_drop={max_drop}"])


def paddleslim(net: paddle.nn.Layer, crops: np.ndarray, config: Config) -> Callable[[np.ndarray], np.ndarray]:
    """Quantise with PaddleSlim's own layers, calibrated by moving averages, as it does by default."""
    from paddleslim import QAT

    settings = {
        "weight_quantize_type": "channel_wise_abs_max",
        "activation_quantize_type": "moving_average_abs_max",
        "quantizable_layer_type": ["Conv2D"],
    }
    quantised = deepcopy(net)
    QAT(config=settings).quantize(quantised)
    quantised.train()
    for layer in quantised.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer.eval()
    with paddle.no_grad():
        for images in batches_of(crops, config)():
            quantised(paddle.to_tensor(images))
    return as_run(quantised)


def timed(function: Callable, name: str, spent: dict[str, float]) -> Callable:
    """Return `function` with its seconds added to `spent[name]`."""

    def wrapped(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

    return wrapped


def draw(path: Path, before, after, crops: np.ndarray, config: Config) -> None:
    """Draw the most sensitive convolutions, before and after equalisation, as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    few = crops[:: max(1, len(crops) // 8)]
    errors = []
    for graph in (before, after):
        scales = find_scales(graph, climb.observe(graph, batches_of(crops, config)), config.quant.ranges)
        errors.append(sensitivity(graph, scales, batches_of(few, config)()))
    names = list(errors[0])[:15]
    figure, axis = pyplot.subplots(figsize=(9, 5), layout="constrained")
    places = np.arange(len(names))
    for offset, found, label in ((-0.2, errors[0], "plain"), (0.2, errors[1], "equalised")):
        axis.barh(places + offset, [found[name] for name in names], 0.4, label=label)
    axis.set_yticks(places, [name.removeprefix("backbone.") for name in names])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel("heatmap error when this convolution alone is quantised")
    axis.legend()
    with write_whole(path) as temporary:
        figure.savefig(temporary, dpi=110)


if __name__ == "__main__":
    main()
