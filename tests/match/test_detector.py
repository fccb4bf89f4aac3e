from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from forgecli.detection import Criterion, Detection, Picture, Status
from forgecli.match.calibration import Calibration
from forgecli.match.detector import MatchDetector
from forgecli.match.judge import Judge, Tree
from forgecli.match.operating import OperatingPoints
from forgecli.match.settings import MatchSettings
from kernels.rle import decode
from tests.kernels.threads import threads
from tests.match.pictures import (
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

SHAPE = (220, 260)
SOURCE, TARGET = (75.0, 75.0), (185.0, 150.0)


@pytest.fixture(scope="module")
def detector() -> MatchDetector:
    return MatchDetector()


def found_in(detector: MatchDetector, pixels: Pixels) -> Detection:
    (detection,) = detector.detect([Picture("one", pixels)])
    assert detection.case_id == "one"
    assert detection.shape == pixels.shape[:2]
    assert detection.status is Status.OK
    assert 0 <= detection.score <= 1
    assert all(seconds >= 0 for seconds in detection.seconds.values())
    for instance in detection.instances:
        regions = [decode(region, detection.shape) for region in instance.regions]
        union = decode(instance.runs, detection.shape)
        np.testing.assert_array_equal(union, np.any(regions, axis=0))
    for pair in detection.evidence:
        regions_of = detection.instances[pair.instance].regions
        assert 0 <= min(pair.first, pair.second) < max(pair.first, pair.second) < len(regions_of)
        assert -1 <= pair.correlation <= 1
        assert pair.inliers >= 0
        assert pair.mirrored == (np.linalg.det(pair.affine[:, :2]) < 0)
        assert np.isfinite(pair.affine).all()
    return detection


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scene", ["tissue", "cells"])
def test_a_copied_region_is_flagged_and_its_authentic_twin_is_not(
    detector: MatchDetector, scene: str, mirrored: bool
) -> None:
    grey = tissue(SHAPE, 3) if scene == "tissue" else cells(SHAPE, 3, 45)
    affine = similarity(SOURCE, TARGET, turn=25, mirrored=mirrored)
    forgery = clone(grey, mask_of_disc(SHAPE, SOURCE, 26), affine)

    twin = found_in(detector, photograph(grey, noise=1))
    assert twin.instances == ()
    assert twin.evidence == ()
    assert twin.score < detector.threshold("photograph")

    detection = found_in(detector, photograph(forgery.grey, noise=1))
    assert detection.score >= detector.threshold("photograph")
    instance = detection.instances[0]
    assert overlap(decode(instance.runs, SHAPE), forgery.source | forgery.copy) > 0.55
    assert len(instance.regions) >= 2
    pair = next(pair for pair in detection.evidence if pair.instance == 0)
    assert pair.mirrored == mirrored
    assert pair.inliers >= 1
    assert pair.correlation > 0.7
    back = np.linalg.inv(np.vstack((affine, (0, 0, 1))))[:2]
    off = furthest(pair.affine, affine, forgery.source)
    assert min(off, furthest(pair.affine, back, forgery.copy)) < 2.0


def test_a_panel_used_twice_is_one_instance_of_two_panels(detector: MatchDetector) -> None:
    figure = np.full((230, 400), 255, np.float32)
    panel = tissue((100, 120), seed=5)
    other = tissue((100, 120), seed=6)
    places = {(10, 10): panel, (10, 140): other, (10, 270): tissue((100, 120), seed=7)}
    places |= {(120, 10): tissue((100, 120), seed=8), (120, 140): panel[:, ::-1]}
    for (top, left), content in places.items():
        figure[top : top + 100, left : left + 120] = content
    detection = found_in(detector, photograph(figure, noise=1))
    instance = detection.instances[0]
    expected = np.zeros(figure.shape, bool)
    expected[10:110, 10:130] = expected[120:220, 140:260] = True
    assert overlap(decode(instance.runs, figure.shape), expected) > 0.95
    assert detection.evidence[0].mirrored


def test_the_order_of_the_pictures_is_kept(detector: MatchDetector) -> None:
    pictures = [
        Picture(name, photograph(tissue((40, 50 + number), seed=number)))
        for number, name in enumerate("cab")
    ]
    found = detector.detect(pictures)
    assert [detection.case_id for detection in found] == ["c", "a", "b"]
    assert [detection.shape for detection in found] == [(40, 50), (40, 51), (40, 52)]
    assert detector.detect([]) == []


def test_threads_do_not_change_what_is_found(detector: MatchDetector) -> None:
    forgery = clone(
        cells(SHAPE, 3, 45), mask_of_disc(SHAPE, SOURCE, 26), similarity(SOURCE, TARGET, turn=25)
    )
    pixels = photograph(forgery.grey, noise=1)
    before = cv2.getNumThreads()
    found = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        with threads(count):
            found.append(found_in(detector, pixels))
    cv2.setNumThreads(before)
    for other in found[1:]:
        assert other.score == found[0].score
        assert len(other.instances) == len(found[0].instances) > 0
        for one, two in zip(found[0].instances, other.instances, strict=True):
            np.testing.assert_array_equal(one.runs, two.runs)
        for first, second in zip(found[0].evidence, other.evidence, strict=True):
            np.testing.assert_array_equal(first.affine, second.affine)
            assert first.inliers == second.inliers


def a_judge_that_says(value: float) -> Judge:
    nodes: NDArray[np.int64] = np.array([-1])
    leaf = Tree(nodes, np.zeros(1), nodes, nodes, np.array([value]))
    return Judge(0.0, (leaf,), Calibration(1.0, 1.0, 0.0))


@pytest.mark.parametrize(("value", "flagged"), [(-5.0, False), (-0.3, False), (5.0, True)])
def test_the_judge_decides(value: float, flagged: bool) -> None:
    forgery = clone(
        cells(SHAPE, 3, 45), mask_of_disc(SHAPE, SOURCE, 26), similarity(SOURCE, TARGET)
    )
    # A score between the two thresholds is enough for a further pair, not to flag the image.
    settings = MatchSettings(upscale_below=512, threshold=0.5, member_threshold=0.35)
    detector = MatchDetector(settings, a_judge_that_says(value))
    detection = found_in(detector, photograph(forgery.grey, noise=1))
    assert detection.score == pytest.approx(1 / (1 + np.exp(-value)))
    assert bool(detection.instances) == flagged


def test_the_threshold_is_that_of_the_kind_of_image(monkeypatch: pytest.MonkeyPatch) -> None:
    from forgecli.match import detector as module

    points = OperatingPoints(
        (0.01, 0.1), {"all": (0.9, 0.8), "blot": (0.7, 0.6)}, {"all": 100, "blot": 100}
    )
    forgery = clone(
        cells(SHAPE, 3, 45), mask_of_disc(SHAPE, SOURCE, 26), similarity(SOURCE, TARGET)
    )
    pixels = photograph(forgery.grey, noise=1)
    found = module.search(pixels, MatchSettings(upscale_below=512))
    monkeypatch.setattr(module, "search", lambda *_: found)
    judge = replace(a_judge_that_says(float(np.log(0.75 / 0.25))), points=points)
    for kind, rate, flagged in (
        ("all", 0.01, False),
        ("blot", 0.01, True),
        ("drawing", 0.01, False),  # not measured: pooled
        ("all", 0.1, False),
    ):
        monkeypatch.setattr(module, "kind_of_image", lambda layout, kind=kind: kind)
        settings = MatchSettings(upscale_below=512, false_positive_rate=rate)
        detection = found_in(MatchDetector(settings, judge), pixels)
        assert detection.score == pytest.approx(0.75)
        assert bool(detection.instances) == flagged, (kind, rate)


def test_the_best_pair_of_a_flagged_image_counts_under_any_threshold() -> None:
    forgery = clone(
        cells(SHAPE, 3, 45), mask_of_disc(SHAPE, SOURCE, 26), similarity(SOURCE, TARGET)
    )
    settings = MatchSettings(upscale_below=512, threshold=0.3, member_threshold=0.9)
    detector = MatchDetector(settings, a_judge_that_says(0.0))
    assert found_in(detector, photograph(forgery.grey, noise=1)).instances


def test_a_detection_names_kind_threshold_and_rate() -> None:
    points = OperatingPoints((0.01, 0.1), {"all": (0.9, 0.8), "blot": (0.95, 0.7)}, {})
    judge = Judge(base=-9.0, trees=(), calibration=Calibration(1.0, 1.0, 0.0), points=points)
    pixels = np.random.default_rng(4).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    by_rate = MatchDetector(MatchSettings(false_positive_rate=0.1), judge)
    assert by_rate.criterion("blot") == Criterion("blot", 0.7, 0.1)
    found = found_in(by_rate, pixels)
    assert found.criterion is not None and found.criterion.rate == 0.1
    assert found.criterion.threshold == by_rate.threshold(found.criterion.kind)
    asked = MatchDetector(MatchSettings(threshold=0.3), judge)
    assert asked.criterion("blot") == Criterion("blot", 0.3, None)


@pytest.mark.parametrize("more", [{"inverted": True}, {"keypoints": True}])
def test_a_rate_that_was_not_measured_so_is_not_named(more: dict[str, bool]) -> None:
    usual, other = (MatchDetector(MatchSettings(**asked)).criterion("blot") for asked in ({}, more))
    assert usual.rate == 0.01 and other.rate is None
    assert usual.threshold == other.threshold
