"""`forge score`: how good a submission is."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

HELP = """Score a submission against a truth file, with the competition's metric.

[bold]SUBMISSION[/bold] has the columns case_id,annotation; [bold]TRUTH[/bold] has
case_id,annotation,shape, as [bold]forge truth[/bold] writes it. Rows are matched by id.

Beside the score stand those of two trivial submissions: every image
authentic, and every image covered as a whole.

Every row that cannot be scored is an error that names its file, line, id
and what to do.
"""


def score(
    submission: Annotated[
        Path, typer.Argument(metavar="SUBMISSION", show_default=False, help="The predictions.")
    ],
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", show_default=False, help="The truth file.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    per_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write score, label, true and predicted instances, covered percent and problem "
            "of every image.",
        ),
    ] = None,
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

    from forgecli.score.evaluate import evaluate
    from forgecli.score.per_image import refuse_inputs, write_per_image
    from forgecli.score.problems import listing
    from forgecli.score.summary import summarise
    from forgecli.score.tables import tables

    if per_image:
        refuse_inputs(per_image, submission, truth)
        check_output(per_image, overwrite=overwrite)
    evaluation = evaluate(submission, truth, lenient=lenient)
    summary = summarise(evaluation)
    if per_image:
        write_per_image(per_image, evaluation.images)
    if evaluation.problems:
        console.warn(listing(evaluation.problems))
        console.warn(f"{summary.zeroed} of {summary.overall.images} images score 0 for a problem")
    if json:
        typer.echo(json_module.dumps(summary.as_json(), indent=2))
        return
    stdout = console.stdout_for_tables()
    for table in tables(summary):
        stdout.print(table)
        stdout.print()
