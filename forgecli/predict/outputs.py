"""Where a run writes, found out to be possible before the work starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forgecli.atomic import check_output, check_output_folder
from forgecli.errors import UsageError
from forgecli.predict.plan import Plan
from forgecli.predict.settings import PredictSettings
from forgecli.predict.summary import Summary


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of one run.

    Attributes:
        submission: the CSV file with one row per image.
        details: status, score, time and reason of every row.
        record: settings and versions of the run. It and the details are None where the submission
            is no regular file (``/dev/stdout``), for there is no beside.
        evidence: JSON Lines, or None.
        masks, overlays: folders, or None.
        mask_suffix: ``.npy`` or ``.png``.
        with_suffix: whether ids end with the suffix of their picture, as ``--id-from path`` makes
            them.
    """

    submission: Path
    details: Path | None
    record: Path | None
    evidence: Path | None
    masks: Path | None
    overlays: Path | None
    mask_suffix: str
    with_suffix: bool = False

    @classmethod
    def of(cls, settings: PredictSettings) -> Outputs:
        """The files that these settings ask for."""
        submission = settings.output
        beside = not submission.exists() or submission.is_file()
        return cls(
            submission=submission,
            details=submission.with_name(submission.stem + ".details.csv") if beside else None,
            record=submission.with_name(submission.stem + ".run.json") if beside else None,
            evidence=settings.evidence,
            masks=settings.masks,
            overlays=settings.overlays,
            mask_suffix="." + settings.mask_format,
            with_suffix=settings.id_from == "path",
        )

    def mask_of(self, case_id: str) -> Path | None:
        """The mask file of one case."""
        return self._inside(self.masks, case_id, self.mask_suffix) if self.masks else None

    def overlay_of(self, case_id: str) -> Path | None:
        """The overlay file of one case."""
        return self._inside(self.overlays, case_id, ".png") if self.overlays else None

    def _inside(self, folder: Path, case_id: str, suffix: str) -> Path:
        """The file of an id, in folders below `folder` if the id is a path; never outside of it.

        A picture's suffix stays in the name, for ``a.png`` and ``a.tif`` are two pictures; only
        one that is `suffix` itself is not written twice.
        """
        parts = [part for part in PurePosixPath(case_id).parts if part not in ("/", "..")] or ["_"]
        there = self.with_suffix and parts[-1].lower().endswith(suffix)
        return folder.joinpath(*parts[:-1], parts[-1] + ("" if there else suffix))

    def check(self, plan: Plan, *, overwrite: bool, read: Sequence[Path] = ()) -> None:
        """Refuse what would be found out too late. Creates the folders.

        Args:
            read: files that are read beside the images.

        Raises:
            UsageError: an output exists and is not to be replaced, two outputs are one file, or an
                output is an input.
            OutputError: something cannot be written.
        """
        files = [
            path for path in (self.submission, self.details, self.record, self.evidence) if path
        ]
        if self.submission == Path("-"):
            raise UsageError("'-' is no file.", mend="name a file, or /dev/stdout")
        cases = [row.case for row in plan.rows if row.case]
        taken = {
            _real(file): "an input" for case in cases for file in (case.image, case.mask) if file
        }
        taken |= {_real(file): "an input" for file in read}
        for path in files:
            _take(taken, path, "an output")
        for row in plan.rows:
            for picture in (self.mask_of(row.case_id), self.overlay_of(row.case_id)):
                if row.case and picture:
                    _take(taken, picture, "an output")
        for folder in (self.masks, self.overlays):
            if folder:
                check_output_folder(folder, overwrite=overwrite)
        for path in files:
            check_output(path, overwrite=overwrite)

    def left_over(self) -> list[str]:
        """What a user should know of folders that an earlier run has filled; sentences."""
        said = []
        for folder in (self.masks, self.overlays):
            held = sum(1 for _ in folder.iterdir()) if folder else 0
            if held:
                said.append(
                    f"{folder} holds {held:,} files or folders already; those of images that are"
                    " not flagged now will stay"
                )
        return said

    def as_lines(self, summary: Summary) -> list[str]:
        """Where things are now, for people."""
        if not summary.rows:
            return ["stopped before the first row: nothing was written"]
        lines = []
        if summary.interrupted:
            lines.append(
                f"stopped: {summary.rows:,} of {summary.planned:,} rows were written, "
                f"{summary.planned - summary.rows:,} are missing"
            )
        named = {
            "submission": self.submission,
            "details": self.details,
            "settings": self.record,
            "evidence": self.evidence,
            "masks": self.masks,
            "overlays": self.overlays,
        }
        return lines + [f"{name + ':':<12}{path}" for name, path in named.items() if path]


def _take(taken: dict[str, str], path: Path, role: str) -> None:
    place = _real(path)
    if place in taken:
        raise UsageError(
            f"would be written over {taken[place]} of the same name.",
            file=path,
            mend="name another file or folder for it",
        )
    taken[place] = role


def _real(path: Path) -> str:
    return os.path.realpath(path)
