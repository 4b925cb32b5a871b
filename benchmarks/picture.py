"""What the convolution that reads the picture costs in INT8: on the normalised picture, and on whole pixels.

    python benchmarks/picture.py [--size 128x96] [--shared ../shared]

Whole pixels less an offset are what INT8 holds as they are; mean and deviation then go into the weights and
the bias of that convolution, and its border has the mean's colour. Prints the relative squared error of the
heatmaps on coco-mini val2017, one draw of the roundings. Needs the folder of real data and weights.
"""

from tinypose.cpu import prepare_cpu

prepare_cpu()  # before anything imports Paddle

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from quant import published

from compress.graph.ir import Graph
from compress.quant import climb
from compress.quant.accuracy import compared, measure_fp32
from compress.quant.data import batches_of
from compress.quant.scales import LEVELS, ConvScale, Scales, only, weight_ranges
from compress.quant.simulate import Simulation
from compress.quant.task import Task, read_task
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.network import Network


def main() -> None:
    """Measure each way and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="128x96", choices=["128x96", "256x192"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    args = parser.parse_args()
    if not args.shared.is_dir():
        sys.exit(f"{args.shared}: needs the real data and weights, which are not there")
    name = f"tinypose_{args.size}"
    task = read_task(load_config(name, ["quant.target=sdot", *published(args.shared, args.size)]), Path(name))
    fp32 = measure_fp32(task, task.graph)
    graph, scales = equalised(task)
    chosen = only(scales, climb.in_int8(task))
    picture = next(node.name for node in graph.nodes if graph.input in node.inputs)
    with_picture = {**chosen, picture: scales[picture]}
    ways: list[tuple[str, Network]] = [
        ("the chosen ones, the picture's in FP32", Simulation(graph, chosen)),
        ("and the picture's in INT8, normalised", Simulation(graph, with_picture)),
    ]
    for less in (128, 127):
        ways.append((f"and on whole pixels less {less}", on_pixels(task, graph, chosen, picture, less)))
    rows = []
    for way, network in ways:
        sums = np.zeros(2)
        ap = task.measure.of(compared(network, fp32.outputs, sums))
        rows.append((way, f"{sums[0] / sums[1]:.4f}", f"{ap:.2f}"))
    out.print(
        table(
            f"{name}, equalised; FP32 has AP {fp32.ap:.2f}", ("in INT8", "error of the heatmaps", "AP"), rows
        )
    )


def equalised(task: Task) -> tuple[Graph, dict[str, ConvScale]]:
    """Return the network equalised for the convolutions that are chosen, and ranges of all."""
    statistics = climb.channel_statistics(task.graph, batches_of(task.crops, task.config))
    gains = climb.noise_gains(task.graph, climb.some_batches(task, climb.SENSITIVITY_PEOPLE))
    gains = {name: gains[name] for name in climb.in_int8(task)}
    graph, statistics, gains = climb.equalised(task.graph, statistics, gains)
    return graph, climb.calibrated(task, graph, statistics, gains)


def on_pixels(task: Task, graph: Graph, scales: Scales, picture: str, less: int) -> Network:
    """Return the network whose first convolution reads whole pixels less `less`, in INT8 as the others.

    Its border is part of the picture here, since INT8 pads with 0 and the mean's colour is another number.
    """
    settings = task.config.input
    mean, std = (np.array(each, np.float64) for each in (settings.mean, settings.std))
    (node,) = [each for each in graph.nodes if each.name == picture]
    weight = node.params["weight"] / (255 * std)[None, :, None, None]
    bias = node.params["bias"] + (weight * (less - 255 * mean)[None, :, None, None]).sum((1, 2, 3))
    top, left = node.attrs["padding"]
    first = replace(
        node,
        params={"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)},
        attrs={**node.attrs, "padding": [0, 0]},
    )
    nodes = [first if each is node else each for each in graph.nodes]
    scale = ConvScale(float(LEVELS), weight_ranges(first))  # a step is one level of grey
    network = Simulation(replace(graph, nodes=nodes), {**scales, picture: scale})
    border = np.rint(255 * mean - less).astype(np.float32)

    def run(images: np.ndarray) -> list[np.ndarray]:
        pixels = np.rint((images * std[:, None, None] + mean[:, None, None]) * 255) - less
        count, channels, height, width = pixels.shape
        shape = (count, channels, height + 2 * top, width + 2 * left)
        padded = np.broadcast_to(border[:, None, None], shape).copy()
        padded[:, :, top : top + height, left : left + width] = pixels
        return network(padded)

    return run


if __name__ == "__main__":
    main()
