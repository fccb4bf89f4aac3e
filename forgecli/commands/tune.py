"""`forge tune`: the thresholds of a checkpoint."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

HELP = """Choose the thresholds of a checkpoint so that the metric is highest.

[bold]DATASET[/bold] has images and masks, as [bold]forge truth[/bold] takes them: images that
the network was not trained on.

The network looks at each image once; then every pixel threshold, least area,
score quantile, gate and way to make instances is tried with every other. What
this is worth on new images is measured by cross-validation over groups of
images, in which a picture and its forged twin are never on both sides.

The thresholds go into the JSON file beside the network, unless --dry-run is given.
Where the network does not beat calling all images authentic on images that it
was not tuned on, that is said, and the gate that is written keeps it quiet.

With --fused and match's submission for the same images, the score from which
the network may speak where match is silent is chosen as well.
"""


def tune(
    dataset: Annotated[
        list[str], typer.Argument(metavar="DATASET...", show_default=False, help="Folders.")
    ],
    model: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The checkpoint, a .safetensors, or what forge build-engine made of it.",
        ),
    ],
    fused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Match's submission for DATASET, made with --id-from path: choose the fused gate.",
        ),
    ] = None,
    instances: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Ways to make instances to try, of merged, components, matched; commas between. "
            "Without: merged,components.",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="Folds of the cross-validation. Without: 5.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="S", help="Decides which images are in which fold. Without: 0."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep what the network says here; the next time it is not run."
        ),
    ] = None,
    tta: Annotated[
        str | None,
        typer.Option(
            metavar="none|flip|d4",
            help="Views of each image that are averaged; tune with what you predict with. "
            "Without: none.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda:0|mps", help="Where to run. Without: auto."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="fp32|fp16|bf16|int8",
            help="Of the arithmetic. Without: what the file was made for; fp32 of a .safetensors.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Images at work at the same time on the CPU. Without: one per core."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write scores and fold of every image."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --report if it exists.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Leave the checkpoint as it is.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Settings, in the tables tune and segment."),
    ] = None,
) -> None:
    """See `HELP`."""
    import os
    from dataclasses import asdict

    from rich.progress import track

    from forgecli import console
    from forgecli.config import read_config, resolve
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from forgecli.atomic import check_output, check_output_folder
    from forgecli.errors import ExitCode, UsageError
    from forgecli.score.dataset_truth import find_cases
    from forgecli.score.per_image import refuse_inputs
    from forgecli.segment.checkpoint import card_file
    from forgecli.segment.plan import SegmentPlan
    from forgecli.segment.settings import SegmentSettings
    from forgecli.tune.folds import groups_of
    from forgecli.tune.grid import Grid
    from forgecli.tune.match_results import read_match
    from forgecli.tune.report import remarks, tables, write_per_image
    from forgecli.tune.settings import TuneSettings
    from forgecli.tune.tuning import record, tune, write
    from forgecli.tune.workers import examine_all

    if overwrite and report is None:
        raise UsageError(
            "--overwrite is for the file of --report, and none was asked for.",
            mend="leave it out: the thresholds of a checkpoint are replaced without it",
        )
    known = read_config(config, ("tune", "segment")) if config else {}
    places: dict[str, Any] = {"config": known, "file": config, "environment": os.environ}
    policies = None if instances is None else tuple(instances.split(","))
    own: dict[str, Any] = {"cache": cache, "folds": folds, "seed": seed, "instances": policies,
                           "workers": workers}  # fmt: skip
    settings = resolve(TuneSettings, "tune", flags=own, **places)
    how: dict[str, Any] = {"tta": tta, "device": device, "precision": precision}
    plan = SegmentPlan.of(model, resolve(SegmentSettings, "segment", flags=how, **places))
    if settings.cache:
        check_output_folder(settings.cache, overwrite=True)
    grid = Grid().with_policies(settings.instances)
    cases = find_cases(dataset, id_from="path")
    if report:
        used = [plan.weights, card_file(plan.weights), *filter(None, (fused, config))]
        used += [file for case in cases for file in (case.image, case.mask) if file]
        refuse_inputs(report, *used, option="--report")
        check_output(report, overwrite=overwrite)
    if not dry_run:
        check_output(card_file(plan.weights), overwrite=True)
    groups_of(cases)  # a damaged card is an error now, not after all images were looked at
    rows = list(
        track(
            examine_all(cases, plan, settings, grid),
            "looking at images",
            len(cases),
            console=console.stderr,
            transient=True,
            disable=not console.stderr.is_terminal,
        )
    )
    for row in rows:
        for text in (row.reason, *row.warnings):
            if text:
                console.warn(f"{row.case.case_id}: {text}")
    usable = [row for row in rows if row.table is not None]
    found = tune(rows, grid, settings, read_match(fused, usable) if fused and usable else None)
    told = record(found, settings, plan)
    for text in remarks(found):
        console.warn(text)
    if report:
        write_per_image(report, found)
    if not dry_run:
        file, lost = write(plan, found, told)
        console.say(f"thresholds written to {file}")
        if lost:
            console.warn(
                "the fused gate was tuned with other thresholds and is taken out; to have one, "
                "tune again with --fused"
            )
    if json:
        written = {"thresholds": asdict(found.thresholds), **told, "written": not dry_run}
        typer.echo(json_module.dumps(written, indent=2))
    else:
        stdout = console.stdout_for_tables()
        for table in tables(found):
            stdout.print(table)
            stdout.print()
    if found.failed:
        console.warn(f"{len(found.failed)} of {len(rows)} images could not be used")
        raise typer.Exit(ExitCode.SOME_INPUTS_FAILED)
