"""`tinypose eval`: accuracy of a network on annotated people."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import count, out, table
from tinypose.errors import UserError
from tinypose.files import check_output, write_json


def evaluate(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    boxes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A detector's boxes: -o eval.boxes=FILE.")
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Choose from which score each joint is there; write it here."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="PCK, NME and end-point error of each joint too, in parts of: box, diagonal, area, or the "
            "distance of two joints, JOINT,JOINT.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the keypoints in COCO's results format.")
    ] = None,
) -> None:
    """Measure a network on data.val: COCO's AP and AR, CrowdPose's AP by crowding, or MPII's PCKh.

    The people's boxes are the annotated ones, or a detector's with -o eval.boxes=bbox.json (--boxes);
    -o eval.flip=false leaves the mirrored pass out. --thresholds and --length need annotated boxes.
    """
    from tinypose.config import load_config

    loaded = load_config(config, [*override, *([f"eval.boxes={boxes}"] if boxes else [])])
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    by_joint = thresholds is not None or length is not None
    if by_joint and (loaded.output.gives == "people" or loaded.eval.boxes is not None):
        raise UserError(
            "--thresholds, --length: joints are compared person by person: expected a network that looks at "
            "one person at a time, and annotated boxes (no eval.boxes)"
        )
    for file in (each for each in (output, thresholds) if each is not None):
        data = loaded.data.val
        reads = [] if data is None else [data.annotations]
        check_output(file, [config, loaded.weights, loaded.eval.boxes, *reads])

    from tinypose.engine.evaluate import people_to_evaluate, predict
    from tinypose.engine.measure import measure, score
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network
    from tinypose.skeleton import load_skeleton

    skeleton = load_skeleton(loaded.skeleton)
    people = people_to_evaluate(loaded, skeleton)
    out.print(people.summary, markup=False)
    net = build_model(loaded, len(skeleton.joints))
    load_weights(net, loaded.weights)
    if by_joint:
        from tinypose.metrics.joints import person_lengths

        lengths = None if length is None else person_lengths(people.people, skeleton, length)
        keypoints = predict(as_network(net), people.people, loaded, skeleton, "evaluating")
        metrics, predictions = score(keypoints, people, loaded, skeleton)
    else:
        metrics, predictions = measure(as_network(net), people, loaded, skeleton)
    boxes = "annotated boxes" if loaded.eval.boxes is None else f"boxes of {loaded.eval.boxes}"
    if loaded.output.gives == "people":
        boxes = f"whole pictures, scales {', '.join(f'{each:g}' for each in loaded.eval.scales)}"
        boxes += ", rescored" if loaded.eval.rescorer else ""
    flip = "flip test" if loaded.eval.flip else "no flip test"
    print_metrics(f"{loaded.weights}: {boxes}, {flip}", metrics)
    if length is not None:
        _print_joints(keypoints, people.people, lengths, skeleton, f"in parts of {length}, {flip}")
    if thresholds is not None:
        _choose_thresholds(thresholds, keypoints, people.people, skeleton, flip)
    if output is not None:
        write_json(output, predictions)
        out.print(f"predictions: {output}", markup=False)


def _print_joints(keypoints, people, lengths, skeleton, title: str) -> None:
    """Print PCK, NME and end-point error."""
    import numpy as np

    from tinypose.metrics.joints import columns, joint_measures

    joints = np.stack([person.joints for person in people])
    rows = [
        (name, str(values[0]), *("-" if value is None else f"{value:.1f}" for value in values[1:]))
        for name, values in joint_measures(keypoints, joints, lengths, skeleton.joints).items()
    ]
    out.print(table(escape(title), ("joint", *columns()), rows))
    if unknown := int((lengths <= 0).sum()):
        out.print(f"left out: {count(unknown, 'person', 'people')} whose length is not known", markup=False)


def _choose_thresholds(path: Path, keypoints, people, skeleton, flip: str) -> None:
    """Choose, print and write a threshold for each joint."""
    from tinypose.metrics.thresholds import FEWEST, choose_thresholds, write_thresholds

    chosen = choose_thresholds(keypoints, people, skeleton)
    rows = [
        (name, f"{each.threshold:.3f}", str(each.found), str(each.absent))
        + tuple("-" if share is None else f"{100 * share:.1f}" for share in (each.precision, each.recall))
        for name, each in chosen.items()
    ]
    head = ("joint", "threshold", "found", "not there or missed", "precision %", "recall %")
    out.print(table(escape(f"from which score a joint is there, {flip}"), head, rows))
    if few := [name for name, each in chosen.items() if each.precision is None]:
        out.print(f"left as they were, fewer than {FEWEST} to choose by: {', '.join(few)}", markup=False)
    write_thresholds(path, chosen, skeleton)
    out.print(f"thresholds: {path}; use them with -o eval.thresholds={path}", markup=False)


def print_metrics(title: str, metrics: dict[str, float | None]) -> None:
    """Print percentages: COCO's in one row, others one below the other."""
    from tinypose.metrics.coco_eval import HEADINGS, METRICS, formatted

    if tuple(metrics) == METRICS:
        out.print(table(escape(title), HEADINGS, [formatted(metrics)]))
    else:
        rows = [(name, "-" if value is None else f"{value:.1f}") for name, value in metrics.items()]
        out.print(table(escape(title), ("metric", "%"), rows))
