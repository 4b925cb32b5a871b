"""From a detector's config and weights to its artifact folder."""

from collections.abc import Sequence
from pathlib import Path

from compress.graph.rewrite import rewrite
from compress.graph.trace import trace
from lite_deploy.engines import tool_versions
from lite_deploy.export import check_replaceable, put_in_place, tensor_records, write_models
from lite_deploy.nb.combinations import check_model
from tinypose.artifact.record import FILE, Artifact, InputRecord, OriginRecord, write_artifact
from tinypose.detection.config import DetectorConfig
from tinypose.detection.weights import load_detector, person_only
from tinypose.errors import UserError
from tinypose.files import sha256, temporary_folder
from tinypose.models.zoo import locate

MODELS = ("arm_fp32", "arm_fp16", "x86_fp32")


def export_detector(
    config: DetectorConfig, folder: str | Path, config_file: str = "", models: Sequence[str] | None = None
) -> Artifact:
    """Make the artifact folder of a person detector, whole or not at all.

    The network is exported with one class, the person.

    Args:
        config: what detector, with `weights` set.
        folder: where to; an artifact that is there is replaced, anything else is left alone.
        config_file: where the config comes from, to be noted.
        models: which `.nb` to make; none: FP32 and FP16 for ARM, FP32 for x86.

    Raises:
        UserError: no weights, INT8 asked for, or a folder with other things in it.
    """
    folder = Path(folder)
    names = list(models or MODELS)
    for name in names:
        if check_model(name)[1] == "int8":
            raise UserError(
                f"model '{name}': detectors are made in FP32 and FP16; expected one of: {', '.join(MODELS)}"
            )
    if config.weights is None:
        raise UserError(
            f"{config_file or 'config'}: weights: not set; give -o weights=FILE, a URL, or a name"
        )
    check_replaceable(folder, FILE)

    weights = locate(config.weights)
    net, kept = person_only(load_detector(config), config)
    graph = rewrite(trace(net, (1, 3, kept.input.height, kept.input.width)))
    with temporary_folder(folder) as temporary:
        made = temporary / "artifact"
        records = write_models(graph, {}, made, names, True)
        artifact = Artifact(
            input=InputRecord(**kept.input.model_dump(), fit="squeeze"),
            output=kept.codec,
            tensors=tensor_records(graph),
            models=records,
            tools=tool_versions(),
            origin=OriginRecord(
                config=config.model_dump(mode="json"),
                config_file=config_file,
                weights=str(config.weights),
                weights_sha256=sha256(weights),
                rewritten=True,
                quantised=0,
            ),
        )
        write_artifact(made, artifact)
        put_in_place(made, folder)
    return artifact
