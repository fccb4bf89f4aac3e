"""What the checks measure, and that they can fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engines.base import Engine, Images, Logits, Spec
from forgecli.build import limits
from forgecli.build.check import (
    COPIED,
    Finding,
    against_full,
    against_torch,
    drawn,
    probabilities,
    record,
)


class Linear(Engine):
    """Logits are a gain times the first channel, and an offset at one pixel."""

    def __init__(self, gain: float = 1.0, offset: float = 0.0, spec: Spec | None = None) -> None:
        self.spec = spec or Spec(multiple=8)
        self._gain, self._offset = np.float32(gain), np.float32(offset)

    def _infer(self, images: Images) -> Logits:
        logits = images[:, :1] * self._gain
        logits[0, 0, 0, 0] += self._offset
        return logits


def batches() -> list[Images]:
    return [np.full((1, 3, 8, 8), 0.5, np.float32), np.full((2, 3, 8, 16), 0.25, np.float32)]


def values(findings: list[Finding]) -> dict[str, float]:
    assert record(findings)["beyond"] == [one.name for one in findings if not one.good]
    return {one.name: one.value for one in findings}


def test_equal_engines_differ_by_nothing() -> None:
    found = against_torch(Linear(), Linear(), batches())
    assert values(found) == {"logits": 0.0, "logits_share": 0.0, "probability_torch": 0.0}
    assert all(finding.good for finding in found)


def test_a_difference_is_relative_to_the_largest_logit() -> None:
    found = values(against_torch(Linear(20.0), Linear(20.0, offset=0.01), batches()))
    assert found["logits"] == pytest.approx(0.01 / 5, rel=1e-3)  # of the second batch
    assert found["logits_share"] == pytest.approx(2 / (64 + 2 * 128))
    small = values(against_torch(Linear(0.1), Linear(0.1, offset=0.01), batches()))
    assert small["logits"] == pytest.approx(0.01, rel=1e-3)


def test_a_network_that_searches_is_judged_by_its_probabilities() -> None:
    slightly = against_torch(Linear(), Linear(offset=0.1), batches(), searches=True)
    assert all(finding.good for finding in slightly)
    assert not against_torch(Linear(), Linear(offset=0.1), batches())[0].good
    wrong = against_torch(Linear(), Linear(offset=5.0), batches(), searches=True)
    assert [finding.name for finding in wrong if not finding.good] == ["probability_torch"]


def test_probabilities_are_compared_not_logits() -> None:
    found = values(against_full(Linear(0.0), Linear(0.0, offset=1.0), batches()))
    apart = 1 / (1 + math.exp(-1)) - 0.5
    assert found["probability"] == pytest.approx(apart)
    assert found["probability_mean"] == pytest.approx(2 * apart / 320)
    sure = values(against_full(Linear(200.0), Linear(200.0, offset=1.0), batches()))
    assert sure["probability"] < 1e-20


@pytest.mark.parametrize("gain", [math.nan, math.inf])
def test_what_is_no_number_is_never_good(gain: float) -> None:
    found = against_full(Linear(), Linear(gain), batches())
    assert math.isinf(values(found)["probability"])
    assert not all(finding.good for finding in found)
    assert not against_torch(Linear(), Linear(math.nan), batches())[0].good


def test_an_infinite_logit_is_not_good_though_its_probability_is() -> None:
    found = against_full(Linear(400.0), Linear(400.0, offset=math.inf), batches())
    assert math.isinf(values(found)["probability"])


def test_what_gives_no_numbers_is_named() -> None:
    fine, broken = Linear(), Linear(math.nan)

    def first(found: list[Finding]) -> set[str | None]:
        return {one.not_finite for one in found if not one.good}

    assert first(against_torch(broken, broken, batches())) == {"network"}
    assert first(against_torch(fine, broken, batches())) == {"fp32"}
    assert first(against_full(broken, broken, batches())) == {"fp32"}
    assert first(against_full(fine, broken, batches())) == {"fp16"}
    assert first(against_full(fine, Linear(offset=5.0), batches())) == {None}
    # Infinite in both, and judged by probabilities, which are equal.
    endless = Linear(offset=math.inf)
    assert first(against_torch(endless, endless, batches(), searches=True)) == {"network"}


def test_the_limits_decide() -> None:
    assert Finding("a", "", limits.LOGITS, limits.LOGITS).good
    assert not Finding("a", "", 1.01 * limits.LOGITS, limits.LOGITS).good
    assert Finding("a", "", 5.0).good


def test_probabilities_do_not_overflow() -> None:
    logits = np.array([-1e4, -1.0, 0.0, 1.0, 1e4], np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = probabilities(logits)
    np.testing.assert_allclose(found, [0, 0.26894142, 0.5, 0.73105858, 1])


@pytest.mark.parametrize("spec", [Spec(multiple=4), Spec(multiple=128), Spec(channels=6)])
def test_pictures_are_of_two_sizes_and_hold_a_copy(spec: Spec) -> None:
    first, second = drawn(spec)
    assert len(first) == 1 and len(second) == 2
    assert first.shape[2:] != second.shape[2:]
    for images in (first, second):
        assert images.dtype == np.float32 and images.shape[1] == spec.channels
        assert 0 <= images.min() < 0.5 < images.max() <= 1
        assert not any(side % spec.multiple for side in images.shape[2:])
        side = min(COPIED, *(side // 3 for side in images.shape[2:]))
        there = images[0, :3, -side - 1 : -1, -side - 1 : -1]
        np.testing.assert_array_equal(there, images[0, :3, 1 : side + 1, 1 : side + 1])
    assert not np.array_equal(second[0], second[1])


def test_a_network_of_one_size_gets_that_size() -> None:
    spec = replace(Spec(), size=(64, 96))
    assert [images.shape for images in drawn(spec)] == [(1, 3, 64, 96), (2, 3, 64, 96)]
