"""`forge predict`: images in, a submission out."""

from __future__ import annotations

import json as json_module
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

HELP = (
    "Find copied regions in images and write a submission.\n\n"
    "[bold]IMAGES[/bold] are files, folders, patterns, [bold]@list.txt[/bold], or [bold]-[/bold] "
    "for a list on stdin. Every image gets one row. One that cannot be read is "
    "[bold]authentic[/bold] there, its reason is in the details file, and the exit code is 3.\n\n"
    "Every option but --config and --json may also stand in the table [bold]\\[predict][/bold] of "
    "a TOML file, or in an environment variable such as [bold]FORGE_PREDICT_WORKERS[/bold]. Flags "
    "win over the environment, the environment over the file. The detector's own settings are in "
    "the table [bold]\\[match][/bold] and in [bold]FORGE_MATCH_*[/bold].\n\n"
    "Exit codes: 0 all done, 1 failed, 2 wrong use, 3 some images failed, 130 interrupted (the "
    "rows that were done are there)."
)

_WHERE = "Where the results go"
_WHAT = "What counts"
_HOW = "How it runs"


def predict(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="Files, folders, patterns, @list.txt or -."),
    ],
    detector: Annotated[
        Literal["match"] | None,
        typer.Option(help="What looks at the images. Default: match.", rich_help_panel=_WHAT),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.csv",
            help="The submission. FILE.details.csv (status, score and time of every image) and "
            "FILE.run.json (settings and versions) go beside it. Default: submission.csv.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    sample_submission: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write the rows of this file's case_id, in its order. An id without an image is "
            "authentic; an image without an id is left out.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a mask for every flagged image.", rich_help_panel=_WHERE
        ),
    ] = None,
    mask_format: Annotated[
        Literal["npy", "png"] | None,
        typer.Option(
            help="npy: uint8 0/1 (N, H, W), one channel per instance, as the competition's. "
            "png: one picture, 255 where any instance is. Default: npy.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a picture of every flagged image with the copied regions outlined and "
            "joined.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Write one line of JSON per image: score, regions, and for every pair its map, "
            "matches and correlation.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    overwrite: Annotated[
        bool | None,
        typer.Option(
            "--overwrite",
            help="Replace outputs that exist. Without it they are refused.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Flag images whose score is T or more, 0 to 1. Default: the detector's, 0.7.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    min_area: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Drop instances with fewer pixels, source and copies together. Default: 0.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    id_from: Annotated[
        Literal["name", "path"] | None,
        typer.Option(
            help="Make ids of file names without suffix, or of paths below the folder. "
            "Default: name.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Do not decode images with more pixels. Default: 200000000.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Images at work at the same time, each in its own process, so that a crash costs "
            "one image; 0: no other process. Default: one per core.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Read settings from here.", rich_help_panel=_HOW),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print a summary on stdout.", rich_help_panel=_HOW)
    ] = False,
) -> None:
    """See `HELP`."""
    from forgecli import console
    from forgecli.cases.discover import discover
    from forgecli.config import read_config, resolve
    from forgecli.predict.detectors import TABLES, match_factory, match_settings
    from forgecli.predict.job import run
    from forgecli.predict.outputs import Outputs
    from forgecli.predict.plan import plan_rows
    from forgecli.predict.progress import progress_on
    from forgecli.predict.settings import PredictSettings

    flags = {
        "detector": detector,
        "output": output,
        "sample_submission": sample_submission,
        "masks": masks,
        "mask_format": mask_format,
        "overlays": overlays,
        "evidence": evidence,
        "overwrite": overwrite,
        "threshold": threshold,
        "min_area": min_area,
        "id_from": id_from,
        "max_pixels": max_pixels,
        "workers": workers,
    }
    tables = read_config(config, TABLES) if config else {}
    settings = resolve(
        PredictSettings,
        "predict",
        config=tables,
        file=config,
        environment=os.environ,
        flags=flags,
    )
    match = match_settings(tables, config, os.environ)
    if settings.threshold is not None:  # the detector outlines only what it flags
        match = replace(match, threshold=settings.threshold)
    settings = replace(settings, threshold=match.threshold)
    plan = plan_rows(discover(images, id_from=settings.id_from), settings.sample_submission)
    outputs = Outputs.of(settings)
    outputs.check(plan, overwrite=settings.overwrite)
    for text in (*plan.warnings(), *outputs.left_over()):
        console.warn(text)

    summary = run(
        plan,
        settings,
        match_factory(match),
        outputs,
        progress=progress_on(console.stderr, plan.images),
        voice=console,
        detector_settings=match,
    )

    for line in [*summary.as_lines(), *outputs.as_lines(summary)]:
        console.say(line)
    if json:
        typer.echo(json_module.dumps(summary.as_json(str(outputs.submission))))
    raise typer.Exit(summary.exit_code)
