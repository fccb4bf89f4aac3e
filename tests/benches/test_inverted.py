"""The bench of inverted copies: its scenes, its methods and its figures."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import cv2
import numba
import numpy as np
import pytest

from bench import accuracy_curves, accuracy_measure, inverted
from bench.accuracy_curves import AIM, BASE, TRIES, pasted
from bench.accuracy_measure import Mark, Pixels
from bench.inverted import METHODS, WITH, WITHOUT, copied, figures
from forgecli.match.settings import MatchSettings
from tests.match.pictures import photograph, tissue


def textured(seed: int = 0) -> Pixels:
    return photograph(tissue((300, 360), seed), noise=1)


def test_an_inverted_copy_is_the_negative_of_the_plain_one() -> None:
    pixels = textured()
    plain, negative = (
        pasted(np.random.default_rng(3), pixels, "tissue", change)
        for change in (BASE, replace(BASE, inverted=True))
    )
    assert plain is not None and negative is not None
    np.testing.assert_array_equal(plain[1], negative[1])
    changed = (plain[0] != negative[0]).any(axis=2)
    count = changed.sum()
    assert 0.4 < count / plain[1][0].sum() < 0.55  # the copy, not its source
    np.testing.assert_array_equal(negative[0][changed], 255 - plain[0][changed])


def only(monkeypatch: pytest.MonkeyPatch, *crops: Pixels) -> None:
    monkeypatch.setattr(accuracy_curves, "crops", lambda: [(crop, "tissue") for crop in crops])


def test_a_scene_has_one_inverted_copy_and_every_second_is_compressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop = textured()
    only(monkeypatch, crop)
    (raw,), (compressed,) = copied(0), copied(1)
    for scene in (raw, compressed):
        assert scene.point == "copies" and scene.masks.shape == (1, 300, 360)
    outside = cv2.dilate(raw.masks[0], np.ones((9, 9), np.uint8)) == 0
    np.testing.assert_array_equal(raw.pixels[outside], crop[outside])
    outside = cv2.dilate(compressed.masks[0], np.ones((25, 25), np.uint8)) == 0
    wrong = np.abs(compressed.pixels[outside].astype(int) - crop[outside])
    assert 0 < wrong.mean() < 8


def test_a_place_is_sought_up_to_the_last_try(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, textured())
    tried: list[np.random.Generator] = []

    def late(
        rng: np.random.Generator, pixels: Pixels, kind: str, change: accuracy_curves.Change
    ) -> tuple[Pixels, np.ndarray] | None:
        assert change == replace(AIM, inverted=True, jpeg=None)
        tried.append(rng)
        found = len(tried) == TRIES
        return (pixels, np.ones((1, *pixels.shape[:2]), np.uint8)) if found else None

    monkeypatch.setattr(accuracy_curves, "pasted", late)
    assert len(copied(0)) == 1 and len(tried) == TRIES
    tried.append(tried[0])  # one more than the last
    before = len(tried)
    assert copied(0) == [] and len(tried) == before + TRIES


def looked(method: str, forged: bool, flagged: bool, seconds: float) -> Mark:
    return Mark("p", method, forged, flagged, 0.5, 0.5, seconds, 1.0)


def test_the_figures_keep_the_two_apart() -> None:
    found = [
        looked(WITHOUT, True, False, 2.0), looked(WITH, True, True, 3.0),
        looked(WITHOUT, True, False, 1.0), looked(WITH, True, True, 2.0),
        looked(WITHOUT, False, False, 0.0), looked(WITH, False, True, 9.0),
        looked(WITHOUT, False, False, 1.0), looked(WITH, False, False, 1.6),
    ]  # fmt: skip
    measured = figures(found)
    assert (measured[WITHOUT]["recall"], measured[WITH]["recall"]) == (0.0, 1.0)
    assert measured[WITHOUT]["false_positives"] == 0 and measured[WITH]["false_positives"] == 1
    assert measured["times_the_cpu_time"] == 1.6  # of 1.5, 2 and 1.6


def test_the_figures_of_nothing() -> None:
    measured = figures([])
    assert measured["times_the_cpu_time"] is None
    assert measured[WITH]["recall"] is None and measured[WITHOUT]["authentic"] == 0


def test_one_method_looks_for_negatives_and_the_other_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from forgecli.match import detector

    asked = []

    class Recorded:
        def __init__(self, settings: MatchSettings) -> None:
            asked.append(settings.inverted)

        def prepare(self) -> None:
            pass

    monkeypatch.setattr(detector, "MatchDetector", Recorded)
    for ready in METHODS.values():
        ready()
    assert list(METHODS) == [WITHOUT, WITH] and asked == [False, True]
    assert b"ours" in bytes(ForkingPickler.dumps(METHODS))  # workers are sent them


def test_ready_methods_are_started_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, accuracy_measure.Method] = {}
    monkeypatch.setattr(accuracy_measure, "_methods", kept)
    threads, kernels = cv2.getNumThreads(), numba.get_num_threads()
    accuracy_measure._start({"silent": lambda: lambda pixels: []})
    cv2.setNumThreads(threads)
    numba.set_num_threads(kernels)
    assert list(kept) == ["silent"] and kept["silent"](textured()) == []


def test_jobs_name_all_copies_and_authentic_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted, "authentic_files", lambda: ([], []))
    work = inverted.jobs(3, 5)
    assert [(job.make, job.arguments) for job in work] == [(copied, (n,)) for n in range(3)]
