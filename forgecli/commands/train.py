"""`forge train`: a data set with masks in, a trained network out."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

HELP = """Train a network that finds copied regions.

A run is a folder: [bold]best.safetensors[/bold] and its .json are what [bold]forge predict \
--model[/bold] takes; beside them are the last weights, the settings, the split, the figures of \
every epoch as CSV, JSON lines and curves, and pictures of what was found. Every network has a \
preset; settings are laid over it by a TOML file, then by environment variables such as \
[bold]FORGE_LOOP_EPOCHS[/bold] (table and key), then by flags. [bold]--show-config[/bold] prints \
all of them.

Ctrl-C ends the run after the step it is at; [bold]--resume[/bold] goes on and gives the weights \
of a run that was never stopped. Started by torchrun, the processes share the work.

Needs the extra [bold]forgecli\\[train][/bold]. Exit codes: 0 done, 1 failed, 2 wrong use, \
130 interrupted.
"""

_WHAT = "What is trained, on what"
_HOW = "How it is trained"
_WHERE = "Where it runs, where it goes"


def train(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The data set: images in authentic and forged, masks beside them.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="simple-cnn, dual-stream, copy-attend, mask-rcnn, faster-rcnn, or one of "
            "segmentation-models-pytorch: unet, unet++, manet, linknet, fpn, pspnet, pan, "
            "deeplabv3, deeplabv3+, upernet, segformer, dpt. Default: unet.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Encoder of the network.", rich_help_panel=_WHAT),
    ] = None,
    encoder_weights: Annotated[
        str | None,
        typer.Option(
            metavar="imagenet|none|FILE",
            help="Weights the encoder starts from.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            metavar="CKPT",
            help="Start from the tensors of a checkpoint (.safetensors, or .pt with tensors only) "
            "that fit by name and shape.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32, metavar="PX", help="Pixels that the network sees.", rich_help_panel=_WHAT
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The most.", rich_help_panel=_HOW)
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="M",
            help="Stop training after this wall time, all sessions together, then validate. The "
            "learning rate falls accordingly.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Crops at once, on each device.", rich_help_panel=_HOW
        ),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="LR", help="Learning rate.", rich_help_panel=_HOW)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Decides everything that is drawn.", rich_help_panel=_HOW),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"] | None,
        typer.Option(help="Of what may be computed in it.", rich_help_panel=_HOW),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Read settings from here.", rich_help_panel=_HOW),
    ] = None,
    show_config: Annotated[
        bool,
        typer.Option(
            "--show-config", help="Print all settings as TOML and stop.", rich_help_panel=_HOW
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="RUN_DIR",
            help="The folder of the run. Default: runs/ and the model's name.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in RUN_DIR, by its own settings. Limits (epochs, minutes) "
            "and where it runs may be others.",
            rich_help_panel=_WHERE,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the run in RUN_DIR.", rich_help_panel=_WHERE),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda:0|mps", help="Default: auto.", rich_help_panel=_WHERE),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Processes that load data. Default: chosen from the cores.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Threads of the arithmetic. Default: chosen from the cores.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print a summary on stdout.", rich_help_panel=_WHERE)
    ] = False,
) -> None:
    """See `HELP`."""
    from forgecli import console
    from forgecli.config import read_config
    from forgecli.errors import UsageError
    from forgecli.train.folder import RunFolder
    from forgecli.train.presets import TABLES, settle

    flags: dict[str, dict[str, Any]] = {
        "data": {"folder": data, "size": size},
        "model": {
            "name": model,
            "encoder": encoder,
            "encoder_weights": encoder_weights,
            "init_from": None if init_from is None else str(init_from),
        },
        "optimiser": {"lr": lr},
        "loop": {
            "epochs": epochs,
            "minutes": minutes,
            "batch": batch,
            "device": device,
            "precision": precision,
            "workers": workers,
            "threads": threads,
            "seed": seed,
        },
    }
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other.", mend="leave one out")
    if resume and output is None:
        raise UsageError("--resume needs the folder of the run.", mend="-o RUN_DIR")
    if resume and config is None and output is not None:
        config = RunFolder(output).config
        if not config.is_file():
            raise UsageError("holds no run that could be gone on with.", file=output,
                             mend="leave out --resume to start one")  # fmt: skip
    tables = read_config(config, TABLES) if config else {}
    settings = settle(tables, config, os.environ, flags)
    if show_config:
        typer.echo(settings.toml(), nl=False)
        return

    from forgecli.train.session import session

    report = session(
        settings,
        output or Path("runs") / settings.model.name,
        resume=resume,
        overwrite=overwrite,
        environment=os.environ,
        voice=console,
        console=console.stderr,
    )
    if report.speaks:
        for line in report.lines():
            console.say(line)
        if json:
            typer.echo(json_module.dumps(report.as_json()))
    raise typer.Exit(report.exit_code)
