"""Sensitivities as JSON and as a bar chart."""

from pathlib import Path

import numpy as np

from tinypose.files import write_json, write_whole

BARS = 30


def write_sensitivity(
    folder: Path,
    errors: dict[str, float],
    aps: dict[str, float],
    fp32_ap: float | None,
    kept: tuple[str, ...] = (),
    metric: str = "AP",
) -> None:
    """Write `sensitivity.json`, all convolutions, and `sensitivity.png`, the worst of them.

    Args:
        folder: where.
        errors: convolution -> relative squared error of the outputs.
        aps: convolution -> accuracy in percent with it alone in INT8; may be empty.
        fp32_ap: with none in INT8.
        kept: convolutions that stay in FP32, drawn in another colour.
        metric: what the accuracy is called.
    """
    order = sorted(errors, key=lambda name: (aps.get(name, 0.0), -errors[name]))
    layers = []
    for name in order:
        layer = {"name": name, "heatmap_error": errors[name], "kept_fp32": name in kept}
        layers.append(layer | ({"ap": aps[name]} if aps else {}))
    write_json(folder / "sensitivity.json", {"fp32_ap": fp32_ap, "convolutions": layers})

    from matplotlib.figure import Figure  # without pyplot: it would keep global state

    shown = order[:BARS]
    columns = 2 if aps else 1
    figure = Figure(figsize=(5 + 4 * columns, 0.6 + 0.22 * len(shown)), layout="constrained")
    axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    places = np.arange(len(shown))
    colours = ["tab:orange" if name in kept else "tab:blue" for name in shown]
    axes[0].barh(places, [errors[name] for name in shown], color=colours)
    axes[0].set(xscale="log", xlabel="error of the outputs with this convolution alone in INT8")
    axes[0].set_yticks(places, [name.removeprefix("backbone.") for name in shown], fontsize=8)
    axes[0].invert_yaxis()
    if aps:
        axes[1].barh(places, [fp32_ap - aps[name] for name in shown], color=colours)
        axes[1].set(xlabel=f"{metric} lost")
    for each in axes:
        each.grid(axis="x", alpha=0.3)
    if kept:
        axes[0].set_title("orange: left in FP32", fontsize=9)
    with write_whole(folder / "sensitivity.png") as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})
