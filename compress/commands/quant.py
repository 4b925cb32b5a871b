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
    method: Annotated[
        str | None,
        typer.Option(metavar="ptq|pact|lsq", help="pact, lsq: train if the rest is not enough."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in the folder.")] = False,
    no_rewrite: Annotated[
        bool, typer.Option("--no-rewrite", help="Leave channel shuffles as they are, to compare.")
    ] = False,
) -> None:
    """Quantise a trained network to INT8.

    Calibrates on data.train, measures AP on data.val without flip test, as on a device, and writes a
    folder for `lite-deploy export --quant`. Ends with exit code 1 if the AP asked for is not reached;
    the best found is written all the same.
    """
    options = [*override]
    options += [] if keep_fp32 is None else [f"quant.keep_fp32={keep_fp32}"]
    options += [] if max_drop is None else [f"quant.max_drop={max_drop}"]
    options += [] if method is None else [f"quant.method={method}"]
    loaded = load_config(config, options)
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: a file of that name is there; give the name of a folder")

    from compress.graph.rewrite import fold, rewrite
    from compress.graph.trace import trace
    from compress.quant.climb import quantise
    from compress.quant.data import calibration_people, crops_of
    from compress.quant.package import write_package
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

    climb = quantise(graph, crops_of(people, loaded), loaded, measure, output, resume)
    chosen = climb.chosen
    rungs = [
        {"name": rung.name, "quantised": len(rung.scales), "kept": len(rung.kept), "ap": rung.ap}
        for rung in climb.rungs
    ]
    fields = {
        "config": loaded.model_dump(mode="json"),
        "config_file": str(config),
        "weights": str(loaded.weights),
        "weights_sha256": sha256(weights),
        "rewritten": not no_rewrite,
        "people": len(people),
        "fp32_ap": climb.fp32_ap,
        "rungs": rungs,
        "chosen": chosen.name,
        "kept_fp32": chosen.kept,
        "errors": climb.errors,
    }
    write_package(output, chosen.graph, chosen.scales, fields)

    rows = [("FP32", "", "", f"{climb.fp32_ap:.2f}", "")]
    for each in rungs:
        name = f"{each['name']} (chosen)" if each["name"] == chosen.name else each["name"]
        lost = f"{climb.fp32_ap - each['ap']:.2f}"
        rows.append((name, each["quantised"], each["kept"], f"{each['ap']:.2f}", lost))
    title = f"{loaded.weights}: {len(people)} people calibrated on, {len(validation.people)} measured"
    out.print(table(title, ("setting", "in INT8", "in FP32", "AP", "AP lost"), rows))
    for name in chosen.kept:
        out.print(f"left in FP32: {name} (heatmap error {climb.errors[name]:.2g})", markup=False)
    out.print(f"written: {output}", markup=False)
    drop = climb.fp32_ap - chosen.ap
    if loaded.quant.keep_fp32 == "auto" and drop > loaded.quant.max_drop:
        advice = "more people in data.train" if loaded.quant.method != "ptq" else "--method pact"
        err.print(
            f"not reached: lost {drop:.2f} AP, more than the {loaded.quant.max_drop:g} allowed; the best "
            f"setting is written; {advice} may help"
        )
        raise typer.Exit(1)
