"""One reader process: decodes pictures into slots, and draws what was found in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from forgecli.detection import Picture, Status
from forgecli.predict.failures import is_memory_error, reason_of, without_result
from forgecli.predict.tasks import Outcome, Task, Work, lost
from forgecli.predict.worker import live
from forgecli.stream.jobs import Arrived, Draw, Job, Place, Read


def serve(pipe: Connection, work: Work, threads: int) -> None:
    """The life of a reader. Runs in its own process.

    Args:
        pipe: gives jobs, or None to end; takes messages.
        work: what to do with a picture but its detection.
        threads: how many OpenCV may use.
    """
    live(pipe, partial(_prepared, work), threads)


def _prepared(work: Work) -> tuple[Callable[[Job], tuple[str, Any]], Callable[[], None]]:
    # After the listener: they compile kernels.
    from forgecli.predict import outcome, reading  # noqa: F401

    return Reader(work).answer, _nothing


def _nothing() -> None:
    pass


class Reader:
    """Answers jobs. Whatever a picture does, there is an answer."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._kept: tuple[Picture, tuple[str, ...], float] | None = None

    def answer(self, job: Job) -> tuple[str, Any]:
        """The answer to one job, as `forgecli.stream.jobs` has it."""
        try:
            if isinstance(job, Read):
                return self._read(job)
            if isinstance(job, Place):
                return self._place(job)
            return "outcome", self._drawn(job)
        except Exception as error:  # noqa: BLE001 - one image never ends the batch
            self._kept = None
            return "outcome", lost(
                job.task, f"{type(error).__name__}: {error}", out_of_memory=is_memory_error(error)
            )

    def _read(self, job: Read) -> tuple[str, Any]:
        from forgecli.predict.reading import NotRead, read_case

        since = perf_counter()
        found = read_case(job.task.case, self._work.max_pixels)
        if isinstance(found, NotRead):
            return "outcome", self._outcome_without(job.task, found, since)
        self._kept = (*found, since)
        if found[0].pixels.nbytes > job.size:
            return "needs", found[0].pixels.nbytes
        return "arrived", self._arrived(job.slot)

    def _place(self, job: Place) -> tuple[str, Any]:
        from forgecli.predict.reading import NotRead

        if job.slot:
            return "arrived", self._arrived(job.slot)
        assert self._kept is not None
        (picture, warnings, since), self._kept = self._kept, None
        shape = (picture.pixels.shape[0], picture.pixels.shape[1])
        reason = reason_of("reading", MemoryError())
        failed = without_result(job.task.case, Status.FAILED, reason, shape, warnings)
        return "outcome", self._outcome_without(job.task, NotRead(failed, True), since)

    def _arrived(self, slot: str) -> Arrived:
        from forgecli.stream.slots import written

        assert self._kept is not None
        (picture, warnings, since), self._kept = self._kept, None
        written(slot, picture.pixels)
        shape = (picture.pixels.shape[0], picture.pixels.shape[1])
        return Arrived(shape, warnings, perf_counter() - since)

    def _outcome_without(self, task: Task, why: Any, since: float) -> Outcome:
        from forgecli.predict.outcome import outcome_of

        return outcome_of(
            self._work, task, why.detection, None, since=since, out_of_memory=why.out_of_memory
        )

    def _drawn(self, job: Draw) -> Outcome:
        from forgecli.predict.outcome import outcome_of
        from forgecli.stream.slots import copy_of

        since = perf_counter() - job.spent
        case_id = job.task.case.case_id
        picture = Picture(case_id, copy_of(job.slot, job.detection.shape)) if job.slot else None
        return outcome_of(self._work, job.task, job.detection, picture, since=since)
