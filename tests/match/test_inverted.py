"""Copies shown as their own negative: found where the ordinary search cannot, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from forgecli.detection import Picture
from forgecli.match.agreement import Placed, Window, warp_mask
from forgecli.match.bands import Bands, bands_of
from forgecli.match.candidates import Candidate
from forgecli.match.compute import CPU
from forgecli.match.detector import MatchDetector
from forgecli.match.features import FEATURES, flat_pixels, measure, measure_all
from forgecli.match.gpu import OnGpu
from forgecli.match.inverted import (
    Beside,
    InvertedCandidate,
    _dense,
    _from_both_ends,
    _one_way,
    checkered,
    search_inverted,
)
from forgecli.match.keypoints import MIRROR, NEGATIVE, Keypoints, find_keypoints
from forgecli.match.proposals import propose
from forgecli.match.search import search
from forgecli.match.settings import MatchSettings
from tests.kernels.cuda.host import needs_compiler
from tests.match.devices import Watched
from tests.match.pictures import (
    Forgery,
    Pixels,
    cells,
    clone,
    furthest,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SHAPE = (200, 260)
PLAIN = MatchSettings(upscale_below=512, max_keypoints=2500)
ON = replace(PLAIN, inverted=True)


def negative_clone(affine: np.ndarray, seed: int = 3, radius: float = 26) -> Forgery:
    made = clone(cells(SHAPE, seed, 45), mask_of_disc(SHAPE, (75, 75), radius), affine)
    return replace(made, grey=np.where(made.copy, 255 - made.grey, made.grey))


def looked_at(pixels: Pixels, settings: MatchSettings = ON) -> tuple[list[Candidate], np.ndarray]:
    bands = bands_of(pixels)
    usable = np.ones(bands.shape, bool)
    return search_inverted(bands, usable, find_keypoints(bands.grey, usable, settings), settings)


def best_of(found: list[Candidate], made: Forgery) -> tuple[float, Candidate | None]:
    """The candidate that covers the source and the copy best."""
    truth = made.source | made.copy
    covered = [overlap(one.first.on(SHAPE) | one.second.on(SHAPE), truth) for one in found]
    best = int(np.argmax(covered)) if covered else -1
    return (covered[best], found[best]) if covered else (0.0, None)


def test_negative_descriptors_are_those_of_the_negative() -> None:
    grey = cells((160, 200), seed=2, count=30)
    usable = np.ones(grey.shape, bool)
    grey = np.clip(np.rint(grey), 0, 255).astype(np.float32)
    found = find_keypoints(grey, usable, PLAIN)
    really = find_keypoints(255 - grey, usable, PLAIN)
    distance, index = cKDTree(really.points).query(found.points)
    turned = really.angles[index] - found.angles
    # Of the keypoints at one place, those with the orientation of this one, turned.
    same = (distance < 0.5) & (np.abs(np.angle(np.exp(1j * (turned - np.pi)))) < 0.05)
    same &= np.abs(np.log(really.sizes[index] / found.sizes)) < 0.05
    assert same.sum() > 0.5 * len(found)
    there = really.descriptors[index[same]]
    exchanged = (found.descriptors[same][:, NEGATIVE] * there).sum(axis=1)
    as_they_are = (found.descriptors[same] * there).sum(axis=1)
    assert np.median(exchanged) > 0.98
    assert np.median(as_they_are) < 0.9


def test_the_negative_of_a_negative_is_the_picture() -> None:
    np.testing.assert_array_equal(NEGATIVE[NEGATIVE], np.arange(128))
    np.testing.assert_array_equal(NEGATIVE[MIRROR], MIRROR[NEGATIVE])


@pytest.mark.parametrize("mirrored", [False, True])
def test_proposals_lead_to_the_negative(mirrored: bool) -> None:
    affine = similarity((75, 75), (185, 120), turn=40, mirrored=mirrored)
    plain = clone(cells(SHAPE, 3, 45), mask_of_disc(SHAPE, (75, 75), 26), affine)

    def right(made: Forgery, *, negative: bool) -> int:
        grey = np.clip(np.rint(made.grey), 0, 255).astype(np.float32)
        keypoints = find_keypoints(grey, np.ones(SHAPE, bool), PLAIN)
        found = propose(keypoints, PLAIN, negative=negative)
        landed = found[:, :2] @ affine[:, :2].T + affine[:, 2]
        near = np.hypot(*(landed - found[:, 2:4]).T) < 2
        turned = np.abs(found[:, 4:] - affine[:, :2].ravel()).max(axis=1) < 0.3
        return int((near & turned).sum())

    ordinary = right(plain, negative=False)
    assert ordinary > 5
    assert right(negative_clone(affine), negative=True) > 0.4 * ordinary
    assert right(negative_clone(affine), negative=False) <= 1
    assert right(plain, negative=True) <= 1


def test_each_pair_of_places_is_proposed_once() -> None:
    random = np.random.default_rng(0)
    matches = np.column_stack((random.uniform(0, 200, (30, 4)), random.normal(0, 1, (30, 4))))
    back = matches.copy()
    back[:, :4] = matches[:, [2, 3, 0, 1]]
    back[:, 4:] = np.linalg.inv(matches[:, 4:].reshape(-1, 2, 2)).reshape(-1, 4)
    once, both = _one_way(np.concatenate((matches[:20], back[10:], matches[5:8])))
    assert len(once) == len(matches)
    twice = {tuple(m) for m in np.sort(matches[10:20, :4], axis=1)}
    assert {tuple(m) for m in np.sort(once[both, :4], axis=1)} == twice
    ends = {frozenset((tuple(m[:2]), tuple(m[2:4]))) for m in matches}
    assert {frozenset((tuple(m[:2]), tuple(m[2:4]))) for m in once} == ends
    np.testing.assert_allclose(_one_way(_one_way(back)[0])[0], _one_way(back)[0])


def test_the_negative_beside_the_picture_is_the_negative() -> None:
    grey = np.clip(np.rint(tissue((60, 70), 1)), 0, 255).astype(np.uint8)
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    bands, really = bands_of(pixels), bands_of(255 - pixels)
    beside = Beside.of(bands, np.ones(bands.shape, bool))
    for name in ("grey", "smooth", "low", "middle"):
        both = getattr(beside.bands, name)
        np.testing.assert_array_equal(both[:, :70], getattr(bands, name))
        np.testing.assert_allclose(both[:, beside.shift :], getattr(really, name), atol=1e-3)
        assert both.shape == (60, beside.shift + 70) and both.flags.c_contiguous
    assert beside.bands.noise == bands.noise
    assert not beside.usable[:, 70 : beside.shift].any()


@pytest.mark.parametrize(
    ("turn", "scale", "mirrored"), [(0, 1.0, False), (25, 1.1, True), (90, 0.8, False)]
)
def test_an_inverted_copy_is_found(turn: float, scale: float, mirrored: bool) -> None:
    affine = similarity((75, 75), (185, 120), turn=turn, scale=scale, mirrored=mirrored)
    made = negative_clone(affine)
    pixels = photograph(made.grey, noise=1)
    found, features = looked_at(pixels)
    covered, best = best_of(found, made)
    assert covered > 0.6 and best is not None
    assert best.inverted and isinstance(best, InvertedCandidate)
    onto = affine if made.source[best.first.on(SHAPE)].mean() > 0.5 else _back(affine)
    assert furthest(best.affine, onto, best.first.on(SHAPE)) < 2
    # Where the other end was taken for the copy, the pair is not there a second time.
    twice = [one for one in found if overlap(one.first.on(SHAPE), best.second.on(SHAPE)) > 0.5]
    assert not [one for one in twice if overlap(one.second.on(SHAPE), best.first.on(SHAPE)) > 0.5]
    value = dict(zip(FEATURES, features[found.index(best)], strict=True))
    assert value["gain"] == pytest.approx(0, abs=0.15)
    assert value["mirrored"] == mirrored
    away = np.hypot(110, 45) / np.sqrt(best.first.area)  # in the picture, not to the negative
    assert value["distance"] == pytest.approx(np.log(away), abs=0.2)
    assert value["fine_all"] > np.median(features[:, FEATURES.index("fine_all")])


def _back(affine: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack((linear, -linear @ affine[:, 2]))


def test_only_who_asks_pays_for_it() -> None:
    made = negative_clone(similarity((75, 75), (185, 120)))
    pixels = photograph(made.grey, noise=1)
    off = search(pixels, PLAIN)
    assert "inverted" not in off.seconds
    assert not any(one.inverted for one in off.candidates)
    assert best_of(off.candidates, made)[0] < 0.3
    on = search(pixels, ON)
    assert on.seconds["inverted"] > 0
    assert len(on.features) == len(on.candidates)
    ordinary = [one for one in on.candidates if not one.inverted]
    assert len(ordinary) == len(off.candidates)
    np.testing.assert_array_equal(on.features[: len(ordinary)], off.features)
    assert best_of(on.candidates, made)[0] > 0.6


def test_both_searches_leave_out_the_same_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def ordinary(*given: object, **named: object) -> list[Candidate]:
        asked.append(named["inside"])
        return []

    def negative(*given: object, **named: object) -> tuple[list[Candidate], np.ndarray]:
        asked.append(named["inside"])
        return [], np.empty((0, len(FEATURES)))

    monkeypatch.setattr("forgecli.match.search.candidates", ordinary)
    monkeypatch.setattr("forgecli.match.search.search_inverted", negative)
    search(photograph(tissue((60, 70), 1)), ON)
    assert len(asked) == 2 and asked[0] is asked[1] is not None


def test_the_detector_says_which_pairs_are_inverted() -> None:
    made = negative_clone(similarity((75, 75), (185, 120), turn=30))
    picture = Picture("x", photograph(made.grey, noise=1))
    (off,) = MatchDetector(replace(PLAIN, threshold=0.7)).detect([picture])
    (on,) = MatchDetector(replace(ON, threshold=0.7)).detect([picture])
    assert not off.instances
    assert on.score > off.score
    assert [pair.inverted for pair in on.evidence[:1]] == [True]


def test_the_dense_field_finds_what_has_no_keypoints_listed() -> None:
    affine = similarity((75, 75), (185, 120), turn=60)
    made = negative_clone(affine, radius=30)
    bands = bands_of(photograph(made.grey, noise=1))
    found = _dense(bands, np.ones(SHAPE, bool), ON, CPU)
    landed = found[:, :2] @ affine[:, :2].T + affine[:, 2]
    there = np.hypot(*(landed - found[:, 2:4]).T) < 3
    back = found[:, 2:4] @ affine[:, :2].T + affine[:, 2]
    there |= np.hypot(*(back - found[:, :2]).T) < 3
    assert there.sum() >= 3
    assert len(_dense(bands, np.ones(SHAPE, bool), replace(ON, inverted_fields=0),
                      CPU)) == 0  # fmt: skip


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 5))
@hypothesis_settings(max_examples=30, deadline=None)
def test_blocks_are_whole_and_both_signs_occur(
    height: int, width: int, side: int, seed: int
) -> None:
    chosen = checkered((height, width), side, seed)
    assert chosen.shape == (height, width) and chosen.dtype == np.bool_
    for y in range(0, height, side):
        for x in range(0, width, side):
            block = chosen[y : y + side, x : x + side]
            assert block.all() or not block.any()


def placed(box: tuple[int, int, int, int]) -> Placed:
    window = Window(*box)
    return Placed(window, np.ones((window.height, window.width), bool))


def across(affine: np.ndarray, beside: Beside, box: tuple[int, int, int, int]) -> Candidate:
    """A candidate as the search beside the negative gives it."""
    moved = affine.copy()
    moved[0, 2] += beside.shift
    return Candidate(placed(box), placed(box), moved, 5, 2, 1.5)


def beside_of(shape: tuple[int, int]) -> Beside:
    bands = bands_of(photograph(tissue(shape, 4)))
    return Beside.of(bands, np.ones(shape, bool))


@given(st.integers(45, 80), st.integers(0, 30), st.floats(-20, 20))
@hypothesis_settings(max_examples=20, deadline=None)
def test_folding_undoes_unfolding(right: int, down: int, turn: float) -> None:
    beside = beside_of((120, 140))
    affine = similarity((25, 25), (25 + right, 25 + down), turn=turn)
    folded = beside.folded(across(affine, beside, (10, 10, 40, 40)), PLAIN)
    assert folded is not None
    np.testing.assert_allclose(folded.affine, affine)
    assert folded.support == 5
    again = beside.folded(beside.unfolded(folded), PLAIN)
    assert again is not None
    np.testing.assert_allclose(again.affine, affine)
    np.testing.assert_array_equal(again.second.on((120, 140)), folded.second.on((120, 140)))
    unfolded = beside.unfolded(folded)
    assert unfolded.second.window.left == folded.second.window.left + beside.shift


def test_what_is_its_own_negative_is_no_copy() -> None:
    beside = beside_of((120, 140))
    half_turn = similarity((60, 60), (60, 60), turn=180)
    assert beside.folded(across(half_turn, beside, (40, 40, 80, 80)), PLAIN) is None
    still = similarity((60, 60), (65, 60))  # nearer than min_distance
    assert beside.folded(across(still, beside, (40, 40, 80, 80)), PLAIN) is None
    half = similarity((60, 60), (75, 60))  # covers itself
    assert beside.folded(across(half, beside, (40, 40, 80, 80)), PLAIN) is None
    in_gap = across(similarity((60, 60), (20, 60)), beside, (142, 40, 160, 80))
    assert beside.folded(in_gap, PLAIN) is None


def test_a_mirrored_neighbour_loses_only_what_lies_too_near() -> None:
    beside = beside_of((120, 140))
    mirrored = similarity((60, 60), (60, 60), mirrored=True)  # about the line x = 60
    folded = beside.folded(across(mirrored, beside, (20, 40, 60, 80)), PLAIN)
    assert folded is not None
    columns = np.flatnonzero(folded.first.on((120, 140)).any(axis=0))
    assert (columns.min(), columns.max()) == (20, 54)  # 54 moves by 12


EDGES = {
    "nowhere": ((75, 75), (185, 120)),
    "region right, copy left": ((234, 75), (26, 120)),
    "region right": ((234, 75), (120, 120)),
    "copy left": ((120, 75), (26, 120)),
}


def each_band(bands: Bands, change: Callable[[np.ndarray], np.ndarray]) -> Bands:
    """The bands, each changed in the same way."""
    return replace(
        bands,
        grey=change(bands.grey),
        smooth=change(bands.smooth),
        low=change(bands.low),
        middle=change(bands.middle),
    )


def disc_pair(affine: np.ndarray, centre: tuple[int, int], radius: float = 25) -> Candidate:
    """A disc and where it lands."""
    whole = Window(0, 0, SHAPE[1], SHAPE[0])
    first = Placed(whole, mask_of_disc(SHAPE, centre, radius))
    return Candidate(first, warp_mask(first, affine, SHAPE), affine, 9, 2, 1.0)


@pytest.mark.parametrize("place", EDGES)
@pytest.mark.parametrize(("turn", "mirrored"), [(0, False), (20, True)])
def test_beyond_the_gap_is_as_unknown_as_beyond_a_picture(
    place: str, turn: float, mirrored: bool
) -> None:
    """Beside itself, not its negative, a picture measures as alone."""
    source, target = EDGES[place]
    affine = similarity(source, target, turn=turn, mirrored=mirrored)
    made = clone(tissue(SHAPE, 6, 22), mask_of_disc(SHAPE, source, 29), affine)
    bands = bands_of(photograph(made.grey, noise=1))
    candidate = disc_pair(affine, source)
    flat = flat_pixels(bands)
    beside = Beside.of(bands, np.ones(SHAPE, bool))

    def twice(band: np.ndarray) -> np.ndarray:
        both = np.pad(band, ((0, 0), (0, beside.shift)), constant_values=128)
        both[:, beside.shift :], both[:, beside.shift - 1] = band, band[:, 0]
        return both

    seen = beside.unfolded(candidate)
    measured = measure_all(each_band(bands, twice), [seen], flat, seam=beside.seam)[0]
    # Only pixels that stay in the picture however they are moved are compared beside their place.
    near = {"drop_fine": 0.05, "drop_local": 0.05, "fine_all": 0.05, "low_all": 0.05,
            "information_fine": 0.05, "information_low": 0.05}  # fmt: skip
    for name, value, expected in zip(
        FEATURES, measured, measure(bands, candidate, flat), strict=True
    ):
        limit = near.get(name, 5e-4) if "left" in place else 5e-4
        assert value == pytest.approx(expected, abs=limit), name


@pytest.mark.parametrize("side", ["region right", "copy left"])
def test_at_an_edge_a_copy_measures_as_away_from_it(side: str) -> None:
    affine = similarity((190, 75), (70, 120), turn=20)
    made = clone(tissue(SHAPE, 6, 22), mask_of_disc(SHAPE, (190, 75), 29), affine)
    pixels = photograph(np.where(made.copy, 255 - made.grey, made.grey), noise=1)
    candidate, bands = disc_pair(affine, (190, 75)), bands_of(pixels)

    def measured(left: int, right: int) -> np.ndarray:
        """With so much of the picture cut off."""
        cut = each_band(bands, lambda band: np.ascontiguousarray(band[:, left:right]))
        moved = Window(left, 0, right, SHAPE[0]).shifted(candidate.affine)
        moved[0, 2] -= left
        window = Window(0, 0, right - left, SHAPE[0])
        first, second = (
            Placed(window, one.mask[:, left:right]) for one in (candidate.first, candidate.second)
        )
        beside = Beside.of(cut, np.ones(cut.shape, bool))
        one = replace(candidate, first=first, second=second, affine=moved)
        seen = [beside.unfolded(one)]
        found: np.ndarray = measure_all(beside.bands, seen, flat_pixels(cut), seam=beside.seam)[0]
        return found

    whole = measured(0, SHAPE[1])
    at_edge = measured(0, 190 + 26) if side == "region right" else measured(70 - 29, SHAPE[1])
    loose = {"ring_drop": 0.1, "local_mean": 0.1, "local_low": 0.15, "fine_mean": 0.1,
             "fine_low": 0.1, "independent_low": 0.15, "information_low": 0.15}  # fmt: skip
    for name, value, expected in zip(FEATURES, at_edge, whole, strict=True):
        assert value == pytest.approx(expected, abs=loose.get(name, 0.05)), name


def test_what_the_gap_holds_changes_no_statistic() -> None:
    affine = similarity((234, 75), (26, 120), turn=20)
    made = clone(tissue(SHAPE, 6, 22), mask_of_disc(SHAPE, (234, 75), 29), affine)
    bands = bands_of(photograph(np.where(made.copy, 255 - made.grey, made.grey), noise=1))
    beside = Beside.of(bands, np.ones(SHAPE, bool))
    window = Window(0, 0, SHAPE[1], SHAPE[0])
    first = Placed(window, mask_of_disc(SHAPE, (234, 75), 29))
    seen = beside.unfolded(Candidate(first, first, affine, 9, 2, 1.0))

    def measured() -> np.ndarray:
        return measure_all(beside.bands, [seen], flat_pixels(bands), seam=beside.seam)

    before = measured()
    for name in ("grey", "smooth", "low", "middle"):
        gap = getattr(beside.bands, name)[:, beside.seam.begins : beside.seam.ends - 1]
        gap[:] = np.random.default_rng(1).uniform(0, 255, gap.shape)
    np.testing.assert_array_equal(measured(), before)
    wrong = measure_all(beside.bands, [seen], np.zeros(beside.bands.shape, bool))
    assert np.abs(wrong - before).max() > 0.1  # it would without the seam


def test_the_distance_is_that_in_the_picture() -> None:
    bands = bands_of(photograph(tissue((120, 140), 5)))
    candidate = Candidate(
        placed((10, 20, 40, 60)), placed((70, 20, 100, 60)),
        similarity((25, 40), (85, 44), turn=10), 3, 0, 1.0,
    )  # fmt: skip
    expected = measure(bands, candidate, flat_pixels(bands))
    beside = Beside.of(bands, np.ones(bands.shape, bool))
    seen = beside.unfolded(candidate)
    measured = measure_all(beside.bands, [seen], flat_pixels(bands), seam=beside.seam)[0]
    distance = FEATURES.index("distance")
    assert measured[distance] == pytest.approx(expected[distance], abs=1e-9)


def test_support_counts_both_ends_where_both_were_found() -> None:
    affine = similarity((25, 25), (75, 75))
    beside = beside_of((120, 140))
    seen = beside.unfolded(
        Candidate(placed((10, 10, 40, 40)), placed((60, 60, 90, 90)), affine, 4, 0, 1.0)
    )
    points = np.array([(12.0, 12.0), (20, 30), (30, 20), (38, 38), (100, 20), (15, 35)])
    matches = np.column_stack((points, points + 50, np.tile((1.0, 0, 0, 1), (6, 1))))
    matches[5, 2] += 30  # agrees with another map
    across = beside.there(matches)
    assert _from_both_ends(seen, across, points[:0], PLAIN) == 4
    assert _from_both_ends(seen, across, points[[1, 3, 4, 5]], PLAIN) == 6
    assert _from_both_ends(seen, across, points, PLAIN) == 8
    assert _from_both_ends(seen, across[4:], points, PLAIN) == 4


def test_matches_on_the_edges_of_panels_are_left_out() -> None:
    affine = similarity((75, 75), (185, 120))
    made = negative_clone(affine)
    bands = bands_of(photograph(made.grey, noise=1))
    usable = np.ones(SHAPE, bool)
    keypoints = find_keypoints(bands.grey, usable, ON)
    covered = {}
    for name, inside in {"all": usable, "none": ~mask_of_disc(SHAPE, (75, 75), 32)}.items():
        found, _ = search_inverted(bands, usable, keypoints, ON, inside=inside)
        covered[name] = best_of(found, made)[0]
    assert covered["all"] > 0.6 and covered["none"] < 0.2


def test_a_copy_at_the_edges_is_found() -> None:
    affine = similarity((232, 75), (28, 120), turn=10)
    made = clone(cells(SHAPE, 3, 45), mask_of_disc(SHAPE, (232, 75), 27), affine)
    made = replace(made, grey=np.where(made.copy, 255 - made.grey, made.grey))
    bands = bands_of(photograph(made.grey, noise=1))
    whole = np.ones(SHAPE, bool)
    keypoints = find_keypoints(bands.grey, whole, ON)
    found, features = search_inverted(bands, whole, keypoints, ON, inside=whole)
    assert best_of(found, made)[0] > 0.55
    assert np.isfinite(features).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (40, 40)])
def test_small_and_empty_pictures(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (*shape, 3), np.uint8)
    for pixels in (np.zeros((*shape, 3), np.uint8), noise):
        found, features = looked_at(pixels)
        assert features.shape == (len(found), len(FEATURES))


def test_no_keypoints_no_proposals() -> None:
    none = Keypoints(np.empty((0, 2)), np.empty(0), np.empty(0), np.empty((0, 128), np.float32))
    assert propose(none, PLAIN, negative=True).shape == (0, 8)


@needs_compiler
def test_the_stand_in_for_a_gpu_finds_the_same() -> None:
    made = negative_clone(similarity((75, 75), (185, 120), turn=20))
    bands = bands_of(photograph(made.grey, noise=1))
    usable = np.ones(SHAPE, bool)
    few = replace(ON, dense_every_pixel=1, max_keypoints=800, max_inverted=4, inverted_fields=1)
    keypoints = find_keypoints(bands.grey, usable, few)
    here, mine = search_inverted(bands, usable, keypoints, few)
    device = Watched()
    there, theirs = search_inverted(bands, usable, keypoints, few, OnGpu(device))
    assert best_of(here, made)[0] > 0.6
    a, b = best_of(here, made)[1], best_of(there, made)[1]
    assert a is not None and b is not None
    assert furthest(a.affine, b.affine, a.first.on(SHAPE)) < 0.1
    np.testing.assert_allclose(mine[here.index(a)], theirs[there.index(b)], atol=0.05)
    assert device.ran
