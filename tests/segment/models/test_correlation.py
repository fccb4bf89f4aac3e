"""Moments against turned patches, and the search against planted copies and a plain search."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from forgecli.segment.models import correlation
from forgecli.segment.models.correlation import EVIDENCE, CopySearch, _Field
from forgecli.segment.models.harmonics import RADIUS, CircularHarmonics, harmonic_filters

HARMONICS = CircularHarmonics()
ORDERS = harmonic_filters()[1]
SEEDS = st.integers(0, 2**16)
FIT = 2
AGREEMENT = 4


def texture(seed: int, height: int, width: int) -> Tensor:
    """Noise (1, 1, H, W) that is smooth over three pixels, as pictures are."""
    noise = torch.rand(1, 1, height + 2, width + 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 3, 1)


def moments(patch: Tensor) -> Tensor:
    """The row of moments (2 J) of one patch (k, k)."""
    raw = torch.nn.functional.conv2d(patch[None, None], HARMONICS.filters)[0, :, 0, 0]
    return cast(Tensor, raw / raw.norm())


def moved(row: Tensor, turn: float, mirrored: bool) -> Tensor:
    """By the definition: orders turn by their multiple of the angle, mirroring conjugates."""
    real, imaginary = row[: len(ORDERS)], row[len(ORDERS) :]
    value = torch.complex(real, -imaginary if mirrored else imaginary)
    value = value * torch.exp(-1j * torch.tensor(ORDERS) * turn)
    return torch.cat([value.real, value.imag])


@given(SEEDS, st.integers(0, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_turned_patches_have_turned_moments(seed: int, quarters: int, mirrored: bool) -> None:
    patch = texture(seed, 2 * RADIUS + 1, 2 * RADIUS + 1)[0, 0]
    shown = torch.rot90(patch.flip(0) if mirrored else patch, -quarters)  # rows go down: clockwise
    expected = moved(moments(patch), quarters * math.pi / 2, mirrored)
    torch.testing.assert_close(moments(shown), expected, rtol=1e-4, atol=1e-4)


@given(SEEDS, st.floats(-7, 7), st.booleans())
@settings(max_examples=30, deadline=None)
def test_invariants_do_not_turn(seed: int, turn: float, mirrored: bool) -> None:
    row = moments(texture(seed, 2 * RADIUS + 1, 2 * RADIUS + 1)[0, 0])
    other = moved(row, turn, mirrored)
    torch.testing.assert_close(HARMONICS.invariants(other), HARMONICS.invariants(row),
                               rtol=1e-3, atol=2e-3)  # fmt: skip


@given(SEEDS, st.integers(0, 23), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_best_angle_is_the_one_it_was_turned_by(seed: int, at: int, mirrored: bool) -> None:
    row = moments(texture(seed, 2 * RADIUS + 1, 2 * RADIUS + 1)[0, 0])
    other = moved(row, float(HARMONICS.angles[at]), mirrored)
    score, angle, flipped = HARMONICS.best(row, other)
    assert score == pytest.approx(1, abs=1e-4)
    assert (int(angle), bool(flipped)) == (at, mirrored)
    again = HARMONICS.compare(row, other, angle, flipped)
    assert float(again) == pytest.approx(float(score), abs=1e-5)
    assert HARMONICS.compare(row, other, angle, ~flipped) < score


def test_brightness_and_contrast_do_not_matter() -> None:
    grey = texture(1, 64, 64)
    rows, contrast = HARMONICS(grey)
    other, weaker = HARMONICS(0.2 + 0.5 * grey)
    assert torch.cosine_similarity(rows, other, -1).min() > 0.9999
    torch.testing.assert_close(weaker, contrast * 0.5, rtol=1e-3, atol=1e-4)


def test_a_flat_image_resembles_nothing() -> None:
    rows, contrast = HARMONICS(torch.full((1, 1, 32, 32), 0.7))
    assert contrast.max() < 1e-3
    assert HARMONICS.best(rows, rows)[0].max() < 0.1


def test_moments_stay_in_single_precision() -> None:
    half = CircularHarmonics().half()
    assert {value.dtype for value in half.buffers()} == {torch.float32, torch.int64}
    assert half(texture(0, 32, 32).half())[0].dtype == torch.float32


def planted(seed: int, turned: int, mirrored: bool) -> tuple[Tensor, Tensor]:
    """An image with a copy, and the place that each of the inner places of the source matches."""
    grey = texture(seed, 128, 128)
    patch = grey[0, 0, 12:60, 8:56]
    shown = torch.rot90(patch.flip(0) if mirrored else patch, -turned)
    top, left = 71, 66
    grey[0, 0, top : top + 48, left : left + 48] = shown
    indices = torch.arange(48 * 48).view(48, 48)
    went = torch.rot90(indices.flip(0) if mirrored else indices, -turned).flatten().argsort()
    truth = torch.full((32, 32, 2), -1)
    for row in range(6, 12):
        for column in range(5, 11):
            pixel = went[(4 * row + 2 - 12) * 48 + 4 * column + 2 - 8]
            truth[row, column] = torch.tensor([(pixel // 48 + top) // 4, (pixel % 48 + left) // 4])
    return grey, truth


@pytest.mark.parametrize("turned", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_it_finds_a_copy(turned: int, mirrored: bool) -> None:
    grey, truth = planted(3, turned, mirrored)
    with torch.inference_mode():
        found = CopySearch()(grey)
    place = torch.stack([found.place // 32, found.place % 32], -1).view(32, 32, 2)
    asked = truth[..., 0] >= 0
    right = ((place - truth).abs().amax(-1) <= 1)[asked]
    assert right.float().mean() > 0.9
    inside, outside = found.evidence[0][:, asked], found.evidence[0][:, :5].flatten(1)
    assert inside[AGREEMENT].mean() > 0.8 > 0.5 > outside[AGREEMENT].mean()
    assert inside[FIT].mean() > outside[FIT].mean() + 0.15
    assert (inside[9] > 0.5).float().mean() == pytest.approx(float(mirrored), abs=0.1)


def test_a_copy_at_an_odd_angle() -> None:
    grey = texture(5, 160, 160)
    turn = math.radians(40)
    affine = torch.tensor([[math.cos(turn), math.sin(turn), -0.5],
                           [-math.sin(turn), math.cos(turn), -0.5]])  # fmt: skip
    grid = torch.nn.functional.affine_grid(affine[None], [1, 1, 160, 160], align_corners=False)
    shown = torch.nn.functional.grid_sample(grey, grid, align_corners=False)
    down, right = torch.meshgrid(torch.arange(160), torch.arange(160), indexing="ij")
    disc = (down - 116).square() + (right - 116).square() < 28**2
    grey[0, 0][disc] = shown[0, 0][disc]
    with torch.inference_mode():
        evidence = CopySearch()(grey).evidence[0]
    inner = ((down - 116).square() + (right - 116).square() < 16**2)[2::4, 2::4]
    assert evidence[FIT][inner].mean() > evidence[FIT].mean() + 0.15
    assert evidence[AGREEMENT][inner].mean() > 0.5 > evidence[AGREEMENT].mean()


@given(SEEDS, st.sampled_from([(64, 64), (64, 96), (96, 32)]))
@settings(max_examples=6, deadline=None)
def test_candidates_are_those_of_a_plain_search(seed: int, size: tuple[int, int]) -> None:
    rows, contrast = HARMONICS(texture(seed, *size))
    field = _Field(HARMONICS, rows, contrast, 16)
    seeds = HARMONICS.invariants(field._seeds(field.here))
    keys = HARMONICS.invariants(rows[:, ::2, ::2].flatten(1, 2))
    found = field._candidates(seeds, keys)[0, :, 0]
    cells = seeds[0] @ keys[0].T  # (S, K)
    wide = size[1] // 2
    spots = torch.stack([torch.arange(size[0] // 2 * wide) // wide * 2,
                         torch.arange(size[0] // 2 * wide) % wide * 2], -1)  # fmt: skip
    near = ((field._seeds(field.spot[None])[0][:, None] - spots).abs() < 16).all(-1)
    expected = cells.masked_fill(near, -2).max(1).values
    torch.testing.assert_close(cells.gather(1, found[:, None])[:, 0], expected)


def test_chunks_and_batches_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.cat([texture(1, 64, 96), planted(2, 0, False)[0][:, :, :64, :96]])
    search = CopySearch()
    with torch.inference_mode():
        whole = search(pictures)
        monkeypatch.setattr(correlation, "CELLS", 1)
        chunks = search(pictures)
        alone = search(pictures[1:])
    assert bool((whole.place == chunks.place).all())
    assert bool((whole.place[1:] == alone.place).all())
    torch.testing.assert_close(whole.evidence, chunks.evidence)


@pytest.mark.parametrize("size", [(32, 32), (32, 160), (64, 64)])
def test_matches_are_apart(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        found = CopySearch(apart=24)(texture(7, *size))
    tall, wide = size[0] // 4, size[1] // 4
    own = torch.arange(tall * wide)
    rows = (found.place[0] // wide - own // wide).abs()
    columns = (found.place[0] % wide - own % wide).abs()
    score = found.evidence[0, 0].flatten()
    assert bool(((torch.maximum(rows, columns) >= 5) | (score == 0)).all())
    assert found.evidence.shape == (1, EVIDENCE, tall, wide)
    assert bool(found.evidence.isfinite().all())


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes of any one tensor that an operation gives."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        given = func(*args, **(kwargs or {}))
        for value in given if isinstance(given, tuple | list) else (given,):
            if isinstance(value, Tensor) and value.is_contiguous():
                self.bytes = max(self.bytes, value.numel() * value.element_size())
        return given


def test_memory_is_bounded() -> None:
    with torch.inference_mode(), _Largest() as largest:  # type: ignore[no-untyped-call]
        CopySearch()(texture(0, 320, 320))  # 1600 seeds x 6400 places: 41 MB at once
        small = largest.bytes
    assert small <= 4 * correlation.CELLS


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_has_finite_evidence(value: float) -> None:
    found = CopySearch()(torch.full((1, 1, 64, 64), value))
    assert bool(found.evidence.isfinite().all())
    assert found.evidence[0, :5].max() < 1.01


def test_autocast_does_not_reach_the_search() -> None:
    grey = texture(4, 64, 64)
    search = CopySearch()
    with torch.inference_mode():
        expected = search(grey)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = search(grey)
    assert bool((found.place == expected.place).all())
    torch.testing.assert_close(found.evidence, expected.evidence)
