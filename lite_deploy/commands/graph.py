"""`lite-deploy graph`: what the models of a folder are made of."""

from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from lite_deploy.commands.options import FolderArgument
from tinypose.console import out, table


def graph(
    folder: FolderArgument,
    model: Annotated[str | None, typer.Option(help="One model's .nb, with every instruction.")] = None,
) -> None:
    """Print what the network costs before and after rewriting, and what each .nb is made of."""
    from lite_deploy.nb.estimate import estimate
    from lite_deploy.nb.read import parts, read_nb
    from tinypose.artifact.record import read_artifact

    artifact = read_artifact(folder)
    if model is not None:
        path = folder / artifact.model(model).files[0].file
        _print_instructions(str(path), read_nb(path))
        return

    rows = []
    for cost in artifact.cost:
        millions = (cost.bytes, cost.multiply_adds, cost.instructions)
        shown = ["{} > {}".format(*cost.operators)]
        shown += [f"{before / 1e6:.1f} > {after / 1e6:.1f}" for before, after in millions]
        rows.append((cost.kind, *shown))
    columns = ("kind", "operators", "MB moved", "M multiply-adds", "M instructions*")
    rewritten = "rewritten" if artifact.origin.rewritten else "not rewritten"
    out.print(table(escape(f"{folder}: one image, as trained > as exported ({rewritten})"), columns, rows))
    out.print("* estimated for FP32 on ARM, to compare networks, not to predict a time")

    lite = [each for each in artifact.models if each.engine == "paddle-lite"]
    models = {each.name: read_nb(folder / each.files[0].file) for each in lite}
    counted = {name: Counter(_kind(op) for op in each.operators) for name, each in models.items()}
    kinds = sorted(set().union(*counted.values()), key=lambda kind: -max(c[kind] for c in counted.values()))
    rows = [(kind, *(counts[kind] or "" for counts in counted.values())) for kind in kinds]
    rows.append(("total", *(counts.total() for counts in counted.values())))
    size = (artifact.input.height, artifact.input.width)
    costs = (f"{estimate(m, size) / 1e6:.1f}" if m.target() == "arm" else "" for m in models.values())
    rows.append(("M instructions on ARM*", *costs))
    out.print(table("Paddle-Lite's instructions by kind", ("kind", *counted), rows))
    out.print(
        "* processor instructions for one image, estimated; INT8 with sdot (lite_deploy/nb/estimate.py)"
    )
    sizes = {each.name: parts(folder / each.files[0].file) for each in lite}
    rows = [
        (part, *(f"{size[part]:,}" for size in sizes.values())) for part in next(iter(sizes.values()), {})
    ]
    out.print(table("bytes of each .nb", ("part", *sizes), rows))


def _kind(op) -> str:
    """Name an instruction: its type, and how it converts or computes where that differs within a model."""
    if op.type == "calib":
        return f"calib {op.kernel}"
    return f"{op.type} int8, {op.kernel}" if op.precision == "int8" else op.type


def _print_instructions(path: str, model) -> None:
    rows = []
    for number, op in enumerate(model.operators):
        inputs = " ".join(name for names in op.inputs.values() for name in names if name not in model.params)
        outputs = " ".join(name for names in op.outputs.values() for name in names)
        weights = [model.params[n] for ns in op.inputs.values() for n in ns if n in model.params]
        shapes = " ".join("x".join(map(str, value.shape)) for value in weights)
        rows.append((number, op.type, op.kernel, op.target, op.precision, inputs, outputs, shapes))
    columns = ("", "type", "kernel", "on", "precision", "reads", "writes", "parameters")
    out.print(table(escape(path), columns, rows))
