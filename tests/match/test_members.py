from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgecli.match.agreement import cover
from forgecli.match.candidates import Candidate
from forgecli.match.members import members
from forgecli.match.settings import MatchSettings
from tests.match.test_group import A, B, Box, C, D, pair, placed

SETTINGS = MatchSettings(member_threshold=0.6, group_threshold=0.8)
E_ = (100, 100, 130, 120)


def chosen(*pairs: tuple[Box, Box, float]) -> list[int]:
    found = [pair(first, second) for first, second, _ in pairs]
    return members(found, np.array([likely for *_, likely in pairs]), SETTINGS)


@pytest.mark.parametrize("likely", [0.95, 0.3])
def test_the_best_pair_needs_no_threshold(likely: float) -> None:
    assert chosen((C, D, 0.1), (A, B, likely)) == [1]


def test_a_further_copy_needs_less_than_a_group_of_its_own() -> None:
    assert chosen((A, B, 0.95), (B, C, 0.65), (D, E_, 0.65)) == [0, 1]
    assert chosen((A, B, 0.95), (B, C, 0.55), (D, E_, 0.85)) == [0, 2]


def test_a_copy_of_a_copy() -> None:
    assert chosen((C, D, 0.65), (A, B, 0.95), (B, C, 0.7)) == [1, 2, 0]
    # What would join it is less likely itself: it begins a group, or nothing.
    assert chosen((A, B, 0.95), (C, D, 0.7), (B, C, 0.65)) == [0, 2]


def test_as_likely_as_the_best() -> None:
    assert chosen((A, B, 0.5), (C, D, 0.5), (B, C, 0.45)) == [0, 1]


def test_a_group_never_needs_less_than_a_further_copy() -> None:
    strict = MatchSettings(member_threshold=0.9, group_threshold=0.5)
    assert members([pair(A, B), pair(C, D)], np.array([0.95, 0.85]), strict) == [0]


def test_cover() -> None:
    inside, beside = placed((12, 12, 20, 20)), placed((30, 10, 60, 30))
    assert cover(placed(A), inside, SETTINGS) and cover(inside, placed(A), SETTINGS)
    assert not cover(placed(A), beside, SETTINGS)
    assert not cover(placed(A), placed(B), SETTINGS)


BOXES = st.sampled_from([A, B, C, D, E_])


@given(st.lists(st.tuples(BOXES, BOXES, st.floats(0, 1)), min_size=1, max_size=8))
def test_what_holds_of_any_choice(pairs: Sequence[tuple[Box, Box, float]]) -> None:
    found: list[Candidate] = [pair(first, second) for first, second, _ in pairs]
    likely = np.array([one for *_, one in pairs])
    held = members(found, likely, SETTINGS)
    assert len(set(held)) == len(held)
    assert likely[held[0]] == likely.max()
    assert (np.diff(likely[held]) <= 0).all()
    sure = set(np.flatnonzero(likely >= SETTINGS.group_threshold).tolist())
    assert sure <= set(held)
    assert all(likely[n] >= min(SETTINGS.member_threshold, likely.max()) for n in held)
