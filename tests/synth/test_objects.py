from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from forgecli.synth.blots import find_bands, rows_of
from forgecli.synth.objects import find_objects
from tests.synth.pictures import blot, nuclei, tissue

SHARE = (0.0008, 0.08)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dark", [False, True])
def test_nuclei_are_outlined_one_by_one(seed: int, dark: bool) -> None:
    picture = nuclei(seed)
    truth, count = ndimage.label(cv2.GaussianBlur(picture[:, :, 0], (0, 0), 2) > 60)
    if dark:
        picture = 255 - picture
    best = 0
    for attempt in range(3):  # polarity is guessed, and drawn against the guess now and then
        found = find_objects(np.random.default_rng(attempt), picture, SHARE)
        hit = set()
        for outline in found:
            inside = outline.full(picture.shape[:2])
            label = int(np.bincount(truth[inside]).argmax())
            both = (inside & (truth == label)).sum()
            if label and both / (inside | (truth == label)).sum() > 0.6:
                hit.add(label)
        best = max(best, len(hit))
    assert best >= 0.7 * count


def test_objects_are_of_the_size_that_was_asked_for() -> None:
    for picture in (nuclei(1), tissue(1), nuclei(2, 700, 1200, 20)):
        low, high = 0.001, 0.02
        for outline in find_objects(np.random.default_rng(0), picture, (low, high)):
            share = outline.area / picture[:, :, 0].size
            assert 0.8 * low <= share <= 1.2 * high
            rows, columns = outline.box
            assert rows.stop <= picture.shape[0] and columns.stop <= picture.shape[1]


def test_texture_without_objects_still_gives_compartments() -> None:
    assert len(find_objects(np.random.default_rng(0), tissue(3), SHARE)) >= 3


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_is_found_in_nothing(value: int) -> None:
    flat = np.full((150, 200, 3), value, np.uint8)
    assert find_objects(np.random.default_rng(0), flat, SHARE) == []
    assert find_bands(flat) == []


@pytest.mark.parametrize("dark", [True, False])
def test_bands_are_found_row_by_row(dark: bool) -> None:
    picture = blot(2) if dark else 255 - blot(2)
    rows = rows_of(find_bands(picture))
    assert sorted(len(row) for row in rows) == [6, 6]
    for row in rows:
        assert [band.x for band in row] == sorted(band.x for band in row)
        centres = [band.y + band.mask.shape[0] / 2 for band in row]
        assert np.ptp(centres) < 6
