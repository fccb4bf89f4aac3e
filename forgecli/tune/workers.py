"""All images through the network, on as many cores as there are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from forgecli.cores import available_cores, threads_of_children
from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.segment.plan import SegmentPlan
from forgecli.stop import leave_interrupts
from forgecli.tune.examine import Examiner, Row
from forgecli.tune.grid import Grid
from forgecli.tune.settings import TuneSettings

_examiner: Examiner | None = None  # of a worker process


def examine_all(
    cases: Sequence[Case], plan: SegmentPlan, settings: TuneSettings, grid: Grid
) -> Iterator[Row]:
    """The row of each case, in their order.

    On the CPU every worker is a process with one network; on a GPU all is done here.

    Raises:
        ForgeError: the network cannot be loaded, the cache cannot be written, or a worker died.
    """
    cores = available_cores()
    workers = min(settings.workers or cores, len(cases))
    if workers <= 1 or plan.device != "cpu":
        _set_threads(cores, plan)
        examiner = Examiner(plan, settings, grid)
        examiner.prepare()
        try:
            yield from map(examiner.examine, cases)
        finally:
            examiner.close()
        return
    threads = max(1, cores // workers)
    with threads_of_children(threads):
        pool = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(plan, settings, grid, threads),
        )
        waiting = [pool.submit(_examine, case) for case in cases]
    try:
        for future in waiting:
            answer = future.result()
            if isinstance(answer, _Failure):
                raise ForgeError(answer.what, file=answer.file, mend=answer.mend)
            yield answer
    except BrokenProcessPool as error:
        raise ForgeError(
            "a worker process died, most likely for lack of memory.", mend="pass --workers 1"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Failure:
    """An error that ends the run, as it can be sent to another process."""

    def __init__(self, error: ForgeError) -> None:
        self.what = error.what
        self.file = None if error.file is None else str(error.file)
        self.mend = error.mend


_no_start: _Failure | None = None


def _start(plan: SegmentPlan, settings: TuneSettings, grid: Grid, threads: int) -> None:
    global _examiner, _no_start
    leave_interrupts()
    _set_threads(threads, plan)
    try:
        _examiner = Examiner(plan, settings, grid)
        _examiner.prepare()
    except ForgeError as error:
        _no_start = _Failure(error)


def _examine(case: Case) -> Row | _Failure:
    if _no_start is not None:
        return _no_start
    assert _examiner is not None
    try:
        return _examiner.examine(case)
    except ForgeError as error:
        return _Failure(error)


def _set_threads(threads: int, plan: SegmentPlan) -> None:
    import cv2

    cv2.setNumThreads(threads)
    if plan.engine != "torch":  # OpenVINO asks `forgecli.cores`
        return
    try:
        import torch
    except ModuleNotFoundError:  # the checkpoint's loader says so better
        return
    torch.set_num_threads(threads)
