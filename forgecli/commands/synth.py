"""`forge synth`: a data set of forgeries with exact masks, made from authentic images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

HELP = """Make forgeries with exact masks from authentic images, in the competition's layout.

[bold]AUTHENTIC[/bold] is a folder of authentic images, best sorted into folders by what they show:
panels of one figure come from one folder, and bands are looked for where a folder's name says blot
or gel. Every case gets an id: a forgery, mostly with its authentic twin, or an authentic image that
is easily mistaken for one. A card in JSON says what was done.

The seed decides everything, whatever the number of workers. The same command again goes on where
it stopped. With [bold]--part[/bold], the images of a source (a folder, or what
[bold]--sources[/bold] says) are used on one side only, so that training and test share none.

Exit codes: 0 all done, 1 failed, 2 wrong use, 3 some cases could not be made, 130 interrupted.
"""


def synth(
    authentic: Annotated[
        Path | None,
        typer.Argument(metavar="AUTHENTIC", show_default=False, help="The folder of images."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DATASET", help="The folder to make."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Cases to make.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that is drawn.")] = 0,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="What is made and how often (see --show-recipe)."),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Where images come from: columns file,source and, optionally, kind.",
        ),
    ] = None,
    part: Annotated[
        Literal["all", "train", "test"],
        typer.Option(help="Use the sources of one side of the split only."),
    ] = "all",
    test_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the images, for the test side.")
    ] = 0.3,
    split_by: Annotated[
        Literal["source", "file"], typer.Option(help="What must not be on both sides.")
    ] = "source",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for every core.")] = 0,
    show_recipe: Annotated[
        bool, typer.Option("--show-recipe", help="Print the recipe as TOML and stop.")
    ] = False,
) -> None:
    """See `HELP`."""
    from forgecli.errors import ExitCode, UsageError
    from forgecli.synth.recipe import load_recipe, recipe_text

    wanted = load_recipe(recipe)
    if show_recipe:
        typer.echo(recipe_text(wanted), nl=False)
        return
    if authentic is None or output is None:
        raise UsageError("AUTHENTIC and --output are needed.", mend="forge synth FOLDER -o DATASET")

    from rich.progress import track

    from forgecli import console
    from forgecli.cores import available_cores
    from forgecli.synth.dataset import Job, write_dataset
    from forgecli.synth.sources import list_sources, part_of
    from forgecli.synth.summary import Summary, table

    files = part_of(list_sources(authentic, sources), part, test_share=test_share, by=split_by)
    job = Job(files, wanted, seed, output)
    cases = track(
        write_dataset(job, count, workers or available_cores()),
        "making cases",
        total=count,
        console=console.stderr,
        transient=True,
        disable=not console.stderr.is_terminal,
    )
    summary = Summary()
    for case in cases:
        summary.add(case)
    console.stdout_for_tables().print(table(summary))
    for name, why in summary.unreadable.items():
        console.warn(f"{name}: {why}")
    for name, why in summary.failed.items():
        console.warn(f"case {name}: {why}")
    console.say(f"{summary.images} images of {count} cases in {output}")
    if summary.failed:
        some = summary.images > 0
        raise typer.Exit(ExitCode.SOME_INPUTS_FAILED if some else ExitCode.FAILED)
