"""The order of an epoch: balanced, the same for the same seed, cut into disjoint slices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgecli.detection import Case, Label
from forgecli.train.data import SamplingSettings
from forgecli.train.facts import Facts
from forgecli.train.index import Item
from forgecli.train.sampling import EpochSampler, epoch_order, weights_of


def item(number: int, coverage: float) -> Item:
    label = Label.FORGED if coverage else Label.AUTHENTIC
    case = Case(str(number), Path(f"{number}.png"), None, label)
    return Item(case, Facts(10, 10, "grey", 1 if coverage else 0, coverage), str(number))


def items(authentic: int, large: int, small: int) -> list[Item]:
    kinds = [0.0] * authentic + [3.0] * large + [0.1] * small
    return [item(number, coverage) for number, coverage in enumerate(kinds)]


def test_classes_get_their_shares_and_small_ones_more() -> None:
    weights = weights_of(items(60, 20, 10), SamplingSettings(forged_share=0.4, small_weight=3))
    assert weights.sum() == pytest.approx(1)
    assert weights[:60].sum() == pytest.approx(0.6)
    assert weights[80] == pytest.approx(3 * weights[60])


@pytest.mark.parametrize(("authentic", "large"), [(5, 0), (0, 5)])
def test_one_class_alone_is_all_there_is(authentic: int, large: int) -> None:
    weights = weights_of(items(authentic, large, 0), SamplingSettings())
    assert weights == pytest.approx(np.full(5, 0.2))


@settings(max_examples=60)
@given(
    st.lists(st.floats(0.01, 5), min_size=1, max_size=40),
    st.integers(1, 200),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_every_image_is_drawn_as_often_as_expected(values, length, seed, epoch) -> None:  # type: ignore[no-untyped-def]
    weights = np.array(values) / sum(values)
    order = epoch_order(weights, length, seed=seed, epoch=epoch)
    assert len(order) == length
    expected = weights * length
    drawn = np.bincount(order, minlength=len(weights))
    assert (drawn >= np.floor(expected - 1e-6)).all()
    assert (drawn <= np.ceil(expected + 1e-6)).all()


def test_the_order_depends_on_seed_and_epoch() -> None:
    weights = np.full(30, 1 / 30)
    first = epoch_order(weights, 30, seed=1, epoch=1)
    assert (first == epoch_order(weights, 30, seed=1, epoch=1)).all()
    assert (first != epoch_order(weights, 30, seed=1, epoch=2)).any()
    assert (first != epoch_order(weights, 30, seed=2, epoch=1)).any()
    assert sorted(first) == list(range(30))


@settings(max_examples=60)
@given(st.integers(1, 50), st.integers(1, 7), st.integers(1, 4), st.integers(0, 9))
def test_ranks_share_the_batches_of_one_process(count, batch, world, epoch) -> None:  # type: ignore[no-untyped-def]
    every = items(count, count, 0)
    settings = SamplingSettings()
    one = EpochSampler(every, settings, batch=batch * world, seed=4).batches(epoch)
    ranks = [
        EpochSampler(every, settings, batch=batch, seed=4, rank=rank, world=world)
        for rank in range(world)
    ]
    split = [rank.batches(epoch) for rank in ranks]
    assert {len(rank) for rank in ranks} == {len(one)} == {len(batches) for batches in split}
    for number, whole in enumerate(one):
        parts = [split[rank][number] for rank in range(world)]
        assert all(len(part) == batch for part in parts)
        assert sorted(key for part in parts for key in part) == sorted(whole)


def test_an_epoch_goes_on_where_it_stopped() -> None:
    sampler = EpochSampler(items(20, 20, 0), SamplingSettings(), batch=4, seed=0)
    assert sampler.batches(3, start=6) == sampler.batches(3)[6:]
    assert sampler.batches(3, start=10) == []


def test_an_epoch_of_asked_length() -> None:
    settings = SamplingSettings(epoch_samples=10)
    sampler = EpochSampler(items(100, 100, 0), settings, batch=4, seed=0)
    batches = sampler.batches(0)
    assert [len(batch) for batch in batches] == [4, 4, 4]
    drawn = Counter(index >= 100 for batch in batches for _, _, index in batch)
    assert drawn == {True: 6, False: 6}
