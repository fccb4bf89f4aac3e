"""What TensorRT measured when it built engines, kept for the next build.

Only the data-centre library measures; TensorRT for RTX chooses when it runs, and ignores such a
file. Has not run on a GPU.
"""

from __future__ import annotations

import os
import secrets
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from engines.tensorrt_library import Library, Said


def attach(library: Library, config: Any, file: Path) -> str:
    """Give a builder's configuration the timings of a file; later `keep` writes them back.

    Returns:
        A sentence where the file was not used although it is there; empty otherwise.
    """
    if library.flavor == "rtx":
        return f"{library} measures nothing when it builds: the timing cache {file} is not used"
    try:
        stored, unread = file.read_bytes(), ""
    except FileNotFoundError:
        stored, unread = b"", ""
    except OSError as error:
        stored, unread = b"", f"the timing cache {file} cannot be read: {error.strerror or error}"
    said = library.listen()
    if stored and not _set(config, stored, said):
        _set(config, b"", said)
        return f"the timing cache {file} is of another version or GPU: it is not used, and replaced"
    if not stored and not _set(config, b"", said):
        return "TensorRT takes no timing cache here"
    return unread


def keep(library: Library, config: Any, file: Path) -> str:
    """Write the timings of a build. Returns a sentence where that fails; empty otherwise."""
    if library.flavor == "rtx":
        return ""
    cache = config.get_timing_cache()
    if cache is None:
        return ""
    try:
        write_whole(file, bytes(cache.serialize()))
    except OSError as error:
        return f"the timing cache {file} cannot be written: {error.strerror or error}"
    return ""


def write_whole(file: Path, data: bytes) -> None:
    """Write a file that is either whole or as it was. Its folder is created.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".forge-{secrets.token_hex(8)}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _set(config: Any, stored: bytes, said: Said) -> bool:
    """Whether the library takes and uses what is stored; ``b""`` begins anew."""
    before = len(said.errors) + len(said.warnings)
    with warnings.catch_warnings():  # deprecated where it does nothing
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            cache = config.create_timing_cache(stored)
            # Timings of another GPU would choose the wrong kernels: no mismatch is ignored.
            taken = cache is not None and bool(config.set_timing_cache(cache, False))
        except (RuntimeError, TypeError):
            return False
    # Of another version, it says so and gives an empty one.
    return taken and len(said.errors) + len(said.warnings) == before
