"""The losses against NumPy, written from the formulas of the papers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forgecli.errors import UsageError
from forgecli.train.losses import LOSSES, build_loss

Array = NDArray[np.float64]
NAMES = tuple(LOSSES)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def bce(x: Array, y: Array) -> float:
    p = sigmoid(x)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def focal(x: Array, y: Array, gamma: float, balance: float | None) -> float:
    p = sigmoid(x)
    pt = np.where(y == 1, p, 1 - p)
    weight = 1.0 if balance is None else np.where(y == 1, balance, 1 - balance)
    return float((-weight * (1 - pt) ** gamma * np.log(pt)).mean())


def per_image(x: Array, y: Array, of_one: Callable[[Array, Array], float]) -> float:
    return float(np.mean([of_one(a.ravel(), b.ravel()) for a, b in zip(x, y, strict=True)]))


def tversky(x: Array, y: Array, alpha: float, beta: float, smooth: float) -> float:
    p = sigmoid(x)
    tp, fp, fn = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
    return float(1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth))


def dice(x: Array, y: Array, smooth: float) -> float:
    p = sigmoid(x)
    return float(1 - (2 * (p * y).sum() + smooth) / (p.sum() + y.sum() + smooth))


def jaccard(truth: Array, wrong: frozenset[int]) -> float:
    """1 - IoU of a mask whose wrong pixels are these (Berman et al., equation 6)."""
    if not wrong:
        return 0.0
    positive = {i for i, value in enumerate(truth) if value == 1}
    return len(wrong) / len(positive | wrong)


def lovasz(x: Array, y: Array) -> float:
    """The convex closure by its definition: the largest of the linear functions below the set
    function at all its corners is found by sorting (Lovasz, 1983); here as the sum over levels."""
    errors = np.maximum(1 - x * (2 * y - 1), 0)
    total, above = 0.0, sorted({0.0, *errors.tolist()})
    for low, high in pairwise(above):
        total += (high - low) * jaccard(y, frozenset(np.flatnonzero(errors >= high).tolist()))
    return total


def pair(seed: int, shape: tuple[int, ...] = (2, 1, 5, 4)) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    return generator.normal(0, 3, shape), (generator.random(shape) < 0.3).astype(np.float64)


def of(name: str, logits: Array, masks: Array, **numbers: float | None) -> float:
    loss = build_loss({name: 1.0}, **numbers)  # type: ignore[arg-type]
    return float(loss(torch.from_numpy(logits), torch.from_numpy(masks)))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0.01, 2), st.floats(0.01, 2), st.floats(0, 4), st.floats(0.01, 3))
def test_against_the_formulas(
    seed: int, alpha: float, beta: float, gamma: float, smooth: float
) -> None:
    x, y = pair(seed)
    assert of("bce", x, y) == pytest.approx(bce(x, y))
    assert of("focal", x, y, gamma=gamma, balance=0.3) == pytest.approx(focal(x, y, gamma, 0.3))
    assert of("focal", x, y, gamma=gamma, balance=None) == pytest.approx(focal(x, y, gamma, None))
    numbers = {"alpha": alpha, "beta": beta, "smooth": smooth}
    assert of("tversky", x, y, **numbers) == pytest.approx(
        per_image(x, y, lambda a, b: tversky(a, b, alpha, beta, smooth))
    )
    assert of("focal-tversky", x, y, tversky_gamma=4 / 3, **numbers) == pytest.approx(
        per_image(x, y, lambda a, b: tversky(a, b, alpha, beta, smooth) ** 0.75)
    )
    assert of("dice", x, y, smooth=smooth) == pytest.approx(
        per_image(x, y, lambda a, b: dice(a, b, 2 * smooth))
    )


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 7))
def test_lovasz_against_its_definition(seed: int, pixels: int) -> None:
    x, y = pair(seed, (3, 1, 1, pixels))
    assert of("lovasz", x, y) == pytest.approx(per_image(x, y, lovasz))


@pytest.mark.parametrize("seed", range(4))
def test_lovasz_is_one_minus_iou_where_errors_are_0_or_1(seed: int) -> None:
    """At the corners of the cube the extension is the set function itself."""
    _, truth = pair(seed, (5,))
    truth[0] = 1
    for count in range(6):
        for wrong in combinations(range(5), count):
            signs = 2 * truth - 1
            logits = signs.copy()  # hinge error 0
            logits[list(wrong)] = 0  # hinge error 1
            found = of("lovasz", logits.reshape(1, 1, 1, 5), truth.reshape(1, 1, 1, 5))
            predicted = np.where(np.isin(np.arange(5), wrong), 1 - truth, truth)
            both, any_ = (predicted * truth).sum(), np.maximum(predicted, truth).sum()
            assert found == pytest.approx(1 - both / any_)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("truth", ["empty", "full", "some"])
@pytest.mark.parametrize("name", NAMES)
def test_extremes_are_finite(name: str, truth: str, dtype: torch.dtype) -> None:
    masks = torch.zeros(2, 1, 8, 8)
    masks[:, :, : {"empty": 0, "full": 8, "some": 3}[truth]] = 1
    loss = build_loss({name: 1.0})
    for value in (0.0, 1.0, -1.0, 88.0, -88.0, 1e4, -1e4):
        for sign in (torch.ones_like(masks), 2 * masks - 1):
            logits = (value * sign).to(dtype).requires_grad_()
            found = loss(logits, masks)
            assert found.dtype == torch.float32 and found.ndim == 0 and found.isfinite()
            assert found >= 0
            found.backward()
            assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [0, 3, 8], ids=["empty", "some", "full"])
def test_right_is_0_and_wrong_is_not(name: str, rows: int) -> None:
    masks = torch.zeros(1, 1, 8, 8)
    masks[:, :, :rows] = 1
    loss = build_loss({name: 1.0})
    right = loss(30 * (2 * masks - 1), masks)
    wrong = loss(-30 * (2 * masks - 1), masks)
    assert right < 1e-4 and wrong > 0.9
    assert loss(10 * (2 * masks - 1), masks) < loss(torch.zeros_like(masks), masks) < wrong + 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [0, 2, 4], ids=["empty", "some", "full"])
def test_gradients(name: str, rows: int) -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 1, 4, 3, dtype=torch.float64, requires_grad=True)
    masks = torch.zeros(2, 1, 4, 3)
    masks[:, :, :rows] = 1
    loss = build_loss({name: 1.0})
    assert torch.autograd.gradcheck(lambda given: loss(given, masks), (logits,))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_down_the_gradient_lowers_it(name: str) -> None:
    torch.manual_seed(2)
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    masks = (torch.rand(2, 1, 8, 8) < 0.3).float()
    loss = build_loss({name: 1.0})
    before = loss(logits, masks)
    before.backward()
    assert logits.grad is not None
    assert loss((logits - 0.1 * logits.grad).detach(), masks) < before


@pytest.mark.parametrize("name", NAMES)
def test_halves_of_a_batch_average_to_the_whole(name: str) -> None:
    logits, masks = (torch.from_numpy(part) for part in pair(7, (4, 1, 6, 6)))
    masks[0] = 0
    loss = build_loss({name: 1.0})
    halves = [loss(logits[half], masks[half]) for half in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(loss(logits, masks), (halves[0] + halves[1]) / 2)


def test_autocast_changes_nothing() -> None:
    logits, masks = (torch.from_numpy(part).float() for part in pair(3))
    loss = build_loss(dict.fromkeys(NAMES, 1.0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(logits, masks)
    assert torch.equal(inside, loss(logits, masks))


def test_weights_add_up() -> None:
    logits, masks = (torch.from_numpy(part) for part in pair(4))
    both = build_loss({"bce": 0.5, "dice": 2.0, "lovasz": 0.0})(logits, masks)
    apart = [build_loss({name: 1.0})(logits, masks) for name in ("bce", "dice")]
    torch.testing.assert_close(both, 0.5 * apart[0] + 2 * apart[1])


def test_tversky_with_halves_is_dice_and_beta_punishes_misses() -> None:
    logits, masks = (torch.from_numpy(part) for part in pair(5))
    halves = build_loss({"tversky": 1.0}, alpha=0.5, beta=0.5)(logits, masks)
    torch.testing.assert_close(halves, build_loss({"dice": 1.0})(logits, masks))
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4] = 1
    strict = build_loss({"tversky": 1.0}, alpha=0.1, beta=0.9)
    missed, overdrawn = torch.full_like(masks, -9.0), torch.full_like(masks, 9.0)
    assert strict(missed, masks) > strict(overdrawn, masks)


@pytest.mark.parametrize(
    ("weights", "numbers", "said"),
    [
        ({"bec": 1.0}, {}, "did you mean bce"),
        ({"bce": -1.0}, {}, "0 or more"),
        ({"bce": float("nan")}, {}, "0 or more"),
        ({}, {}, "no loss to minimise"),
        ({"bce": 0.0}, {}, "no loss to minimise"),
        ({"tversky": 1.0}, {"alpha": 0.0, "beta": 0.0}, "alpha and beta"),
        ({"focal": 1.0}, {"gamma": -1.0}, "gamma"),
        ({"focal": 1.0}, {"balance": 1.0}, "balance"),
        ({"dice": 1.0}, {"smooth": 0.0}, "smooth"),
    ],
)
def test_what_cannot_be_is_refused(
    weights: dict[str, float], numbers: dict[str, float], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        build_loss(weights, **numbers)
