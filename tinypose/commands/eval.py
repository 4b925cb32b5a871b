"""`tinypose eval`: accuracy of a network on annotated people."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import out, table
from tinypose.errors import UserError
from tinypose.files import check_output, write_json


def evaluate(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    boxes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A detector's boxes: -o eval.boxes=FILE.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the keypoints in COCO's results format.")
    ] = None,
) -> None:
    """Measure a network on data.val: COCO's AP and AR, CrowdPose's AP by crowding, or MPII's PCKh.

    The people's boxes are the annotated ones, or a detector's with -o eval.boxes=bbox.json (--boxes);
    -o eval.flip=false leaves the mirrored pass out.
    """
    from tinypose.config import load_config

    loaded = load_config(config, [*override, *([f"eval.boxes={boxes}"] if boxes else [])])
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if output is not None:
        data = loaded.data.val
        reads = [] if data is None else [data.annotations]
        check_output(output, [config, loaded.weights, loaded.eval.boxes, *reads])

    from tinypose.engine.evaluate import people_to_evaluate
    from tinypose.engine.measure import measure
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network
    from tinypose.skeleton import load_skeleton

    skeleton = load_skeleton(loaded.skeleton)
    people = people_to_evaluate(loaded, skeleton)
    out.print(people.summary, markup=False)
    net = build_model(loaded, len(skeleton.joints))
    load_weights(net, loaded.weights)
    metrics, predictions = measure(as_network(net), people, loaded, skeleton)
    boxes = "annotated boxes" if loaded.eval.boxes is None else f"boxes of {loaded.eval.boxes}"
    if loaded.output.gives == "people":
        boxes = f"whole pictures, scales {', '.join(f'{each:g}' for each in loaded.eval.scales)}"
        boxes += ", rescored" if loaded.eval.rescorer else ""
    flip = "flip test" if loaded.eval.flip else "no flip test"
    print_metrics(f"{loaded.weights}: {boxes}, {flip}", metrics)
    if output is not None:
        write_json(output, predictions)
        out.print(f"predictions: {output}", markup=False)


def print_metrics(title: str, metrics: dict[str, float | None]) -> None:
    """Print percentages: COCO's in one row, others one below the other."""
    from tinypose.metrics.coco_eval import HEADINGS, METRICS, formatted

    if tuple(metrics) == METRICS:
        out.print(table(escape(title), HEADINGS, [formatted(metrics)]))
    else:
        rows = [(name, "-" if value is None else f"{value:.1f}") for name, value in metrics.items()]
        out.print(table(escape(title), ("metric", "%"), rows))
