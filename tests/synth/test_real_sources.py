"""On real micrographs, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from forgecli.synth import Recipe, generate, generate_authentic
from forgecli.synth.sources import LazySources, list_sources

SHARED = Path(os.environ.get("FORGE_SHARED", Path(__file__).parents[2] / "../shared"))
AUTHENTIC = SHARED / "data" / "authentic"
KINDS = ("blot", "microscopy-fluorescence")

pytestmark = pytest.mark.skipif(
    not AUTHENTIC.is_dir(), reason="no real images (data/authentic in ../shared or FORGE_SHARED)"
)


@pytest.mark.parametrize("kind", KINDS)
def test_real_images_can_be_forged(kind: str) -> None:
    files = list_sources(AUTHENTIC / kind)
    sources, kinds = LazySources(files), [item.kind for item in files]
    coverage = []
    for seed in range(2):
        made = generate(np.random.default_rng(seed), sources, Recipe(), kinds)
        coverage.append(float(made.masks.any(axis=0).mean()))
        assert (made.image != made.twin).any()
    assert min(coverage) > 0 and max(coverage) < 0.95
    negative = generate_authentic(np.random.default_rng(0), sources, Recipe(), kinds)
    assert len(negative.masks) == 0
