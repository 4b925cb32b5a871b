"""`tinypose detect`: a person detector over annotated pictures."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import out, table, track
from tinypose.errors import UserError
from tinypose.files import check_output, write_json


def detect(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the boxes, for `tinypose eval --boxes FILE`."),
    ] = None,
) -> None:
    """Find the people in the pictures of data.val, and measure the boxes: person box AP.

    The pictures are set with -o data.val.annotations=FILE -o data.val.images=FOLDER.
    """
    from tinypose.detection.config import load_detector_config

    loaded = load_detector_config(config, override)
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if loaded.data.val is None:
        raise UserError(
            f"{config}: data.val: not set; give -o data.val.annotations=FILE -o data.val.images=FOLDER"
        )

    if output is not None:
        data = loaded.data.val
        check_output(output, [config, loaded.weights, data.annotations])

    from tinypose.detection.detector import Detector
    from tinypose.detection.weights import load_detector, person_only
    from tinypose.metrics.boxes import box_ap, detect_all
    from tinypose.network import as_network

    net, kept = person_only(load_detector(loaded), loaded)
    detector = Detector(as_network(net), kept.input, kept.codec)
    data = loaded.data.val
    bar = lambda items: track(items, "detecting")  # noqa: E731
    found = detect_all(detector, data.annotations, data.images, bar, data.category)
    metrics = box_ap(data.annotations, found, data.category)
    values = ["-" if value < 0 else f"{100 * value:.1f}" for value in metrics.values()]
    title = escape(f"{loaded.weights}: people of {data.annotations}, boxes, percent")
    out.print(table(title, ("boxes", *metrics), [(len(found), *values)]))
    if output is not None:
        write_json(output, found)
        out.print(f"boxes: {output}", markup=False)
