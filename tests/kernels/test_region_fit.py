from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from kernels.region_fit import fit_affine, normal_equations
from kernels.region_pixels import gather
from tests.kernels.local_matches import Image, linear, sample, texture

few = settings(max_examples=60, deadline=None)
Doubles = NDArray[np.float64]


def plain(
    image: Image, places: Doubles, template: Doubles, derivatives: Doubles, affine: Doubles,
    weight: Doubles,
) -> tuple[Doubles, Doubles, Doubles] | None:  # fmt: skip
    """New weights, Gram matrix and right-hand side, as the textbook writes them."""
    height, width = image.shape
    x, y = affine @ np.vstack((places, np.ones(template.size)))
    known = (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    w, p, q = weight[known], template[known], sample(image, x[known], y[known])
    if w.sum() < 24:
        return None
    p, q = p - np.average(p, weights=w), q - np.average(q, weights=w)
    energy = (w * p * p).sum()
    gain = (w * p * q).sum() / energy if energy > 1e-6 * w.sum() else 0.0
    if gain < 0.1:
        return None
    error = q / gain - p
    reach = 4.685 * max(1.4826 * np.median(np.abs(error)), 0.1)
    new = np.zeros(template.size)
    new[known] = np.where(np.abs(error) < reach, (1 - (error / reach) ** 2) ** 2, 0.0)
    if new.sum() < 0.3 * template.size:
        return None
    centred = derivatives - np.average(derivatives, axis=1, weights=new)[:, None]
    gram = (centred * new) @ centred.T
    return new, gram, (centred * new)[:, known] @ error


@few
@given(
    st.integers(0, 400),
    st.sampled_from([-1.0, 0.05, 0.5, 1.0]),
    st.sampled_from([0.0, 0.1, 0.6]),
    st.floats(-20, 20),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_textbook(
    count: int, gain: float, spoilt: float, out: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    image = texture((40, 50), seed % 1000, sigma=2.0)
    places = random.uniform(5, 30, (2, count))
    affine = np.column_stack((linear(random.uniform(-5, 5), 1.1, False), (out, out / 2)))
    x, y = affine @ np.vstack((places, np.ones(count)))
    template = (sample(image, x, y) + random.normal(0, 1, count)) * gain + 4
    wrong = random.random(count) < spoilt
    template[wrong] += random.normal(0, 80, int(wrong.sum()))
    derivatives = random.normal(size=(6, count))
    weight = random.random(count)
    expected = plain(image, places, template, derivatives, affine, weight)
    found = normal_equations(image, places, template, derivatives, affine, weight)
    if expected is None:
        assert found is None
        return
    assert found is not None
    for one, two in zip((weight, *found), expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4, rtol=1e-4)


def test_of_many_pixels_a_part_tells_how_much_they_differ() -> None:
    random = np.random.default_rng(5)
    count = 7_900
    image = texture((100, 120), seed=3, sigma=2.0)
    places = random.uniform(5, 80, (2, count))
    affine = np.array([[1.0, 0.0, 4.5], [0.0, 1.0, 4.5]])
    template = sample(image, *(places + 4.5)) + random.normal(0, 2, count)
    derivatives = random.normal(size=(6, count))
    weight = np.ones(count)
    expected = plain(image, places, template, derivatives, affine, weight)
    found = normal_equations(image, places, template, derivatives, affine, weight)
    assert expected is not None
    assert found is not None
    # The scale is that of an eighth of the pixels: near that of all, and not the same.
    assert 0 < np.abs(weight - expected[0]).max() < 0.05
    np.testing.assert_allclose(found[0], expected[1], rtol=0.02, atol=0.01 * count)


def plainly_gathered(
    image: Image, corner: tuple[int, int], inside: NDArray[np.bool_], affine: Doubles, most: int
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Pixels (x, y), template, gradients and the pixels' places, as SciPy has them."""
    height, width = image.shape
    rows, columns = np.nonzero(inside)
    x, y = columns + float(corner[0]), rows + float(corner[1])
    there = affine[:, :2] @ (x, y) + affine[:, 2:]
    known = (there >= -0.5).all(axis=0)
    known &= (there[0] <= width - 0.5) & (there[1] <= height - 0.5)
    x, y = x[known], y[known]
    every = max(1, -(-x.size // most))
    x, y = x[::every], y[::every]
    ix, iy = x.astype(int), y.astype(int)
    whole = image.astype(float)
    gradients = [ndimage.sobel(whole, axis=axis, mode="mirror")[iy, ix] / 8 for axis in (1, 0)]
    return np.stack((x, y)), whole[iy, ix], np.stack(gradients), there


@few
@given(
    st.integers(2, 30), st.integers(2, 30), st.floats(0, 1), st.sampled_from([1, 7, 1000]),
    st.floats(-20, 20), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_region_is_gathered(
    height: int, width: int, share: float, most: int, out: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    image = texture((height, width), seed % 1000)
    left, right = np.sort(random.integers(0, width + 1, 2))
    top, bottom = np.sort(random.integers(0, height + 1, 2))
    inside = random.random((bottom - top, right - left)) < share
    affine = np.column_stack((linear(random.uniform(-30, 30), 1.0, False), (out, out / 3)))
    corner = int(left), int(top)
    places, template, (gx, gy), _ = plainly_gathered(image, corner, inside, affine, most)
    found = gather(image, corner, inside, affine, most=most)
    assert found.template.size == places.shape[1] <= most
    if not found.template.size:
        assert (found.x, found.y, found.size) == (0, 0, 1)
        return
    middle = places.mean(axis=1)
    np.testing.assert_allclose((found.x, found.y), middle, atol=1e-9)
    size = max(1.0, float(np.abs(places - middle[:, None]).max()))
    assert found.size == pytest.approx(size)
    u, v = (places - middle[:, None]) / size
    np.testing.assert_allclose(found.places, (u, v), atol=1e-9)
    np.testing.assert_array_equal(found.template, template)
    expected = gx * u, gx * v, gx, gy * u, gy * v, gy
    np.testing.assert_allclose(found.derivatives, expected, atol=1e-4)


@pytest.mark.parametrize(("corner", "most"), [((-1, 0), 9), ((0, 6), 9), ((6, 0), 9), ((0, 0), 0)])
def test_a_region_outside_of_the_image_is_refused(corner: tuple[int, int], most: int) -> None:
    inside = np.ones((5, 5), bool)
    with pytest.raises(ValueError, match=rf"Got: {most}, and \(5, 5\) at x {corner[0]}, y"):
        gather(texture((10, 10), 0), corner, inside, np.eye(2, 3), most=most)


def test_a_column_or_a_row_of_an_image_is_sampled_inside_it() -> None:
    random = np.random.default_rng(0)
    for shape in ((1, 60), (60, 1)):
        image = random.normal(0, 20, shape).astype(np.float32)
        rows, columns = np.nonzero(np.ones(shape))
        places = np.stack((columns, rows)).astype(float)
        weight = np.ones(60)
        found = normal_equations(
            image, places, image.ravel().astype(float), random.normal(size=(6, 60)),
            np.eye(2, 3), weight,
        )  # fmt: skip
        assert found is not None
        np.testing.assert_array_equal(weight, 1)


def region(
    image: Image, radius: int, at: tuple[int, int], affine: Doubles
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Places, template, derivatives and start of a square region, in its own units."""
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
    x, y = u * radius + at[0], v * radius + at[1]
    template = sample(image, x, y)
    gy, gx = np.gradient(image.astype(float))
    gx, gy = gx[y.astype(int), x.astype(int)], gy[y.astype(int), x.astype(int)]
    derivatives = np.stack([gx * u, gx * v, gx, gy * u, gy * v, gy]).reshape(6, -1)
    start = np.column_stack((affine[:, :2] * radius, affine @ (*at, 1.0)))
    return np.stack((u, v)).reshape(2, -1), template.ravel(), derivatives, start


@pytest.mark.parametrize(("gain", "spoilt"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.2)])
def test_the_fit_finds_the_map_of_a_warped_copy(gain: float, spoilt: float) -> None:
    scene = texture((100, 100), seed=7, sigma=2.0)
    matrix = linear(25, 1.1, mirrored=True)
    rows, columns = np.mgrid[:100, :100].astype(float)
    inverse = np.linalg.inv(matrix)
    back = np.stack([columns - 50.4, rows - 49.7], axis=-1) @ inverse.T + 50
    copy = sample(scene, back[..., 0], back[..., 1]) * gain + 12
    image = np.ascontiguousarray(np.hstack([scene, copy]), np.float32)
    random = np.random.default_rng(0)
    if spoilt:
        image[40:48, 140:162] = random.normal(0, 60, (8, 22))
    truth = np.column_stack((matrix, np.array([150.4, 49.7]) - matrix @ (50, 50)))
    off = truth + np.array([[0.01, -0.01, 0.4], [0.005, 0.01, -0.5]])
    places, template, derivatives, start = region(image, 20, (50, 50), off)
    fitted = fit_affine(image, places, template, derivatives, start, size=20.0, steps=15)
    assert fitted is not None
    expected = np.column_stack((truth[:, :2] * 20, truth @ (50, 50, 1)))
    np.testing.assert_allclose(fitted, expected, atol=0.05)
    assert np.abs(start - expected).max() > 0.3


def test_a_step_of_the_fit_solves_the_normal_equations() -> None:
    image = texture((80, 90), seed=4, sigma=3.0)
    places, template, derivatives, start = region(image, 12, (40, 40), np.eye(2, 3) + 0.004)
    equations = normal_equations(
        image, places, template, derivatives, start, np.ones(template.size)
    )
    assert equations is not None
    p = np.linalg.solve(*equations) / 12
    step = np.array([[1 + p[0], p[1], p[2]], [p[3], 1 + p[4], p[5]], [0, 0, 1]])
    expected = (np.vstack((start, [0, 0, 1])) @ np.linalg.inv(step))[:2]
    found = fit_affine(image, places, template, derivatives, start, size=12.0, steps=1)
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_along_a_straight_edge_nothing_is_decided() -> None:
    image = np.zeros((60, 60), np.float32)
    image[:, 25:27] = (30, 70)
    image[:, 27:] = 100
    affine = np.array([[1.0, 0.0, 0.3], [0.0, 1.0, 15.0]])
    places, template, derivatives, start = region(image, 10, (25, 25), affine)
    assert fit_affine(image, places, template, derivatives, start, size=10.0, steps=5) is None


def test_wrong_arrays_are_refused() -> None:
    image, n = texture((20, 20), seed=0), np.zeros(30)
    with pytest.raises(ValueError, match=r"Got: \(\(3, 30\), \(30,\)"):
        normal_equations(image, np.zeros((3, 30)), n, np.zeros((6, 30)), np.eye(2, 3), n)
    with pytest.raises(ValueError, match=r"weights are \(30,\)\. Got: \(29,\)"):
        normal_equations(image, np.zeros((2, 30)), n, np.zeros((6, 30)), np.eye(2, 3), n[1:])
    with pytest.raises(TypeError):
        normal_equations(
            image.astype(np.float64), np.zeros((2, 30)), n, np.zeros((6, 30)), np.eye(2, 3), n
        )
