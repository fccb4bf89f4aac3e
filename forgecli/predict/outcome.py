"""From a detection to the outcome of its task: what is flagged, its text and its pictures."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from forgecli.atomic import OutputError
from forgecli.detection import Criterion, Detection, Instance, Picture, Status
from forgecli.predict.decide import flagged_instances, only
from forgecli.predict.evidence import evidence_line
from forgecli.predict.failures import reason_of
from forgecli.predict.masks import write_mask
from forgecli.predict.tasks import AUTHENTIC, Outcome, Task, Work

_MOST_DRAWN = 100
"""Instances in an overlay, the first: a network may outline thousands of specks, one each."""


def outcome_of(
    work: Work,
    task: Task,
    detection: Detection,
    picture: Picture | None,
    *,
    since: float,
    out_of_memory: bool = False,
) -> Outcome:
    """The outcome of a task. Its mask and overlay are on disk when this returns.

    Args:
        detection: of the task's case, whatever its status.
        picture: the pixels, for an overlay; without them none is drawn.
        since: `perf_counter` when the work on the case began.
        out_of_memory: whether memory did not suffice for it.
    """
    from kernels.rle import annotation_to_text

    if detection.criterion is None and detection.status is Status.OK:
        detection = replace(detection, criterion=Criterion("", work.threshold))
    flagged = flagged_instances(detection, threshold=work.threshold, min_area=work.min_area)
    evidence = evidence_line(detection, flagged) if work.evidence else ""
    seconds = dict(detection.seconds)
    unwritten, disk_full = "", False
    if draws(work, task, detection):
        judged = perf_counter()
        try:
            _write_pictures(work, task, picture, detection, flagged)
        except OutputError as error:
            unwritten, disk_full = str(error), error.full
        except Exception as error:  # noqa: BLE001 - the row is good even if its picture is not
            unwritten = reason_of("drawing", error)
        seconds["write"] = perf_counter() - judged
    seconds["all"] = perf_counter() - since
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
        criterion=detection.criterion,
        evidence=evidence,
        unwritten=unwritten,
        disk_full=disk_full,
        out_of_memory=out_of_memory,
        seconds=seconds,
    )


def draws(work: Work, task: Task, detection: Detection) -> bool:
    """Whether `outcome_of` has a mask or an overlay to write."""
    if task.mask is None and task.overlay is None:
        return False
    return bool(flagged_instances(detection, threshold=work.threshold, min_area=work.min_area))


def _write_pictures(
    work: Work,
    task: Task,
    picture: Picture | None,
    detection: Detection,
    flagged: tuple[Instance, ...],
) -> None:
    if task.mask is not None:
        write_mask(task.mask, flagged, detection.shape, work.mask_format)
    if task.overlay is not None and picture is not None:
        from forgecli.report.overlay import write_overlay

        write_overlay(task.overlay, picture, only(detection, flagged[:_MOST_DRAWN]))
