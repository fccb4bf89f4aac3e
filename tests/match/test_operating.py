from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.match.agreement import Window
from forgecli.match.operating import (
    LEAST,
    POOLED,
    OperatingPoints,
    default_points,
    kind_of_image,
    measured_thresholds,
    points_from,
    thresholds_of,
)
from forgecli.match.settings import MatchSettings

POINTS = OperatingPoints(
    (0.01, 0.02, 0.1),
    {"all": (0.9, 0.8, 0.6), "blot": (0.95, 0.95, 0.7)},
    {"all": 300, "blot": 60},
)
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)


def test_measured_rates_have_their_thresholds_and_others_lie_between() -> None:
    assert [POINTS.threshold(rate) for rate in POINTS.rates] == [0.9, 0.8, 0.6]
    assert POINTS.threshold(0.02, "blot") == 0.95
    assert POINTS.threshold(0.02, "no such kind") == 0.8
    # Half way on the logarithm.
    assert POINTS.threshold(np.sqrt(0.01 * 0.02)) == pytest.approx(0.85)


@pytest.mark.parametrize("rate", [0.0, 0.0099, 0.11, 1.0, float("nan")])
def test_rates_beyond_those_measured_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.01 to 0\.1\. Got"):
        POINTS.threshold(rate)


def test_a_threshold_of_the_settings_is_that_of_every_kind() -> None:
    assert thresholds_of(MatchSettings(threshold=0.3), POINTS) == {POOLED: 0.3}
    assert thresholds_of(MatchSettings(false_positive_rate=0.02), POINTS) == {
        "all": 0.8,
        "blot": 0.95,
    }


scores_strategy = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=400)


@settings(max_examples=150, deadline=None)
@given(scores_strategy)
def test_no_more_than_the_rate_is_flagged_and_as_much_as_can_be(scores: list[float]) -> None:
    found = measured_thresholds({POOLED: scores}, RATES)[POOLED]
    values = np.array(scores)
    for rate, threshold in zip(RATES, found, strict=True):
        if len(scores) < 1 / rate:
            assert threshold is None, "no rate under one in the number of images can be claimed"
            continue
        assert threshold is not None
        flagged = int((values >= threshold).sum())
        assert flagged <= rate * len(scores) + 1e-9
        lower = values[values < threshold]
        if lower.size and threshold > LEAST:  # the next score down would be too many
            assert (values >= lower.max()).sum() > rate * len(scores)
        assert threshold >= LEAST


def test_a_rare_kind_has_the_pooled_threshold_but_none_that_its_own_images_reach() -> None:
    common = [n / 1000 for n in range(900)]
    quiet, loud = [0.1] * 20, [0.2] * 19 + [0.97]
    found = measured_thresholds({POOLED: common, "quiet": quiet, "loud": loud, "none": []}, RATES)
    assert set(found) == {POOLED, "quiet", "loud"}
    pooled = found[POOLED]
    assert pooled == [0.896, 0.891, 0.882, 0.855, 0.81]
    # 20 images support 5 % and no less.
    assert found["quiet"] == [*pooled[:3], LEAST, LEAST]
    at = found["loud"]
    assert all(value is not None and 0.97 < value < 0.98 for value in at[:3])
    assert at[3:] == [0.97, LEAST]


@settings(max_examples=60, deadline=None)
@given(scores_strategy, st.integers(0, 5))
def test_more_false_positives_never_ask_for_a_higher_score(scores: list[float], step: int) -> None:
    own = scores[:: step + 1]
    found = measured_thresholds({POOLED: scores, "kind": own}, RATES)
    for row in found.values():
        known = [value for value in row if value is not None]
        assert known == sorted(known, reverse=True)


def test_the_rate_holds_for_images_that_the_threshold_was_not_set_on() -> None:
    random = np.random.default_rng(0)
    rates = []
    for _ in range(300):
        # No score comes under LEAST: the bound is that of the rank alone.
        fitted, others = 0.6 + 0.4 * random.beta(1, 4, (2, 120))
        threshold = measured_thresholds({POOLED: fitted.tolist()}, (0.05,))[POOLED][0]
        rates.append((others >= threshold).mean())
    assert np.mean(rates) == pytest.approx(6 / 121, abs=0.004)


def document(**change: Any) -> dict[str, Any]:
    return {
        "operating_points": {
            "rates": [0.01, 0.1],
            "thresholds": {"all": [0.9, 0.8]},
            "authentic_images": {"all": 100},
        }
        | change
    }


def test_the_document_of_the_judge() -> None:
    assert points_from(document()).threshold(0.1) == 0.8
    for change in (
        {"rates": [0.1, 0.01]},
        {"rates": [0.01]},
        {"thresholds": {"all": [0.8, 0.9]}},
        {"thresholds": {"blot": [0.9, 0.8]}},
    ):
        with pytest.raises(ValueError, match="damaged"):
            points_from(document(**change))
    with pytest.raises(ValueError, match=r"bench\.judge"):
        points_from({})


def test_the_points_that_come_with_forge_are_read_without_anything_heavy() -> None:
    assert default_points().threshold(0.01) > LEAST
    code = (
        "import sys; from forgecli.match.operating import default_points; default_points();"
        "assert not {'cv2', 'numba', 'numpy', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def layout(*panels: tuple[int, int, str]) -> Any:
    """As much of a layout as counts here."""
    return SimpleNamespace(
        panels=tuple(Window(0, 0, width, height) for width, height, _ in panels),
        kinds=tuple(kind for _, _, kind in panels),
    )


def test_the_kind_of_an_image_is_that_of_most_of_it_drawings_aside() -> None:
    assert kind_of_image(layout((10, 10, "blot"))) == "blot"
    assert kind_of_image(layout((10, 10, "blot"), (11, 10, "photograph"))) == "photograph"
    assert kind_of_image(layout((10, 10, "blot"), (90, 90, "drawing"))) == "blot"
    assert kind_of_image(layout((10, 10, "drawing"))) == "drawing"
    assert kind_of_image(layout()) == POOLED
