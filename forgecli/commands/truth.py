"""`forge truth`: the truth file of a data set with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

HELP = """Write the truth file of a data set with masks, for [bold]forge score[/bold].

[bold]DATASET[/bold] is a folder that holds NAME_images and NAME_masks, or images and
masks. The pictures may be in folders called authentic and forged.

Ids are made as [bold]forge predict[/bold] makes them. An id that is in both classes
needs --id-from path, or one class with --part. With --part authentic, a
folder without labels and masks is taken for authentic as a whole.
"""


def truth(
    dataset: Annotated[
        list[str], typer.Argument(metavar="DATASET...", show_default=False, help="Folders.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.csv", help="The truth file.")
    ] = Path("gt.csv"),
    id_from: Annotated[
        Literal["name", "path"],
        typer.Option(help="Make ids of file names without suffix, or of paths below the folder."),
    ] = "name",
    part: Annotated[
        Literal["authentic", "forged", "all"], typer.Option(help="The images to take.")
    ] = "all",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output if it exists.")
    ] = False,
) -> None:
    """See `HELP`."""
    from forgecli import console
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from rich.progress import track

    from forgecli.atomic import check_output
    from forgecli.score.dataset_truth import Remarks, find_cases, truth_rows, write_truth

    check_output(output, overwrite=overwrite)
    cases = find_cases(dataset, part=part, id_from=id_from)
    remarks = Remarks()
    shown = track(
        cases,
        "reading masks",
        console=console.stderr,
        transient=True,
        disable=not console.stderr.is_terminal,
    )
    count = write_truth(output, truth_rows(shown, remarks))
    for line in remarks.lines():
        console.warn(line)
    console.say(f"{count} rows in {output}")
