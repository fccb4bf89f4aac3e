"""Settings from four places: defaults < TOML file < environment < flags of the command line."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from forgecli.errors import UsageError

S = TypeVar("S")

PREFIX = "FORGE_"


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known name nearest to `name`, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return "known here: " + ", ".join(known)


def read_config(file: Path, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read a TOML file whose top level holds tables only.

    Args:
        file: the file a user named.
        tables: the names of the tables that mean something.

    Raises:
        UsageError: the file is not there, is not TOML, or holds a table of another name.
    """
    tables = list(tables)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}.", file=file, mend="check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is not a TOML file: {error}.", file=file) from error
    for name, table in document.items():
        if name not in tables:
            wrong = "table" if isinstance(table, dict) else "key outside a table,"
            raise UsageError(f"unknown {wrong} {name!r}.", file=file, mend=nearest(name, tables))
        if not isinstance(table, dict):
            raise UsageError(f"{name!r} is to be a table.", file=file, mend=f"write [{name}]")
    return document


def resolve(
    kind: type[S],
    table: str,
    *,
    config: Mapping[str, Mapping[str, Any]],
    file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> S:
    """Lay the four sources over each other and check every value.

    Args:
        kind: a dataclass whose fields all have defaults; its types say what a value may be.
            Constraints are written as pydantic's, in `Annotated`.
        table: the name of its table in the file; the environment's names are
            ``FORGE_<TABLE>_<FIELD>``. In the file, ``min-area`` and ``min_area`` are one name.
        config: what `read_config` gave, or nothing.
        file: where `config` came from, for messages.
        environment: usually `os.environ`.
        flags: values by field; None means that the flag was not given.

    Raises:
        UsageError: an unknown name, with the nearest known one, or a value that cannot be.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    origin: dict[str, tuple[Path | None, str]] = {}

    for key, value in config.get(table, {}).items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(
                f"unknown key {key!r} in [{table}].", file=file, mend=nearest(name, known)
            )
        values[name], origin[name] = value, (file, f"[{table}] {key}")

    prefix = f"{PREFIX}{table.upper()}_"
    for variable, text in sorted(environment.items()):
        if variable.startswith(prefix):
            name = variable.removeprefix(prefix).lower()
            if name not in known:
                raise UsageError(
                    f"unknown environment variable {variable}.",
                    mend=nearest(variable, [prefix + field.upper() for field in known]),
                )
            values[name], origin[name] = text, (None, variable)

    for name, value in flags.items():
        if value is not None:
            values[name], origin[name] = value, (None, "--" + name.replace("_", "-"))

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        place, label = origin.get(name, (None, name))
        wrong = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(f"{label}: {wrong}. Got: {first['input']!r}", file=place) from error
