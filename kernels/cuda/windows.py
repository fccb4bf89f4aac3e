"""The steps of the match detector that correlate windows and regions with what maps say, on a GPU.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.cuda import local_correlation, moved
from kernels.cuda.batch import MOST
from kernels.cuda.transfers import Doubles, Floats, Transfers, as_image, parts, shape_of

PIXELS = 2**24
"""Pixels of windows that are on the GPU at a time, unless one has more: 134 MB."""


class Windows(Transfers):
    """Correlations over windows and regions: a part of `kernels.cuda.verification.Verification`."""

    def local_correlation(self, first: Floats, second: Floats, side: int) -> Floats:
        """See `kernels.local_correlation.local_correlation`.

        The GPU holds 12 bytes for each pixel.

        Raises:
            ValueError: as there, or a box of more than 15 pixels a side.
        """
        if first.shape != second.shape or first.ndim != 2:
            raise ValueError(f"both images have one shape. Got: {first.shape} and {second.shape}")
        if side < 1:
            raise ValueError(f"the box is at least a pixel wide. Got: {side}")
        out = np.empty(first.shape, np.float32)
        if out.size:
            height, width = first.shape
            table = local_correlation.table_of(
                np.array([[0, 0, width, height]]), np.zeros((1, 2, 3))
            )
            made = self._room(out.nbytes)
            local_correlation.correlate_arrays(
                self._device, self._stream, self._upload(as_image(first)),
                self._upload(as_image(second)), table, self._upload(table), side, self._room(4),
                made,
            )  # fmt: skip
            self._take((made, out))
        return out

    def view_correlations(
        self, image: Floats, boxes: NDArray[np.int64], affines: Doubles, side: int
    ) -> list[tuple[Floats, Floats]]:
        """Correlate windows of an image with what their maps say stands there, many at once.

        What `forgecli.match.agreement.warp_into` and `local_correlation` make one by one. The GPU
        holds 8 bytes for each pixel of a window, of `PIXELS` at a time, and 76 for each window, of
        65,535 at a time.

        Args:
            image: float32 (H, W), finite.
            boxes: int64 (n, 4): left, top, right and bottom, the last two outside.
            affines: float64 (n, 2, 3), from (x, y) of the image to (x, y) of the image.
            side: of the box of a correlation, at most 15.

        Returns:
            for each window what its map says, float32 (h, w), NaN where that is outside, and the
            correlation, float32 (h, w).

        Raises:
            ValueError: a window that leaves the image or is empty, or a box that is out of range.
        """
        found: list[tuple[Floats, Floats]] = []
        if not len(boxes):
            return found
        there = self._there(image)
        for part in _windows_at_once(boxes):
            table = local_correlation.table_of(boxes[part], affines[part])
            both = np.empty((2, local_correlation.pixels_of(table)), np.float32)
            made = self._room(both[0].nbytes), self._room(both[1].nbytes)
            local_correlation.correlate_views(
                self._device, self._stream, there, shape_of(image), table, self._upload(table),
                side, self._room(4 * len(table)), *made,
            )  # fmt: skip
            self._take((made[0], both[0]), (made[1], both[1]))
            for row in table:
                shape = int(row["height"]), int(row["width"])
                own = slice(int(row["offset"]), int(row["offset"]) + shape[0] * shape[1])
                found.append((both[0, own].reshape(shape), both[1, own].reshape(shape)))
        return found

    def correlations(
        self,
        image: Floats,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        affine: Doubles,
        moves: Doubles,
    ) -> Doubles:
        """See `kernels.moved.correlations`. The GPU holds 8 bytes for each pixel."""
        if affine.shape != (2, 3):
            raise ValueError(f"the map is (2, 3). Got: {affine.shape}")
        found: Doubles = self.region_correlations(image, [(rows, columns)], affine[None], moves)[0]
        return found

    def region_correlations(
        self,
        image: Floats,
        regions: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        affines: Doubles,
        moves: Doubles,
    ) -> Doubles:
        """`correlations` of many regions at once.

        The GPU holds 8 bytes for each of their pixels, of 65,535 regions at a time.

        Args:
            image: float32 (H, W).
            regions: of each the rows and the columns, int64 (n,), inside the image.
            affines: float64 (r, 2, 3).
            moves: float64 (m, 2).

        Returns:
            float64 (r, m).

        Raises:
            ValueError: an array has another shape, or a pixel is outside.
        """
        if affines.shape != (len(regions), 2, 3) or moves.shape[1:] != (2,):
            raise ValueError(
                f"{len(regions)} maps are (2, 3), moves (m, 2)."
                f" Got: {affines.shape} and {moves.shape}"
            )
        pairs = [_pixels(rows, columns, image.shape) for rows, columns in regions]
        out = np.empty((len(regions), len(moves)))
        if not out.size:
            return out
        there, places = self._there(image), np.ascontiguousarray(moves, np.float64)
        for part in parts(len(regions), MOST):
            some = pairs[part]
            table = np.zeros(len(some), moved.REGION)
            table["affine"] = affines[part]
            table["count"] = [len(pair) for pair in some]
            table["offset"] = np.cumsum(table["count"]) - table["count"]
            made = self._room(out[part].nbytes)
            moved.correlations(
                self._device, self._stream, there, shape_of(image), table, self._upload(table),
                self._upload(np.concatenate(some)), self._upload(places), len(places), made,
            )  # fmt: skip
            self._take((made, out[part]))
        return out


def _windows_at_once(boxes: NDArray[np.int64]) -> list[slice]:
    """Windows one after the other, no more than `MOST`, whose pixels are no more than `PIXELS`, or
    one that has more."""
    found, start, total = [], 0, 0
    areas = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).tolist()
    for n, area in enumerate(areas):
        if n > start and (total + area > PIXELS or n - start == MOST):
            found.append(slice(start, n))
            start, total = n, 0
        total += area
    return [*found, slice(start, len(areas))] if areas else []


def _pixels(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """int32 (n, 2), checked."""
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(f"pixels are two (n,). Got: {rows.shape} and {columns.shape}")
    if rows.size:
        low, high = (rows.min(), columns.min()), (rows.max(), columns.max())
        if min(low) < 0 or high[0] >= shape[0] or high[1] >= shape[1]:
            raise ValueError(f"pixels of an image {shape}. Got: {low} to {high}")
    return np.column_stack((rows, columns)).astype(np.int32)
