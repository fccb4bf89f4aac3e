"""A run that can be gone on with, as one file: tensors, and the rest as JSON in its header.

One file, because two could be of different steps after a power cut. The format is safetensors,
whose header has room for text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from forgecli.atomic import atomic_writer
from forgecli.errors import ForgeError, UsageError
from forgecli.segment.checkpoint import plain_tensors

FORMAT = 1
_KEY = "forge_training_state"


def save_state(file: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write tensors and a document of plain JSON values, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    text = json.dumps({"format": FORMAT, **document}, allow_nan=False)
    with atomic_writer(file, "wb") as out:
        out.write(save(plain_tensors(tensors), metadata={_KEY: text}))


def load_state(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_state` wrote; the tensors are on the CPU.

    Raises:
        UsageError: the file is missing.
        ForgeError: it is damaged, or of a later version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get(_KEY, "{}")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror or error}.",
            file=file,
            mend="leave --resume out to start a new run",
        ) from error
    except SafetensorError as error:
        raise ForgeError(f"is damaged: {error}.", file=file) from error
    document = json.loads(text)
    if document.pop("format", None) != FORMAT:
        raise ForgeError(
            "is not the state of a run of this forge.",
            file=file,
            mend="go on with the forge that wrote it",
        )
    return tensors, document


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix` and a dot, without it."""
    start = prefix + "."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
