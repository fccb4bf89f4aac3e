"""One image: its picture, its truth, what the network says of it, and the table of both."""

from __future__ import annotations

import json
from dataclasses import dataclass

from engines.base import Engine
from forgecli.cases.decode import read_picture
from forgecli.cases.failures import TooLarge, Unreadable
from forgecli.detection import Case, Picture, Status
from forgecli.errors import ForgeError
from forgecli.score.annotation import read_annotation
from forgecli.score.dataset_truth import Remarks, truth_rows
from forgecli.score.problems import BadRows
from forgecli.score.truth import TrueImage
from forgecli.segment.maps import logits_of
from forgecli.segment.plan import SegmentPlan
from forgecli.tune.cache import CachedEngine
from forgecli.tune.grid import Grid
from forgecli.tune.settings import TuneSettings
from forgecli.tune.tables import ImageTable
from kernels.rle import Runs


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What is known of one image.

    Attributes:
        case: the image.
        status: `ok` if it has a table.
        reason: why it has none.
        warnings: what was odd about its files.
        table: see `tables.ImageTable`.
        shape: (H, W) of the picture; (0, 0) where it has no table.
        truth: runs of the true instances.
        coverage: percent of the image that they cover; None if it is authentic.
    """

    case: Case
    status: Status = Status.OK
    reason: str = ""
    warnings: tuple[str, ...] = ()
    table: ImageTable | None = None
    shape: tuple[int, int] = (0, 0)
    truth: tuple[Runs, ...] = ()
    coverage: float | None = None


class Examiner:
    """Makes tables. Whatever an image does, a row comes back.

    Args:
        plan: the checkpoint and how to run it.
        settings: the cache and limits.
        grid: what the tables cover.
    """

    def __init__(self, plan: SegmentPlan, settings: TuneSettings, grid: Grid) -> None:
        self._plan = plan
        self._settings = settings
        self._grid = grid
        self._engine: Engine | None = None

    def prepare(self) -> None:
        """Load the network and let it look at a small picture, so that what cannot work is known.

        Raises:
            ForgeError: the checkpoint is damaged, or does not fit the device or the settings.
        """
        from forgecli.segment.detector import SegmentDetector
        from forgecli.segment.opening import open_planned

        plan = self._plan
        engine = open_planned(plan)
        SegmentDetector(plan, engine).prepare()
        if self._settings.cache is not None:
            arguments = json.dumps([plan.model, plan.arguments], sort_keys=True)
            engine = CachedEngine(self._settings.cache, plan.sha256 + arguments, engine)
        self._engine = engine

    def close(self) -> None:
        """Give back what the network took."""
        if self._engine is not None:
            self._engine.close()

    def examine(self, case: Case) -> Row:
        """The row of one image.

        Raises:
            OutputError: the cache cannot be written.
        """
        try:
            return self._examine(case)
        except TooLarge as error:
            return Row(case, Status.TOO_LARGE, error.what)
        except Unreadable as error:
            return Row(case, Status.UNREADABLE, error.what)
        except ForgeError:
            raise
        except Exception as error:  # noqa: BLE001 - one image never ends the run
            first = next(iter(str(error).strip().splitlines()), "")
            return Row(case, Status.FAILED, f"{type(error).__name__}: {first[:300]}")

    def _examine(self, case: Case) -> Row:
        assert self._engine is not None, "prepare comes first"
        picture, warnings = read_picture(case, max_pixels=self._settings.max_pixels)
        true, remarks = _truth(case, picture)
        plan = self._plan
        logits = logits_of(
            picture.pixels, self._engine, plan.preprocess, plan.tta, batch=plan.batch
        )
        table = ImageTable.of(
            logits, true.instances, self._grid, case_id=case.case_id, pixels=picture.pixels
        )
        return Row(
            case,
            warnings=(*warnings, *remarks),
            table=table,
            shape=true.shape or (0, 0),
            truth=true.instances,
            coverage=true.coverage,
        )


def _truth(case: Case, picture: Picture) -> tuple[TrueImage, list[str]]:
    """The true instances of a case, and what was repaired.

    Raises:
        Unreadable: its truth cannot be told.
    """
    remarks = Remarks()
    try:
        rows = list(truth_rows([case], remarks))
    except BadRows as error:
        raise Unreadable(error.problems[0].what) from error
    shape = (int(picture.pixels.shape[0]), int(picture.pixels.shape[1]))
    instances = read_annotation(rows[0][1], shape)
    return TrueImage(0, case.case_id, shape, tuple(instances)), list(remarks.warnings)
