"""The bench of accuracy: marks, peers, curves and the blocks of its document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bench import accuracy_curves, accuracy_tables
from bench.accuracy_curves import AIM, BASE, CURVES, Change, finished, pasted, points
from bench.accuracy_measure import Mark, Pixels, Scene, interval, mark, worth
from bench.accuracy_peers import BLOCK, FREQUENCIES, PEERS, STEP, block_words
from bench.accuracy_pictures import curves as draw_curves
from bench.accuracy_pictures import reliability as draw_reliability
from tests.match.pictures import overlap, photograph, tissue


def textured(seed: int = 0, shape: tuple[int, int] = (300, 360)) -> Pixels:
    return photograph(tissue(shape, seed), noise=1)


def with_copy(turned: bool = False) -> Scene:
    """A rectangle of 90 x 80 moved, or turned by 30 degrees."""
    pixels = textured()
    masks = np.zeros((1, *pixels.shape[:2]), np.uint8)
    masks[0, 40:120, 50:140] = 1
    if turned:
        affine = cv2.getRotationMatrix2D((95, 80), 30, 1) + np.array([[0, 0, 150], [0, 0, 110]])
        size = (pixels.shape[1], pixels.shape[0])
        there = cv2.warpAffine(masks[0], affine, size, flags=cv2.INTER_NEAREST) > 0
        pixels[there] = cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_CUBIC)[there]
        masks[0][there] = 1
    else:
        pixels[180:260, 200:290] = pixels[40:120, 50:140]
        masks[0, 180:260, 200:290] = 1
    return Scene("copy", pixels, masks)


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_finds_a_moved_copy_and_nothing_where_there_is_none(name: str) -> None:
    scene = with_copy()
    found = PEERS[name](scene.pixels)
    assert found and overlap(np.logical_or.reduce(found), scene.masks[0] > 0) > 0.4
    assert PEERS[name](textured()) == []
    assert PEERS[name](np.full((200, 200, 3), 128, np.uint8)) == []
    assert PEERS[name](np.zeros((5, 5, 3), np.uint8)) == []


def test_keypoints_find_a_turned_copy_and_blocks_do_not() -> None:
    scene = with_copy(turned=True)
    found = PEERS["SIFT + RANSAC"](scene.pixels)
    assert found and overlap(np.logical_or.reduce(found), scene.masks[0] > 0) > 0.4
    assert PEERS["DCT blocks"](scene.pixels) == []


def test_the_words_of_blocks_are_their_quantised_dct() -> None:
    grey = np.random.default_rng(0).random((20, 23), np.float32) * 255
    words = block_words(grey)
    assert words.shape == (len(FREQUENCIES), 20 - BLOCK + 1, 23 - BLOCK + 1)
    for y, x in ((0, 0), (3, 1), (4, 7)):
        dct = cv2.dct(grey[y : y + BLOCK, x : x + BLOCK])
        expected = [dct[down, across] / STEP for down, across in FREQUENCIES]
        np.testing.assert_allclose(words[:, y, x], expected, atol=0.5 + 1e-3)


def test_a_mark_counts_pixels_instances_and_flags() -> None:
    scene = with_copy()
    truth = scene.masks[0] > 0
    half = truth.copy()
    half[:, :150] = False
    exact = mark(scene, "exact", lambda pixels: [truth])
    assert (exact.flagged, exact.forged, exact.f1, exact.score) == (True, True, 1.0, 1.0)
    part = mark(scene, "part", lambda pixels: [half])
    assert part.f1 == part.score == pytest.approx(2 / 3)
    split = mark(scene, "split", lambda pixels: [half, truth & ~half])
    assert split.f1 == 1.0 and split.score == pytest.approx(1 / 3)
    silent = mark(scene, "silent", lambda pixels: [])
    assert (silent.flagged, silent.f1, silent.score) == (False, 0.0, 0.0)
    twin = Scene("copy", scene.pixels, scene.masks[:0])
    assert mark(twin, "silent", lambda pixels: []).score == 1.0
    assert mark(twin, "loud", lambda pixels: [half]).score == 0.0


def made(forged: bool, flagged: bool, f1: float = 0.0, point: str = "p") -> Mark:
    return Mark(point, "forge", forged, flagged, f1, f1, 2.0, 0.5)


def test_worth_keeps_forged_and_authentic_apart() -> None:
    found = worth([made(True, True, 0.8), made(True, False), made(False, True), made(False, False)])
    assert (found["recall"], found["f1"], found["false_positive_rate"]) == (0.5, 0.4, 0.5)
    assert found["cpu_seconds_per_image"] == 2.0 and found["cpu_seconds_per_megapixel"] == 4.0
    assert worth([])["recall"] is None and worth([made(False, False)])["f1"] is None


def test_the_interval_of_a_share() -> None:
    assert interval(0, 15) == (0.0, 0.2039)
    assert interval(5, 10) == (0.2366, 0.7634)
    assert interval(0, 0) is None


@pytest.mark.parametrize(
    ("change", "scale"),
    [(BASE, 1.0), (Change(angle=30, mirrored=True), 1.0), (Change(scale=1.5, size=40), 1.5)],
)
def test_a_pasted_copy_has_the_size_that_was_asked_for(change: Change, scale: float) -> None:
    pixels = textured(shape=(400, 420))
    result = pasted(np.random.default_rng(3), pixels, "tissue", change)
    assert result is not None
    image, masks = result
    assert masks.shape == (1, *pixels.shape[:2])
    expected = change.size**2 * (1 + scale**2)
    assert masks.sum() == pytest.approx(expected, rel=0.25)
    outside = cv2.dilate(masks[0], np.ones((9, 9), np.uint8)) == 0
    np.testing.assert_array_equal(image[outside], pixels[outside])
    assert (image != pixels).any()


def test_what_happens_to_the_whole_picture() -> None:
    pixels = textured()
    random = np.random.default_rng
    np.testing.assert_array_equal(finished(random(0), pixels, BASE), pixels)
    noisy = finished(random(0), pixels, Change(noise=4.0)).astype(int) - pixels
    assert noisy.std() == pytest.approx(4.0, rel=0.1)
    rough, fine = (
        np.abs(finished(random(0), pixels, Change(jpeg=q)).astype(int) - pixels).mean()
        for q in (50, 95)
    )
    assert rough > fine > 0


def test_every_point_of_the_curves_is_run_once() -> None:
    names = points()
    assert sum(change == BASE for curve in CURVES.values() for change in curve.values()) == 6
    assert list(names.values()).count(BASE) == 1 and AIM in names.values()
    assert len(accuracy_curves.jobs(2)) == 2 * len(names)


def curve_results() -> dict[str, Any]:
    found = [made(True, True, 0.5, repr(change)) for change in points().values()]
    found += [made(False, False, 0.0, repr(AIM))]
    return {"copies_per_point": 1, **accuracy_curves.figures(found)}


JUDGE = {
    "prior": 0.5,
    "operating_points": {
        "rates": [0.01, 0.1],
        "thresholds": {"all": [0.9, 0.7], "blot": [0.95, 0.8]},
        "authentic_images": {"all": 300, "blot": 20},
        "recall": {"all": [0.4, 0.6], "blot": [0.1, 0.2]},
    },
    "reliability": {
        "bins": [{"score": 0.1, "forged": 0.12, "images": 50}],
        "expected_calibration_error": 0.02,
        "without_candidate": {"forged": 2, "authentic": 9},
    },
}


def test_the_blocks_of_the_document() -> None:
    text = accuracy_tables.curves(curve_results())
    assert "| rotation: degrees | 0 | 5 | 15 |" in text
    assert "recall 1 of 1 (21 to 100 %)" in text and "flagged without a copy 0 of 1" in text
    one = worth([made(True, True, 0.5), made(False, False)])
    assert "| object | 1 | 1.00 | 0.500 |" in accuracy_tables.recipes({"ways": {"object": one}})
    methods = {
        "SIFT + RANSAC": {"forgeries and twins": one, "authentic": worth([made(False, True)])}
    }
    assert "| 1 of 1 | 2.00 |" in accuracy_tables.peers({"methods": methods})
    kinds = {"blot": {"flagged": 1, "images": 6, "interval": [0.03, 0.56]}}
    text = accuracy_tables.authentic({"held out": kinds, "fitted on": {}})
    assert "| blot | **1 of 6 (3 to 56 %)** |" in text
    text = accuracy_tables.operating_points(JUDGE)
    assert "| 1 % | 0.900 (0.40) | 0.950 (0.10) |" in text and "blot, 20 authentic" in text
    text = accuracy_tables.reliability(JUDGE)
    assert "calibration error 0.020" in text and "2 forged and 9 authentic" in text
    level = {"precision": 1.0, "recall": 0.5, "false_positive_rate": 0.0,
             "false_positives": 0, "true_negatives": 3}  # fmt: skip
    said = {
        "overall": {"score": 0.75, "all_authentic": 0.5, "whole_image": 0.1},
        "forged": {"score": 0.4, "images": 4},
        "image_level": level,
    }
    sets = {"sets": [{"name": "synthetic", "score": said, "seconds_per_image": 1.5}]}
    assert "| 4 + 3 | **0.750** | 0.400 | 1.000 |" in accuracy_tables.sets(sets)


def test_blocks_are_found_by_name(tmp_path: Path) -> None:
    assert "has not been run" in accuracy_tables.block("accuracy-curves", tmp_path)
    (tmp_path / "accuracy-curves.json").write_text(json.dumps(curve_results()))
    assert "| size: " in accuracy_tables.block("accuracy-curves", tmp_path)
    assert accuracy_tables.block("judge-operating-points").startswith("| false-positive rate |")
    judge = tmp_path / "judge.json"
    judge.write_text("{}")
    assert "bench.judge" in accuracy_tables.block("judge-reliability", tmp_path, judge)
    with pytest.raises(KeyError):
        accuracy_tables.block("no-such", tmp_path)


def test_the_pictures_are_drawn_the_same_twice(tmp_path: Path) -> None:
    for number in (1, 2):
        draw_reliability(JUDGE, tmp_path / f"{number}" / "reliability.svg")
        draw_curves(curve_results(), tmp_path / f"{number}" / "curves.svg")
    for name in ("reliability.svg", "curves.svg"):
        one, two = ((tmp_path / f"{n}" / name).read_bytes() for n in (1, 2))
        assert one == two and len(one) < 200 * 1024
