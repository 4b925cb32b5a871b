"""`lite-deploy eval`: accuracy through the runtime, not the training code."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lite_deploy.commands.options import FolderArgument
from tinypose.console import out, table
from tinypose.files import write_json


def evaluate(
    folder: FolderArgument,
    data: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="ANNOTATIONS IMAGES", help="COCO annotations and their pictures. None: data.val."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to run. None: Paddle-Lite in FP32 for this machine.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Average with the mirrored picture, or not.")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(metavar="FILE", help="A detector's bbox.json.")] = None,
    save_predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the keypoints in COCO's results format.")
    ] = None,
) -> None:
    """Measure a model of a folder: COCO keypoint AP and AR, run by its own engine.

    A model for another machine is computed instruction by instruction, as that machine would. What is not
    given here is as in the config that was exported. The result is noted in pose.json.
    """
    from lite_deploy.evaluation import evaluation_config, open_for_evaluation
    from tinypose.artifact.record import AccuracyRecord, read_artifact, write_artifact
    from tinypose.engine.evaluate import evaluate as measure
    from tinypose.engine.evaluate import people_to_evaluate
    from tinypose.inference.pose_model import default_model
    from tinypose.metrics.oks import METRICS, formatted

    artifact = read_artifact(folder)
    name = model or default_model()
    config = evaluation_config(artifact, data, flip, boxes)
    run, how = open_for_evaluation(artifact, folder, name)
    people = people_to_evaluate(config, artifact.skeleton)
    out.print(people.summary, markup=False)
    metrics, predictions = measure(run, people, config, artifact.skeleton)
    title = f"{folder}: {name}, {how}, {'flip test' if config.eval.flip else 'no flip test'}"
    out.print(table(escape(title), METRICS, [formatted(metrics)]))
    if save_predictions is not None:
        write_json(save_predictions, predictions)
        out.print(f"predictions: {save_predictions}", markup=False)
    record = AccuracyRecord(
        model=name,
        data=str(config.data.val.annotations),
        people=len(people.people),
        flip=config.eval.flip,
        metrics=metrics,
    )
    same = ("model", "data", "people", "flip")
    others = [a for a in artifact.accuracy if any(getattr(a, key) != getattr(record, key) for key in same)]
    write_artifact(folder, artifact.model_copy(update={"accuracy": (*others, record)}))
