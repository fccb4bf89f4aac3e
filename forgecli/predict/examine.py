"""One case from its file to its outcome: read, detect, decide, write its pictures."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from forgecli.atomic import OutputError
from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case, Detection, Instance, Picture, Status
from forgecli.predict.decide import flagged_instances, only
from forgecli.predict.evidence import evidence_line
from forgecli.predict.masks import write_mask
from forgecli.predict.tasks import AUTHENTIC, Outcome, Task, Work

_MOST_DRAWN = 100
"""Instances in an overlay, the first: a network may outline thousands of specks, one each."""
_NO_MEMORY = ("Insufficient memory", "out of memory", "can't allocate memory")


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
        from kernels.rle import annotation_to_text

        started = perf_counter()
        picture, detection, out_of_memory = self._detect(task.case)
        work = self._work
        flagged = flagged_instances(detection, threshold=work.threshold, min_area=work.min_area)
        evidence = evidence_line(detection, flagged) if work.evidence else ""
        seconds = dict(detection.seconds)
        unwritten, disk_full = "", False
        if picture is not None and flagged and (task.mask or task.overlay):
            judged = perf_counter()
            try:
                self._write_pictures(task, picture, detection, flagged)
            except OutputError as error:
                unwritten, disk_full = str(error), error.full
            except Exception as error:  # noqa: BLE001 - the row is good even if its picture is not
                unwritten = _reason("drawing", error)
            seconds["write"] = perf_counter() - judged
        seconds["all"] = perf_counter() - started
        return Outcome(
            row=task.row,
            case_id=task.case.case_id,
            status=detection.status,
            annotation=annotation_to_text([i.runs for i in flagged]) if flagged else AUTHENTIC,
            instances=len(flagged),
            score=float(detection.score),
            shape=detection.shape,
            reason=detection.reason,
            warnings=detection.warnings,
            evidence=evidence,
            unwritten=unwritten,
            disk_full=disk_full,
            out_of_memory=out_of_memory,
            seconds=seconds,
        )

    def _write_pictures(
        self, task: Task, picture: Picture, detection: Detection, flagged: tuple[Instance, ...]
    ) -> None:
        if task.mask is not None:
            write_mask(task.mask, flagged, detection.shape, self._work.mask_format)
        if task.overlay is not None:
            from forgecli.report.overlay import write_overlay

            write_overlay(task.overlay, picture, only(detection, flagged[:_MOST_DRAWN]))

    def _detect(self, case: Case) -> tuple[Picture | None, Detection, bool]:
        """Read a case and detect: the picture if there is one, the detection, out of memory."""
        started = perf_counter()
        try:
            picture, warnings = read_picture(case, max_pixels=self._work.max_pixels)
        except TooLarge as error:
            return None, _without(case, Status.TOO_LARGE, error.what), False
        except Unreadable as error:
            return None, _without(case, Status.UNREADABLE, error.what), False
        except Exception as error:  # noqa: BLE001 - one file never ends the batch
            memory = is_memory_error(error)
            return None, _without(case, Status.FAILED, _reason("reading", error)), memory
        read = perf_counter()
        shape = (picture.pixels.shape[0], picture.pixels.shape[1])
        try:
            found = self._detector.detect([picture])
            if len(found) != 1:
                raise ValueError(f"the detector gave {len(found)} detections for one picture")
            detection = found[0]
        except Exception as error:  # noqa: BLE001 - one image never ends the batch
            failed = _without(case, Status.FAILED, _reason("detecting", error))
            failed = replace(failed, shape=shape, warnings=tuple(warnings))
            return None, failed, is_memory_error(error)
        seconds = {"read": read - started, "detect": perf_counter() - read}
        detection = replace(
            detection,
            warnings=(*warnings, *detection.warnings),
            seconds={**seconds, **detection.seconds},
        )
        return picture, detection, False


def is_memory_error(error: BaseException) -> bool:
    """Whether Python, NumPy, OpenCV or PyTorch, on whatever device, say that memory ran out."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _NO_MEMORY)


def _without(case: Case, status: Status, reason: str) -> Detection:
    return Detection(case.case_id, (0, 0), status=status, reason=reason)


def _reason(stage: str, error: Exception) -> str:
    """A sentence for the details file; only the first line of a long message."""
    if is_memory_error(error):
        return f"out of memory while {stage}"
    message = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__} while {stage}" + (f": {message[:300]}" if message else "")
