"""Overlays: the picture stays what it is, marks are where they belong, odd input does no harm."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.detection import Detection, Instance, Pair, Picture
from forgecli.report.legend import color_of, legend, motion, region_tag
from forgecli.report.marks import PALETTE
from forgecli.report.overlay import render, write_overlay
from kernels.rle import encode

SHIFT = np.array([[1.0, 0, 60], [0, 1, 40]])


def disc(shape: tuple[int, int], center: tuple[int, int], radius: int) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, center, radius, 1, -1)
    return mask.astype(bool)


def group(*masks: np.ndarray) -> Instance:
    return Instance(encode(np.any(masks, axis=0)), tuple(encode(mask) for mask in masks))


def pair(**changes: object) -> Pair:
    values = {
        "instance": 0, "first": 0, "second": 1, "affine": SHIFT, "mirrored": False, "inliers": 9,
        "correlation": 0.9,
    }  # fmt: skip
    return Pair(**{**values, **changes})  # type: ignore[arg-type]


def picture(shape: tuple[int, int], value: int | None = None) -> Picture:
    pixels = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    if value is not None:
        pixels[:] = value
    return Picture("x", pixels)


def two_discs(shape: tuple[int, int], radius: int = 12, **changes: object) -> Detection:
    masks = disc(shape, (30, 30), radius), disc(shape, (90, 70), radius)
    return Detection("x", shape, (group(*masks),), 0.93, (pair(**changes),))


def is_color(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    near: np.ndarray = (np.abs(image.astype(int) - color) < 24).all(axis=2)
    return near


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((100, 120), (300, 480)),
        ((256, 256), (768, 768)),
        ((450, 400), (900, 800)),
        ((1000, 700), (1000, 700)),
        ((5000, 2500), (4096, 2048)),
        ((1, 9000), (1, 4096)),
    ],
)
def test_small_pictures_grow_and_large_ones_shrink(
    shape: tuple[int, int], drawn: tuple[int, int]
) -> None:
    found = render(picture(shape, 100), Detection("x", shape, score=0.1))
    assert found.dtype == np.uint8 and found.shape[1] == max(drawn[1], 480)
    assert found.shape[0] > drawn[0], "the legend is below"
    image = found[: drawn[0], : min(drawn[1], 3 * shape[1])]
    assert (image == 100).all(), "nothing else is drawn over the picture"


def test_pixels_away_from_the_marks_are_the_pictures() -> None:
    shape = (100, 120)
    source = picture(shape)
    before = source.pixels.copy()
    found = render(source, two_discs(shape))
    assert np.array_equal(source.pixels, before)
    grown = source.pixels.repeat(3, axis=0).repeat(3, axis=1)
    same = (found[:300, :360] == grown).all(axis=2)
    assert same[:120, 250:].all() and same[200:, :150].all()


def test_outline_hides_no_pixel_of_its_region() -> None:
    shape = (100, 120)
    source = picture(shape, 60)
    detection = Detection("x", shape, (group(disc(shape, (60, 50), 15)),), 0.9)
    image = render(source, detection)[:300, :360]
    inside = disc(shape, (60, 50), 15).repeat(3, axis=0).repeat(3, axis=1)
    tinted = image[inside]
    assert len(np.unique(tinted, axis=0)) == 1, "all of it is tinted and nothing else"
    assert np.abs(tinted.astype(int) - 60).max() < 40
    outline = is_color(image, color_of(0))
    around = cv2.dilate(inside.astype(np.uint8), np.ones((21, 21), np.uint8)).astype(bool)
    assert outline[around & ~inside].sum() > 250
    rows, columns = np.nonzero(outline & around)
    # All the way round it.
    angles = np.degrees(np.arctan2(rows - 150.5, columns - 181.5)) // 10
    assert len(np.unique(angles)) == 36


def test_lines_join_mapped_points() -> None:
    shape = (100, 120)
    image = render(picture(shape, 60), two_discs(shape, radius=20))[:300, :360]
    way = is_color(image, color_of(0))
    # The centres and the middle between them, in pixels of the overlay.
    for x, y in ((91, 91), (181, 151), (271, 211)):
        assert way[y - 8 : y + 9, x - 8 : x + 9].any(), (x, y)
    alone = Detection("x", shape, two_discs(shape, radius=20).instances, 0.9)
    bare = is_color(render(picture(shape, 60), alone)[:300, :360], color_of(0))
    assert not bare[140:160, 170:190].any()


def test_mirrored_pairs_have_a_sign() -> None:
    shape = (100, 120)
    flipped = np.array([[-1.0, 0, 120], [0, 1, 40]])
    plain = render(picture(shape, 60), two_discs(shape, affine=flipped))
    signed = render(picture(shape, 60), two_discs(shape, affine=flipped, mirrored=True))
    changed = (plain[:300, :360] != signed[:300, :360]).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 100 < changed.sum() < 2500
    assert abs(rows.mean() - 151) < 20 and abs(columns.mean() - 181) < 20


def test_small_regions_stay_visible_below_the_lines() -> None:
    shape = (100, 120)
    detection = two_discs(shape, radius=4)
    image = render(picture(shape, 60), detection)[:300, :360]
    inside = disc(shape, (30, 30), 4).repeat(3, axis=0).repeat(3, axis=1)
    assert len(np.unique(image[inside], axis=0)) == 1


def test_instances_have_colours_of_their_own() -> None:
    shape = (400, 500)
    masks = [disc(shape, (60 + 90 * index, 60), 20) for index in range(5)]
    detection = Detection("x", shape, tuple(group(mask) for mask in masks), 0.9)
    image = render(picture(shape, 60), detection)
    for index in range(5):
        assert is_color(image, color_of(index)).any()
    assert len(set(PALETTE)) == len(PALETTE)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 3),
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=6, max_size=6),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_detection_is_drawn(
    shape: tuple[int, int], regions: int, affine: list[float], mirrored: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random(shape) < 0.3 for _ in range(regions)]
    instance = Instance(
        encode(np.any(masks, axis=0) if masks else np.zeros(shape, bool)),
        tuple(encode(mask) for mask in masks),
    )
    evidence = (pair(affine=np.array(affine).reshape(2, 3), mirrored=mirrored),) * (regions > 1)
    found = render(picture(shape), Detection("x", shape, (instance,), 0.5, evidence))
    assert found.dtype == np.uint8 and found.ndim == 3


def test_two_regions_are_joined_once() -> None:
    shape = (100, 120)
    once = two_discs(shape, inliers=20)
    back = pair(first=1, second=0, affine=np.array([[1.0, 0, -60], [0, 1, -40]]), inliers=9)
    twice = Detection("x", shape, once.instances, 0.93, (back, *once.evidence))
    assert np.array_equal(render(picture(shape), twice), render(picture(shape), once))


def test_many_pairs_fit_the_legend() -> None:
    shape = (300, 300)
    masks = [disc(shape, (20 + 25 * (n % 10), 20 + 60 * (n // 10)), 8) for n in range(40)]
    evidence = tuple(pair(second=n, correlation=float("nan")) for n in range(1, 40))
    detection = Detection("x", shape, (group(*masks),), 0.9, evidence)
    assert render(picture(shape), detection).shape[0] < 900 + 600


@pytest.mark.parametrize("width", [480, 700, 4096])
def test_legend_is_not_cut_off(width: int) -> None:
    shape = (3000, 4000)
    affine = np.array([[-0.3, 0.8, 0], [0.8, 0.3, 0]])
    detection = two_discs(shape, affine=affine, mirrored=True, inliers=123456)
    strip = legend(detection, width, width // 60)
    assert strip.shape[1] == width
    ground = strip[0, 0]
    assert (strip[:, -4:] == ground).all() and (strip[:, :4] == ground).all()
    assert (strip != ground).any()


def turn(degrees: float, scale: float = 1.0, mirrored: bool = False) -> np.ndarray:
    angle = math.radians(degrees)
    linear = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    if mirrored:
        linear = linear @ np.diag([1.0, -1.0])
    return np.c_[linear, [5.0, 6.0]]


@pytest.mark.parametrize(
    ("affine", "mirrored", "said"),
    [
        (turn(0), False, "moved"),
        (turn(90), False, "rotated 90 deg"),
        (turn(-31), False, "rotated 31 deg"),
        (turn(180), False, "rotated 180 deg"),
        (turn(0, 0.5), False, "scaled 0.50"),
        (turn(45, 1.25), False, "rotated 45 deg, scaled 1.25"),
        (turn(0, 1, True), True, "mirrored"),
        (np.array([[-1.0, 0, 99], [0, 1, 0]]), True, "mirrored"),
        (turn(30, 1, True), True, "mirrored, rotated 30 deg"),
    ],
)
def test_maps_in_words(affine: np.ndarray, mirrored: bool, said: str) -> None:
    assert motion(affine, mirrored) == said


def test_tags() -> None:
    names = [region_tag(index, number) for index in range(60) for number in range(3)]
    assert names[:4] == ["A1", "A2", "A3", "B1"] and len(set(names)) == len(names)


def test_written_file_is_the_rendering(tmp_path: Path) -> None:
    shape = (100, 120)
    write_overlay(tmp_path / "o.png", picture(shape), two_discs(shape))
    read = cv2.imread(str(tmp_path / "o.png"))
    assert read is not None
    assert np.array_equal(read[:, :, ::-1], render(picture(shape), two_discs(shape)))


def test_the_legend_says_when_a_network_drew_the_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("forgecli.report.legend.write", lambda *given: written.append(given[1]))
    regions = tuple(np.array([[start, 10]]) for start in (0, 40))
    instance = Instance(np.concatenate(regions), regions)
    legend(Detection("a", (30, 40), instances=(instance,), found_by="segment"), 400, 10)
    assert written[1:] == ["20 px in 2 regions   outlined by a network"]
