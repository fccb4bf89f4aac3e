"""Run kernels on so many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Kernels inside the block use `count` threads, or as many as the machine has."""
    before = numba.get_num_threads()
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(count, most))
    try:
        yield
    finally:
        numba.set_num_threads(before)
