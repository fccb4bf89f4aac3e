"""`forge doctor`: what is installed, what will run, and what to do."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

HELP = """Say what is installed, which GPU there is, what will run, and what to do.

Every library is asked in a process of its own, so that one that is broken cannot hide the
others. Nothing is changed, and nothing is sent anywhere.

Exit codes: 0 the base works, 1 something that is installed is broken or a file that was
named would not load, 2 wrong use. An extra that is not installed is no failure.
"""


def doctor(
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A .safetensors, .onnx or .engine: would it load here, and if not, why. May be "
            "given several times.",
        ),
    ] = None,
    engines: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The same for all .engine files of a folder."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Import nothing: only what is installed, not whether it works."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """See `HELP`."""

    from forgecli import console
    from forgecli.doctor.diagnosis import diagnose
    from forgecli.doctor.models import engine_files
    from forgecli.doctor.page import page
    from forgecli.errors import UsageError

    if quick and (model or engines):
        raise UsageError(
            "--quick imports nothing, so it cannot say whether a file would load.",
            mend="leave out --quick",
        )
    files = [*(model or ()), *(engine_files(engines) if engines else ())]
    if engines and len(files) == len(model or ()):
        console.warn(f"{engines}: there is no .engine file in this folder")
    if not quick:
        console.note("asking the libraries; PyTorch takes some seconds")
    found = diagnose(files, ask=not quick)
    if json:
        typer.echo(json_module.dumps(found.as_json(), indent=2))
    else:
        stdout = console.stdout_for_tables()
        for number, piece in enumerate(page(found)):
            if number:
                stdout.print()
            stdout.print(piece)
    raise typer.Exit(found.exit_code)
