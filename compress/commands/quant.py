"""`compress quant`: a network to INT8, with its accuracy measured as the phone computes."""

from pathlib import Path
from typing import Annotated

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.config import load_config
from tinypose.console import err, out, table
from tinypose.errors import UserError
from tinypose.files import sha256


def quant(
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--output", help="The folder to write.", show_default=False)],
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    keep_fp32: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Convolutions to leave in FP32; auto: as --max-drop needs."),
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(metavar="AP", help="How much AP `auto` may lose on data.val.")
    ] = None,
    no_rewrite: Annotated[
        bool, typer.Option("--no-rewrite", help="Leave channel shuffles as they are, to compare.")
    ] = False,
) -> None:
    """Quantise a trained network to INT8 after training.

    Calibrates on data.train, measures AP on data.val without flip test, as on a device, and writes a
    folder for `lite-deploy export --quant`. Ends with exit code 1 if the AP asked for is not reached;
    the best found is written all the same.
    """
    options = [*override]
    options += [] if keep_fp32 is None else [f"quant.keep_fp32={keep_fp32}"]
    options += [] if max_drop is None else [f"quant.max_drop={max_drop}"]
    loaded = load_config(config, options)
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: a file of that name is there; give the name of a folder")

    from compress.graph.rewrite import fold, rewrite
    from compress.graph.trace import trace
    from compress.quant.data import calibration_people, crops_of
    from compress.quant.package import write_package
    from compress.quant.post_training import Quantised, quantise
    from tinypose.engine.evaluate import evaluate, people_to_evaluate
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.models.zoo import locate
    from tinypose.skeleton import load_skeleton

    # A device has no flip test, so neither has what is promised of it.
    loaded = loaded.model_copy(update={"eval": loaded.eval.model_copy(update={"flip": False})})
    skeleton = load_skeleton(loaded.skeleton)
    people = calibration_people(loaded, skeleton)
    validation = people_to_evaluate(loaded, skeleton)
    net = build_model(loaded.model, len(skeleton.joints))
    weights = locate(loaded.weights)
    load_weights(net, weights)
    net.eval()
    traced = trace(net, (1, 3, loaded.input.height, loaded.input.width))
    graph = fold(traced) if no_rewrite else rewrite(traced)

    def measure(run) -> float:
        return evaluate(run, validation, loaded, skeleton, "AP")[0]["AP"] or 0.0

    result: Quantised = quantise(graph, crops_of(people, loaded), loaded, measure)
    fields = {
        "config": loaded.model_dump(mode="json"),
        "config_file": str(config),
        "weights": str(loaded.weights),
        "weights_sha256": sha256(weights),
        "rewritten": not no_rewrite,
        "people": len(people),
        "fp32_ap": result.fp32_ap,
        "rungs": [vars(rung) for rung in result.rungs],
        "kept_fp32": result.kept,
        "errors": result.errors,
    }
    write_package(output, result.graph, result.scales, fields)

    rows = [("FP32", 0, "", f"{result.fp32_ap:.2f}", "")]
    for rung in result.rungs:
        rows.append(
            (rung.name, rung.quantised, rung.kept, f"{rung.ap:.2f}", f"{result.fp32_ap - rung.ap:+.2f}")
        )
    title = f"{loaded.weights}: {len(people)} people calibrated on, {len(validation.people)} measured"
    out.print(table(title, ("setting", "INT8", "FP32 kept", "AP", "lost"), rows))
    for name in result.kept:
        out.print(f"left in FP32: {name} (heatmap error {result.errors[name]:.2g})", markup=False)
    out.print(f"written: {output}", markup=False)
    if loaded.quant.keep_fp32 == "auto" and result.drop > loaded.quant.max_drop:
        lost = f"lost {result.drop:.2f} AP, more than the {loaded.quant.max_drop:g} allowed"
        err.print(f"{lost}; this is the last setting tried. More people to calibrate on may help.")
        raise typer.Exit(1)
