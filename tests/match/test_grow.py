from __future__ import annotations

import numpy as np
import pytest

from forgecli.detection import Affine
from forgecli.match.agreement import Placed, Window, warp_mask
from forgecli.match.bands import Bands, bands_of
from forgecli.match.grow import CopiedRegion, far_enough, grow
from forgecli.match.outline import connected_to, fill_holes, gain_and_offset, outline
from forgecli.match.settings import MatchSettings
from tests.match.pictures import (
    Forgery,
    cells,
    clone,
    furthest,
    mask_of_disc,
    overlap,
    photograph,
    similarity,
    tissue,
)

SETTINGS = MatchSettings()
SHAPE = (240, 320)
SOURCE, TARGET = (90.0, 80.0), (225.0, 160.0)
KINDS: dict[str, dict[str, float]] = {
    "moved": {},
    "turned": {"turn": 30.0},
    "upside down": {"turn": 180.0},
    "mirrored": {"mirrored": True},
    "mirrored and turned": {"mirrored": True, "turn": 40.0},
    "enlarged": {"scale": 1.25},
    "shrunk": {"scale": 0.8},
}


def map_of(kind: str, target: tuple[float, float] = TARGET, turn: float = 0.0) -> Affine:
    kind_of_map = {**KINDS[kind]}
    turned = kind_of_map.pop("turn", 0.0) + turn
    return similarity(SOURCE, target, turn=turned, **kind_of_map)  # type: ignore[arg-type]


def grown(bands: Bands, start: Affine, seed: tuple[float, float] = SOURCE) -> CopiedRegion | None:
    return grow(bands, start, np.array([seed]), SETTINGS)


def forgery_of(kind: str, scene: str, radius: float = 30.0) -> Forgery:
    grey = tissue(SHAPE, seed=3) if scene == "tissue" else cells(SHAPE, seed=3, count=60)
    return clone(grey, mask_of_disc(SHAPE, SOURCE, radius), map_of(kind))


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize("scene", ["tissue", "cells"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_grows_to_its_outline(kind: str, scene: str, quality: int | None) -> None:
    forgery = forgery_of(kind, scene)
    bands = bands_of(photograph(forgery.grey, noise=1, quality=quality))
    start = map_of(kind, (TARGET[0] + 0.5, TARGET[1] - 0.4), turn=1.0)
    found = grown(bands, start)
    assert found is not None
    assert furthest(found.affine, forgery.affine, forgery.source) < 0.25
    region = outline(bands, found, SETTINGS)
    np.testing.assert_array_equal(region.affine, found.affine)
    # Between cells, ground that was not copied looks like ground that was.
    enough = 0.8 if scene == "tissue" else 0.65
    assert overlap(region.first.on(SHAPE), forgery.source) > enough
    second = warp_mask(region.first, region.affine, SHAPE)
    assert overlap(second.on(SHAPE), forgery.copy) > enough


def test_the_way_back_grows_too() -> None:
    forgery = forgery_of("mirrored and turned", "tissue")
    bands = bands_of(photograph(forgery.grey, noise=1))
    full = np.vstack((forgery.affine, (0, 0, 1)))
    found = grown(bands, np.linalg.inv(full)[:2], TARGET)
    assert found is not None
    assert overlap(outline(bands, found, SETTINGS).first.on(SHAPE), forgery.copy) > 0.78


def test_the_outline_has_no_holes_and_no_loose_pieces() -> None:
    forgery = forgery_of("moved", "tissue")
    grey = forgery.grey
    grey[78:86, 86:94] = 250  # drawn on the source after it was copied
    bands = bands_of(photograph(grey, noise=1))
    mask = mask_of_disc(SHAPE, SOURCE, 34)
    mask[20:30, 20:30] = True
    placed = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), mask)
    region = outline(bands, CopiedRegion(placed, forgery.affine), SETTINGS).first
    assert region.mask[78:86, 86:94].all()
    assert not region.mask[15:35, 15:35].any()
    assert overlap(region.on(SHAPE), forgery.source) > 0.8


def test_an_outline_of_nothing_is_empty() -> None:
    bands = bands_of(photograph(tissue(SHAPE, seed=3)))
    for mask in (np.zeros(SHAPE, bool), mask_of_disc(SHAPE, SOURCE, 20)):
        placed = Placed(Window(0, 0, SHAPE[1], SHAPE[0]), mask)
        out_of_the_image = map_of("moved", (5000.0, 80.0))
        region = outline(bands, CopiedRegion(placed, out_of_the_image), SETTINGS)
        assert region.first.area == 0


def test_a_small_copy_grows() -> None:
    forgery = forgery_of("turned", "tissue", radius=9)
    bands = bands_of(photograph(forgery.grey, noise=1))
    found = grown(bands, forgery.affine)
    assert found is not None
    area = outline(bands, found, SETTINGS).first.area
    assert 0.4 * forgery.source.sum() < area < 1.6 * forgery.source.sum()


def test_a_region_larger_than_its_first_window_is_grown_whole() -> None:
    scene = tissue((200, 200), seed=6)
    bands = bands_of(photograph(np.hstack([scene, scene[:, ::-1]]), noise=0))
    mirror = np.array([[-1.0, 0.0, 399.0], [0.0, 1.0, 0.0]])
    found = grown(bands, mirror, (40.0, 60.0))
    assert found is not None
    region = outline(bands, found, SETTINGS).first.on((200, 400))
    # Near the seam a pixel and its mirror image are neighbours and do not count.
    apart = np.abs(2 * np.arange(400) - 399) >= SETTINGS.min_distance
    assert region[:, :200][:, apart[:200]].mean() > 0.97


def test_nothing_grows_where_nothing_is_copied() -> None:
    bands = bands_of(photograph(tissue(SHAPE, seed=3), noise=1))
    found = grown(bands, map_of("turned"))
    assert found is None or found.first.area < 200


def test_flat_ground_does_not_grow() -> None:
    bands = bands_of(photograph(np.full(SHAPE, 240, np.float32)))
    assert grown(bands, map_of("moved")) is None


@pytest.mark.parametrize("target", [(-500.0, 80.0), (5000.0, 80.0), (90.0, 80.0), (91.0, 80.0)])
def test_a_map_out_of_the_image_or_onto_itself_grows_nothing(target: tuple[float, float]) -> None:
    bands = bands_of(photograph(tissue(SHAPE, seed=3)))
    assert grown(bands, map_of("moved", target)) is None


@pytest.mark.parametrize("seed", [(0.0, 0.0), (319.0, 239.0), (319.4, 239.4), (-0.4, 120.0)])
def test_seeds_at_the_border(seed: tuple[float, float]) -> None:
    bands = bands_of(photograph(np.tile(tissue((240, 160), seed=3), (1, 2))))
    shift = similarity(seed, (seed[0] + (160 if seed[0] < 160 else -160), seed[1]))
    found = grown(bands, shift, seed)
    assert found is not None
    assert found.first.area > 0.9 * 240 * 160


def test_far_enough() -> None:
    affine = similarity((30, 30), (34, 33), turn=90)
    window = Window(10, 5, 50, 45)
    found = far_enough(affine, window, SETTINGS)
    for row in range(0, 40, 7):
        for column in range(0, 40, 7):
            point = np.array([10.0 + column, 5.0 + row])
            moved = affine @ (*point, 1.0) - point
            assert found[row, column] == (np.hypot(*moved) >= SETTINGS.min_distance)


def test_gain_and_offset() -> None:
    there = np.random.default_rng(0).normal(100, 20, 500)
    gain, offset = gain_and_offset(0.7 * there + 12, there)
    assert (gain, offset) == pytest.approx((0.7, 12))
    flat = np.full(500, 30.0)
    assert gain_and_offset(there, flat) == pytest.approx((1, there.mean() - 30))


def test_holes_and_loose_pieces() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:12, 2:12], mask[5:8, 5:8] = True, False  # a ring
    mask[2:6, 20:26] = True
    mask[12, 12] = True  # touches the ring by a corner only
    core = np.zeros_like(mask)
    core[3, 3] = core[18, 2] = True
    kept = connected_to(mask, core)
    assert kept[:, 13:].sum() == 0
    assert not kept[12, 12]
    assert kept[2:12, 2:12].sum() == 100 - 9
    assert fill_holes(kept).sum() == 100
    assert not connected_to(mask, np.zeros_like(mask)).any()
    assert not fill_holes(np.zeros_like(mask)).any()
