"""`lite-deploy eval`: accuracy through the runtime, not the training code."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lite_deploy.commands.devices import (
    DeviceOption,
    KeyOption,
    KnownHostsOption,
    PaddleLiteOption,
    PythonOption,
    RunnerOption,
)
from lite_deploy.commands.options import FolderArgument
from tinypose.console import out, table
from tinypose.files import check_output, write_json

BATCH = 128  # inputs that a device computes in one process


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
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the keypoints in COCO's results format.")
    ] = None,
    device: DeviceOption = "local",
    runner: RunnerOption = None,
    python: PythonOption = "python3",
    paddle_lite: PaddleLiteOption = None,
    key: KeyOption = None,
    known_hosts: KnownHostsOption = None,
) -> None:
    """Measure a model of a folder: COCO keypoint AP and AR, run by its own engine.

    With --device the network runs there, the rest here. Without, a model for another machine is computed
    instruction by instruction, as that machine would. What is not given here is as in the config that was
    exported. The result is noted in pose.json.
    """
    from lite_deploy.bench.devices import choose_runner, open_device
    from lite_deploy.evaluation import evaluation_config, open_for_evaluation, open_on_device
    from tinypose.artifact.record import AccuracyRecord, read_artifact, write_artifact
    from tinypose.engine.evaluate import evaluate as measure
    from tinypose.engine.evaluate import people_to_evaluate
    from tinypose.inference.pose_model import default_model
    from tinypose.metrics.oks import METRICS, formatted

    artifact = read_artifact(folder)
    name = model or default_model()
    here = device == "local" and runner is None
    config = evaluation_config(artifact, data, flip, boxes, None if here else BATCH)
    if output is not None:
        check_output(output, [boxes, config.data.val.annotations if config.data.val else None])
    people = people_to_evaluate(config, artifact.skeleton)
    out.print(people.summary, markup=False)
    if here:
        run, how = open_for_evaluation(artifact, folder, name)
        metrics, predictions = measure(run, people, config, artifact.skeleton)
    else:
        chosen = choose_runner(device, runner, python, paddle_lite)
        opened = open_device(device, key, known_hosts)
        how = f"on {opened.name}"
        try:
            with open_on_device(artifact, folder, name, opened, chosen) as run:
                metrics, predictions = measure(run, people, config, artifact.skeleton)
        finally:
            opened.close()
    title = f"{folder}: {name}, {how}, {'flip test' if config.eval.flip else 'no flip test'}"
    out.print(table(escape(title), METRICS, [formatted(metrics)]))
    if output is not None:
        write_json(output, predictions)
        out.print(f"predictions: {output}", markup=False)
    record = AccuracyRecord(
        model=name,
        data=str(config.data.val.annotations),
        people=len(people.people),
        flip=config.eval.flip,
        device="" if here else opened.name,
        metrics=metrics,
    )
    same = ("model", "data", "people", "flip", "device")
    others = [a for a in artifact.accuracy if any(getattr(a, key) != getattr(record, key) for key in same)]
    write_artifact(folder, artifact.model_copy(update={"accuracy": (*others, record)}))
