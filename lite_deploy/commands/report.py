"""`lite-deploy report`: what was measured, as a page to show."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files that `lite-deploy bench` wrote.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The page; the same as Markdown goes beside it.")
    ] = Path("report.html"),
) -> None:
    """Write one HTML page, which needs nothing else, and Markdown: tables, distributions, stages, accuracy.

    Several results are put side by side.
    """
    from lite_deploy.bench.report import write_report
    from lite_deploy.bench.results import read_results
    from tinypose.console import out
    from tinypose.errors import UserError
    from tinypose.files import check_output

    if output.suffix != ".html":
        raise UserError(f"--output {output}: expected a name that ends with .html")
    markdown = output.with_suffix(".md")
    for path in (output, markdown):
        check_output(path, results)
    write_report([read_results(each) for each in results], output, markdown)
    out.print(f"{output} and {markdown}", markup=False)
