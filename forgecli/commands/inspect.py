"""`forge inspect`: what is in a data set, what is wrong with it."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

HELP = """Say what is in a data set, and what is wrong with it.

[bold]DATASET[/bold] is a folder in the layout of the competition (train_images/authentic,
train_images/forged, train_masks), as [bold]forge synth[/bold] writes it, or images and masks, or
just a folder of images.

Counts, sizes, channels, coverage and instances by class; images and masks that cannot be
read or do not fit each other; pictures that are there twice. With [bold]--against[/bold], images
that are in another data set as well, or synthetic ones made from a source that was used there:
a test set that shares images with the training set measures nothing.

Exit codes: 0 done, 1 no image could be read, 2 wrong use, 3 some images or masks could not be
read, 130 interrupted. Other findings do not change it.
"""


def inspect(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", show_default=False, help="The folder.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    index: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write one row per image, with all that is known."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write the report with plots and examples as one page."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Another data set, to look for images of DATASET in it."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for every core.")] = 0,
    max_pixels: Annotated[
        int, typer.Option(min=1, metavar="N", help="Images with more pixels are not decoded.")
    ] = 200_000_000,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
) -> None:
    """See `HELP`."""

    from forgecli import console
    from forgecli.atomic import check_output
    from forgecli.errors import ExitCode
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from forgecli.cores import available_cores
    from forgecli.errors import UsageError
    from forgecli.inspect.index import write_index
    from forgecli.inspect.progress import shown_on
    from forgecli.inspect.survey import survey
    from forgecli.inspect.tables import findings, tables

    if index and html and index.resolve() == html.resolve():
        raise UsageError("cannot be both outputs.", file=index, mend="name two files")
    for file in (index, html):
        if file:
            check_output(file, overwrite=overwrite)
    found = survey(
        dataset,
        against=against,
        max_pixels=max_pixels,
        workers=workers or available_cores(),
        watch=shown_on(console.stderr),
    )
    summary = found.summary
    if index:
        write_index(index, found.rows, summary.findings)
        console.say(f"{len(found.rows):,} rows in {index}")
    if html:
        from forgecli.inspect.page import page_of
        from forgecli.inspect.triptychs import triptychs

        examples = triptychs(found.files, found.rows, max_pixels)
        page_of(summary, found.rows, examples).write(html)
        console.say(f"the report is in {html}")
    if json:
        typer.echo(json_module.dumps(summary.as_json(), indent=2))
    else:
        stdout = console.stdout_for_tables()
        for table in tables(summary):
            stdout.print(table)
            stdout.print()
        for line in findings(summary):
            stdout.print(line, soft_wrap=True)
    console.say(found.verdict())
    if found.unreadable:
        raise typer.Exit(ExitCode.SOME_INPUTS_FAILED if found.readable else ExitCode.FAILED)
