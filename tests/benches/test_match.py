from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench import match, match_references
from bench.match import drawn, material, stages
from bench.match_references import REFERENCES, Image, Material
from forgecli.match.settings import MatchSettings
from kernels.local_correlation import local_correlation


@cache
def given() -> Material:
    return material(drawn(0, side=320), MatchSettings(max_keypoints=1000))


@pytest.mark.parametrize("name", REFERENCES)
def test_kernels_and_their_references_agree(name: str) -> None:
    pair = REFERENCES[name](given())
    assert pair.agree()


def test_results_that_differ_end_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(first: Image, second: Image, side: int) -> Image:
        return local_correlation(first, second, side) + np.float32(0.1)

    monkeypatch.setattr(match_references, "local_correlation", wrong)
    monkeypatch.setattr(match, "REFERENCES", {"local": match_references.local})
    with pytest.raises(SystemExit, match="results differ"):
        match.compare(given(), rounds=1)


def test_stages_are_those_of_the_search() -> None:
    found = {line["stage"]: line["seconds_per_megapixel"] for line in stages([drawn(1, 200)], 1)}
    parts = sum(seconds for stage, seconds in found.items() if stage != "all")
    assert found["all"] == pytest.approx(parts)
    assert {"keypoints", "match", "refine", "grow"} <= set(found)
