"""`tinypose data`: look at training data before training on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinypose.commands.options import ConfigOption, OverrideOption
from tinypose.console import count, out, renamed, table, track
from tinypose.errors import UserError
from tinypose.files import check_output, write_json, write_whole

if TYPE_CHECKING:
    from tinypose.config import DatasetConfig

SHOWN = 20  # findings of a kind on the screen; the report has them all

app = typer.Typer(help="Look at training data.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at training data."""


@app.command()
def preview(
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The picture, .png or .jpg.")],
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    people_shown: Annotated[int, typer.Option("--count", min=1, help="People to show.")] = 25,
    epoch: Annotated[int, typer.Option(min=1, help="The epoch whose variation to show.")] = 1,
) -> None:
    """Write a sheet of training crops: plain, varied with joints, and varied under the heatmaps.

    It shows the first people of that epoch, exactly as `tinypose train` will see them.
    """
    from tinypose.config import load_config

    loaded = load_config(config, override)
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"{output}: expected the name of a .png or .jpg file")
    if loaded.output.gives != "joints":
        raise UserError(f"{config}: output '{loaded.output.name}' sees whole pictures; a preview shows crops")
    check_output(output, [config])
    import cv2
    import numpy as np

    from tinypose.data.examples import batch_numbers
    from tinypose.data.merge import load_training_set
    from tinypose.data.preview import preview as draw
    from tinypose.skeleton import load_skeleton

    skeleton = load_skeleton(loaded.skeleton)
    people, lines = load_training_set(loaded, skeleton)
    order = np.concatenate([batch_numbers(people, epoch - 1, step) for step in range(people.steps)])
    sheet = draw(people, [int(number) for number in order[:people_shown]], epoch - 1)
    done, data = cv2.imencode(output.suffix, sheet[..., ::-1])
    if not done:
        raise UserError(f"{output}: OpenCV could not make a picture of {sheet.shape[1]}x{sheet.shape[0]}")
    with write_whole(output) as temporary:
        temporary.write_bytes(data.tobytes())  # imwrite says nothing of a full disk
    for line in lines:
        out.print(line, markup=False)
    out.print(f"{min(people_shown, len(order))} people of epoch {epoch}: {output}", markup=False)


@app.command(cls=renamed(report="output"))
def check(
    config: ConfigOption,
    override: OverrideOption = [],  # noqa: B006 (typer copies it)
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all findings as JSON.")] = None,
) -> None:
    """Read every picture and annotation of the config's sets; name what is wrong, with file and id.

    Exit code 1 if anything is.
    """
    from tinypose.config import load_config

    loaded = load_config(config, override)
    if output is not None:
        check_output(output, [config, *(dataset.annotations for _, dataset in _sets(loaded))])
    from tinypose.data.check import check_set
    from tinypose.skeleton import load_skeleton

    found = []
    for name, dataset in _sets(loaded):
        own = load_skeleton(dataset.skeleton or loaded.skeleton)
        result = check_set(dataset, own, track)
        out.print(f"{name}: {result.summary}", markup=False)
        out.print(table(f"{name}: {dataset.annotations}", ("", "count"), result.counts))
        columns = ("joint", "annotated", "visible", "hidden", "% of people")
        out.print(table("joints", columns, [(*row[:4], f"{row[4]:.0f}") for row in result.joints]))
        _print_findings(result.findings)
        found += [{"set": name, **vars(finding)} for finding in result.findings]
    if output is not None:
        write_json(output, found)
        out.print(f"report: {output}", markup=False)
    if found:
        raise typer.Exit(1)


@app.command()
def merge(
    annotations: Annotated[list[Path], typer.Argument(metavar="FILE...", help="In COCO's format.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The merged annotations.")],
) -> None:
    """Merge annotation files with different pictures into one, such as CrowdPose's train and val.

    Pictures are not touched: they belong into one folder.
    """
    check_output(output, annotations)
    from tinypose.data.merge import merge_files

    merged = merge_files(annotations)
    write_json(output, merged)
    counts = f"{len(merged['images'])} pictures, {len(merged['annotations'])} annotations"
    out.print(f"{output}: {counts}", markup=False)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file or folder of another tool.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="PATH", help="A .json file for COCO, a folder for YOLO.")
    ],
    to: Annotated[Literal["coco", "yolo"], typer.Option(help="The form to write.")] = "coco",
    form: Annotated[
        Literal["labelme", "cvat", "label-studio", "yolo", "coco", "supervisely", "via"] | None,
        typer.Option("--from", help="The form of SOURCE; none: told by its content."),
    ] = None,
    skeleton: Annotated[
        str, typer.Option(help="Its joints are taken, by name: a name or a .yml.")
    ] = "coco17",
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The pictures, where SOURCE does not say their size."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")] = False,
) -> None:
    """Convert annotations of other tools to COCO's form or YOLO-pose.

    SOURCE is of labelme, CVAT (XML 1.1), Label Studio, VIA, Supervisely, YOLO-pose or COCO.

    Boxes are made from the joints where there are none. What was left out is counted, with the reason.
    """
    from tinypose.data.convert import detect_form, read_source
    from tinypose.data.convert_write import write_coco, write_yolo
    from tinypose.files import check_new
    from tinypose.skeleton import load_skeleton

    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    target = output if to == "coco" else output / "data.yaml"
    check_output(target, [source])
    check_new([target], overwrite)
    joints = load_skeleton(skeleton)
    found = read_source(source, form or detect_form(source), joints, images)
    people = sum(map(len, found.people.values()))
    if not people:
        reasons = ", ".join(f"{times} {reason}" for reason, times in found.left_out.items() if times)
        raise UserError(f"{source}: nobody with a joint of skeleton '{joints.name}' ({reasons or 'empty'})")
    made = (write_coco if to == "coco" else write_yolo)(found, joints, output)
    counted = f"{count(people, 'person', 'people')} in {count(len(found.sizes), 'picture')}"
    out.print(f"{output}: {counted}; boxes made from joints: {made}", markup=False)
    for reason, times in found.left_out.items():
        if times:
            out.print(f"left out: {times} x {reason}", markup=False)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="coco, mpii, crowdpose or aic.")],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The set goes into FOLDER/NAME, where configs look for it.")
    ] = Path("data"),
    part: Annotated[
        list[str], typer.Option(metavar="NAME", help="A part of it alone, such as val; repeatable.")
    ] = [],  # noqa: B006 (typer copies it)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how large it is, and end.")] = False,
) -> None:
    """Fetch a published set of people, or say where to ask for it.

    Sizes are said first. A download that broke off goes on where it was; it is checked, what is needed of it
    is unpacked, and the archive is removed.
    """
    from tinypose.data.get import check_space, get_part, sizes, source

    found = source(name, output)
    folder = output / found.folder
    names = [each.name for each in found.parts]
    if unknown := [each for each in part if each not in names]:
        raise UserError(f"--part {unknown[0]}: expected one of: {', '.join(names)}")
    parts = [each for each in found.parts if not part or each.name in part]
    wanted = sizes(parts)
    rows = [
        (
            each.name,
            "not said" if wanted[each.name] is None else f"{wanted[each.name] / 1e6:,.1f}",
            each.file.url,
        )
        for each in parts
    ]
    out.print(table(f"{name}: {found.terms}", ("part", "MB", "from"), rows))
    free = check_space(folder, wanted)
    out.print(f"{free / 1e9:,.1f} GB free for {folder}", markup=False)
    if dry_run:
        return
    for each in parts:
        written = get_part(each, folder, track)
        done = f"{count(written, 'file')} written" if written else "there already"
        out.print(f"{each.name}: {done}: {folder}", markup=False)


def _sets(loaded) -> list[tuple[str, "DatasetConfig"]]:
    data = loaded.data
    named = {name: data.sets[name] for name in data.datasets} or {"train": data.train}
    found = [(name, dataset) for name, dataset in {**named, "val": data.val}.items() if dataset is not None]
    if not found:
        raise UserError("data.train and data.val: not set; give -o data.train.annotations=FILE and so on")
    return found


def _print_findings(findings: list) -> None:
    if not findings:
        out.print("nothing wrong found")
    for kind in dict.fromkeys(finding.kind for finding in findings):
        these = [finding for finding in findings if finding.kind == kind]
        out.print(f"{kind}: {len(these)}", style="yellow", markup=False)
        for finding in these[:SHOWN]:
            out.print(f"  {finding.file}, {finding.where}: {finding.detail}", markup=False)
        if len(these) > SHOWN:
            out.print(f"  and {len(these) - SHOWN} more; --output FILE has them all")
