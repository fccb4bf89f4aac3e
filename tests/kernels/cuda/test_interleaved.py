"""Components while blocks change memory under one another's hands."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cuda import interleave, masks
from tests.kernels.cuda.host import needs_compiler
from tests.kernels.cuda.interleave import InterleavedDevice
from tests.kernels.cuda.masks import Mask
from tests.kernels.cuda.test_components import CONNECTIVITIES, Connectivity, check

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="fibers are made with ucontext"),
]


@settings(max_examples=40, deadline=None)
@given(
    batch=st.lists(masks.some(60), min_size=1, max_size=2),
    connectivity=st.sampled_from(CONNECTIVITIES),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_turns_give_the_same(batch: list[Mask], connectivity: Connectivity, seed: int) -> None:
    check(InterleavedDevice(seed), batch, connectivity)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_where_many_trees_are_joined_at_once(connectivity: Connectivity) -> None:
    random = np.random.default_rng(1)
    for seed in range(20):
        noise = random.random((40, 50)) < 0.62  # near where one component spans the mask
        combs = [masks.drawn(40)["comb to the left"], masks.drawn(40)["arcs"]]
        check(InterleavedDevice(seed), [noise, *combs], connectivity)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # What the minimum gave back is not looked at, so a tree that it tore is not mended.
        ("if (before == high) return;\n        a = before;", "return;"),
        # Halving the way while others point at their roots for good puts older parents back.
        (
            "int root = SHARED_WITH_OTHERS(own[p]);\n"
            "            for (int next; (next = SHARED_WITH_OTHERS(own[root])) != root;) "
            "root = next;",
            "int root = root_of(own, p);",
        ),
    ],
    ids=["join", "measure"],
)
def test_what_is_done_without_care_is_noticed(
    monkeypatch: pytest.MonkeyPatch, right: str, wrong: str
) -> None:
    source = interleave.body("components")
    assert source.count(right) == 1
    monkeypatch.setattr(interleave, "body", lambda name: source.replace(right, wrong))
    interleave._library.cache_clear()
    try:
        with pytest.raises(AssertionError):
            test_where_many_trees_are_joined_at_once(4)
    finally:
        interleave._library.cache_clear()
