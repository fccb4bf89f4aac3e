"""`forge bench`: where the time goes on this machine."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

import typer

HELP = """Measure a network, or match, on this machine, and say where the time goes.

[bold]MODEL[/bold] is what [bold]forge predict --model[/bold] takes, or the word
[bold]match[/bold]. [bold]DIR[/bold] holds images of yours; without it some are drawn.

Prints what every stage of an image takes, how fast decoding alone, the bare engine and the
whole of predict are, what limits, and what to try. Nothing is kept. Machines are shared and
clocks change: compare figures of one run only.
"""


def bench(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", show_default=False, help="A network's file, or match.")
    ],
    images: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", show_default=False, help="A folder of images."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1.0, metavar="S", help="Of measuring; starting up is not in it.")
    ] = 60.0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes. Default: as forge predict."),
    ] = None,
    engine: Annotated[
        Literal["auto", "torch", "openvino", "tensorrt"] | None,
        typer.Option(help="What runs the network. Default: auto."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda:0|mps", help="Where it runs. Default: auto."),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"] | None,
        typer.Option(help="Of its arithmetic. Default: auto, as of forge predict."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="PX", help="As of forge predict. Default: the checkpoint's."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Tiles and forms at once, at most. Default: 8.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """See `HELP`."""

    from forgecli import console
    from kernels.jit import on_first_compile

    on_first_compile(console.note)  # before the imports that compile

    from forgecli.bench.measure import measure
    from forgecli.bench.page import page

    network = {
        "engine": engine,
        "device": device,
        "precision": precision,
        "size": size,
        "batch": batch,
    }
    found = measure(
        model,
        images,
        seconds=seconds,
        workers=workers,
        network=network,
        note=console.note,
        warn=console.warn,
    )
    if json:
        typer.echo(json_module.dumps(found.as_json(), indent=2))
        return
    stdout = console.stdout_for_tables()
    for piece in page(found):
        stdout.print(piece)
