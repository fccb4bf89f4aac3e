"""Boxes of runs, and what a detection keeps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forgecli.detection import Criterion, Detection, Status
from forgecli.predict.decide import flagged_instances, only
from forgecli.predict.evidence import box_of, evidence_line
from forgecli.predict.sinks import DETAILS, details_row
from forgecli.predict.tasks import Outcome
from kernels.rle import encode
from tests.predict.fakes import SIZE, copied


@settings(max_examples=80, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_box_is_the_smallest_around_the_pixels(mask: np.ndarray) -> None:
    box = box_of(encode(mask), mask.shape[0])
    rows, columns = np.nonzero(mask)
    if not len(rows):
        assert box == [0, 0, 0, 0]
    else:
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_nothing_counts_without_score_or_with_a_bad_status() -> None:
    detection = copied("x", SIZE, float("nan"))
    assert flagged_instances(detection, threshold=0.0, min_area=0) == ()
    failed = Detection("x", SIZE, detection.instances, 1.0, status=Status.FAILED)
    assert flagged_instances(failed, threshold=0.0, min_area=0) == ()


def test_empty_instances_never_count() -> None:
    detection = copied("x", SIZE, 0.9)
    empty = type(detection.instances[0])(np.empty((0, 2), np.int64), ())
    odd = Detection("x", SIZE, (empty,), 0.9)
    assert flagged_instances(odd, threshold=0.5, min_area=0) == ()


def test_only_renumbers_the_pairs() -> None:
    detection = copied("x", SIZE, 0.9)
    second = only(detection, detection.instances[1:])
    assert second.instances == detection.instances[1:]
    assert [(pair.instance, pair.mirrored) for pair in second.evidence] == [(0, True)]


def test_the_line_names_what_the_score_was_held_against() -> None:
    detection = replace(copied("x", SIZE, 0.9), criterion=Criterion("blot", 0.8765432, 0.01))
    line = json.loads(evidence_line(detection, ()))
    assert (line["kind"], line["threshold"], line["false_positive_rate"]) == (
        "blot", 0.876543, 0.01,
    )  # fmt: skip
    asked = json.loads(evidence_line(replace(detection, criterion=Criterion("blot", 0.5)), ()))
    assert asked["threshold"] == 0.5 and asked["false_positive_rate"] is None
    lost = json.loads(evidence_line(Detection("x", SIZE, status=Status.FAILED), ()))
    assert (lost["kind"], lost["threshold"], lost["false_positive_rate"]) == ("", None, None)


def test_and_so_do_the_details() -> None:
    def named(criterion: Criterion | None) -> tuple[str, ...]:
        row = details_row(Outcome(0, "x", Status.OK, criterion=criterion))
        cells = dict(zip(DETAILS, row, strict=True))
        return cells["kind"], cells["threshold"], cells["fpr"]

    assert named(Criterion("photograph", 0.75, 0.005)) == ("photograph", "0.75", "0.005")
    assert named(Criterion("", 0.3)) == ("", "0.3", "")
    assert named(None) == ("", "", "")
