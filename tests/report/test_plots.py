"""Plots are SVG that is well formed, repeatable, and shows what it is given."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from forgecli.report import plots

DRAW: list[Callable[[], str]] = [
    lambda: plots.histogram({"a": [1.0, 2, 2, 5], "b": [3.0]}, "x", lines={"P50": 2.0}),
    lambda: plots.histogram({"a": [0.0, -1, math.nan, 10, 0.1]}, "x", scale="log"),
    lambda: plots.histogram({"a": []}, "x"),
    lambda: plots.histogram({"a": [4.0, 4.0]}, "x"),
    lambda: plots.histogram({"a": [0.0]}, "x"),
    lambda: plots.cumulative([1.0, 2, 3], "x", lines={"P50": 2.0}),
    lambda: plots.cumulative([], "x", scale="log"),
    lambda: plots.bars({"a": {"u": 1, "v": 2}, "b": {"v": 3}}, "x", "y"),
    lambda: plots.bars({}, "x", "y"),
    lambda: plots.scatter({"a": ([1.0], [2.0]), "$_^": ([], [])}, "x", "y"),
    lambda: plots.bars({r"_\$x<script>$": {"<&>": 1, "$": 2}}, "$x_", "y"),
]


@pytest.mark.parametrize("draw", DRAW)
def test_well_formed_and_repeatable(draw: Callable[[], str]) -> None:
    svg = draw()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == draw()
    assert "<script" not in svg


def test_bars_are_as_high_as_they_say() -> None:
    def heights(svg: str) -> list[float]:
        boxes = re.findall(r'<g id="patch_\d+">\s*<path d="([^"]*)"[^>]*style="fill: #0072b2', svg)
        found = []
        for box in boxes:
            ys = [float(y) for _, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", box)]
            found.append(max(ys) - min(ys))
        return found

    one, two, four = heights(plots.bars({"a": {"u": 1, "v": 2, "w": 4}}, "x", "y"))
    assert two / one == pytest.approx(2, rel=0.01)
    assert four / one == pytest.approx(4, rel=0.01)
