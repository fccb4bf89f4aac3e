"""`forge build-engine`: a checkpoint as ONNX and as a TensorRT engine."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

HELP = """Make ONNX files and a TensorRT engine of a checkpoint.

[bold]CHECKPOINT[/bold] is the .safetensors that [bold]forge train[/bold] wrote. NAME.onnx \
(FP32) runs on any CPU with OpenVINO; NAME.fp16.onnx is what the engine is built from; \
NAME.fp16.HASH.engine runs on the GPUs it was built for. [bold]forge predict --model[/bold] takes \
each of them.

The files are compared with the checkpoint before they are written: FP32 with PyTorch, FP16 with \
FP32 on maps of probabilities and, with --check, on the metric. What goes beyond a limit is \
refused. Files of the same checkpoint that are there already stay as they are.

Needs the extra [bold]forgecli\\[train][/bold], and for engines [bold]forgecli\\[gpu][/bold] or \
[bold]forgecli\\[gpu-rtx][/bold]. TensorRT for RTX builds on a machine without a GPU.
"""

_WHAT = "What is made"
_CHECKS = "How it is checked"
_ENGINE = "The engine"


def build_engine(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", show_default=False, help="A .safetensors.")
    ],
    onnx_only: Annotated[
        bool | None,
        typer.Option(
            "--onnx-only", show_default=False, help="Stop at the ONNX files.", rich_help_panel=_WHAT
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="fp16|fp32|int8",
            help="Of the arithmetic; int8 is for the CPU, and needs --onnx-only and --check. "
            "Without: fp16.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Where the files go. Without: beside the checkpoint.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files.", rich_help_panel=_WHAT)
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Labelled images, as forge truth takes them: the precisions are compared on them "
            "by the metric.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    check_images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many of them, evenly spread; for int8, to calibrate with. Without: 32.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    force: Annotated[
        bool | None,
        typer.Option(
            "--force",
            show_default=False,
            help="Write what differs by more than the limits, and say so.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="How much of the metric INT8 may cost. Without: 0.01.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    flavor: Annotated[
        str | None,
        typer.Option(
            metavar="auto|tensorrt|rtx",
            help="Which TensorRT: that of data centres, or that of RTX cards. Without: auto, the "
            "first where both are installed.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="MIN,OPT,MAX",
            help="Images at once: at least, what it is made for, at most. Without: 1,8,16.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="MIN,OPT,MAX",
            help="Sides likewise, in pixels: 256,512,512, or 384x512 for height x width; one for "
            "all three. Without: what the checkpoint was trained for.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    capability: Annotated[
        str | None,
        typer.Option(
            metavar="8.6,8.9,...",
            help="Compute capabilities of the GPUs, for --flavor rtx. Without: this machine's GPU, "
            "or all from 8.0 on where there is none.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    optimisation: Annotated[
        int | None,
        typer.Option(
            metavar="0..5",
            help="0 is built fast, 5 runs fast. Without: TensorRT's default.",
            rich_help_panel=_ENGINE,
        ),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Build the engine and print its layers instead of the table.",
            rich_help_panel=_ENGINE,
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings, in the table build.")
    ] = None,
) -> None:
    """See `HELP`."""
    import os

    from forgecli import console
    from forgecli.config import read_config, resolve
    from forgecli.errors import UsageError
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from forgecli.build.settings import BuildSettings

    flags: dict[str, Any] = {
        "onnx_only": onnx_only or None,
        "precision": precision,
        "flavor": flavor,
        "batch": batch,
        "size": size,
        "capability": capability,
        "optimisation": optimisation,
        "check": check,
        "check_images": check_images,
        "force": force or None,
        "tolerance": tolerance,
    }
    known = read_config(config, ("build",)) if config else {}
    settings = resolve(
        BuildSettings, "build", config=known, file=config, environment=os.environ, flags=flags
    )
    settings.refuse_idle([name for name, value in flags.items() if value is not None])
    if layers and (settings.onnx_only or json):
        raise UsageError("--layers prints the layers of an engine, and nothing else.",
                         mend="leave out --onnx-only and --json, or --layers")  # fmt: skip

    from forgecli.build.page import as_json, files, table
    from forgecli.build.plan import BuildPlan
    from forgecli.build.progress import Progress
    from forgecli.build.run import run

    plan = BuildPlan.of(checkpoint, settings, folder=output, overwrite=overwrite)
    with Progress(console.stderr) as progress:
        result = run(plan, console, progress.step, layers=layers)
    if result.engine is not None:
        for text in result.engine.notes:
            console.note(text)
    for line in files(result):
        console.say(line)
    if json:
        typer.echo(json_module.dumps(as_json(result), indent=2))
    elif layers and result.engine is not None:
        typer.echo(result.engine.layers)
    elif result.findings:
        console.stdout_for_tables().print(table(result))
