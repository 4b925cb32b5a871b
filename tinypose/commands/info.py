"""`tinypose info`: what a network costs."""

from typing import Annotated

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import out, table


def info(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    layers: Annotated[
        bool, typer.Option("--layers", help="One line for each layer that has weights.")
    ] = False,
) -> None:
    """Print parameters, multiply-adds and feature sizes of the network, stage by stage.

    Multiply-adds are those of the convolutions for one picture; batch norms are part of them once the
    network is exported.
    """
    from tinypose.config import load_config
    from tinypose.skeleton import load_skeleton

    loaded = load_config(config, override)
    skeleton = load_skeleton(loaded.skeleton)

    from tinypose.models import build_model
    from tinypose.models.profile import by_stage, profile

    net = build_model(loaded, len(skeleton.joints))
    size = loaded.input
    costs = profile(net, (3, size.height, size.width))
    if layers:
        shown = [cost for cost in costs if cost.parameters]
        columns = ("layer", "parameters", "multiply-adds", "output")
    else:
        shown = by_stage(costs, net.stages)
        columns = ("stage", "parameters", "multiply-adds", "output")
    rows = [(cost.name, f"{cost.parameters:,}", _millions(cost), _sizes(cost.outputs)) for cost in shown]
    (total,) = by_stage(costs, {"total": ["backbone", net.head_key]})
    rows.append(("total", f"{total.parameters:,}", _millions(total), _sizes(total.outputs)))
    model = " ".join(str(value) for value in loaded.model.model_dump().values())
    title = f"{model}: {len(skeleton.joints)} joints, input {size.height}x{size.width}"
    out.print(table(title, columns, rows))


def _millions(cost) -> str:
    return f"{cost.multiply_adds / 1e6:,.1f} M"


def _sizes(outputs: tuple[tuple[int, ...], ...]) -> str:
    """Return channels x height x width of each map."""
    return ", ".join("x".join(map(str, shape)) for shape in outputs)
