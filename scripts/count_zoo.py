"""Count what every network of the zoo costs: parameters, multiply-adds, instructions on ARM by precision.

    .venv/bin/python scripts/count_zoo.py                 # those that configs/counted.json lacks
    .venv/bin/python scripts/count_zoo.py tinypose_128x96 # these, again

Weights do not matter to what is counted, so the networks are as built. The instructions of FP32 and FP16 are
estimated from the `.nb` that Paddle-Lite's optimiser makes (docs/rewriting.md); INT8 takes
fewer by what `compress.quant.pay` counts for it, on cores with `sdot`, where it pays.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import paddle
from paddle import nn

from compress.graph.ir import Graph
from compress.graph.rewrite import rewrite
from compress.graph.trace import trace
from compress.quant.pay import int8_saving, worth_int8
from lite_deploy.nb.estimate import estimate
from lite_deploy.write.lite import optimise
from lite_deploy.write.paddle import write_program
from tinypose.config import CONFIGS
from tinypose.detection.config import DetectorConfig, load_any_config
from tinypose.detection.weights import counted_detector
from tinypose.files import write_text
from tinypose.models import build_model
from tinypose.models.profile import count_parameters, profile
from tinypose.models.published import NETWORKS, Counted, counted, dumps
from tinypose.skeleton import load_skeleton


def main() -> None:
    """Count sizes, then instructions, which takes minutes each; write the table after each network."""
    table = counted() if (CONFIGS / "counted.json").is_file() else {}
    names = sys.argv[1:] or [each.config for each in NETWORKS]
    for counting in (sizes, with_instructions):
        if counting is with_instructions:
            names = sorted(names, key=lambda name: table[name].multiply_adds)  # what is quick comes first
        for name in names:
            if (
                sys.argv[1:]
                or name not in table
                or (counting is with_instructions and not table[name].instructions)
            ):
                start = time.monotonic()
                table[name] = counting(name, table)
                ordered = {each.config: table[each.config] for each in NETWORKS if each.config in table}
                write_text(CONFIGS / "counted.json", dumps(ordered))
                print(f"{name}: {table[name]}, {time.monotonic() - start:.0f} s", flush=True)


def sizes(name: str, known: dict[str, Counted]) -> Counted:
    """Count parameters and multiply-adds; a network that is the same as another is not counted again."""
    net, (width, height) = build(name)
    if (same := same_as(name, known)) is not None:  # but for what only training needs, as SWAHR's scales
        return replace(known[same], parameters=count_parameters(net), instructions={})
    total = sum(cost.multiply_adds for cost in profile(net, (3, height, width)))
    return Counted(width, height, count_parameters(net), total, {})


def with_instructions(name: str, known: dict[str, Counted]) -> Counted:
    """Add the instructions on ARM to what `sizes` counted."""
    counted_so_far = {each: value for each, value in known.items() if value.instructions}
    if (same := same_as(name, counted_so_far)) is not None:
        return known[same]
    net, (width, height) = build(name)
    net.eval()
    with paddle.no_grad():
        graph = rewrite(trace(net, (1, 3, height, width)))
    costs = {precision: instructions(graph, precision) for precision in ("fp32", "fp16")}
    picture = [node.name for node in graph.nodes if graph.input in node.inputs]
    costs["int8"] = costs["fp32"] - round(int8_saving(graph, worth_int8(graph, True, picture), True))
    return replace(known[name], instructions=costs)


def same_as(name: str, known: dict[str, Counted]) -> str | None:
    """Return another network of the same shape that was counted."""
    return next((each for each in known if each != name and shape_of(each) == shape_of(name)), None)


def shape_of(name: str) -> tuple:
    """Return what decides a network's shape."""
    config = load_any_config(name)
    if isinstance(config, DetectorConfig):
        return config.model, config.input
    kind = config.output.model_dump(include={"name", "stride", "kind", "higher", "bins"})
    return config.model, config.input, str(kind), len(load_skeleton(config.skeleton).joints)


def build(name: str) -> tuple[nn.Layer, tuple[int, int]]:
    """Build a pose network or a detector; return it, and width and height of its input."""
    config = load_any_config(name)
    if isinstance(config, DetectorConfig):
        return counted_detector(config), (config.input.width, config.input.height)
    return build_model(config, len(load_skeleton(config.skeleton).joints)), config.input.size


def instructions(graph: Graph, precision: str) -> int:
    """Estimate the instructions of one inference from the `.nb` of a graph."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_program(graph, place, fuse_shuffles=True, copy_rows=True)
        program = place / "model.pdmodel", place / "model.pdiparams"
        model = optimise(*program, place / "out.nb", "arm", precision)
    return round(estimate(model, graph.shapes[graph.input][2:]))


if __name__ == "__main__":
    main()
