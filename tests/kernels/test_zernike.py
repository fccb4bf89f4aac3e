from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.zernike import FULL, LANES, PAIRS, Moments, basis, describe, invariants, radial
from tests.kernels.threads import threads

few = settings(max_examples=60, deadline=None)


def plain_moments(
    image: NDArray[np.float32], radius: int, stride: int, lift: float
) -> NDArray[np.complex128]:
    """Complex (h, w, len(PAIRS)), disc by disc."""
    real, imaginary = basis(radius, lift)
    side = 2 * radius + 1
    rows = range(0, image.shape[0] - side + 1, stride)
    columns = range(0, image.shape[1] - side + 1, stride)
    out = np.zeros((len(rows), len(columns), len(PAIRS)), np.complex128)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            disc = image[y : y + side, x : x + side].astype(np.float64)
            out[i, j] = (real * disc).sum(axis=(1, 2)) + 1j * (imaginary * disc).sum(axis=(1, 2))
    return out


def complex_codes(moments: Moments) -> NDArray[np.complex128]:
    codes = moments.codes.astype(np.float64)
    return np.asarray(codes[..., : len(PAIRS)] + 1j * codes[..., LANES : LANES + len(PAIRS)])


def drawn(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, shape).astype(np.float32)


def test_radial_polynomials_are_zernikes() -> None:
    rho = np.linspace(0, 1, 11)
    np.testing.assert_allclose(radial(2, 0, rho), 2 * rho**2 - 1, atol=1e-12)
    np.testing.assert_allclose(radial(3, 1, rho), 3 * rho**3 - 2 * rho, atol=1e-12)
    np.testing.assert_allclose(radial(4, 2, rho), 4 * rho**4 - 3 * rho**2, atol=1e-12)
    np.testing.assert_allclose(
        radial(6, 0, rho), 20 * rho**6 - 30 * rho**4 + 12 * rho**2 - 1, atol=1e-12
    )
    np.testing.assert_allclose(radial(6, 6, rho), rho**6, atol=1e-12)


def test_every_moment_to_order_6_is_there_once() -> None:
    expected = {(n, m) for n in range(1, 7) for m in range(n + 1) if (n - m) % 2 == 0}
    assert set(PAIRS) == expected
    assert len(PAIRS) == len(expected) < LANES


@pytest.mark.parametrize("radius", [4, 8, 20])
def test_filters_are_nearly_orthogonal_and_blind_to_brightness(radius: int) -> None:
    filters = basis(radius)
    assert np.abs(filters.sum(axis=(2, 3))).max() < 1e-12
    flat = (filters[0] + 1j * filters[1]).reshape(len(PAIRS), -1)
    products = np.abs(flat @ flat.conj().T)
    norms = np.diag(products).copy()
    np.testing.assert_allclose(norms, norms[0])
    np.fill_diagonal(products, 0)
    assert products.max() < 0.35 * norms[0] * 8 / (radius + 4)


@few
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_sums_over_each_disc(
    height: int, width: int, radius: int, stride: int, lift: float, seed: int
) -> None:
    image = drawn((height, width), seed)
    found = describe(image, radius=radius, stride=stride, lift=lift)
    expected = plain_moments(image, radius, stride, lift)
    if expected.size == 0:
        assert found.codes.shape == (0, 0, 2 * LANES)
        return
    energy = (np.abs(expected) ** 2).sum(axis=-1)
    assert found.energy.shape == energy.shape
    np.testing.assert_allclose(found.energy, energy, rtol=1e-3, atol=1e-2)
    some = energy > 1.0
    scaled = expected[some] * (FULL / np.sqrt(energy[some]))[:, None]
    off = complex_codes(found)[some] - scaled
    assert np.abs(off.real).max(initial=0) < 0.6
    assert np.abs(off.imag).max(initial=0) < 0.6
    assert not found.codes[..., len(PAIRS) : LANES].any()
    assert not found.codes[..., LANES + len(PAIRS) :].any()


def test_a_turned_image_has_turned_moments() -> None:
    image = drawn((31, 31), 1)
    m = np.array([m for _, m in PAIRS])
    straight = complex_codes(describe(image, radius=6))
    # rot90 turns from x towards -y: by -90 degrees where y points down.
    turned = complex_codes(describe(np.rot90(image).copy(), radius=6))
    expected = np.rot90(straight) * np.exp(1j * m * np.pi / 2)
    np.testing.assert_allclose(turned, expected, atol=1.01)
    over = complex_codes(describe(image[::-1].copy(), radius=6))
    np.testing.assert_allclose(over, straight[::-1].conj(), atol=1.01)


def test_invariants_are_magnitudes_and_the_energy() -> None:
    moments = describe(drawn((24, 25), 6), radius=6)
    points = np.array([0, 17, 100, moments.energy.size - 1])
    found = invariants(moments, points)
    assert found.dtype == np.uint8
    assert found.shape == (4, LANES)
    codes = complex_codes(moments).reshape(-1, len(PAIRS))[points]
    signed = np.array([m == 0 for _, m in PAIRS])
    expected = np.where(signed, codes.real + 128, np.rint(np.abs(codes)))
    np.testing.assert_array_equal(found[:, :-1], expected)
    level = 64 + 8 * np.log2(moments.energy.ravel()[points])
    assert np.abs(found[:, -1] - level).max() < 1.1


def test_invariants_stay_under_turns_and_reflection() -> None:
    image = drawn((13, 13), 7)  # one disc
    one = np.array([0])
    plain = invariants(describe(image, radius=6), one).astype(int)
    for other in (np.rot90(image), np.rot90(image, 2), image[::-1], image.T):
        changed = invariants(describe(np.ascontiguousarray(other), radius=6), one)
        assert np.abs(plain - changed).max() <= 1


def test_a_coarse_grid_is_every_so_manieth_point_of_the_fine_one() -> None:
    image = drawn((40, 53), 2)
    fine, coarse = describe(image, radius=5), describe(image, radius=5, stride=3)
    np.testing.assert_array_equal(coarse.codes, fine.codes[::3, ::3])
    np.testing.assert_array_equal(coarse.energy, fine.energy[::3, ::3])


def test_brightness_and_contrast_change_no_code() -> None:
    image = drawn((30, 30), 3)
    plain, changed = describe(image, radius=5), describe(0.5 * image + 40, radius=5)
    assert np.abs(plain.codes.astype(int) - changed.codes).max() <= 1
    np.testing.assert_allclose(changed.energy, 0.25 * plain.energy, rtol=1e-3)


def test_energy_is_in_grey_levels() -> None:
    noise = np.random.default_rng(4).normal(0, 10, (120, 120)).astype(np.float32)
    # White noise: every one of the 15 filters sees its variance over the disc's pixels.
    pixels = np.count_nonzero(basis(8)[0, 0])
    expected = 100 * len(PAIRS) / pixels
    assert describe(noise, radius=8).energy.mean() == pytest.approx(expected, rel=0.1)


def test_a_constant_image_has_no_code() -> None:
    found = describe(np.full((30, 30), 200, np.float32), radius=8, stride=2)
    assert found.codes.shape == (7, 7, 2 * LANES)
    assert not found.codes.any()
    assert found.energy.max() < 1e-6


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Got: uint8 \(9, 9\)"):
        describe(np.zeros((9, 9), np.uint8), radius=2)
    with pytest.raises(ValueError, match=r"Got: float32 \(9, 9, 3\)"):
        describe(np.zeros((9, 9, 3), np.float32), radius=2)
    with pytest.raises(ValueError, match="Got: 0 and 1"):
        describe(np.zeros((9, 9), np.float32), radius=0)
    with pytest.raises(ValueError, match="Got: 2 and 0"):
        describe(np.zeros((9, 9), np.float32), radius=2, stride=0)


def test_threads_do_not_change_the_result() -> None:
    image = drawn((90, 70), 5)
    with threads(1):
        alone = describe(image, radius=8, stride=2)
    with threads(2):
        together = describe(image, radius=8, stride=2)
    np.testing.assert_array_equal(alone.codes, together.codes)
    np.testing.assert_array_equal(alone.energy, together.energy)
