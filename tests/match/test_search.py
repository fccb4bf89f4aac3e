from __future__ import annotations

import numpy as np
import pytest

from forgecli.match.features import FEATURES
from forgecli.match.search import Search, search
from forgecli.match.settings import MatchSettings
from tests.match.pictures import (
    Forgery,
    cells,
    clone,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SHAPE = (220, 260)
SETTINGS = MatchSettings(upscale_below=512)


@pytest.fixture(scope="module")
def forgery() -> Forgery:
    affine = similarity((75, 75), (185, 150), turn=25, scale=1.1, mirrored=True)
    return clone(cells(SHAPE, 3, 45), mask_of_disc(SHAPE, (75, 75), 26), affine)


@pytest.fixture(scope="module")
def found(forgery: Forgery) -> Search:
    return search(photograph(forgery.grey, noise=1), SETTINGS)


def test_what_a_search_holds(found: Search) -> None:
    assert 0 < len(found.candidates) <= SETTINGS.max_candidates
    assert found.features.shape == (len(found.candidates), len(FEATURES))
    assert np.isfinite(found.features).all()
    for number, candidate in enumerate(found.candidates):
        assert candidate.first.area >= SETTINGS.min_area
        assert candidate.support >= 0
        assert -1 <= found.correlation(number) <= 1
    # Each map was tried after those ranked higher.
    rivals = [candidate.rivals for candidate in found.candidates]
    assert rivals == sorted(set(rivals))
    ranks = [candidate.rank_score for candidate in found.candidates]
    assert ranks == sorted(ranks, reverse=True)


def test_the_copy_is_the_largest_candidate_and_its_statistics_show_it(
    found: Search, forgery: Forgery
) -> None:
    number = int(np.argmax([candidate.first.area for candidate in found.candidates]))
    best = found.candidates[number]
    both = best.first.on(SHAPE) | best.second.on(SHAPE)
    assert overlap(both, forgery.source | forgery.copy) > 0.55
    assert best.support > 20
    value = dict(zip(FEATURES, found.features[number], strict=True))
    median = dict(zip(FEATURES, np.median(found.features, axis=0), strict=True))
    assert value["mirrored"] == 1
    assert value["log_scale"] == pytest.approx(np.log(1.1), abs=0.02)
    assert value["stretch"] == pytest.approx(0, abs=0.03)
    assert value["turned"] == pytest.approx(20)  # 25 degrees, or 65: no further than 20 counts
    assert value["gain"] == pytest.approx(0, abs=0.1)
    for name in ("log_area", "fine_all", "noise_all", "log_support"):
        assert value[name] > median[name], name
    assert value["residual"] < median["residual"]


@pytest.mark.parametrize("level", [0, 255])
def test_an_empty_picture_has_no_candidates(level: int) -> None:
    found = search(np.full((60, 70, 3), level, np.uint8), SETTINGS)
    assert found.candidates == []
    assert found.features.shape == (0, len(FEATURES))


def test_a_limit_on_maps_is_kept() -> None:
    pixels = photograph(tissue((120, 120), seed=1), noise=1)
    found = search(pixels, MatchSettings(upscale_below=240, max_candidates=3))
    assert len(found.candidates) <= 3
    assert all(candidate.rivals < 3 for candidate in found.candidates)
