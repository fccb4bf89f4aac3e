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
    "[bold]match[/bold] finds what stands in an image twice, without training. "
    "[bold]segment[/bold] asks a network that forge train made. In [bold]fused[/bold] match "
    "decides, and where it is silent the network may speak if it is sure.\n\n"
    "Every option but --config and --json may also stand in the table [bold]\\[predict][/bold] of "
    "a TOML file, or in an environment variable such as [bold]FORGE_PREDICT_WORKERS[/bold]; those "
    "of the network, but --model, in [bold]\\[segment][/bold] and [bold]FORGE_SEGMENT_*[/bold], "
    "where also pixel, min-area, quantile, gate, fused-gate, view and overlap may stand. Flags win "
    "over the environment, the environment over the file, all of them over the checkpoint. The "
    "settings of match, --inverted among them, are in [bold]\\[match][/bold] and in "
    "[bold]FORGE_MATCH_*[/bold].\n\n"
    "Exit codes: 0 all done, 1 failed, 2 wrong use, 3 some images failed, 130 interrupted (the "
    "rows that were done are there)."
)

_NETWORK_FILES = (".safetensors", ".json", ".onnx", ".engine")
_WHERE = "Where the results go"
_WHAT = "What counts"
_NETWORK = "The network of segment and fused"
_HOW = "How it runs"


def predict(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="Files, folders, patterns, @list.txt or -."),
    ],
    detector: Annotated[
        Literal["match", "segment", "fused"] | None,
        typer.Option(
            help="What looks at the images. Default: segment with --model, match without.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The network: NAME.safetensors of forge train, with NAME.json beside it, or a "
            ".onnx (for the CPU) or .engine (for a GPU) that forge build-engine made of it.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    engine: Annotated[
        Literal["auto", "torch", "openvino", "tensorrt"] | None,
        typer.Option(
            help="What runs it: torch a .safetensors, openvino a .onnx, tensorrt a .engine. "
            "Default: auto.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda:0|mps",
            help="Where it runs; auto takes a GPU if there is one that the engine can use. match "
            "alone runs on the CPU unless cuda:0 is named here: it has not run on a GPU yet, only "
            "on a stand-in. Default: auto.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"] | None,
        typer.Option(
            help="Of its arithmetic; auto is what the file was made for, and fp32 of a "
            ".safetensors. Default: auto.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    instances: Annotated[
        Literal["merged", "components", "matched"] | None,
        typer.Option(
            help="merged: all that it outlines is one instance. components: each connected "
            "component is. matched: components that show the same content are. Default: the "
            "checkpoint's.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    tta: Annotated[
        Literal["none", "flip", "d4"] | None,
        typer.Option(
            help="Forms of the image that are averaged. flip: mirrored, upside down, both. d4: "
            "these, and all turned by a quarter. Default: none.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="The long side it sees, or the side of its tiles. Default: the checkpoint's.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Tiles and forms at once, at most. Default: 8.",
            rich_help_panel=_NETWORK,
        ),
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
            help="Flag images whose score is T or more, 0 to 1. Default: of match, what --fpr "
            "says; of segment, the gate of its checkpoint.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    fpr: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="Share of authentic images that match may flag, 0.005 to 0.1: chooses the "
            "threshold by kind of image (photograph, blot, drawing). Not with --threshold. "
            "Default: 0.01.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    inverted: Annotated[
        bool | None,
        typer.Option(
            "--inverted/--no-inverted",
            help="Let match look for copies with inverted contrast too, which takes "
            "about three times the time; the rates of --fpr were measured without. Default: no.",
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
            help="Images at work at the same time, each in its own process (of segment with an "
            ".onnx all in one), so that a crash costs one image; 0: no other process. Default: one "
            "per core; with a network on a GPU 1, or up to 4 of fused, or of match there.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    streams: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N",
            help="Batches that an NVIDIA GPU works on at the same time; auto tries 1, 2, 4 and 8 "
            "on the first images. Default: auto.",
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
    from forgecli.predict.detectors import TABLES, choose
    from forgecli.predict.job import run
    from forgecli.predict.outputs import Outputs
    from forgecli.predict.plan import plan_rows
    from forgecli.predict.progress import progress_on
    from forgecli.predict.settings import PredictSettings
    from forgecli.stream.way import way_of

    flags = {
        "detector": detector,
        "model": model,
        "output": output,
        "sample_submission": sample_submission,
        "masks": masks,
        "mask_format": mask_format,
        "overlays": overlays,
        "evidence": evidence,
        "overwrite": overwrite,
        "threshold": threshold,
        "fpr": fpr,
        "min_area": min_area,
        "id_from": id_from,
        "max_pixels": max_pixels,
        "workers": workers,
        "streams": streams,
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
    network = {
        "engine": engine,
        "device": device,
        "precision": precision,
        "instances": instances,
        "tta": tta,
        "size": size,
        "batch": batch,
    }
    chosen = choose(
        settings,
        config=tables,
        file=config,
        environment=os.environ,
        network=network,
        typed=flags,
        inverted=inverted,
    )
    settings = replace(settings, detector=chosen.name, threshold=chosen.threshold, fpr=chosen.fpr)
    way = way_of(chosen, settings, typed=streams is not None)
    plan = plan_rows(discover(images, id_from=settings.id_from), settings.sample_submission)
    outputs = Outputs.of(settings)
    read: list[Path] = []
    if settings.model:
        read = [settings.model, *(settings.model.with_suffix(s) for s in _NETWORK_FILES)]
    outputs.check(plan, overwrite=settings.overwrite, read=read)
    for text in (*chosen.notes, *way.notes):
        console.note(text)
    for text in (*chosen.warnings, *plan.warnings(), *outputs.left_over()):
        console.warn(text)

    summary = run(
        plan,
        settings,
        chosen.make,
        outputs,
        progress=progress_on(console.stderr, plan.images),
        voice=console,
        detector_settings=chosen.record,
        most_workers=way.most_workers,
        make_pool=way.make_pool,
    )

    for line in [*summary.as_lines(), *outputs.as_lines(summary)]:
        console.say(line)
    if json:
        typer.echo(json_module.dumps(summary.as_json(str(outputs.submission))))
    raise typer.Exit(summary.exit_code)
