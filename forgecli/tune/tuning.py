"""From tables to the thresholds that are written, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import forgecli
from forgecli.cases.groups import Grouping
from forgecli.errors import ForgeError
from forgecli.segment.checkpoint import card_file, read_card, write_card
from forgecli.segment.onnx_file import card_inside
from forgecli.segment.plan import SegmentPlan
from forgecli.segment.thresholds import Thresholds
from forgecli.tune.examine import Row
from forgecli.tune.folds import folds_of, groups_of
from forgecli.tune.fuse import MatchScores, fused_gate, fused_scores
from forgecli.tune.grid import Grid
from forgecli.tune.settings import TuneSettings
from forgecli.tune.stack import Stack, is_quiet, quiet
from forgecli.tune.sweep import Best, best_of
from forgecli.tune.tables import Scores
from forgecli.tune.validate import CrossValidation, Measured, cross_validate

CHOSEN = ("pixel", "min_area", "quantile", "gate", "instances")
"""Thresholds that every fold chooses for itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What came out.

    Attributes:
        thresholds: to be written: chosen on all images; quiet where the network does not beat
            "all authentic" on images that it was not tuned on.
        best: chosen on all images, whatever it is worth on others.
        validated: the cross-validation.
        rows: the N images that have a table.
        failed: the others.
        stack: the tables.
        grouping: which images were kept in one fold.
        groups: int64 (N,), the group of each image.
        match: what match says of the images, if known.
    """

    thresholds: Thresholds
    best: Best
    validated: CrossValidation
    rows: tuple[Row, ...]
    failed: tuple[Row, ...]
    stack: Stack
    grouping: Grouping
    groups: NDArray[np.int64]
    match: MatchScores | None

    @property
    def forged(self) -> NDArray[np.bool_]:
        """bool (N,)."""
        return np.asarray(self.stack.silent == 0)

    @property
    def speaks(self) -> bool:
        """Whether the network alone beats calling all images authentic, out of fold."""
        return self.validated.segment.gain > 0

    @property
    def quiet(self) -> bool:
        """Whether the thresholds, as written, flag nothing."""
        return is_quiet(self.thresholds)

    def fused_on_all(self) -> Scores | None:
        """float64 (N,), the metric of match and network together, as written."""
        if self.match is None:
            return None
        return fused_scores(
            self.stack, self.match, self.thresholds, self.thresholds.fused_gate
        ).scores

    def spread(self) -> dict[str, list[Any]]:
        """What the folds chose, by threshold."""
        found: dict[str, list[Any]] = {
            name: [getattr(one.thresholds, name) for one in self.validated.chosen]
            for name in CHOSEN
        }
        if self.match is not None:
            found["fused_gate"] = list(self.validated.fused_gates)
        return found


def tune(
    rows: Sequence[Row],
    grid: Grid,
    settings: TuneSettings,
    match: MatchScores | None = None,
) -> Tuning:
    """Choose thresholds on all images, and measure by cross-validation what choosing is worth.

    Args:
        rows: of all images; those with a table are used.
        grid: of the tables.
        settings: folds and seed.
        match: of the rows with a table, to choose a fused gate as well.

    Raises:
        ForgeError: no image could be looked at, none of them is forged, or they form one group.
    """
    usable = tuple(row for row in rows if row.table is not None)
    failed = tuple(row for row in rows if row.table is None)
    if not usable:
        raise ForgeError(
            f"none of the {len(rows)} images could be used. The first: {rows[0].reason}",
            file=rows[0].case.image,
        )
    stack = Stack.of([row.table for row in usable if row.table is not None], grid)
    if stack.silent.all():
        raise ForgeError(
            f"all {len(usable)} images are authentic: there is nothing to find.",
            mend="name a data set with forged images and their masks",
        )
    cases = [row.case for row in usable]
    groups, grouping = groups_of(cases)
    fold = folds_of(cases, groups, [r.coverage for r in usable], settings.folds, settings.seed)
    validated = cross_validate(stack, fold, groups, match)
    found = best_of(stack)
    thresholds = found.thresholds if validated.segment.gain > 0 else quiet(found.thresholds)
    # A gain within chance is no reason to flag what match would not: it has cost false positives on
    # other images (docs/models.md).
    fused = validated.fused
    if match is not None and fused is not None and fused.gain > 2 * fused.standard_error:
        gate = fused_gate(stack, match, thresholds)
        thresholds = replace(thresholds, fused_gate=gate)
    return Tuning(thresholds, found, validated, usable, failed, stack, grouping, groups, match)


def record(tuning: Tuning, settings: TuneSettings, plan: SegmentPlan) -> dict[str, Any]:
    """What the checkpoint says of its thresholds, as plain JSON values."""
    segment, forged = tuning.validated.segment, tuning.forged
    known: dict[str, Any] = {
        "forge": forgecli.__version__,
        "weights": plan.sha256,
        "tta": plan.tta,
        "precision": plan.precision,
        "preprocess": asdict(plan.preprocess),
        "images": len(tuning.rows),
        "forged": int(forged.sum()),
        "left_out": len(tuning.failed),
        "groups": tuning.grouping.count,
        "grouped_by": tuning.grouping.joined,
        "folds": tuning.validated.folds,
        "seed": settings.seed,
        "beats_all_authentic": tuning.speaks,
        "quiet": tuning.quiet,
        "score": float(tuning.stack.scores_at(tuning.thresholds).mean()),
        "best_on_all": {"score": tuning.best.score, **asdict(tuning.best.thresholds)},
        "all_authentic": tuning.best.all_authentic,
        **_measured(segment, forged),
        "chosen_by_fold": tuning.spread(),
    }
    if tuning.validated.fused is not None:
        fused = tuning.fused_on_all()
        assert fused is not None
        assert tuning.match is not None
        known["fused"] = {
            "operating_point_of_match": tuning.match.operating_point,
            "match": float(tuning.validated.fused.baseline.mean()),
            "score": float(fused.mean()),
            **_measured(tuning.validated.fused, forged),
        }
    return known


def _measured(found: Measured, forged: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "out_of_fold": found.out_of_fold,
        "in_fold": found.in_fold,
        "optimism": found.optimism,
        "gain": found.gain,
        "standard_error": found.standard_error,
        "forged_out_of_fold": float(found.scores[forged].mean()),
        "recall": float(found.flags[forged].mean()),
        "false_positive_rate": None if forged.all() else float(found.flags[~forged].mean()),
    }


def write(plan: SegmentPlan, tuning: Tuning, known: dict[str, Any]) -> tuple[Path, bool]:
    """Put the thresholds and what is known of them into the checkpoint's JSON file.

    An ONNX file that has none beside it gets it. Thresholds hold for the view they were found with,
    so that goes there too. A fused gate that was tuned with other thresholds means nothing with
    these: without match's results it is taken out.

    Args:
        plan: the checkpoint, and how it was used.
        tuning: the thresholds.
        known: see `record`.

    Returns:
        the file, and whether a fused gate was taken out.

    Raises:
        ForgeError: the file is not there any more.
        OutputError: it cannot be written; it is then as it was.
    """
    alone = plan.engine == "openvino" and not card_file(plan.weights).exists()
    card = card_inside(plan.weights) if alone else read_card(plan.weights)
    tuned = replace(card, preprocess=plan.preprocess, thresholds=tuning.thresholds, tuning=known)
    write_card(plan.weights, tuned)
    lost = tuning.match is None and card.thresholds.fused_gate is not None
    return card_file(plan.weights), lost
