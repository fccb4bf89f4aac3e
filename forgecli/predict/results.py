"""All files of a run that hold a row per image, kept in step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from forgecli.atomic import OutputError
from forgecli.detection import Detection, Status
from forgecli.predict.evidence import evidence_line
from forgecli.predict.outputs import Outputs
from forgecli.predict.plan import Plan
from forgecli.predict.sinks import (
    DETAILS,
    CsvFile,
    InOrder,
    LineFile,
    details_row,
    submission_row,
)
from forgecli.predict.tasks import Outcome


class Results:
    """Writes outcomes to the submission, the details and the evidence, in the order of the rows.

    The submission is what counts: if one of the others cannot be written, it is given up with a
    warning, and what it has is kept.

    Attributes:
        cut_short: names of the files that were given up.

    Args:
        plan: the rows.
        outputs: the files; folders exist.
        warn: told what a user should know.

    Raises:
        OutputError: a file cannot be created. `add` and `finish` raise it for the submission only.
    """

    def __init__(self, plan: Plan, outputs: Outputs, *, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._ended = False
        self.cut_short: list[str] = []
        self._order = InOrder(plan)
        self._submission = CsvFile(outputs.submission, ("case_id", "annotation"))
        self._details: CsvFile | None = None
        self._evidence: LineFile | None = None
        try:
            self._details = CsvFile(outputs.details, DETAILS) if outputs.details else None
            self._evidence = LineFile(outputs.evidence) if outputs.evidence else None
        except OutputError:
            self.discard()
            raise

    @property
    def rows(self) -> int:
        """Rows in the submission so far."""
        return self._submission.rows

    def add(self, outcome: Outcome) -> None:
        """One outcome that has finished, in any order."""
        self._order.add(outcome)
        self._write_ready()

    def finish(self) -> None:
        """Put the files in their places; with all rows, or with those that have finished.

        Files without any row are not put there: what was there before is worth more.
        """
        self._write_ready()
        for outcome in self._order.rest():
            self._write(outcome)
        self.keep()

    def keep(self) -> bool:
        """Put the files in their places as they are. Only the first call does something.

        Returns:
            whether the submission is there.
        """
        if self._ended:
            return False
        self._ended = True
        if not self.rows:
            self.discard()
            return False
        for file in (self._details, self._evidence):
            if file is not None:
                try:
                    file.draft.commit()
                except OutputError as error:
                    self.cut_short.append(str(error.file))
                    self._warn(str(error))
        self._submission.draft.commit()
        return True

    def discard(self) -> None:
        """Forget everything, unless it is in its place already."""
        for file in (self._submission, self._details, self._evidence):
            if file is not None:
                with suppress(OutputError):
                    file.draft.discard()

    def _write_ready(self) -> None:
        for outcome in self._order.take():
            self._write(outcome)

    def _write(self, outcome: Outcome) -> None:
        self._submission.add(submission_row(outcome))
        try:
            if self._details is not None:
                self._details.add(details_row(outcome))
        except OutputError as error:
            self._give_up(self._details, error)
            self._details = None
        try:
            if self._evidence is not None and outcome.status is not None:
                self._evidence.add(outcome.evidence or _bare_evidence(outcome, outcome.status))
        except OutputError as error:
            self._give_up(self._evidence, error)
            self._evidence = None

    def _give_up(self, file: CsvFile | LineFile | None, error: OutputError) -> None:
        self.cut_short.append(str(error.file))
        self._warn(f"{error} It ends after {self.rows - 1} rows.")
        if file is not None:
            with suppress(OutputError):
                file.draft.commit()


def _bare_evidence(outcome: Outcome, status: Status) -> str:
    """The line of an image whose worker died, so that every image has one."""
    lost = Detection(outcome.case_id, outcome.shape, status=status, reason=outcome.reason)
    return evidence_line(lost, ())
