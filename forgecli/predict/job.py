"""The batch job: every image of the plan through a worker, every outcome into the files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from time import perf_counter
from typing import Any, Protocol

from forgecli.atomic import OutputError
from forgecli.cores import available_cores
from forgecli.detection import Detector
from forgecli.errors import ForgeError
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import Plan
from forgecli.predict.pool import Pool
from forgecli.predict.progress import Progress
from forgecli.predict.record import write_record
from forgecli.predict.results import Results
from forgecli.predict.settings import PredictSettings
from forgecli.predict.summary import Summary
from forgecli.predict.tasks import Outcome, Task, Work
from forgecli.stop import StopSignals


class Voice(Protocol):
    """What the job says while it runs."""

    def note(self, text: str) -> None:
        """Something a user may want to know."""

    def warn(self, text: str) -> None:
        """Something a user should know."""


class Examining(Protocol):
    """What brings tasks to their outcomes, in processes of its own."""

    def examine(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """One outcome per task, in the order in which they finish."""


class MakePool(Protocol):
    """What makes it. `Pool` is one."""

    def __call__(
        self, work: Work, size: int, *, note: Callable[[str], None], stop: Callable[[], bool]
    ) -> Examining:
        """A pool of so many processes."""


def run(
    plan: Plan,
    settings: PredictSettings,
    make_detector: Callable[[], Detector],
    outputs: Outputs,
    *,
    progress: Progress,
    voice: Voice,
    detector_settings: Mapping[str, Any],
    most_workers: int | None = None,
    make_pool: MakePool = Pool,
) -> Summary:
    """Examine all images and write all files.

    A signal to stop ends the work early; the rows that are done are kept and `interrupted` is set.

    Args:
        plan: the rows.
        settings: what was asked.
        make_detector: makes a detector in each worker; a function of a module, or a partial.
        outputs: the files, checked.
        progress: shows how far it is.
        voice: says what comes up.
        detector_settings: what decides what it finds, for the record of the run.
        most_workers: limit of the workers where the settings leave their number open.
        make_pool: makes what examines the images, unless there are to be no workers.

    Raises:
        ForgeError: the detector cannot start, or the submission cannot be written. The rows
            written until then are kept.
    """
    job = _Job(plan, settings, make_detector, outputs, voice, most_workers, make_pool)
    stopping = "stopping: keeping the rows that are done"
    with progress, StopSignals(lambda: voice.note(stopping)) as signals:
        summary = job.run(progress, signals)
        if outputs.record and summary.rows:
            try:
                write_record(outputs.record, settings, detector_settings, summary)
            except OutputError as error:  # the rows are safe, and worth more
                voice.warn(str(error))
    return summary


class _Job:
    def __init__(
        self,
        plan: Plan,
        settings: PredictSettings,
        make_detector: Callable[[], Detector],
        outputs: Outputs,
        voice: Voice,
        most_workers: int | None,
        make_pool: MakePool,
    ) -> None:
        self._make_pool = make_pool
        self._plan = plan
        self._outputs = outputs
        self._voice = voice
        threshold = settings.threshold
        if threshold is None:
            raise ValueError("which score flags an image is settled before the job")
        self._work = Work(
            make_detector=make_detector,
            threshold=threshold,
            min_area=settings.min_area,
            max_pixels=settings.max_pixels,
            mask_format=settings.mask_format,
            evidence=outputs.evidence is not None,
        )
        of_use = min(available_cores(), most_workers or available_cores())
        wanted = of_use if settings.workers is None else settings.workers
        self._workers = min(wanted, plan.images)
        self._disk_full = False
        self._without_pictures: set[int] = set()

    def run(self, progress: Progress, signals: StopSignals) -> Summary:
        summary = Summary.of(self._plan)
        results = Results(self._plan, self._outputs, warn=self._voice.warn)
        started = perf_counter()
        try:
            with closing(self._outcomes(signals)) as outcomes, suppress(KeyboardInterrupt):
                for outcome in outcomes:  # an interrupt ends the loop; `signals` remembers it
                    self._look(outcome, summary)
                    results.add(outcome)
                    summary.seconds = perf_counter() - started
                    progress.show(summary)
            results.finish()
        except Exception as error:
            if _kept(results) and isinstance(error, ForgeError):
                kept = f"{results.rows} of {len(self._plan.rows)} rows were kept"
                error.mend = f"{error.mend}; {kept}" if error.mend else kept
            raise
        finally:
            results.discard()
        summary.rows = results.rows
        summary.cut_short = results.cut_short
        summary.interrupted = signals.asked() and summary.rows < summary.planned
        return summary

    def _outcomes(self, signals: StopSignals) -> Generator[Outcome]:
        if self._workers:
            make = self._make_pool
            pool = make(self._work, self._workers, note=self._voice.note, stop=signals.asked)
            yield from pool.examine(self._tasks())
        else:
            yield from self._examined_here(signals)

    def _examined_here(self, signals: StopSignals) -> Iterator[Outcome]:
        from kernels.jit import on_first_compile

        on_first_compile(self._voice.note)
        from forgecli.predict.examine import Examiner  # after the listener: it compiles kernels

        examiner = Examiner(self._work)
        try:
            with signals.at_once():
                examiner.prepare()
            for task in self._tasks():
                if signals.asked():
                    return
                with signals.at_once():
                    outcome = examiner.examine(task)
                yield outcome
        finally:
            examiner.close()

    def _tasks(self) -> Iterator[Task]:
        """Tasks in the order of the rows, made as they are needed."""
        for index, row in enumerate(self._plan.rows):
            if row.case is not None:
                mask = self._outputs.mask_of(row.case_id)
                overlay = self._outputs.overlay_of(row.case_id)
                if self._disk_full and (mask or overlay):
                    mask = overlay = None
                    self._without_pictures.add(index)
                yield Task(index, row.case, mask, overlay)

    def _look(self, outcome: Outcome, summary: Summary) -> None:
        summary.add(outcome)
        if outcome.flagged and outcome.row in self._without_pictures:
            summary.unwritten += 1
        if outcome.unwritten and summary.unwritten == 1:
            self._voice.warn(outcome.unwritten)
        if outcome.disk_full and not self._disk_full:
            self._disk_full = True
            self._voice.warn("no more masks and overlays: the disk is full. The rows go on.")


def _kept(results: Results) -> bool:
    """Whether the rows so far could be put in their place."""
    try:
        return results.keep()
    except OutputError:
        return False
