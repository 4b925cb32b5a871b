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
    """Print parameters, multiply-adds and feature sizes of the network, a detector's too, stage by stage.

    FairMOT is counted without the classifier that training needs. Multiply-adds are those of the
    convolutions for one picture; batch norms are part of them once the network is exported.
    """
    from tinypose.detection.config import DetectorConfig, load_any_config
    from tinypose.skeleton import load_skeleton

    loaded = load_any_config(config, override)
    detects = isinstance(loaded, DetectorConfig)
    joints = 0 if detects else len(load_skeleton(loaded.skeleton).joints)

    from tinypose.detection.weights import counted_detector
    from tinypose.models import build_model
    from tinypose.models.profile import by_stage, profile

    net = counted_detector(loaded) if detects else build_model(loaded, joints)
    size = loaded.input
    costs = profile(net, (3, size.height, size.width))
    if layers:
        shown = [cost for cost in costs if cost.parameters]
        columns = ("layer", "parameters", "multiply-adds", "output")
    else:
        shown = by_stage(costs, net.stages)
        columns = ("stage", "parameters", "multiply-adds", "output")
    rows = [(cost.name, f"{cost.parameters:,}", _millions(cost), _sizes(cost.outputs)) for cost in shown]
    (total,) = by_stage(costs, {"total": [name for names in net.stages.values() for name in names]})
    rows.append(("total", f"{total.parameters:,}", _millions(total), _sizes(costs[0].outputs)))
    values = loaded.model.model_dump(exclude_none=True)
    model = " ".join(
        f"{key}={value}" if isinstance(value, bool) else str(value) for key, value in values.items()
    )
    title = f"{model}: {'boxes' if detects else f'{joints} joints'}, input {size.height}x{size.width}"
    out.print(table(title, columns, rows))


def _millions(cost) -> str:
    return f"{cost.multiply_adds / 1e6:,.1f} M"


def _sizes(outputs: tuple[tuple[int, ...], ...]) -> str:
    """Return channels x height x width of each map."""
    return ", ".join("x".join(map(str, shape)) for shape in outputs)
