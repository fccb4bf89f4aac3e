"""Many images at once, in processes that may crash without ending the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from forgecli.inspect.entries import Entry
from forgecli.inspect.examine import examine, lost
from forgecli.inspect.rows import ImageRow
from forgecli.stop import leave_interrupts

_AHEAD = 4
"""Images that wait for each worker: enough to keep it busy, few enough to forget none."""


_Numbered = tuple[int, Entry]


def examine_all(
    entries: Sequence[Entry], max_pixels: int, workers: int
) -> Iterator[tuple[int, ImageRow]]:
    """Look at every image.

    A decoder that crashes takes its process with it. The images in hand at that moment are then
    looked at one by one, each in a process of its own, and the one that crashes again is a row
    that says so.

    Args:
        workers: processes; 0 works in this one.

    Yields:
        the index of an entry and its row, in the order of completion. A few images are in memory
        at a time.
    """
    if not workers:
        yield from ((index, examine(entry, max_pixels)) for index, entry in enumerate(entries))
        return
    waiting = list(enumerate(entries))[::-1]
    while waiting:
        suspects: list[_Numbered] = []
        yield from _drain(waiting, suspects, max_pixels, min(workers, len(waiting)))
        for index, entry in suspects:
            again: list[_Numbered] = []
            yield from _drain([(index, entry)], again, max_pixels, 1)
            if again:
                yield index, lost(entry, "its process crashed, or was ended for lack of memory")


def _drain(
    waiting: list[_Numbered], suspects: list[_Numbered], max_pixels: int, workers: int
) -> Iterator[tuple[int, ImageRow]]:
    """Take entries from the end of `waiting` until it is empty, or until a process dies: then the
    entries that were in hand become suspects."""
    # Not by fork: the threads of OpenCV would not live through it.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)
    pending: dict[Future[ImageRow], _Numbered] = {}
    try:
        while waiting or pending:
            while waiting and len(pending) < _AHEAD * workers:
                index, entry = waiting[-1]
                pending[pool.submit(examine, entry, max_pixels)] = index, entry
                waiting.pop()
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                row = future.result()
                index, _ = pending.pop(future)
                yield index, row
    except BrokenProcessPool:
        for future, (index, entry) in pending.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                yield index, future.result()
            else:
                suspects.append((index, entry))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    import cv2

    leave_interrupts()
    cv2.setNumThreads(1)  # images are looked at beside each other; threads within one would fight
