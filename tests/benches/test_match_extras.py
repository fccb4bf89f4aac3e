"""The benches of other keypoint detectors and of figures of many panels."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import accuracy_tables, match_detectors, match_keypoints, match_panels
from bench import match as match_bench
from bench.machine import RESULTS
from bench.match_detectors import DENSE, Tally, right_groups
from bench.match_keypoints import DETECTORS, SIFT
from bench.match_panels import Cost
from forgecli.match.bands import bands_of
from forgecli.match.keypoints import enlarged, find_keypoints
from forgecli.match.proposals import propose, refine_proposals
from forgecli.match.settings import MatchSettings
from tests.match.pictures import photograph, tissue

SETTINGS = MatchSettings(max_keypoints=2000)


def match(x: float, y: float, to_x: float, to_y: float, *linear: float) -> list[float]:
    return [x, y, to_x, to_y, *(linear or (1, 0, 0, 1))]


def masks() -> np.ndarray:
    """Two groups of two squares each, moved by (60, 0)."""
    found = np.zeros((2, 100, 120), np.uint8)
    for group, top in enumerate((10, 60)):
        for left in (10, 70):
            found[group, top : top + 30, left : left + 30] = 1
    return found


def test_a_match_is_right_if_its_map_takes_the_region_onto_its_copy() -> None:
    assert right_groups(np.array([match(20, 20, 80, 20)]), masks()) == {0}
    assert right_groups(np.array([match(80, 70, 20, 70)]), masks()) == {1}
    # From group to group, inside one region, out of a region, and turned the wrong way.
    wrong = [match(20, 20, 80, 70), match(15, 15, 35, 35), match(20, 20, 60, 20),
             match(12, 12, 72, 12, -1, 0, 0, -1)]  # fmt: skip
    assert right_groups(np.array(wrong), masks()) == set()
    assert right_groups(np.empty((0, 8)), masks()) == set()


def test_touching_regions_count_too() -> None:
    mask = np.zeros((1, 60, 100), np.uint8)
    mask[0, 10:40, 10:70] = 1  # 30 wide, moved by 30
    assert right_groups(np.array([match(20, 20, 50, 20)]), mask) == {0}
    assert right_groups(np.array([match(20, 20, 65, 35)]), mask) == set()


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_a_plain_copy(name: str) -> None:
    pixels = photograph(tissue((160, 200), 5), noise=1)
    truth = np.zeros((1, 160, 200), np.uint8)
    for left in (10, 110):
        truth[0, 40:110, left : left + 70] = 1
    pixels[40:110, 110:180] = pixels[40:110, 10:80]
    bands = bands_of(pixels)
    usable = np.ones(bands.shape, bool)
    usable[:, 190:] = False
    keypoints = DETECTORS[name](bands.grey, usable, SETTINGS)
    assert len(keypoints) > 20 and keypoints.descriptors.shape == (len(keypoints), 128)
    assert (keypoints.points[:, 0] < 191).all()
    refined, _ = refine_proposals(bands, propose(keypoints, SETTINGS), SETTINGS)
    assert right_groups(refined, truth) == {0}


def test_points_of_others_are_described_as_sift_describes_its_own() -> None:
    image = photograph(tissue((160, 200), 5), noise=1)[..., 0]
    settings = MatchSettings(upscale_below=1, max_keypoints=2000)
    own = find_keypoints(image.astype(np.float32), np.ones(image.shape, bool), settings)
    stretched, _ = enlarged(image.astype(np.float32), settings)
    allowed = np.ones(image.shape, np.uint8)
    again = match_keypoints.described(
        stretched, allowed, own.points, own.sizes, np.degrees(own.angles), 2000
    )
    small = own.sizes > 4  # those of the doubled image are described in it
    similarity = (own.descriptors * again.descriptors).sum(axis=1)[small]
    assert np.median(similarity) > 0.95


def test_figures_of_the_detectors() -> None:
    tallies = {
        SIFT: Tally(100, 50, {(0, 0)}, 1.0),
        "other": Tally(60, 20, {(0, 0), (1, 0)}, 0.5),
        DENSE: Tally(0, 10, {(0, 1)}, 0.2),
    }
    found = match_detectors.figures(tallies, images=2, groups=4, whole=4.0)
    other = found["detectors"][1]
    assert (other["groups"], other["with_sift"], other["with_sift_and_dense"]) == (2, 2, 3)
    assert (other["share_of_search"], other["keypoints_per_image"]) == (0.125, 30)
    assert "2 forgeries, 4 groups" in match_detectors.shown(found)
    text = accuracy_tables.detectors(found)
    assert "| other | 30 | 2 | 2 | 3 | 0.25 | 12 % |" in text and "2 forgeries with 4" in text


def test_figures_of_the_panels() -> None:
    costs = [
        Cost(4, 100, {"keypoints": 3.0, "match": 1.0}, True),
        Cost(4, 300, {"keypoints": 1.0, "match": 3.0}, False),
        Cost(16, 900, {"keypoints": 9.0, "match": 1.0}, True),
    ]
    four, sixteen = match_panels.figures(costs)
    assert (four["keypoints"], four["share_comparing"], four["most_a_shortlist_saves"]) == (
        200, 0.5, 0.0)  # fmt: skip
    assert sixteen["most_a_shortlist_saves"] == pytest.approx(0.1 * (1 - 5 / 16), abs=1e-4)
    assert "1 of 2" in match_panels.shown([four, sixteen])
    text = accuracy_tables.panels({"figures": [four, sixteen]})
    assert "| 4 | 200 | 4.00 | 50 % | 0 % | 1 of 2 |" in text


@pytest.mark.parametrize("what", ["panels", "detectors"])
def test_results_go_where_they_were_asked_for(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path] = []
    monkeypatch.setattr(match_bench, what, lambda images, path: places.append(path))
    for asked in ([], ["--json", "match.json"], ["--json", "other.json"]):
        monkeypatch.setattr(sys, "argv", ["bench.match", f"--{what}", *asked])
        match_bench.main()
    assert places == [RESULTS / f"match-{what}.json", Path("match.json"), Path("other.json")]


def test_results_that_are_not_there(tmp_path: Path) -> None:
    text = accuracy_tables.block("match-panels", tmp_path)
    assert text == "`python -m bench.match --panels` has not been run."


def test_the_gradient_turns_with_the_picture() -> None:
    grey = photograph(tissue((99, 99), 2), noise=0)[..., 0]
    image = np.asarray(cv2.GaussianBlur(grey, (0, 0), 2), np.uint8)
    at, sizes = np.array([[49, 49]]), np.array([8.0])
    angle = match_keypoints._gradient_angles(image, at, sizes)[0]
    turned = match_keypoints._gradient_angles(np.rot90(image).copy(), at, sizes)[0]
    assert (angle - turned) % 360 == pytest.approx(90, abs=1)
