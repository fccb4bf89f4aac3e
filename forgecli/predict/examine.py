"""One case from its file to its outcome: read, detect, decide, write its pictures."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from forgecli.detection import Picture, Status
from forgecli.predict.failures import is_memory_error, reason_of, without_result
from forgecli.predict.outcome import outcome_of
from forgecli.predict.reading import NotRead, read_case
from forgecli.predict.tasks import Outcome, Task, Work


class Examiner:
    """Looks at one case after the other with one detector. Whatever a case does, it returns."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._detector = work.make_detector()

    def prepare(self) -> None:
        """Load and compile what is needed."""
        self._detector.prepare()

    def close(self) -> None:
        """Give back what the detector took."""
        self._detector.close()

    def examine(self, task: Task) -> Outcome:
        """The outcome of one task. Its mask and overlay are on disk when it returns."""
        since = perf_counter()
        found = read_case(task.case, self._work.max_pixels)
        if isinstance(found, NotRead):
            memory = found.out_of_memory
            return outcome_of(
                self._work, task, found.detection, None, since=since, out_of_memory=memory
            )
        return self._detected(task, *found, since)

    def _detected(
        self, task: Task, picture: Picture, warnings: tuple[str, ...], since: float
    ) -> Outcome:
        read = perf_counter()
        try:
            found = self._detector.detect([picture])
            if len(found) != 1:
                raise ValueError(f"the detector gave {len(found)} detections for one picture")
            detection = found[0]
        except Exception as error:  # noqa: BLE001 - one image never ends the batch
            shape = (picture.pixels.shape[0], picture.pixels.shape[1])
            failed = without_result(
                task.case, Status.FAILED, reason_of("detecting", error), shape, warnings
            )
            memory = is_memory_error(error)
            return outcome_of(self._work, task, failed, None, since=since, out_of_memory=memory)
        seconds = {"read": read - since, "detect": perf_counter() - read}
        detection = replace(
            detection,
            warnings=(*warnings, *detection.warnings),
            seconds={**seconds, **detection.seconds},
        )
        return outcome_of(self._work, task, detection, picture, since=since)
