"""From a config and weights to an artifact folder."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress.graph.cost import Cost, cost_rows
from compress.graph.ir import Graph
from compress.graph.rewrite import fold, rewrite
from compress.graph.rules.gates import pad_max_pools, split_gates, split_hard_swish
from compress.graph.rules.scales import fold_scale_into_convolutions_behind
from compress.graph.run import run_numpy
from compress.graph.trace import trace
from compress.quant.package import FILE as PACKAGE
from compress.quant.package import QuantRecord, noise_error, read_package
from compress.quant.scales import Scales, quantise
from compress.quant.settings import Settings, apply_settings, read_settings
from compress.trained import load_trained
from lite_deploy.engines import tool_versions
from lite_deploy.nb.combinations import MODELS, check_model, needs_extra
from lite_deploy.verify import noise_crops, open_or_interpret
from lite_deploy.write.lite import optimise
from lite_deploy.write.onnx import write_onnx
from lite_deploy.write.others import SOURCES, check_engines, other_versions, write_other
from lite_deploy.write.paddle import write_program
from tinypose.artifact.record import (
    FILE,
    Artifact,
    CostRecord,
    ModelRecord,
    OriginRecord,
    QuantisedRecord,
    TensorRecord,
    record_file,
    write_artifact,
)
from tinypose.artifact.trial import trust
from tinypose.codecs import Outputs
from tinypose.config import Config
from tinypose.console import err, track
from tinypose.detection.config import DetectorConfig
from tinypose.errors import UserError
from tinypose.files import check_room, sha256, temporary_folder
from tinypose.inference.pose_model import network_input
from tinypose.models.zoo import locate
from tinypose.network import as_network
from tinypose.noise import noise_pictures, relative_error
from tinypose.preprocess import normalise as normalise_pixels

FP16_ERROR = 0.05  # relative squared error on noise; sound networks are far below
INT8_ERROR = 1e-3  # beyond twice of what was measured


def export(
    config: Config | DetectorConfig,
    folder: str | Path,
    config_file: str = "",
    rewritten: bool = True,
    quant: str | Path | None = None,
    models: Sequence[str] | None = None,
    normalise: bool = False,
    engines: Sequence[str] = (),
) -> Artifact:
    """Make the artifact folder of a pose network or a detector, whole or not at all.

    Args:
        config: what network, with `weights` set.
        folder: where to; an artifact that is there is replaced, anything else is left alone.
        config_file: where the config comes from, to be noted.
        rewritten: rewrite the network for the phone (`compress.graph.rewrite`).
        quant: a folder that `compress quant` wrote: its network is exported, in FP32, FP16 and INT8; or INT8
            settings without a network, a file or the name of one that ships (`compress.quant.settings`).
        models: which `.nb` to make (`lite_deploy.nb.combinations.MODELS`); none: all, INT8 with `quant` only.
        normalise: let the network take pixels, 0 to 255, and normalise them itself.
        engines: others to make models for: `openvino`, `mnn`, `ncnn` (`lite_deploy.write.others`).

    Raises:
        UserError: no weights, a combination that is known to be wrong, ranges that do not fit, or a folder
            with other things in it.
    """
    folder = Path(folder)
    names = list(models or [name for name in MODELS if quant or not name.endswith("int8")])
    for name in names:
        if check_model(name)[1] == "int8" and quant is None:
            raise UserError(f"model '{name}': needs the ranges that `compress quant` finds; give --quant")
    if normalise and (quant is not None or not rewritten):
        raise UserError(
            "normalise: folds mean and standard deviation into the first convolution, which is a rewriting, "
            "and not one of a quantised network: its first range would change; drop --quant or --no-rewrite"
        )
    if config.weights is None:
        raise UserError(
            f"{config_file or 'config'}: weights: not set; give -o weights=FILE, a URL, or a name"
        )
    check_engines(engines := list(dict.fromkeys(engines)))
    _check_replaceable(folder)

    weights = locate(config.weights)
    package, settings = None, None
    if quant is not None and (Path(quant) / PACKAGE).is_file():
        package = read_package(quant)
    elif quant is not None:
        settings = read_settings(quant)
    trained = load_trained(config, weights)
    noise = normalise_pixels(noise_pictures(config.input.width, config.input.height), config.input)
    expected = as_network(trained.net)(noise)
    if not all(np.isfinite(each).all() for each in expected):
        raise UserError(
            f"{weights}: the network gives numbers that are not finite (NaN, infinity) on pictures of noise; "
            "nothing was exported; these weights cannot be used"
        )
    traced = trace(trained.net, (1, 3, config.input.height, config.input.width))
    scales: Scales = {}
    kept: tuple[str, ...] = ()
    further = False
    target = None
    if package is not None:
        _check_package(package, quant, traced, weights)
        graph, scales, kept = package[0], package[1], package[2].kept_fp32
        rewritten, further, target = package[2].rewritten, _differs(graph, traced), package[2].target
    elif settings is not None:
        rewritten, kept, target = settings.rewritten, settings.kept_fp32, settings.target
        graph, scales = apply_settings(settings, rewrite(traced) if rewritten else fold(traced), str(quant))
    elif rewritten:
        constants = (config.input.mean, config.input.std) if normalise else None
        graph = rewrite(traced, normalise=constants)
    else:
        graph = traced

    with temporary_folder(folder) as temporary:
        made = temporary / "artifact"
        records = _write_models(graph, scales, made, names, rewritten)
        if further:
            expected = [np.asarray(each) for each in run_numpy(graph, noise)]
        records += write_others(made, engines, tuple(graph.shapes[graph.input]))
        artifact = Artifact(
            input=trained.input.model_copy(update={"normalise": "model" if normalise else "caller"}),
            output=trained.output,
            tensors=[TensorRecord(name=name, shape=graph.shapes[name][1:]) for name in graph.outputs],
            skeleton=trained.skeleton,
            models=records,
            tools=tool_versions() | other_versions(engines),
            origin=OriginRecord(
                config=config.model_dump(mode="json"),
                config_file=config_file,
                weights=str(config.weights),
                weights_sha256=sha256(weights),
                rewritten=rewritten,
                trained=further,
                quantised=len(scales),
                kept_fp32=kept,
                int8_for=target,
            ),
            cost=[_cost_record(*row) for row in cost_rows(traced, graph)],
            quantised=_quantised_record(settings or (package and package[2])),
        )
        for record in records:
            trust(record.engine, [made / each.file for each in record.files])
        int8_error = 0.0
        if scales:
            int8_error = package[2].noise_error if package else noise_error(graph, scales, config.input)
        artifact = _with_errors(artifact, made, expected, int8_error)
        write_artifact(made, artifact)
        _put_in_place(made, folder)
    return artifact


def _write_models(
    graph: Graph, scales: Scales, folder: Path, names: Sequence[str], fuse: bool
) -> list[ModelRecord]:
    """Write the network in every form that was asked for; show a progress bar."""
    quantised = quantise(graph, scales)
    whole = split_hard_swish(graph, quantised)
    if quantised:
        graph = fold_scale_into_convolutions_behind(graph)  # those that are there for INT8
    write_program(graph, folder, fuse_shuffles=fuse, portable=True)
    write_onnx(graph, folder / "model.onnx")
    records = [
        _record(folder, "paddle_fp32", "paddle-inference", "any", "fp32", "model.pdmodel", "model.pdiparams"),
        _record(folder, "onnx_fp32", "onnxruntime", "any", "fp32", "model.onnx"),
    ]
    if quantised:
        write_onnx(whole, folder / "model_int8.onnx", quantised)
        records.append(_record(folder, "onnx_int8", "onnxruntime", "any", "int8", "model_int8.onnx"))
    for name in track(names, "exporting"):
        target, precision = MODELS[name]
        program = folder / "program"  # on the way only: the `.nb` is what is kept
        written = {"fp32": graph, "fp16": pad_max_pools(split_gates(graph)), "int8": whole}[precision]
        int8 = quantised if precision == "int8" else None
        write_program(written, program, int8, fuse_shuffles=fuse, copy_rows=fuse)
        out = folder / f"{name}.nb"
        made = optimise(program / "model.pdmodel", program / "model.pdiparams", out, target, precision)
        shutil.rmtree(program)
        extra = needs_extra(made)
        records.append(_record(folder, name, "paddle-lite", target, precision, out.name, extra=extra))
    return records


def _with_errors(artifact: Artifact, folder: Path, expected: Outputs, int8_error: float) -> Artifact:
    """Note how far the FP16 and INT8 models are from FP32 on noise; refuse what is farther than it may be.

    Args:
        artifact: of the models in `folder`.
        folder: where they are.
        expected: what the network gives in FP32.
        int8_error: what `compress quant` measured in the same way.

    Raises:
        UserError: numbers beyond FP16's range, or INT8 models that do not compute what was measured.
    """
    images = network_input(artifact, noise_crops(artifact))
    records = []
    for record in artifact.models:
        if record.precision != "fp32" and record.engine not in SOURCES:  # those round otherwise than ARM does
            network, _ = open_or_interpret(artifact, folder, record)
            error = relative_error(expected, network(images))
            limit = FP16_ERROR if record.precision == "fp16" else 2 * int8_error + INT8_ERROR
            if error > limit and record.engine == "onnxruntime":  # some processors saturate its INT8 sums
                err.print(
                    f"{record.name}: ONNX Runtime's INT8 is off by {error:.3g} on this machine, where "
                    f"{int8_error:.3g} was measured; the models for Paddle-Lite are not touched by that",
                    style="yellow",
                    markup=False,
                )
            elif error > limit:
                measured = (
                    ""
                    if record.precision == "fp16"
                    else f", where `compress quant` measured {int8_error:.3g}"
                )
                reason = "numbers beyond FP16's range" if not np.isfinite(error) else "too far from FP32"
                raise UserError(
                    f"model '{record.name}': {reason}: squared error {error:.3g} on noise{measured}; "
                    "nothing was exported; leave this model out (--model), or quantise again"
                )
            record = record.model_copy(update={"error": error})
        records.append(record)
    return artifact.model_copy(update={"models": tuple(records)})


def _quantised_record(record: QuantRecord | Settings | None) -> QuantisedRecord | None:
    rung = None
    if isinstance(record, QuantRecord):
        rung = next((each for each in record.rungs if each.name == record.chosen), None)
    elif record is not None:
        rung = record.chosen
    return rung and QuantisedRecord(
        people=record.measured,
        fp32_ap=record.fp32_ap,
        ap=rung.accuracy.mean,
        spread=rung.accuracy.spread,
        heatmap_error=rung.accuracy.heatmap_error,
    )


def write_others(folder: Path, engines: Sequence[str], shape: tuple[int, ...]) -> list[ModelRecord]:
    """Convert the ONNX files of a folder, for inputs of (1, 3, H, W), for other engines."""
    records = []
    for engine in engines:
        for precision, source in SOURCES[engine].items():
            if (folder / source).is_file():
                files = [each.name for each in write_other(folder / source, engine, precision, shape)]
                records.append(_record(folder, f"{engine}_{precision}", engine, "any", precision, *files))
    return records


def _differs(graph: Graph, traced: Graph) -> bool:
    """Say whether a quantised network's FP32 weights compute something else: it was trained further."""
    noise = np.random.default_rng(0).standard_normal(traced.shapes[traced.input]).astype(np.float32)
    outputs = zip(*(run_numpy(each, noise) for each in (traced, graph)), strict=True)
    return any(np.abs(found - each).max() > 1e-3 * np.abs(each).max() for each, found in outputs)


def _record(
    folder: Path, name: str, engine: str, target: str, precision: str, *files: str, extra: Sequence[str] = ()
) -> ModelRecord:
    described = tuple(record_file(folder / file) for file in files)
    return ModelRecord(
        name=name, engine=engine, target=target, precision=precision, files=described, extra=tuple(extra)
    )


def _cost_record(kind: str, before: Cost, after: Cost) -> CostRecord:
    return CostRecord(
        kind=kind,
        operators=(before.operators, after.operators),
        bytes=(before.bytes, after.bytes),
        multiply_adds=(before.multiply_adds, after.multiply_adds),
        instructions=(round(before.instructions), round(after.instructions)),
    )


def _check_package(
    package: tuple[Graph, Scales, QuantRecord], quant: str | Path, traced: Graph, weights: Path
) -> None:
    """Refuse ranges that were found for another network."""
    graph, _, record = package
    found, wanted = (
        [list(each.shapes[name]) for name in (each.input, *each.outputs)] for each in (graph, traced)
    )
    if found != wanted:
        raise UserError(
            f"{quant}: quantised for input {found[0]} and outputs {found[1:]}, and this config has "
            f"{wanted[0]} and {wanted[1:]}; run `compress quant` with this config"
        )
    if record.weights_sha256 != sha256(weights):
        raise UserError(
            f"{quant}: quantised from other weights ({record.weights}) than {weights}; run `compress quant` "
            "with these, or export those"
        )


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that is no artifact: replacing it would lose something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected the name of a folder")
    with temporary_folder(folder) as trial:  # says so before the work if nothing can be written there
        check_room(trial)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise UserError(f"{folder}: holds other things and no {FILE}; expected a new folder or an artifact")


def _put_in_place(made: Path, folder: Path) -> None:
    """Put a finished folder into place; an older one leaves first."""
    made.chmod(0o755)
    if folder.exists():
        os.replace(folder, made.parent / "older")
    os.replace(made, folder)
