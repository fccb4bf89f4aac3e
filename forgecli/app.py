"""The Typer app: registers the commands, nothing else."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from forgecli import __version__
from forgecli.commands import (
    bench,
    build_engine,
    compare,
    doctor,
    inspect,
    predict,
    score,
    synth,
    train,
    truth,
    tune,
)
from forgecli.console import fail, stderr
from forgecli.errors import ExitCode, ForgeError
from forgecli.stdout import flush_stdout, name_stdout, unsent

app = typer.Typer(
    name="forge",
    help="Find and outline copied regions in scientific images.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("predict", help=predict.HELP)(predict.predict)
app.command("score", help=score.HELP)(score.score)
app.command("compare", help=compare.HELP)(compare.compare)
app.command("inspect", help=inspect.HELP)(inspect.inspect)
app.command("train", help=train.HELP)(train.train)
app.command("truth", help=truth.HELP)(truth.truth)
app.command("synth", help=synth.HELP)(synth.synth)
app.command("tune", help=tune.HELP)(tune.tune)
app.command("bench", help=bench.HELP)(bench.bench)
app.command("build-engine", help=build_engine.HELP)(build_engine.build_engine)
app.command("doctor", help=doctor.HELP)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks. May stand anywhere on the line.")
    ] = False,
) -> None:
    """Options that hold for every command."""


def main() -> None:
    """The entry point of the `forge` program."""
    arguments = sys.argv[1:]
    before_files = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in before_files
    if debug:
        arguments.remove("--debug")
    name_stdout()
    try:
        try:
            app(args=arguments, prog_name="forge")
        finally:
            flush_stdout()
    except ForgeError as error:
        if debug:
            raise
        fail(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr.print("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except SystemExit as end:
        if _interrupted(end):  # Typer has caught it, without a word
            stderr.print("interrupted")
        raise
    except Exception as error:  # the last line of defence: no traceback for a user
        if debug:
            raise
        if full := unsent(error):
            fail(full)
            sys.exit(full.exit_code)
        fail(
            ForgeError(
                f"unexpected {type(error).__name__}: {error}",
                mend="run it again with --debug and report what it prints",
            )
        )
        sys.exit(ExitCode.FAILED)


def _interrupted(end: BaseException) -> bool:
    """Whether a Ctrl-C that nobody has spoken of is behind the end of the program."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None
