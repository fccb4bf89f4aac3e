"""What a run came to: in numbers, as JSON, and for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from forgecli.console import clock, printable
from forgecli.detection import Status
from forgecli.errors import ExitCode
from forgecli.predict.plan import Plan
from forgecli.predict.tasks import Outcome

_SHOWN = 10
"""Failed inputs named in the summary; the details file has them all."""


@dataclass(slots=True)
class Summary:
    """Counts over the outcomes so far.

    Attributes:
        planned: rows the submission is to have.
        rows: rows it has.
        statuses: images by how they ended.
        no_image: ids of the sample submission without an image.
        ignored: images that the sample submission does not name.
        odd: images read with a warning.
        failures: id, status and reason of the first inputs that could not be judged.
        unwritten: masks and overlays that could not be written.
        cut_short: files beside the submission that could not be written to their end.
        seconds: wall time of the work.
        interrupted: whether it was stopped before its end.
    """

    planned: int
    no_image: int
    ignored: int
    rows: int = 0
    flagged: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    odd: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    unwritten: int = 0
    cut_short: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Summary:
        """Nothing done yet."""
        return cls(planned=len(plan.rows), no_image=plan.missing, ignored=plan.ignored)

    def add(self, outcome: Outcome) -> None:
        """Count one image."""
        if outcome.status is None:
            return
        self.statuses[outcome.status] += 1
        self.flagged += outcome.flagged
        self.odd += bool(outcome.warnings)
        self.unwritten += bool(outcome.unwritten)
        if outcome.failed and len(self.failures) < _SHOWN:
            self.failures.append((outcome.case_id, str(outcome.status), outcome.reason))

    @property
    def images(self) -> int:
        """Images that were looked at, with whatever end."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Images that could not be judged."""
        return self.images - self.statuses[Status.OK]

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def exit_code(self) -> ExitCode:
        """What the shell is told."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.images and self.failed == self.images:
            return ExitCode.FAILED
        if self.failed or self.unwritten or self.cut_short:
            return ExitCode.SOME_INPUTS_FAILED
        return ExitCode.DONE

    def as_json(self, output: str) -> dict[str, Any]:
        """The object that ``--json`` prints.

        Args:
            output: the submission as the user named it.
        """
        return {
            "output": output,
            "complete": not self.interrupted,
            "rows": self.rows,
            "rows_missing": self.planned - self.rows,
            "images": self.images,
            "flagged": self.flagged,
            **{str(status).replace("-", "_"): self.statuses[status] for status in Status},
            "no_image": self.no_image,
            "not_in_sample": self.ignored,
            "with_warnings": self.odd,
            "pictures_unwritten": self.unwritten,
            "files_cut_short": len(self.cut_short),
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.rate, 3),
        }

    def as_lines(self) -> list[str]:
        """The same for people, without the names of files."""
        judged = self.statuses[Status.OK]
        lines = [
            f"{_many(self.images, 'image')} in {clock(self.seconds)} ({self.rate:.2f} a second): "
            f"{self.flagged:,} flagged, {judged - self.flagged:,} not flagged"
            + (f", {self.failed:,} not judged" if self.failed else "")
        ]
        if self.failed:
            lines.append("not judged, and authentic in the submission:")
            lines += [f"  {printable(': '.join(failure))}" for failure in self.failures]
            if self.failed > len(self.failures):
                lines.append(f"  and {self.failed - len(self.failures):,} more")
        if self.odd:
            lines.append(f"{_many(self.odd, 'image')} read with a warning")
        if self.no_image:
            lines.append(f"ids of the sample without an image: {self.no_image:,}, authentic")
        if self.ignored:
            lines.append(f"left out, for the sample does not name them: {self.ignored:,}")
        if self.unwritten:
            lines.append(f"flagged, but without a mask or overlay: {self.unwritten:,}")
        if self.cut_short:
            lines.append("not written to the end: " + ", ".join(map(printable, self.cut_short)))
        return lines


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
