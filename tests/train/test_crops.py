"""Windows show source and copy together, and masks follow them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forgecli.segment.preprocess import Preprocess, to_input
from forgecli.train.crops import Chooser, Window, cut, groups_of, pad, resize_mask
from forgecli.train.data import CropSettings
from forgecli.train.regions import extent_of, regions_of

STILL = CropSettings(scale_jitter=1, fit=1, random_crops=0)
Boxes = tuple[tuple[int, int, int, int], ...]


def masks_of(shape: tuple[int, int], *instances: Boxes) -> NDArray[np.uint8]:
    masks = np.zeros((len(instances), *shape), np.uint8)
    for mask, boxes in zip(masks, instances, strict=True):
        for top, left, bottom, right in boxes:
            mask[top:bottom, left:right] = 1
    return masks


def numbered(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture whose pixels tell where they are: row, column and their sum, modulo 256."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)


PAIR: Boxes = ((10, 20, 20, 30), (40, 60, 52, 70))


def test_regions_of_a_pair_and_its_extent() -> None:
    mask = masks_of((100, 120), PAIR)[0]
    mask[90, 3] = 1  # a speck
    regions = regions_of(mask)
    assert sorted(map(tuple, regions.boxes.tolist())) == sorted(PAIR)
    assert extent_of(regions) == 50  # columns 20 to 70
    assert regions.seen(10, 20, 10, 10).max() == 1
    assert sorted(regions.seen(0, 0, 46, 120)) == [0.5, 1]


def test_the_extent_is_that_of_the_closest_two() -> None:
    regions = regions_of(masks_of((99, 99), (*PAIR, (12, 40, 20, 44)))[0])
    assert extent_of(regions) == 24
    assert extent_of(regions_of(masks_of((99, 99), (PAIR[0],))[0])) == 10


@settings(max_examples=100)
@given(
    st.tuples(st.integers(1, 130), st.integers(1, 130)),
    st.sampled_from(["resize", "tile"]),
    st.integers(0, 9999),
    st.booleans(),
)
def test_windows_stay_in_the_picture_and_fit_the_crop(shape, view, seed, forged) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    masks = np.zeros((1, *shape), np.uint8)
    masks[0, rng.integers(shape[0]), rng.integers(shape[1])] = 1
    groups = groups_of(masks) if forged else []
    window = Chooser(64, view, CropSettings(), (0.3, 0.9)).choose(shape, groups, rng)
    assert window.top >= 0 and window.top + window.height <= shape[0]
    assert window.left >= 0 and window.left + window.width <= shape[1]
    assert window.height >= 1 and window.width >= 1
    assert max(window.size) <= 64 and min(window.size) >= 1


@settings(max_examples=60)
@given(st.integers(0, 9999), st.integers(0, 60), st.integers(0, 60))
def test_tiles_show_source_and_copy(seed, row, column) -> None:  # type: ignore[no-untyped-def]
    """Two boxes that a tile of 64 can hold are always seen whole, at the picture's own scale."""
    boxes: Boxes = (
        (row, column, row + 8, column + 8),
        (row + 30, column + 40, row + 38, column + 48),
    )
    masks = masks_of((150, 170), boxes)
    rng = np.random.default_rng(seed)
    window = Chooser(64, "tile", STILL).choose((150, 170), groups_of(masks), rng)
    assert (window.height, window.width, window.size) == (64, 64, (64, 64))
    crop = cut(numbered((150, 170)), masks, groups_of(masks), window)
    assert crop.masks.sum() == masks.sum()


def test_places_of_tiles_differ() -> None:
    masks = masks_of((150, 170), ((50, 50, 60, 60), (70, 70, 80, 80)))
    rng = np.random.default_rng(0)
    chooser = Chooser(64, "tile", STILL)
    places = {(w.top, w.left) for w in (chooser.choose((150, 170), groups_of(masks), rng)
                                        for _ in range(40))}  # fmt: skip
    assert len(places) > 20


def test_a_far_copy_is_scaled_down_until_both_are_seen() -> None:
    masks = masks_of((300, 300), ((10, 10, 30, 30), (250, 260, 270, 280)))
    rng = np.random.default_rng(1)
    window = Chooser(64, "tile", STILL).choose((300, 300), groups_of(masks), rng)
    assert window.height == pytest.approx(270 * 1.1, abs=1)
    crop = cut(numbered((300, 300)), masks, groups_of(masks), window)
    assert regions_of(crop.masks[0]).count == 2


def test_or_one_of_them_is_shown_and_is_no_longer_a_copy() -> None:
    masks = masks_of((300, 300), ((10, 10, 30, 30), (250, 260, 270, 280)))
    groups, picture = groups_of(masks), numbered((300, 300))
    chooser = Chooser(64, "tile", CropSettings(scale_jitter=1, fit=0, random_crops=0))
    for seed in range(10):
        window = chooser.choose((300, 300), groups, np.random.default_rng(seed))
        assert window.height == 64
        assert len(cut(picture, masks, groups, window, "drop").masks) == 0
        assert cut(picture, masks, groups, window, "keep").masks.sum() == 400


def test_half_of_a_region_counts_less_does_not() -> None:
    masks = masks_of((60, 60), ((0, 0, 10, 10), (0, 40, 10, 50)))
    groups, picture = groups_of(masks), numbered((60, 60))
    half, less = Window(0, 0, 60, 45, (60, 45)), Window(0, 0, 60, 44, (60, 44))
    assert cut(picture, masks, groups, half).masks.sum() == 150
    assert len(cut(picture, masks, groups, less).masks) == 0


def test_one_piece_is_kept_since_source_and_copy_cannot_be_told_apart() -> None:
    masks = masks_of((60, 60), ((0, 0, 10, 40),))
    crop = cut(numbered((60, 60)), masks, groups_of(masks), Window(0, 0, 60, 5, (60, 5)))
    assert crop.masks.sum() == 50


def test_instances_that_leave_vanish_and_the_others_stay_themselves() -> None:
    masks = masks_of((60, 60), ((50, 50, 58, 58), (50, 5, 58, 13)), ((2, 2, 8, 8), (2, 20, 8, 26)))
    crop = cut(numbered((60, 60)), masks, groups_of(masks), Window(0, 0, 30, 30, (30, 30)))
    assert crop.masks.shape == (1, 30, 30)
    assert (crop.masks[0] == masks[1, :30, :30]).all()


def test_pixels_and_masks_are_cut_alike() -> None:
    masks = masks_of((60, 60), PAIR)
    picture = numbered((60, 80))
    masks = np.pad(masks, ((0, 0), (0, 0), (0, 20)))
    crop = cut(picture, masks, groups_of(masks), Window(5, 15, 50, 60, (50, 60)))
    assert (crop.pixels == picture[5:55, 15:75]).all()
    assert (crop.masks == masks[:, 5:55, 15:75]).all()


def test_authentic_images_are_scaled_as_forged_ones_are() -> None:
    """What a network must not learn from is how far a picture was scaled down."""
    shape, rng = (400, 400), np.random.default_rng(2)
    masks = masks_of(shape, ((10, 10, 40, 40), (200, 300, 230, 330)))
    groups = groups_of(masks)
    extent = extent_of(groups[0]) / 400
    chooser = Chooser(128, "tile", CropSettings(), (extent,))
    mean = [
        np.mean([chooser.choose(shape, kind, rng).height for _ in range(600)])
        for kind in (groups, [])
    ]
    assert mean[0] == pytest.approx(mean[1], rel=0.06)


@pytest.mark.parametrize("shape", [(50, 90), (90, 50), (9, 9), (64, 64), (200, 31)])
def test_the_whole_view_is_what_prediction_sees(shape: tuple[int, int]) -> None:
    picture = numbered(shape)
    window = Chooser(64, "resize", STILL).choose(shape, [], np.random.default_rng(0))
    none = np.zeros((0, *shape), np.uint8)
    crop = pad(cut(picture, none, [], window), 64)
    seen = to_input(picture, Preprocess(size=64), 32, (64, 64))
    assert crop.pixels.shape == (64, 64, 3) and crop.masks.shape == (0, 64, 64)
    assert window.size == seen.shape
    assert (crop.pixels == np.rint(seen.array * 255).transpose(1, 2, 0)).all()


def test_masks_shrink_by_area() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[0:4, 0:4] = 1  # a whole pixel of the smaller picture
    mask[4:8, 4:6] = 1  # half of one
    mask[0:4, 4:5] = 1  # a quarter of one
    assert resize_mask(mask, (2, 2)).tolist() == [[1, 0], [0, 1]]
    assert (resize_mask(mask, (8, 8)) == mask).all()


def test_padding_belongs_to_no_mask() -> None:
    masks = np.ones((1, 10, 6), np.uint8)
    crop = pad(cut(numbered((10, 6)), masks, groups_of(masks), Window(0, 0, 10, 6, (10, 6))), 16)
    assert crop.masks.sum() == 60
    assert (crop.pixels[12, 3] == numbered((10, 6))[9, 3]).all()
