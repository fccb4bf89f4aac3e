"""What travels between the job and its workers: the work, tasks out, outcomes back. All small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from forgecli.detection import Case, Criterion, Detector, Status

AUTHENTIC = "authentic"
"""The annotation of a row without instances."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every worker needs to know; it travels to their processes, so all of it can.

    Attributes:
        make_detector: called once by every worker; a function of a module, or a partial of one.
        evidence: whether outcomes carry their line of evidence.
        The others: see `forgecli.predict.settings.PredictSettings`.
    """

    make_detector: Callable[[], Detector]
    threshold: float
    min_area: int
    max_pixels: int
    mask_format: Literal["npy", "png"]
    evidence: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One image to look at.

    Attributes:
        row: index of its row in the submission.
        mask, overlay: the files to write if the image is flagged, or None.
    """

    row: int
    case: Case
    mask: Path | None = None
    overlay: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the job keeps of one row.

    Attributes:
        row: index of the row in the submission.
        status: how it ended; None for an id of the sample submission that has no image.
        annotation: ``authentic`` or the run-length text.
        instances: how many the annotation has.
        shape: (H, W) in pixels, (0, 0) if unknown.
        reason: why the status is not `ok`.
        warnings: what was odd about the file.
        criterion: what the score was held against; None for an image without a score.
        evidence: one line of JSON without its end, or "" where none is wanted.
        unwritten: the message of the output, mask or overlay, that could not be written.
        disk_full: whether that was because the disk is full.
        out_of_memory: whether the image failed for lack of memory, and may pass on its own.
        seconds: wall time by stage.
    """

    row: int
    case_id: str
    status: Status | None
    annotation: str = AUTHENTIC
    instances: int = 0
    score: float = 0.0
    shape: tuple[int, int] = (0, 0)
    reason: str = ""
    warnings: tuple[str, ...] = ()
    criterion: Criterion | None = None
    evidence: str = ""
    unwritten: str = ""
    disk_full: bool = False
    out_of_memory: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def flagged(self) -> bool:
        """Whether the row is not `authentic`."""
        return self.instances > 0

    @property
    def failed(self) -> bool:
        """Whether there was an image and it could not be judged."""
        return self.status not in (Status.OK, None)


def lost(task: Task, reason: str, *, out_of_memory: bool = False) -> Outcome:
    """The outcome of a task whose detection never came back."""
    return Outcome(
        row=task.row,
        case_id=task.case.case_id,
        status=Status.FAILED,
        reason=reason,
        out_of_memory=out_of_memory,
    )
