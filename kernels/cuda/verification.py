"""The steps of the match detector that compare and verify, on a GPU, called as on the CPU.

Each method takes and gives what the function of its name takes and gives: `kernels.nearest`,
`kernels.correlate`, `kernels.extent`, `kernels.local_correlation` and `kernels.moved`. So a caller
can hold either. A method gives its stream all there is to do and waits at the end of each part that
is on the GPU at a time, since it returns arrays of the host; the modules that it launches from
never wait. A size that the kernels have no room for is refused and not computed elsewhere.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cuda import correlate, extent, local_correlation, moved, nearest
from kernels.cuda.batch import MOST
from kernels.cuda.device import Buffer, Device, Stream
from kernels.nearest import Best

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MATCHES = 2**18
"""Matches that are on the GPU at a time: 37 MB."""

PIXELS = 2**24
"""Pixels of windows that are on the GPU at a time, unless one has more: 134 MB."""


class Verification:
    """The kernels on one device and stream, for one thread.

    Beside what is said of each method, the GPU holds 4 bytes for each pixel of an image.

    Args:
        device: a `kernels.cuda.cupy_device.CupyDevice`.
        stream: that all is done on; a new one, if None.
    """

    def __init__(self, device: Device, stream: Stream | None = None) -> None:
        self._device = device
        self._stream = device.stream() if stream is None else stream
        self._held: list[tuple[Floats, Buffer]] = []
        # What the stream may still use, on either side: memory that is given back is used again.
        self._alive: list[Buffer | NDArray[Any]] = []

    def hold(self, *images: Floats) -> None:
        """Keep images on the GPU until `release`, so that calls do not bring them each time.

        They are known again by being the same array, and must not change until then.
        """
        for image in images:
            if all(image is not other for other, _ in self._held):
                self._held.append((image, self._upload(_image(image))))

    def release(self) -> None:
        """Forget all images that are held, and what a call that failed may have left there."""
        self._device.event(self._stream).wait()
        self._held.clear()
        self._alive.clear()

    def most_similar(
        self,
        descriptors: Floats,
        mirror: NDArray[np.int64],
        points: Doubles,
        *,
        apart: float,
        k: int,
        least: float = -np.inf,
    ) -> tuple[Best, Best]:
        """See `kernels.nearest.most_similar`.

        The GPU holds some 528 + 48 k bytes for each descriptor, and k MB.

        Raises:
            ValueError: as there, or descriptors of more than 128 entries.
        """
        n, width = descriptors.shape
        if points.shape != (n, 2) or mirror.shape != (width,):
            raise ValueError(
                f"{descriptors.shape} descriptors have ({n}, 2) points and a mirror of {width}"
                f" entries. Got: {points.shape} and {mirror.shape}"
            )
        if (mirror[mirror] != np.arange(width)).any():
            raise ValueError("mirroring twice changes nothing. Got another order")
        how = nearest.plan(n, k)
        entries, *parts = nearest.entries_of(descriptors, mirror)
        index = np.empty((2, n, k), np.int32)
        value = np.empty((2, n, k), np.float32)
        made = self._room(how.list_bytes), self._room(how.list_bytes)
        nearest.most_similar(
            self._device, self._stream, self._upload(entries),
            self._upload(np.ascontiguousarray(points, np.float64)), (parts[0], parts[1]), how,
            self._room(how.work_bytes), *made, apart=apart, least=least,
        )  # fmt: skip
        self._take((made[0], index), (made[1], value))
        long = index.astype(np.int64)
        return (long[0], value[0]), (long[1], value[1])

    def refine(
        self,
        image: Floats,
        matches: Doubles,
        *,
        radius: int = 8,
        steps: int = 8,
        hopeless: float = 0.2,
        promising: float = -1.0,
    ) -> tuple[Doubles, Floats, Floats]:
        """See `kernels.correlate.refine`.

        The GPU holds 140 bytes for each match, of `MATCHES` at a time.

        Raises:
            ValueError: as there, or a radius of more than 10.
            TypeError: matches that are not float64, or an image that is not float32 (H, W).
        """
        _check_matches(matches)
        refined = np.empty(matches.shape, np.float64)
        correlation = np.empty(len(matches), np.float32)
        contrast = np.empty(len(matches), np.float32)
        if not len(matches):
            return refined, correlation, contrast
        there = self._there(image)
        for part in _parts(len(matches), MATCHES):
            some = np.ascontiguousarray(matches[part])
            starts = correlate.starts_of(some)
            made = self._room(64 * len(some)), self._room(4 * len(some)), self._room(4 * len(some))
            correlate.refine(
                self._device, self._stream, there, _shape(image), self._upload(some), len(some),
                self._upload(starts), len(starts) - 1, *made,
                radius=radius, steps=steps, hopeless=hopeless, promising=promising,
            )  # fmt: skip
            self._take((made[0], refined[part]), (made[1], correlation[part]),
                       (made[2], contrast[part]))  # fmt: skip
        return refined, correlation, contrast

    def extent(
        self,
        image: Floats,
        fine: Floats,
        matches: Doubles,
        *,
        radius: int = 24,
        window: int = 7,
        threshold: float = 0.75,
    ) -> Floats:
        """See `kernels.extent.extent`.

        The GPU holds 84 bytes for each match, of `MATCHES` at a time.

        Raises:
            ValueError: as there, or a radius of more than 31.
            TypeError: matches that are not float64, or an image that is not float32 (H, W).
        """
        if fine.shape != image.shape:
            raise ValueError(f"both images have one shape. Got: {image.shape} and {fine.shape}")
        _check_matches(matches)
        out = np.empty((len(matches), 5), np.float32)
        if not len(matches):
            return out
        there = self._there(image), self._there(fine)
        for part in _parts(len(matches), MATCHES):
            some = np.ascontiguousarray(matches[part])
            made = self._room(20 * len(some))
            extent.extent(
                self._device, self._stream, *there, _shape(image), self._upload(some), len(some),
                made, radius=radius, window=window, threshold=threshold,
            )  # fmt: skip
            self._take((made, out[part]))
        return out

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
                self._device, self._stream, self._upload(_image(first)),
                self._upload(_image(second)), table, self._upload(table), side, self._room(4), made,
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
                self._device, self._stream, there, _shape(image), table, self._upload(table), side,
                self._room(4 * len(table)), *made,
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
        for part in _parts(len(regions), MOST):
            some = pairs[part]
            table = np.zeros(len(some), moved.REGION)
            table["affine"] = affines[part]
            table["count"] = [len(pair) for pair in some]
            table["offset"] = np.cumsum(table["count"]) - table["count"]
            made = self._room(out[part].nbytes)
            moved.correlations(
                self._device, self._stream, there, _shape(image), table, self._upload(table),
                self._upload(np.concatenate(some)), self._upload(places), len(places), made,
            )  # fmt: skip
            self._take((made, out[part]))
        return out

    def _there(self, image: Floats) -> Buffer:
        for other, buffer in self._held:
            if other is image:
                return buffer
        return self._upload(_image(image))

    def _room(self, size: int) -> Buffer:
        buffer = self._device.allocate(size)
        self._alive.append(buffer)
        return buffer

    def _upload(self, array: NDArray[Any]) -> Buffer:
        buffer = self._room(array.nbytes)
        self._alive.append(array)
        self._device.upload(array, buffer, self._stream)
        return buffer

    def _take(self, *made: tuple[Buffer, NDArray[Any]]) -> None:
        """Download results, and wait until they are here."""
        for buffer, array in made:
            self._device.download(buffer, array, self._stream)
        self._device.event(self._stream).wait()
        self._alive.clear()


def _image(image: Floats) -> Floats:
    """As the device takes it."""
    if image.ndim != 2 or image.dtype != np.float32:
        raise TypeError(f"an image is float32 (H, W). Got: {image.dtype} {image.shape}")
    return np.ascontiguousarray(image)


def _shape(image: Floats) -> tuple[int, int]:
    return int(image.shape[0]), int(image.shape[1])


def _check_matches(matches: Doubles) -> None:
    if matches.ndim != 2 or matches.shape[1] != 8:
        raise ValueError(f"matches are (n, 8). Got: {matches.shape}")
    if matches.dtype != np.float64:  # the kernels would read past the end of narrower ones
        raise TypeError(f"matches are float64. Got: {matches.dtype}")


def _parts(count: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, count)) for start in range(0, count, most)]


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
