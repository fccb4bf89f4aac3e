"""Many images in processes that crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forgecli.detection import Status
from forgecli.inspect import workers
from forgecli.inspect.entries import Entry, find_entries
from forgecli.inspect.examine import examine
from forgecli.inspect.rows import ImageRow, Kind
from forgecli.inspect.workers import examine_all
from tests.inspect.sets import clean


def fragile(entry: Entry, max_pixels: int) -> ImageRow:
    """Ends its process for one id."""
    if entry.case_id == "3":
        os._exit(9)
    return examine(entry, max_pixels)


def test_the_same_rows_in_processes(tmp_path: Path) -> None:
    entries = find_entries(clean(tmp_path / "set").folder).entries
    here = dict(examine_all(entries, 10_000, 0))
    assert dict(examine_all(entries, 10_000, 2)) == here
    assert sorted(here) == [0, 1, 2, 3, 4]


def test_a_crash_costs_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = find_entries(clean(tmp_path / "set").folder).entries
    monkeypatch.setattr(workers, "examine", fragile)
    monkeypatch.setattr(workers, "_AHEAD", 1)  # so that a second pool is needed for the rest
    rows = dict(examine_all(entries, 10_000, 1))
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert [rows[i].status for i in range(5)].count(Status.FAILED) == 1
    lost = next(row for row in rows.values() if row.status is Status.FAILED)
    assert lost.case_id == "3"
    assert [each.kind for each in lost.findings] == [Kind.FAILED]
