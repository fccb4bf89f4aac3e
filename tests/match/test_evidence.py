from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.match.bands import bands_of
from forgecli.match.candidates import candidates
from forgecli.match.dense import dense_matches
from forgecli.match.evidence import in_panels, on_evidence, share_around
from forgecli.match.panels import Layout
from forgecli.match.settings import MatchSettings
from tests.match.pictures import clone, mask_of_disc, overlap, photograph, similarity, tissue

SETTINGS = MatchSettings()
SHAPE = (240, 330)


@given(arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))), st.integers(1, 6))
def test_the_share_is_that_of_the_pixels_around(usable: NDArray[np.bool_], radius: int) -> None:
    found = share_around(usable, radius)
    for (y, x), share in np.ndenumerate(found):
        rows = slice(max(0, y - radius), y + radius + 1)
        columns = slice(max(0, x - radius), x + radius + 1)
        assert share == pytest.approx(usable[rows, columns].mean(), abs=1e-5)


def ends(*points: tuple[float, float]) -> NDArray[np.float64]:
    """A match from the first to the second, float64 (1, 8)."""
    return np.array([[*points[0], *points[1], 1, 0, 0, 1]])


def test_where_all_is_evidence_every_match_lies_on_it() -> None:
    everywhere = np.ones((40, 60), bool)
    assert (share_around(everywhere, 8) == 1).all()
    matches = np.concatenate((ends((0, 0), (59, 39)), ends((-2, 3), (61, 20))))
    strict = replace(SETTINGS, patch_share=1.0, usable_share=1.0)
    assert on_evidence(matches, everywhere, strict, everywhere).all()
    assert not on_evidence(matches, ~everywhere, SETTINGS).any()
    assert not on_evidence(matches, everywhere, SETTINGS, ~everywhere).any()
    assert on_evidence(np.empty((0, 8)), everywhere, SETTINGS).shape == (0,)


@pytest.mark.parametrize("asked", ["usable", "inside"])
def test_both_ends_count(asked: str) -> None:
    everywhere = np.ones((60, 120), bool)
    part = everywhere.copy()
    part[:, 60:] = False
    usable, inside = (part, everywhere) if asked == "usable" else (everywhere, part)
    one, two, beyond = (20.0, 30.0), (40.0, 20.0), (90.0, 30.0)
    for pair, good in (((one, two), True), ((one, beyond), False), ((beyond, two), False)):
        assert on_evidence(ends(*pair), usable, SETTINGS, inside).tolist() == [good]


def test_a_strip_lower_than_a_patch_may_hold_matches() -> None:
    index = np.full((120, 200), -1, np.int32)
    strip, square = Window(10, 10, 190, 24), Window(10, 50, 90, 110)
    for number, panel in enumerate((strip, square)):
        index[panel.top : panel.bottom, panel.left : panel.right] = number
    usable = index >= 0
    layout = Layout((strip, square), usable, index)
    inside = in_panels(layout, SETTINGS)
    along = ends((40, 17), (120, 17))
    assert on_evidence(along, usable, SETTINGS, inside).all()
    assert not on_evidence(along, usable, SETTINGS, usable).any()
    at_edge, deep = ends((14, 54), (86, 106)), ends((30, 70), (60, 80))
    assert not on_evidence(at_edge, usable, SETTINGS, inside).any()
    assert on_evidence(deep, usable, SETTINGS, inside).all()
    assert (usable == (index >= 0)).all(), "what is given stays as it is"


def test_plain_ground_is_not_taken_for_the_edge_of_a_panel() -> None:
    usable, everywhere = np.ones((60, 120), bool), np.ones((60, 120), bool)
    usable[:, 61:] = False
    match = ends((20, 30), (59, 30))
    assert on_evidence(match, usable, SETTINGS, everywhere).all()
    assert not on_evidence(match, usable, SETTINGS, usable).any()


def panels() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two panels side by side on white, and what of it is evidence."""
    usable = np.zeros(SHAPE, bool)
    usable[10:230, 10:155] = usable[10:230, 175:320] = True
    return np.asarray(np.where(usable, tissue(SHAPE, seed=3), 255), np.float32), usable


def test_edges_of_panels_take_no_place_from_a_copy() -> None:
    grey, usable = panels()
    affine = similarity((60, 70), (250, 160), turn=25)
    made = clone(grey, mask_of_disc(SHAPE, (60, 70), 22), affine)
    seen = bands_of(photograph(made.grey, noise=1))
    upright = [[154.0, y, 319.0, y] for y in range(20, 220, 2)]
    level = [[x, 11.0, x + 40, 11.0] for x in range(20, 100, 2)]
    edges = np.array([[*ends, 1, 0, 0, 1] for ends in (*upright, *level)])
    ys, xs = np.nonzero(made.source)
    few = np.column_stack((xs, ys)).astype(float)[::60]
    landed = few @ affine[:, :2].T + affine[:, 2]
    true = np.column_stack((few, landed, np.tile(affine[:, :2].ravel(), (len(few), 1))))
    matches = np.concatenate((edges, true))
    limit = replace(SETTINGS, max_candidates=1)
    (only,) = candidates(seen, matches, usable, limit, inside=usable)
    assert overlap(only.first.on(SHAPE), made.source) > 0.6
    assert not list(candidates(seen, edges, usable, limit, inside=usable))
    assert on_evidence(edges, usable, SETTINGS).all()


def test_the_dense_field_leaves_edges_out() -> None:
    grey, usable = panels()
    pixels = photograph(grey, noise=1)
    loose = dense_matches(bands_of(pixels), usable, SETTINGS)
    found = dense_matches(bands_of(pixels), usable, SETTINGS, inside=usable)
    share = share_around(usable, SETTINGS.patch_radius)

    def on_edges(matches: NDArray[np.float64]) -> int:
        x, y = np.rint(matches[:, :2]).astype(int).T
        return int(np.count_nonzero(share[y, x] < 0.7))

    assert on_edges(loose) > 20
    assert on_edges(found) == 0
