"""Write docs/cli.md, the reference of the command line, from the program itself.

    python docs/make_cli.py

A test compares the file with what this makes, so the reference cannot fall behind.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from rich.text import Text
from typer.main import get_command

from forgecli.app import app

FILE = Path(__file__).with_name("cli.md")

HEAD = """# Command line

<!-- Made by `python docs/make_cli.py` from the help of the commands. Do not edit it here. -->
"""


def reference() -> str:
    """The whole document, Markdown."""
    group: Any = get_command(app)
    assert app.registered_callback is not None
    parts = [HEAD, *_options(group, app.registered_callback.callback), ""]
    for registered in app.registered_commands:
        command = group.commands[registered.name]
        parts += [f"## forge {command.name}", ""]
        parts += [f"    {_usage(command)}", "", _markdown(command.help), ""]
        parts += [*_arguments(command), *_options(command, registered.callback), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _usage(command: Any) -> str:
    words = [f"forge {command.name}", "[OPTIONS]"]
    for argument in _of_kind(command, "argument"):
        several = "..." if argument.nargs == -1 else ""
        name = argument.metavar.removesuffix("...") + several
        words.append(name if argument.required else f"[{name}]")
    return " ".join(words)


def _arguments(command: Any) -> Iterator[str]:
    found = _of_kind(command, "argument")
    if found:
        yield from ("| argument | what it is |", "|---|---|")
        for argument in found:
            yield f"| `{argument.metavar}` | {_cell(argument.help)} |"
        yield ""


def _options(command: Any, function: Callable[..., Any] | None) -> Iterator[str]:
    """A table for every panel of the help, in the order of the help."""
    assert function is not None
    types = get_type_hints(function, include_extras=True)
    panels: dict[str, list[Any]] = {}
    for option in _of_kind(command, "option"):
        if option.name in types:  # not those that Typer adds to install completion
            panels.setdefault(option.rich_help_panel or "Options", []).append(option)
    defaults = inspect.signature(function).parameters
    for panel, options in panels.items():
        yield from (f"| {panel} | what it does |", "|---|---|")
        for option in options:
            names = ", ".join(sorted(option.opts, key=len))
            names = "/".join([names, *option.secondary_opts])  # of a switch, what turns it off
            value = _value(option.metavar, types[option.name])
            default = _default(defaults[option.name].default)
            yield f"| `{names}{value}` | {_cell(option.help)}{default} |"
        yield ""


def _of_kind(command: Any, kind: str) -> list[Any]:
    return [each for each in command.params if each.param_type_name == kind]


def _value(metavar: str | None, annotation: Any) -> str:
    """What stands behind the name of an option; nothing for a switch."""
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    kinds = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is not Literal and kinds:
        kind = kinds[0]
    if get_origin(kind) is Literal:
        return " " + "\\|".join(get_args(kind))
    if kind is bool:
        return ""
    names = {int: "N", float: "X", Path: "FILE", str: "TEXT"}
    return " " + (metavar or names[kind]).replace("|", "\\|")


def _default(value: Any) -> str:
    """A default that the help does not say itself."""
    if value is None or value is False or value is inspect.Parameter.empty:
        return ""
    return f" Default: {value}."


def _cell(text: str | None) -> str:
    return _markdown(text).replace("\n", " ").replace("|", "\\|")


def _markdown(text: str | None) -> str:
    """Rich markup as Markdown: what is bold, and names of options, as code."""
    marked = Text.from_markup(inspect.cleandoc(text or ""))
    parts: list[str] = []
    end = 0
    for span in sorted(marked.spans, key=lambda span: span.start):
        parts += [_plain(marked.plain[end : span.start])]
        parts += [f"`{marked.plain[span.start : span.end]}`"]
        end = span.end
    return "".join([*parts, _plain(marked.plain[end:])])


def _plain(text: str) -> str:
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", re.sub(r"[*<]", r"\\\g<0>", text))


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
