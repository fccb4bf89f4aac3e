"""Boxes of runs, and what a detection keeps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forgecli.detection import Detection, Status
from forgecli.predict.decide import flagged_instances, only
from forgecli.predict.evidence import box_of
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
