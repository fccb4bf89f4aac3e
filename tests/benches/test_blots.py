"""The bench of blots: what counts as a right pair, its levels, and the fit of the weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.band_weights import SIGNS, fitted_weights, logistic
from bench.blots import Looked, is_right, level_of, look, recalls, truth_maps
from bench.kinds import kind_of_source
from bench.sources import DRAWN
from forgecli.match.agreement import Window
from forgecli.match.band_likeness import EVIDENCE
from forgecli.match.band_pairs import BandPair
from forgecli.match.lanes import Band
from forgecli.synth.sources import SourceFile

CARD = {"groups": [{"piece": "band", "copies": [{"map": [[1.0, 0.0, 40.0], [0.0, 1.0, 5.0]]}]}]}


def band(x: float, y: float) -> Band:
    window = Window(round(x) - 12, round(y) - 5, round(x) + 13, round(y) + 6)
    return Band(window, 0, x, y, 6.0, 2.0, 80.0, light=False)


def pair(shift: tuple[float, float], first: int = 0, second: int = 1) -> BandPair:
    affine = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    return BandPair(first, second, affine, np.zeros(len(EVIDENCE)), 0.0, 0.0)


def looked(similarity: list[float], right: list[bool]) -> Looked:
    values = np.array(similarity)
    none = np.zeros((len(similarity), len(EVIDENCE)))
    return Looked("band", none, values, values, np.array(right, bool), 9, 0.9, 0.8, 0.1, 1000)


def test_a_pair_is_right_if_both_bands_are_of_one_group_and_the_map_is_true() -> None:
    bands = [band(30, 30), band(70, 35), band(70, 80)]
    mask = np.zeros((1, 100, 120), np.uint8)
    mask[0, 25:36, 18:43] = mask[0, 30:41, 58:83] = 1
    maps = truth_maps(CARD)
    assert is_right(pair((40, 5)), bands, maps, mask)
    assert not is_right(pair((40, 9)), bands, maps, mask), "four pixels off"
    assert not is_right(pair((40, 50), second=2), bands, maps, mask), "the third is no copy"
    assert not is_right(pair((40, 5)), bands, maps, mask[:0]), "an authentic image has none"
    assert is_right(pair((-40, -5), 1, 0), bands, maps, mask), "seen from the copy"


def test_a_level_is_passed_by_no_more_than_its_share_of_the_images() -> None:
    images = [looked([value], [False]) for value in range(100)]
    for share in (0.01, 0.03, 0.1, 0.3):
        level = level_of(images, share)
        passed = sum(image.similarity.max() > level for image in images)
        assert passed == round(100 * share)


def test_recall_counts_images_whose_copy_is_above_the_level() -> None:
    forged = [looked([3.0, 1.0], [False, True]), looked([2.0], [True]), looked([], [])]
    said = recalls(forged, {0.1: 1.5}, 1)["all"]
    assert said["images"] == 3
    assert said["aligned"] == pytest.approx(2 / 3)
    assert said["in best 1"] == pytest.approx(1 / 3)
    assert said["10%"] == pytest.approx(1 / 3)
    missed = replace(forged[0], grown=0.6, outlined=0.0)
    said = recalls([missed, *forged[1:]], {0.1: 1.5}, 1)["all"]
    assert said["grown"] == pytest.approx(2 / 3)
    assert said["outlined"] == pytest.approx(0.8), "of those that lie on the copy"


def test_logistic_finds_the_weights_that_made_the_answers() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(6000, 2))
    chance = 1 / (1 + np.exp(-(0.5 + 2.0 * rows[:, 0] - 1.0 * rows[:, 1])))
    answers = rng.random(6000) < chance
    images = [(rows[i : i + 1], answers[i : i + 1], rows[i : i + 1, 0]) for i in range(6000)]
    assert logistic(images) == pytest.approx([0.5, 2.0, -1.0], abs=0.15)


def samples() -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Images with one copy among twelve pairs: two columns say nearly the same, the second as a
    difference speaks against copies though it agrees with the first."""
    rng = np.random.default_rng(8)
    images = []
    for _ in range(80):
        right = np.zeros(12, bool)
        right[0] = True
        evidence = rng.normal(size=(12, len(EVIDENCE)))
        shared = rng.normal(size=12)
        evidence[:, 0] = 2.0 * right + shared
        evidence[:, 2] = shared + 0.05 * rng.normal(size=12)
        images.append((evidence, right))
    return images


def test_no_weight_has_the_wrong_sign() -> None:
    images = samples()
    evidence, right = np.vstack([e for e, _ in images]), np.concatenate([r for _, r in images])
    free = logistic([(evidence[i : i + 12], right[i : i + 12], evidence[i : i + 12, 0])
                     for i in range(0, len(right), 12)])  # fmt: skip
    assert free[3] < -0.5, "left alone, texture takes shape back"
    one, among = fitted_weights(images)
    assert one.shape == (1 + len(EVIDENCE),)
    assert one[3] == 0.0
    assert one[1] > 0.5
    assert all(sign * weight >= 0 for sign, weight in zip(SIGNS, one[1:], strict=True))
    assert among[1] > 0


def test_only_panels_of_blots_are_searched() -> None:
    """A photograph of noise is no blot: the detector looks for no bands in it."""
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (160, 160, 3), np.uint8)
    found = look(noise, np.zeros((0, 160, 160), np.uint8), {})
    assert found.bands == 0
    assert found.similarity.shape == (0,)
    assert found.piece == ""
    assert replace(found, piece="band").piece == "band"


def test_what_was_found_to_be_a_drawing_is_held_to_be_one() -> None:
    name = "gel/gels_kalthommusa_018.jpg"
    assert name in DRAWN
    drawing = SourceFile(Path("x.jpg"), name, "gel", "gels_kalthommusa")
    assert kind_of_source(drawing) == "drawing"
    assert kind_of_source(replace(drawing, name="gel/gels_kalthommusa_019.jpg")) == "blot"
