"""Settings as TOML text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Tables = Mapping[str, Mapping[str, Any]]


def toml_text(tables: Tables) -> str:
    """Tables as TOML that `tomllib` reads back to equal ones.

    Args:
        tables: values of bool, int, float, str, lists of those, or one more level of tables. Keys
            without a value (None), which TOML cannot say, are left out.

    Raises:
        TypeError: a value of another kind.
    """
    return "\n".join(_table([name], table) for name, table in tables.items())


def _table(path: list[str], table: Mapping[str, Any]) -> str:
    lines = ["[" + ".".join(map(_key, path)) + "]"]
    below = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            if value:
                below.append(_table([*path, key], value))
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    return "\n".join([*lines, "", *below])


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _string(text: str) -> str:
    # JSON's strings are TOML's, but for DEL, and for characters beyond 16 bits as two surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
