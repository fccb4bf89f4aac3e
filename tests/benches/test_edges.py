"""The fit of the edges' trees: what it is shown, and that it learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.edges import EdgeSample, out_of_fold, samples_of, true_region, write
from forgecli.match.agreement import Placed, Window, warp_mask
from forgecli.match.candidates import Candidate
from forgecli.match.edge import EdgeTrees
from forgecli.match.edge_statistics import EDGE_STATISTICS
from tests.match.pictures import clone, mask_of_disc, photograph, similarity, tissue

pytest.importorskip("sklearn")
DEPTH = EDGE_STATISTICS.index("depth")


def test_the_piece_of_the_truth_that_a_region_lies_in() -> None:
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 5:15, 5:15] = masks[0, 25:35, 5:15] = masks[1, 5:15, 40:50] = True
    region = Placed(Window(4, 24, 16, 36), np.ones((12, 12), bool))
    found = true_region(region, masks)
    assert found is not None
    wanted = np.zeros((40, 60), bool)
    wanted[25:35, 5:15] = True
    np.testing.assert_array_equal(found, wanted)
    assert true_region(Placed(Window(20, 0, 40, 20), np.ones((20, 20), bool)), masks) is None


def test_pixels_are_named_by_the_truth() -> None:
    shape = (200, 240)
    made = clone(
        tissue(shape, 3), mask_of_disc(shape, (70.0, 70.0), 20.0), similarity((70, 70), (170, 140))
    )
    wide = Placed(Window(0, 0, 240, 200), mask_of_disc(shape, (70.0, 70.0), 22.0))
    right = Candidate(wide, warp_mask(wide, made.affine, shape), made.affine, 3, 0, 1.0)
    off = Placed(Window(0, 0, 240, 200), mask_of_disc(shape, (30.0, 170.0), 20.0))
    wrong = Candidate(off, wide, made.affine, 3, 0, 2.0)
    masks = (made.source | made.copy)[None]
    rng = np.random.default_rng(0)
    samples = list(samples_of(photograph(made.grey), masks, [wrong, right], 2, rng))
    assert [sample.fold for sample in samples] == [2]
    depth, inside = samples[0].values[:, DEPTH], samples[0].inside
    assert (inside == (depth > 2)).mean() > 0.97  # the outline is 2 px too large
    assert 0.2 < inside.mean() < 0.8


def test_trees_learn_where_the_edge_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(12):
        values = rng.normal(size=(400, len(EDGE_STATISTICS))).astype(np.float32)
        samples.append(EdgeSample(number % 3, values, values[:, 0] < 0.0))
    first, after = out_of_fold(samples)
    assert first > 0.4 and after < 0.05
    write(samples, tmp_path / "edge.json")
    document = json.loads((tmp_path / "edge.json").read_text("utf-8"))
    assert document["fitted_on"]["regions"] == 12
    assert next(iter(document["importance"])) == EDGE_STATISTICS[0]
    said = EdgeTrees(document)(samples[0].values)
    assert ((said > 0) == samples[0].inside).mean() > 0.97
