"""`forge compare`: whether one submission is better than another."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

HELP = """Compare two submissions on one truth file, image by image.

Prints the mean difference B - A of the competition's score with a 95 % confidence
interval (BCa bootstrap), for all images and by class, how many images got better and
worse, and which changed most. An interval that holds 0 means that these images do not
tell the two apart.

Ids that share a stem (authentic/10.png and forged/10.png) are one picture before and
after it was forged. They are not independent, so they are drawn together.

Rows that cannot be scored are errors, as in [bold]forge score[/bold].
"""


def compare(
    submission_a: Annotated[
        Path, typer.Argument(metavar="SUB_A", show_default=False, help="The one to compare with.")
    ],
    submission_b: Annotated[
        Path, typer.Argument(metavar="SUB_B", show_default=False, help="The one to judge.")
    ],
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", show_default=False, help="The truth file.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    per_image: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write group, class and both scores of every image."),
    ] = None,
    most: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many of the changed images to list.")
    ] = 10,
    resamples: Annotated[
        int, typer.Option(min=100, max=1_000_000, metavar="N", help="Of the bootstrap.")
    ] = 10_000,
    seed: Annotated[
        int, typer.Option(min=0, metavar="S", help="Of the bootstrap; decides the intervals.")
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --per-image if it exists.")
    ] = False,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Score images whose row is missing or wrong 0 and count them, instead of "
            "stopping.",
        ),
    ] = False,
) -> None:
    """See `HELP`."""

    from forgecli import console
    from forgecli.atomic import check_output
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from forgecli.score.compare import compare as compare_scores
    from forgecli.score.compare import evaluate_both
    from forgecli.score.compare_tables import tables, write_per_image
    from forgecli.score.per_image import refuse_inputs
    from forgecli.score.problems import listing

    if per_image:
        refuse_inputs(per_image, submission_a, submission_b, truth)
        check_output(per_image, overwrite=overwrite)
    first, second = evaluate_both(submission_a, submission_b, truth, lenient=lenient)
    comparison = compare_scores(first, second, resamples=resamples, seed=seed)
    if per_image:
        write_per_image(per_image, comparison)
    if comparison.problems:
        console.warn(listing(comparison.problems))
        console.warn(
            f"{comparison.zeroed} of {comparison.overall.images} images score 0 for a problem "
            "in one of the two, or in both"
        )
    if json:
        typer.echo(json_module.dumps(comparison.as_json(most), indent=2))
        return
    stdout = console.stdout_for_tables()
    for name, file in (("A", submission_a), ("B", submission_b)):
        stdout.print(f"{name}  {console.printable(str(file))}", markup=False, soft_wrap=True)
    stdout.print()
    for table in tables(comparison, most):
        stdout.print(table)
        stdout.print()
    stdout.print(comparison.verdict(), markup=False)
    if comparison.groups < comparison.overall.images:
        stdout.print(
            f"{comparison.overall.images} images in {comparison.groups} groups of one id each, "
            "drawn together.",
            markup=False,
        )
