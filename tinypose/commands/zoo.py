"""`tinypose zoo`: every network that ships as a config, what it is said to be worth, and what it costs."""

from typing import TYPE_CHECKING, Annotated

import typer

from tinypose.console import out, table
from tinypose.errors import UserError

if TYPE_CHECKING:
    from tinypose.models.published import Counted, Network

app = typer.Typer(help="The networks that ship as configs.", rich_markup_mode=None)

COLUMNS = ("config", "input", "AP, PCKh", "on", "boxes", "M", "G", "FP32", "FP16", "INT8", "weights")
NOTES = (
    "AP or PCKh (and PCKh@0.1) is as published, not measured here (`tinypose zoo show NAME` says where), on "
    "the whole of the set, in percent; of detectors it is COCO's box AP, of FairMOT MOTA. Boxes: with those "
    "of a detector (AP 56.4) AP is lower than with annotated ones.",
    "M: millions of parameters, without batch norms' statistics. G: 10^9 multiply-adds. FP32, FP16, INT8: "
    "millions of instructions of one inference on one ARM thread, estimated from the rewritten network "
    "(docs/rewriting.md), which orders networks and is no time; INT8 is where it pays, on cores with `sdot`. "
    "`scripts/count_zoo.py` counts them; `-`: not counted.",
    "Weights: `tinypose zoo pull NAME` fetches them, and `-o weights=NAME` takes the name; `by hand`: a "
    "`.pth` that is read as it is, from a folder for browsers that its project's README links to "
    "(`tinypose zoo show NAME` names both); `-`: none are published in a form that is read here.",
)


@app.callback(invoke_without_command=True)
def _table(
    context: typer.Context,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/zoo.md.")] = False,
) -> None:
    """Print the networks that ship as configs: accuracy as published, size, cost, weights."""
    if context.invoked_subcommand is not None:
        return
    from tinypose.models.published import NETWORKS, counted

    costs = counted()
    rows = [_row(each, costs.get(each.config), markdown) for each in NETWORKS]
    if markdown:
        print(page(rows))
        return
    out.print(table(f"{len(rows)} networks", COLUMNS, rows))
    for note in NOTES:
        out.print(note, markup=False)


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="Of a config or of weights.")]) -> None:
    """Print all that is known of a network, with where each published number stands, and its commands."""
    from tinypose.models.published import counted, network
    from tinypose.models.zoo import ZOO, cached

    found = network(name)
    cost = counted().get(found.config)
    lines = [("config", found.config), ("source of what is published", found.source)]
    if found.value is not None:
        lines.append((f"{found.metric}, published", f"{found.value} on {found.data}, boxes: {found.boxes}"))
    if found.strict is not None:
        lines.append(("PCKh@0.1, published", str(found.strict)))
    if found.parameters is not None:
        lines.append(("parameters, published", f"{found.parameters} M"))
    if found.gflops is not None:
        unit = "2^30" if found.binary else "10^9"
        how = ", transposed convolutions by their outputs" if found.by_outputs else ""
        lines.append(("multiply-adds, published", f"{found.gflops} x {unit}{how}"))
    if cost is not None:
        lines.append(("input", f"{cost.height}x{cost.width}"))
        lines.append(("parameters, counted", f"{cost.parameters:,}"))
        lines.append(("multiply-adds, counted", f"{cost.multiply_adds:,}"))
        lines += [
            (f"ARM instructions, {precision.upper()}, estimated", f"{count:,}")
            for precision, count in cost.instructions.items()
        ]
    if found.weights is not None:
        lines.append(("weights", ZOO[found.weights].url))
        lines.append(("weights here", str(cached(found.weights) or f"no; tinypose zoo pull {found.weights}")))
    if found.by_hand is not None:
        lines.append(("weights, by hand", f"{found.by_hand}, linked from {found.source}"))
    if found.quant is not None:
        lines.append(("INT8 settings", found.quant))
    out.print(table(found.config, ("", ""), lines))
    for line in _commands(found):
        out.print(line, markup=False)


@app.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="Of a config or of weights.")]) -> None:
    """Fetch published weights into the cache; a broken download goes on; print where they are."""
    from tinypose.models.published import network
    from tinypose.models.zoo import ZOO, fetch

    if name not in ZOO:
        found = network(name)
        if found.by_hand is not None:
            raise UserError(
                f"{name}: fetch its weights by a browser: {found.by_hand}, linked from {found.source}"
            )
        if found.weights is None:
            raise UserError(f"{name}: its weights are not published in a form that is read here")
        name = found.weights
    print(fetch(name))


def page(rows: list[tuple[str, ...]]) -> str:
    """Return docs/zoo.md."""
    lines = [
        "# The zoo",
        "",
        "Made by",
        "",
        "    tinypose zoo --markdown > docs/zoo.md",
        "",
        "One command each: `tinypose eval -c CONFIG -o weights=NAME`, `lite-deploy export -c CONFIG -o "
        "weights=NAME --output DIR`.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"{note}\n" for note in NOTES),
        "INT8 settings that ship, so that INT8 needs no data set:",
        "",
    ]
    from tinypose.models.published import NETWORKS

    lines += [f"    {_int8(each)}" for each in NETWORKS if each.quant is not None]
    return "\n".join(lines)


def _row(found: "Network", cost: "Counted | None", whole: bool) -> tuple[str, ...]:
    """Return the cells of a network; `whole`: with the name of its weights also where it is long."""
    from tinypose.detection.config import load_any_config

    size = load_any_config(found.config).input
    value = "-" if found.value is None else f"{found.value:.1f}"
    value += "" if found.strict is None else f" ({found.strict:.1f})"
    weights = found.weights or ("by hand" if found.by_hand else "-")
    if found.weights == found.config or (found.weights and not whole):
        weights = "yes"
    counts = ["-"] * 5
    if cost is not None:
        counts = [f"{cost.parameters / 1e6:.2f}", f"{cost.multiply_adds / 1e9:.3f}"]
        known = [cost.instructions.get(each) for each in ("fp32", "fp16", "int8")]
        counts += ["-" if each is None else f"{each / 1e6:,.1f}" for each in known]
    return (found.config, f"{size.height}x{size.width}", value, found.data, found.boxes, *counts, weights)


def _commands(found: "Network") -> list[str]:
    """Return what to do with a network."""
    weights = f"-o weights={found.weights or 'FILE'}"
    lines = [f"lite-deploy export -c {found.config} {weights} --output output/{found.config}"]
    if not found.config.startswith(("picodet", "fairmot")):
        lines.insert(0, f"tinypose eval -c {found.config} {weights}")
    return [*lines, _int8(found)] if found.quant else lines


def _int8(found: "Network") -> str:
    return (
        f"lite-deploy export -c {found.config} -o weights={found.weights} --quant {found.quant} "
        f"--output output/{found.config}"
    )
