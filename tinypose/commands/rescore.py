"""`tinypose rescore`: a bottom-up network's poses get scores that are learnt."""

from pathlib import Path
from typing import Annotated

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import out, track
from tinypose.errors import UserError
from tinypose.files import check_output, write_whole

app = typer.Typer(
    help="Learn to score a bottom-up network's poses.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """Learn to score a bottom-up network's poses."""


@app.command()
def data(
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The rows, .npz.")],
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
) -> None:
    """Find the poses of data.train's pictures, and note how like annotated people they are.

    The pictures are looked at in their own size, mirrored too if eval.flip says so, without a rescorer.
    """
    from tinypose.config import load_config

    loaded = load_config(config, override)
    if loaded.output.gives != "people":
        raise UserError(
            f"{config}: output '{loaded.output.name}' sees one person's crop; rescoring is for bottom-up"
        )
    if loaded.weights is None:
        raise UserError(f"{config}: weights: not set; give -o weights=FILE, a URL, or a name of the zoo")
    if output.suffix != ".npz":
        raise UserError(f"{output}: expected the name of a .npz file")
    check_output(output, [config])
    import numpy as np

    from tinypose.data.coco import ground_truth
    from tinypose.data.merge import load_set, training_sets
    from tinypose.engine.measure import predict_pictures
    from tinypose.engine.rescore import collect
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights
    from tinypose.network import as_network
    from tinypose.skeleton import load_skeleton

    skeleton = load_skeleton(loaded.skeleton)
    (dataset, *more) = training_sets(loaded.data)
    if more:
        raise UserError("data.datasets: rescoring takes one set; merge files by `tinypose data merge`")
    people = load_set(dataset, skeleton)
    out.print(people.summary, markup=False)
    net = build_model(loaded, len(skeleton.joints))
    load_weights(net, loaded.weights)
    pictures = [people.pictures[each] for each in dict.fromkeys(p.image_id for p in people.people)]
    results = predict_pictures(as_network(net), pictures, loaded, skeleton, scales=(1.0,), rescoring=False)
    rows = collect(ground_truth(people), results, skeleton)
    with write_whole(output) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, keypoints=rows.keypoints, likeness=rows.likeness, skeleton=np.array(loaded.skeleton)
        )
    out.print(f"{len(rows.likeness)} poses, mean likeness {rows.likeness.mean():.3f}: {output}", markup=False)


@app.command()
def train(
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="What `tinypose rescore data` wrote.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The rescorer, .pdparams.")],
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    batch_size: Annotated[int, typer.Option(min=1)] = 1024,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = 1e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a rescorer; `eval` uses it with -o eval.rescorer=FILE, `infer` by the config's."""
    check_output(output, [rows])
    from tinypose.engine.rescore import read_rows
    from tinypose.engine.rescore import train as learn
    from tinypose.models.weights import write_params

    found, skeleton = read_rows(rows)
    rescorer, losses = learn(
        found, skeleton, epochs, batch_size, learning_rate, seed, lambda each: track(each, "epochs")
    )
    write_params(output, rescorer)
    out.print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}: {output}", markup=False)
