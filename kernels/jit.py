"""One way to compile a kernel: explicit signatures, cached on disk, without the GIL.

The cache of a kernel is renewed when the file that holds it changes, not when a kernel that it
calls does. So a kernel and the kernels it calls live in one file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

_listeners: list[Callable[[str], None]] = []
_announced = False


def on_first_compile(listener: Callable[[str], None]) -> None:
    """Call `listener` with one sentence when a kernel is compiled instead of read from the cache.

    It is called at most once a process, and only if it was registered before the kernels were
    imported, since a kernel is compiled when its module is.
    """
    _listeners.append(listener)


def _announce() -> None:
    global _announced
    if not _announced:
        _announced = True
        for listener in _listeners:
            listener("compiling kernels (first run only)")


def _numba_finds_a_cache() -> bool:
    """Whether one of numba's own places (set by the user, beside the source, in the user's cache
    folder) can be written to. Numba looks for one when it decorates, before it compiles."""

    def probe() -> None: ...

    try:
        numba.njit(cache=True)(probe)
    except RuntimeError:
        return False
    return True


def _temporary_cache() -> Path:
    """A folder for compiled kernels that nobody else can write to.

    What is read from it is run, so a folder of that name that somebody else made first is not
    used: then the cache is a new one, and lasts for this process only.
    """
    owner = os.getuid() if hasattr(os, "getuid") else None  # Windows: the parent is the user's own
    name = "forge-numba" if owner is None else f"forge-numba-{owner}"
    folder = Path(tempfile.gettempdir()) / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="forge-numba-"))
    if owner is not None and (
        folder.is_symlink() or found.st_uid != owner or found.st_mode & 0o077
    ):
        return Path(tempfile.mkdtemp(prefix="forge-numba-"))
    return folder


if not _numba_finds_a_cache():
    # A read-only install run by a user without a home: numba would refuse to import the kernels.
    _config: Any = numba.config
    _config.CACHE_DIR = str(_temporary_cache())


def readonly(dtype: str, ndim: int) -> str:
    """The signature of a C-contiguous array that a kernel only reads.

    Unlike ``uint8[::1]`` it also accepts arrays that cannot be written to, such as those over
    `bytes` or a memory-mapped file.
    """
    return f"Array({dtype}, {ndim}, 'C', True)"


def kernel(*signatures: str, parallel: bool = False, fastmath: bool = False) -> Callable[[F], F]:
    """Decorator: compile a function with numba for the given signatures, or read it from the cache.

    Args:
        signatures: numba signatures, such as ``"int64(uint8[::1])"``. None means: compile for the
            argument types of the first call (only for small functions called from other kernels).
        parallel: allow `numba.prange`.
        fastmath: allow floating-point reassociation.
    """

    def compile_for(function: F) -> F:
        compiled: Any = numba.njit(
            cache=True, nogil=True, parallel=parallel, fastmath=fastmath, error_model="numpy"
        )(function)
        for signature in signatures:
            compiled.compile(signature)
            if compiled.stats.cache_misses:
                _announce()
        if signatures:
            compiled.disable_compile()
        typed: F = compiled
        return typed

    return compile_for
