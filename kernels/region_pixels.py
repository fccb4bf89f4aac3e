"""The pixels of a region as a fit takes them: places, brightness, and how it changes with a map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.jit import kernel

Doubles = NDArray[np.float64]


class Region(NamedTuple):
    """Pixels of a region as `fit_affine` takes them.

    Attributes:
        places: float64 (2, n), x and y from the region's middle, in units of its size.
        template: float64 (n,), the image there.
        derivatives: float64 (6, n), of the template by the six numbers of a step.
        x, y: the middle, in pixels.
        size: the unit, in pixels: the furthest place's distance from the middle, along an axis.
    """

    places: Doubles
    template: Doubles
    derivatives: Doubles
    x: float
    y: float
    size: float


_GATHERED = "float32[:, ::1], int64, int64, boolean[:, ::1], float64[:, ::1], int64"


@kernel("boolean(float64[:, ::1], int64, int64, float64, float64)")
def _lands_inside(affine: Doubles, x: int, y: int, last_x: float, last_y: float) -> bool:
    px = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
    py = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]
    return bool(px >= -0.5 and py >= -0.5 and px <= last_x and py <= last_y)


@kernel("int64(float32[:, ::1], int64, int64, boolean[:, ::1], float64[:, ::1])")
def _known(
    image: NDArray[np.float32], left: int, top: int, inside: NDArray[np.bool_], affine: Doubles
) -> int:
    """How many pixels of a region have content under the map."""
    last_x, last_y = image.shape[1] - 0.5, image.shape[0] - 0.5
    count = 0
    for row in range(inside.shape[0]):
        for column in range(inside.shape[1]):
            if inside[row, column]:
                x, y = left + column, top + row
                count += 1 if _lands_inside(affine, x, y, last_x, last_y) else 0
    return count


@kernel(f"void({_GATHERED}, float64[:, ::1], float64[::1], float64[:, ::1], float64[::1])")
def _gather(
    image: NDArray[np.float32],
    left: int,
    top: int,
    inside: NDArray[np.bool_],
    affine: Doubles,
    every: int,
    places: Doubles,
    template: Doubles,
    derivatives: Doubles,
    frame: Doubles,
) -> None:
    height, width = image.shape
    last_x, last_y = width - 0.5, height - 0.5
    n, turn = 0, every - 1
    sum_x = sum_y = 0.0
    low_x = low_y = np.inf
    high_x = high_y = -np.inf
    for row in range(inside.shape[0]):
        y = top + row
        # At the border of the image, the pixel opposite.
        up = y - 1 if y > 0 else min(1, height - 1)
        down = y + 1 if y < height - 1 else max(height - 2, 0)
        for column in range(inside.shape[1]):
            x = left + column
            if not (inside[row, column] and _lands_inside(affine, x, y, last_x, last_y)):
                continue
            turn += 1
            if turn < every:
                continue
            turn = 0
            before = x - 1 if x > 0 else min(1, width - 1)
            after = x + 1 if x < width - 1 else max(width - 2, 0)
            # Sobel's derivatives
            derivatives[2, n] = 0.125 * (
                (float(image[up, after]) - image[up, before])
                + 2.0 * (float(image[y, after]) - image[y, before])
                + (float(image[down, after]) - image[down, before])
            )
            derivatives[5, n] = 0.125 * (
                (float(image[down, before]) - image[up, before])
                + 2.0 * (float(image[down, x]) - image[up, x])
                + (float(image[down, after]) - image[up, after])
            )
            template[n] = image[y, x]
            places[0, n], places[1, n] = x, y
            sum_x += x
            sum_y += y
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
            n += 1
    middle_x, middle_y = sum_x / n, sum_y / n
    size = max(high_x - middle_x, middle_x - low_x, high_y - middle_y, middle_y - low_y, 1.0)
    frame[0], frame[1], frame[2] = middle_x, middle_y, size
    for k in range(n):
        u, v = (places[0, k] - middle_x) / size, (places[1, k] - middle_y) / size
        places[0, k], places[1, k] = u, v
        derivatives[0, k], derivatives[1, k] = derivatives[2, k] * u, derivatives[2, k] * v
        derivatives[3, k], derivatives[4, k] = derivatives[5, k] * u, derivatives[5, k] * v


def gather(
    image: NDArray[np.float32],
    corner: tuple[int, int],
    inside: NDArray[np.bool_],
    affine: Doubles,
    *,
    most: int,
) -> Region:
    """The pixels of a region whose content lies in the image under a map, for `fit_affine`.

    Args:
        image: float32 (H, W), C-contiguous.
        corner: (x, y) in the image of the first pixel of `inside`, which lies in it as a whole.
        inside: bool (h, w), the region.
        affine: float64 (2, 3), from the region's pixels to the copy's.
        most: where there are more, every second or so of them is taken, row by row.

    Returns:
        the pixels, possibly none; places without any have the middle 0, 0 and the size 1.

    Raises:
        ValueError: the region reaches out of the image, or `most` is not positive.
    """
    left, top = corner
    rows, columns = inside.shape
    fits = 0 <= left <= left + columns <= image.shape[1]
    if most < 1 or not (fits and 0 <= top <= top + rows <= image.shape[0]):
        raise ValueError(
            f"at least one pixel is taken, of a region in an image of {image.shape}."
            f" Got: {most}, and {inside.shape} at x {left}, y {top}"
        )
    inside, affine = np.ascontiguousarray(inside), np.ascontiguousarray(affine)
    known = int(_known(image, left, top, inside, affine))
    every = max(1, -(-known // most))
    count = -(-known // every)
    places, template, derivatives = np.empty((2, count)), np.empty(count), np.empty((6, count))
    frame = np.array([0.0, 0.0, 1.0])
    if count:
        _gather(image, left, top, inside, affine, every, places, template, derivatives, frame)
    return Region(places, template, derivatives, *map(float, frame))
