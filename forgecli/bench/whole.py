"""The whole job, timed: `forgecli.predict.job` on pictures that come round again."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from forgecli.detection import Case
from forgecli.errors import ForgeError
from forgecli.predict.detectors import Chosen
from forgecli.predict.job import run
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import Plan, Row
from forgecli.predict.settings import PredictSettings
from forgecli.predict.summary import Summary
from forgecli.stream.way import way_of

_WARM = 0.3
"""Share of the rows after which all workers are taken to be at work."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole job.

    Attributes:
        images: how many were looked at.
        flagged: how many of them were.
        seconds: of everything, the start included.
        start: seconds until the first image was done.
        per_second: rate once all workers are at work.
    """

    images: int
    flagged: int
    seconds: float
    start: float
    per_second: float


class _Clock(nullcontext):  # type: ignore[type-arg]
    """Progress that notes when each image was done."""

    def __init__(self) -> None:
        super().__init__(self)
        self.moments: list[float] = []

    def show(self, summary: Summary) -> None:
        self.moments.append(perf_counter())


class _Quiet:
    """Nothing is said of a run that is thrown away."""

    def note(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass


def whole_job(cases: list[Case], images: int, chosen: Chosen, settings: PredictSettings) -> Whole:
    """Run the job with a row for each of so many images and throw its files away.

    Args:
        cases: the pictures; they come round again until there are enough rows.
        images: rows.
        chosen: the detector.
        settings: of the job; where the files go is replaced.

    Raises:
        ForgeError: the job failed, or an image did.
        KeyboardInterrupt: it was stopped.
    """
    rows = []
    for number in range(images):
        case = cases[number % len(cases)]
        name = f"{number}/{case.case_id}"
        rows.append(Row(name, replace(case, case_id=name)))
    clock = _Clock()
    with TemporaryDirectory(prefix="forge-bench-") as folder:
        settings = replace(settings, output=Path(folder) / "submission.csv",
                           detector=chosen.name, threshold=chosen.threshold)  # fmt: skip
        way = way_of(chosen, settings)
        started = perf_counter()
        summary = run(
            Plan(tuple(rows)),
            settings,
            chosen.make,
            Outputs.of(settings),
            progress=clock,
            voice=_Quiet(),
            detector_settings=chosen.record,
            most_workers=way.most_workers,
            make_pool=way.make_pool,
        )
        seconds = perf_counter() - started
    if summary.interrupted:
        raise KeyboardInterrupt
    if summary.failed:
        case_id, status, reason = summary.failures[0]
        raise ForgeError(f"{case_id}: {status}: {reason}.", mend="see --detector, --size, --batch")
    return Whole(
        images,
        summary.flagged,
        seconds,
        clock.moments[0] - started,
        warm_rate(clock.moments, settings.workers or 1),
    )


def warm_rate(moments: list[float], workers: int) -> float:
    """Images a second while all workers are at work: without their start and without the last
    images, when some of them have nothing to do.

    Args:
        moments: when each image was done, ascending, 2 or more.
        workers: images at work at the same time.
    """
    first = min(max(workers, int(len(moments) * _WARM)), len(moments) - 1) - 1
    last = max(len(moments) - workers, first + 1)
    first = max(first, 0)
    return (last - first) / max(moments[last] - moments[first], 1e-9)
