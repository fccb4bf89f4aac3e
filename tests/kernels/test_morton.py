from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.morton import curve_orders

few = settings(max_examples=40, deadline=None)


def orders(features: NDArray[np.uint8], count: int, seed: int) -> list[NDArray[np.int64]]:
    return list(curve_orders(features, count, np.random.default_rng(seed)))


def plain_key(cells: NDArray[np.int64]) -> str:
    """Digits of the highest order of all cells, then of the next."""
    digits = [f"{cell:05b}" for cell in cells]
    return "".join(digit[bit] for bit in range(5) for digit in digits)


@few
@given(st.integers(1, 80), st.integers(1, 20), st.integers(2, 256), st.integers(0, 2**32 - 1))
def test_agrees_with_a_sort_of_interleaved_digits(n: int, k: int, levels: int, seed: int) -> None:
    features = np.random.default_rng(seed).integers(0, levels, (n, k)).astype(np.uint8)
    (found,) = orders(features, 1, seed)
    random = np.random.default_rng(seed)
    projection = random.normal(size=(k, 6)).astype(np.float32)
    start = random.uniform(-0.5, 0.5, 6)
    centred = features.astype(np.float32)
    along = (centred - centred.mean(axis=0)) @ projection
    spread = np.maximum(along.std(axis=0), 1e-3)
    cells = (along * (32 / 5.0 / spread) + (16 + start)).astype(np.float32)
    keys = [plain_key(row) for row in np.clip(cells, 0, 31).astype(int)]
    assert found.tolist() == sorted(range(n), key=lambda i: (keys[i], i))


def test_no_points_and_equal_points_keep_their_order() -> None:
    assert [order.size for order in orders(np.empty((0, 4), np.uint8), 2, 0)] == [0, 0]
    (order,) = orders(np.full((50, 4), 7, np.uint8), 1, 0)
    np.testing.assert_array_equal(order, np.arange(50))


def test_near_points_come_near_in_one_order_or_another() -> None:
    random = np.random.default_rng(1)
    features = random.integers(10, 246, (4000, 16))
    twins = np.clip(features[:200] + random.integers(-2, 3, (200, 16)), 0, 255)
    all_of_them = np.concatenate((features, twins)).astype(np.uint8)
    best = np.full(200, 10_000)
    for order in orders(all_of_them, 4, 2):
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        best = np.minimum(best, np.abs(place[:200] - place[4000:]))
    # By chance a pair would come within ten places in four orders in 2 % of cases.
    assert (best <= 10).mean() > 0.8


def test_orders_differ_and_are_the_same_each_time() -> None:
    features = np.random.default_rng(3).integers(0, 256, (300, 16)).astype(np.uint8)
    first, second = orders(features, 2, 5), orders(features, 2, 5)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0] != first[1]).any()
