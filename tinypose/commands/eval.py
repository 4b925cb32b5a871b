"""`tinypose eval`: accuracy of a network on annotated people."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.errors import UserError
from tinypose.files import write_json


def evaluate(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    save_predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the keypoints in COCO's results format.")
    ] = None,
) -> None:
    """Measure a network on data.val: COCO's AP and AR, CrowdPose's AP by crowding, or MPII's PCKh.

    The people's boxes are the annotated ones, or a detector's with -o eval.boxes=bbox.json;
    -o eval.flip=false leaves the mirrored pass out.
    """
    loaded = load_config(config, override)
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if save_predictions is not None:
        _check_writable(save_predictions)

    from tinypose.engine.evaluate import people_to_evaluate
    from tinypose.engine.measure import measure
    from tinypose.metrics.oks import METRICS, formatted
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network
    from tinypose.skeleton import load_skeleton

    skeleton = load_skeleton(loaded.skeleton)
    people = people_to_evaluate(loaded, skeleton)
    out.print(people.summary, markup=False)
    net = build_model(loaded.model, len(skeleton.joints))
    load_weights(net, loaded.weights)
    metrics, predictions = measure(as_network(net), people, loaded, skeleton)
    boxes = "annotated boxes" if loaded.eval.boxes is None else f"boxes of {loaded.eval.boxes}"
    flip = "flip test" if loaded.eval.flip else "no flip test"
    title = escape(f"{loaded.weights}: {boxes}, {flip}")
    if loaded.data.val.format == "coco":
        out.print(table(title, METRICS, [formatted(metrics)]))
    else:
        rows = [(name, "-" if value is None else f"{value:.1f}") for name, value in metrics.items()]
        out.print(table(title, ("metric", "%"), rows))
    if save_predictions is not None:
        write_json(save_predictions, predictions)
        out.print(f"predictions: {save_predictions}", markup=False)


def _check_writable(path: Path) -> None:
    """Say so before the long run if its result could not be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot make the folder: {error.strerror}") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: cannot write there; expected the name of a file in a writable folder")
