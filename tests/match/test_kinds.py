from __future__ import annotations

import json
from importlib.resources import files

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.layouts import flow_cytometry
from forgecli.match.agreement import Window
from forgecli.match.annotations import marks_of, range_of
from forgecli.match.kinds import (
    KINDS,
    STATISTICS,
    Trees,
    Views,
    chroma_of,
    default_trees,
    kind_of_panel,
    statistics_of,
    trees_from,
)
from forgecli.match.settings import MatchSettings
from tests.match.pictures import Pixels, cells, photograph, tissue

SETTINGS = MatchSettings()


def views_of(pixels: Pixels) -> Views:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    step = range_of(grey, 3)
    return Views(grey, step, chroma_of(pixels), marks_of(grey, step, SETTINGS))


def whole(pixels: Pixels) -> Window:
    return Window(0, 0, pixels.shape[1], pixels.shape[0])


def blot(shape: tuple[int, int], seed: int) -> Pixels:
    """Rows of dark bands with soft ends on a light ground."""
    rng = np.random.default_rng(seed)
    grey = np.full(shape, 215, np.float32)
    for y in range(40, shape[0] - 30, 70):
        for x in range(40, shape[1] - 40, 75):
            band = np.zeros(shape, np.float32)
            size = (int(rng.integers(20, 28)), int(rng.integers(5, 9)))
            cv2.ellipse(band, (x, y), size, float(rng.normal(0, 3)), 0, 360, 1.0, -1)
            grey -= cv2.GaussianBlur(band, (0, 0), 3.0) * rng.uniform(60, 190)
    grey += cv2.GaussianBlur(rng.normal(0, 8, shape).astype(np.float32), (0, 0), 1.5)
    return photograph(grey, noise=1)


def graph(shape: tuple[int, int], seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    canvas = np.full((*shape, 3), 255, np.uint8)
    height, width = shape
    cv2.line(canvas, (40, 20), (40, height - 30), (0, 0, 0), 1)
    cv2.line(canvas, (40, height - 30), (width - 10, height - 30), (0, 0, 0), 1)
    for bar, x in enumerate(range(60, width - 50, 45)):
        tall = int(rng.integers(20, height - 60))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.rectangle(canvas, (x, height - 30 - tall), (x + 25, height - 30), colour, -1)
        cv2.putText(canvas, f"g{bar}", (x, height - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0))
    return canvas


@pytest.mark.parametrize("seed", range(4))
def test_plain_examples_of_each_kind(seed: int) -> None:
    examples = {
        "blot": blot((300, 420), seed),
        "drawing": graph((260, 360), seed),
        "photograph": photograph(tissue((240, 300), seed), noise=2),
    }
    for kind, pixels in examples.items():
        assert kind_of_panel(views_of(pixels), whole(pixels)) == kind
    spots = photograph(cells((240, 300), seed, 60), noise=1)
    assert kind_of_panel(views_of(spots), whole(spots)) == "photograph"


@pytest.mark.parametrize("seed", range(20, 26))
def test_flow_cytometry_is_a_drawing(seed: int) -> None:
    pixels = flow_cytometry(np.random.default_rng(seed))
    assert kind_of_panel(views_of(pixels), whole(pixels)) == "drawing"


def test_statistics_against_their_definitions() -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (70, 90, 3)).astype(np.uint8)
    pixels[:40, :50] = (250, 20, 20)
    panel = Window(10, 5, 80, 65)
    views = views_of(pixels)
    said = dict(zip(STATISTICS, statistics_of(views, panel), strict=True))
    place = np.s_[5:65, 10:80]
    grey, step = views.grey[place].astype(float), views.step[place].astype(float)
    channels = pixels[place].astype(int)
    chroma = channels.max(2) - channels.min(2)
    expected = {
        "flat": (step == 0).mean(),
        "quiet": (step <= 4).mean(),
        "sharp": (step > 90).sum() / (step > 6).sum(),
        "steep": (step > 60).sum() / (step > 20).sum(),
        "white": (grey >= 250).mean(),
        "black": (grey <= 5).mean(),
        "chroma": chroma.mean() / 64,
        "coloured": (chroma >= 40).mean(),
        "filled": ((chroma >= 40) & (step <= 2)).mean(),
        "drawn": views.marks[place].mean(),
        "skewness": ((grey - grey.mean()) ** 3).mean() / grey.std() ** 3 / 4,
        "fineness": step.mean() / grey.std(),
        "spread": grey.std() / 64,
        "lightness": grey.mean() / 255,
    }
    for name, value in expected.items():
        assert said[name] == pytest.approx(value, abs=1e-6), name
    assert said["filled"] > 0.3
    counts = np.bincount(grey.astype(int).ravel(), minlength=256) / grey.size
    used = counts[counts > 0]
    assert said["levels"] == pytest.approx(np.exp(-(used * np.log(used)).sum()) / 256)
    assert said["mode"] == pytest.approx(max(counts[i : i + 5].sum() for i in range(252)), abs=0.02)


def test_bands_and_lanes_have_a_direction() -> None:
    names = [STATISTICS.index(name) for name in ("anisotropy", "rows", "columns")]
    upright = photograph(np.tile(np.sin(np.arange(300) / 8) * 90 + 128, (200, 1)), noise=1)
    lying = np.ascontiguousarray(upright.transpose(1, 0, 2))
    across = statistics_of(views_of(upright), whole(upright))[names]
    down = statistics_of(views_of(lying), whole(lying))[names]
    assert across[0] < -1 and across[1] < 0.05 and across[2] > 0.9
    np.testing.assert_allclose(down, [-across[0], across[2], across[1]], atol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 3), (5, 200)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_strange_panels_have_finite_statistics(shape: tuple[int, int], level: int) -> None:
    pixels = np.full((*shape, 3), level, np.uint8)
    views = views_of(pixels)
    assert np.isfinite(statistics_of(views, whole(pixels))).all()
    assert kind_of_panel(views, whole(pixels)) in KINDS


def test_without_colour_is_as_grey() -> None:
    pixels = photograph(tissue((60, 80), 1))
    views = views_of(pixels)
    bare = Views(views.grey, views.step, None, views.marks)
    np.testing.assert_array_equal(
        statistics_of(bare, whole(pixels)), statistics_of(views, whole(pixels))
    )


def reference(trees: Trees, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds by a walk of all rows at once."""
    total = np.tile(np.array(trees.base), (len(rows), 1))
    for kind, members in enumerate(trees.trees):
        for tree in members:
            inside = {0: np.ones(len(rows), bool)}
            for number, (statistic, threshold, left, right, value) in enumerate(tree):
                here = inside[number]
                if statistic < 0:
                    total[here, kind] += value
                    continue
                low = rows[:, statistic] <= threshold
                inside[left], inside[right] = here & low, here & ~low
    return total


def test_trees_against_a_plain_walk() -> None:
    trees = default_trees()
    rows = np.random.default_rng(0).uniform(-1, 2, (50, len(STATISTICS)))
    got = np.array([trees.odds(row) for row in rows])
    np.testing.assert_allclose(got, reference(trees, rows), rtol=1e-9)
    assert len({int(np.argmax(row)) for row in got}) > 1


def test_trees_of_other_statistics_are_refused() -> None:
    text = files("forgecli.match").joinpath("kinds.json").read_text("utf-8")
    assert len(text) < 100_000
    document = json.loads(text)
    trees_from(document)
    document["statistics"] = document["statistics"][1:]
    with pytest.raises(ValueError, match=r"bench\.panels --fit"):
        trees_from(document)
