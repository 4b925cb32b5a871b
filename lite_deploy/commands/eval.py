"""`lite-deploy eval`: accuracy through the runtime, not the training code."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lite_deploy.commands.devices import (
    DeviceOption,
    KeyOption,
    KnownHostsOption,
    PaddleLiteOption,
    PythonOption,
    RunnerOption,
)
from lite_deploy.commands.options import FolderArgument
from tinypose.commands.eval import print_metrics
from tinypose.console import out
from tinypose.errors import UserError
from tinypose.files import check_output, write_json

BATCH = 128  # inputs that a device computes in one process


def evaluate(
    folder: FolderArgument,
    data: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="ANNOTATIONS IMAGES", help="Annotations and their pictures. None: data.val, as exported."
        ),
    ] = None,
    format: Annotated[
        Literal["coco", "crowdpose", "mpii"], typer.Option(help="Of --data; it also decides the metric.")
    ] = "coco",
    model: Annotated[
        str | None, typer.Option(help="The model to run. None: Paddle-Lite in FP32 for this machine.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Average with the mirrored picture, or not.")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(metavar="FILE", help="A detector's bbox.json.")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the results in COCO's format.")
    ] = None,
    device: DeviceOption = "local",
    runner: RunnerOption = None,
    python: PythonOption = "python3",
    paddle_lite: PaddleLiteOption = None,
    key: KeyOption = None,
    known_hosts: KnownHostsOption = None,
) -> None:
    """Measure a model of a folder by its own engine: AP or PCKh of joints, AP of a detector's boxes.

    With --device the network runs there, the rest here. Without, a model for another machine is computed
    instruction by instruction, as that machine would. What is not given here is as in the config that was
    exported. The result is noted in pose.json.
    """
    from lite_deploy.bench.devices import choose_runner, open_device
    from lite_deploy.evaluation import (
        Measured,
        evaluation_config,
        measure_boxes,
        measure_joints,
        on_normalised,
        open_on_device,
    )
    from lite_deploy.verify import exported_config, open_or_interpret
    from tinypose.artifact.record import AccuracyRecord, read_artifact, write_artifact
    from tinypose.config import DatasetConfig
    from tinypose.inference.pose_model import default_model
    from tinypose.network import Network

    artifact = read_artifact(folder)
    name = model or default_model()
    here = device == "local" and runner is None
    dataset = None if data is None else DatasetConfig(annotations=data[0], images=data[1], format=format)
    finds_boxes = artifact.output.gives == "boxes"
    if finds_boxes and (flip or boxes is not None):
        raise UserError(f"{folder}: a detector's folder; --flip and --boxes are for pose networks")
    config = (
        None if finds_boxes else evaluation_config(artifact, dataset, flip, boxes, None if here else BATCH)
    )

    if output is not None:
        val = dataset or exported_config(artifact).data.val
        check_output(output, [boxes, val.annotations if val else None])

    def measured(network: Network) -> Measured:
        if config is None:
            return measure_boxes(artifact, network, dataset)
        return measure_joints(artifact, network, config)

    if here:
        network, how = open_or_interpret(artifact, folder, artifact.model(name))
        result = measured(on_normalised(artifact, network))
    else:
        chosen = choose_runner(device, runner, python, paddle_lite)
        opened = open_device(device, key, known_hosts)
        how = f"on {opened.name}"
        try:
            with open_on_device(artifact, folder, name, opened, chosen) as network:
                result = measured(network)
        finally:
            opened.close()
    out.print(result.summary, markup=False)
    flipped = config is not None and config.eval.flip
    test = "boxes of people" if config is None else "flip test" if flipped else "no flip test"
    print_metrics(f"{folder}: {name}, {how}, {test}", result.metrics)
    if output is not None:
        write_json(output, result.predictions)
        out.print(f"predictions: {output}", markup=False)
    record = AccuracyRecord(
        model=name,
        data=result.data,
        people=result.people,
        flip=flipped,
        device="" if here else opened.name,
        metrics=result.metrics,
    )
    same = ("model", "data", "people", "flip", "device")
    others = [a for a in artifact.accuracy if any(getattr(a, key) != getattr(record, key) for key in same)]
    write_artifact(folder, artifact.model_copy(update={"accuracy": (*others, record)}))
