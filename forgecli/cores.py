"""The cores this process may use, and how processes share them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_here(at_once: int = 1) -> int:
    """Threads that a library of this process may use that does not read the variables itself.

    What `threads_of_children` gave this process, or what the user set, for each of the pictures
    that are at work at the same time, but no more than there are cores; else one per core.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return min(int(first) * at_once, available_cores())
    return available_cores()


@contextmanager
def threads_of_children(threads: int) -> Iterator[None]:
    """Give processes started in the block this many threads for each numeric library.

    The libraries read these variables when they are loaded, so a child cannot set them for itself.
    What the user has set is left alone.
    """
    ours = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, str(threads)))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
