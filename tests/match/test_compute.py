"""The search computes elsewhere what it computes on the CPU."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from forgecli.detection import Picture
from forgecli.match.agreement import Window, local_correlation, warp_into
from forgecli.match.bands import bands_of
from forgecli.match.compute import CPU, OnCpu
from forgecli.match.detector import MatchDetector
from forgecli.match.features import FEATURES, flat_pixels, measure, measure_all
from forgecli.match.gpu import OnGpu
from forgecli.match.panels import Layout, find_layout
from forgecli.match.search import Search, search
from forgecli.match.settings import MatchSettings
from kernels.moved import correlations
from kernels.rle import decode
from tests.kernels.cuda.host import needs_compiler
from tests.match.devices import Watched
from tests.match.drawn_blots import blot, copied
from tests.match.pictures import (
    Pixels,
    cells,
    clone,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SETTINGS = MatchSettings(upscale_below=256, keypoints=True)
"""With all that can be done elsewhere: keypoints are off by default."""

ON_DEVICE = {
    "most_similar", "describe", "sweep", "agreeing", "local_maps", "refine", "extent",
    "correlate_views", "correlations",
}  # fmt: skip
"""Of every step that the search gives away, the kernel that does the work."""


def a_copy_in_tissue() -> Pixels:
    shape = (120, 140)
    moved = similarity((45, 45), (92, 72), turn=25, scale=1.1)
    return photograph(clone(tissue(shape, 3), mask_of_disc(shape, (45, 45), 26), moved).grey,
                      noise=1)  # fmt: skip


def a_mirrored_copy_among_cells() -> Pixels:
    shape = (150, 190)
    moved = similarity((45, 45), (140, 100), turn=25, mirrored=True)
    return photograph(clone(cells(shape, 3, 30), mask_of_disc(shape, (45, 45), 26), moved).grey,
                      noise=1)  # fmt: skip


@pytest.fixture(scope="module")
def tissue_found() -> Search:
    return search(a_copy_in_tissue(), SETTINGS)


def check_same(ours: Search, theirs: Search) -> None:
    """The same candidates in the same order, their statistics nearly."""
    assert len(ours.candidates) == len(theirs.candidates) > 10
    for one, other in zip(ours.candidates, theirs.candidates, strict=True):
        assert (one.support, one.rivals) == (other.support, other.rivals)
        np.testing.assert_allclose(one.affine, other.affine, atol=5e-3)
        shape = theirs.layout.usable.shape
        assert overlap(one.first.on(shape), other.first.on(shape)) > 0.98
    off = np.abs(ours.features - theirs.features)
    assert np.median(off) < 1e-5 and (off < 1e-2).mean() > 0.99
    assert ours.wholes == theirs.wholes


# --- the CPU


@pytest.mark.parametrize("side", [4, 7])
def test_views_on_the_cpu_are_warps_and_their_correlations(side: int) -> None:
    image = tissue((60, 70), 1)
    boxes = np.array([[3, 4, 40, 30], [50, 20, 70, 60]])
    affines = np.array([similarity((20, 20), (40, 30), turn=70), similarity((60, 40), (5, 9))])
    found = CPU.view_correlations(image, boxes, affines, side)
    for (there, correlation), box, affine in zip(found, boxes, affines, strict=True):
        window = Window(*box.tolist())
        expected = warp_into(image, affine, window)
        np.testing.assert_array_equal(there, expected)
        here = np.ascontiguousarray(window.cut(image))
        np.testing.assert_array_equal(correlation, local_correlation(here, expected, side))
    assert np.isnan(found[1][0]).any(), "a part of it comes from outside of the image"


def test_regions_on_the_cpu_are_correlated_one_by_one() -> None:
    image = tissue((60, 70), 1)
    regions = [np.nonzero(mask_of_disc((60, 70), place, 9)) for place in ((20, 20), (50, 35))]
    affines = np.array([similarity((20, 20), (40, 30), turn=70), np.eye(2, 3)])
    moves = np.array([[0.0, 0.0], [2.0, 1.0]])
    found = CPU.region_correlations(image, regions, affines, moves)
    for row, region, affine in zip(found, regions, affines, strict=True):
        np.testing.assert_array_equal(row, correlations(image, *region, affine, moves))
    assert found[1, 0] == pytest.approx(1)


class Together(OnCpu):
    at_once = 9000


def test_how_many_candidates_are_compared_at_once_changes_nothing(tissue_found: Search) -> None:
    bands = bands_of(a_copy_in_tissue())
    flat, some = flat_pixels(bands), tissue_found.candidates
    alone = [measure(bands, candidate, flat) for candidate in some]
    np.testing.assert_array_equal(tissue_found.features, alone)
    np.testing.assert_array_equal(measure_all(bands, some, flat, Together()), alone)
    assert measure_all(bands, [], flat, Together()).shape == (0, len(FEATURES))


# --- a GPU


@needs_compiler
def test_a_search_elsewhere_finds_what_the_cpu_finds(tissue_found: Search) -> None:
    device = Watched()
    compute = OnGpu(device)
    empty = device.live
    check_same(search(a_copy_in_tissue(), SETTINGS, compute), tissue_found)
    assert set(device.ran) >= ON_DEVICE
    # Weights of the discs are kept for the next image, nothing else is.
    assert device.live - empty < 20_000 < device.most
    other = a_mirrored_copy_among_cells()
    check_same(search(other, SETTINGS, compute), search(other, SETTINGS))


@needs_compiler
def test_so_it_does_in_blots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A band is copied; bands are compared and grown on the CPU, measured elsewhere."""
    drawn = blot(11, columns=3)
    (x, y), goal = drawn.centres[0, 0], drawn.centres[1, 2]
    box = (round(x - 24), round(y - 13), round(x + 24), round(y + 13))
    grey = copied(drawn.grey, np.column_stack((np.eye(2), goal - (x, y))), box)

    def as_blot(*given: Any) -> Layout:
        layout = find_layout(*given)
        return replace(layout, kinds=("blot",) * len(layout.panels))

    monkeypatch.setattr("forgecli.match.search.find_layout", as_blot)
    device = Watched()
    pixels = photograph(grey, noise=1)
    ours, theirs = search(pixels, SETTINGS, OnGpu(device)), search(pixels, SETTINGS)
    assert {"extent", "correlations"} <= set(device.ran)
    check_same(ours, theirs)


@needs_compiler
def test_the_detector_is_ready_when_every_kernel_has_run() -> None:
    device = Watched()
    detector = MatchDetector(SETTINGS, compute=OnGpu(device))
    detector.prepare()
    assert set(device.ran) >= ON_DEVICE
    device.ran.clear()
    on_cpu = MatchDetector(SETTINGS)
    picture = Picture("one", a_copy_in_tissue())
    ((ours,), (theirs,)) = (each.detect([picture]) for each in (detector, on_cpu))
    assert set(device.ran) >= ON_DEVICE
    assert ours.score == pytest.approx(theirs.score, abs=1e-3)
    assert len(ours.instances) == len(theirs.instances)
    for one, other in zip(ours.instances, theirs.instances, strict=True):
        both = (decode(each.runs, ours.shape).astype(bool) for each in (one, other))
        assert overlap(*both) > 0.98
    detector.close()


@needs_compiler
def test_a_full_gpu_is_said_and_left_empty(tissue_found: Search) -> None:
    """Whether the bands, the descriptors or the field is one too many."""
    device = Watched()
    compute = OnGpu(device)
    search(a_copy_in_tissue(), SETTINGS, compute)
    before = device.live
    for spare in (50_000, 1_000_000, 2_000_000):
        device.room = before + spare
        with pytest.raises(MemoryError, match="the GPU has no"):
            search(a_copy_in_tissue(), SETTINGS, compute)
        gc.collect()  # of the exception
        assert device.live == before
    device.room = 2**40
    check_same(search(a_copy_in_tissue(), SETTINGS, compute), tissue_found)
