"""The steps of the match detector that compare and verify, on a GPU, called as on the CPU.

Each method takes and gives what the function of its name takes and gives: `kernels.nearest`,
`kernels.correlate`, `kernels.extent`, `kernels.local_correlation` and `kernels.moved`. So a caller
can hold either. A method gives its stream all there is to do and waits at the end of each part that
is on the GPU at a time, since it returns arrays of the host; the modules that it launches from
never wait. A size that the kernels have no room for is refused and not computed elsewhere.

It has run on the host's stand-in for a GPU only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda import correlate, extent, nearest
from kernels.cuda.transfers import Doubles, Floats, parts, shape_of
from kernels.cuda.windows import Windows
from kernels.nearest import Best

MATCHES = 2**18
"""Matches that are on the GPU at a time: 37 MB."""


class Verification(Windows):
    """The kernels on one device and stream, for one thread.

    Beside what is said of each method, the GPU holds 4 bytes for each pixel of an image.

    Args:
        device: a `kernels.cuda.cupy_device.CupyDevice`.
        stream: that all is done on; a new one, if None.
    """

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
        for part in parts(len(matches), MATCHES):
            some = np.ascontiguousarray(matches[part])
            starts = correlate.starts_of(some)
            made = self._room(64 * len(some)), self._room(4 * len(some)), self._room(4 * len(some))
            correlate.refine(
                self._device, self._stream, there, shape_of(image), self._upload(some), len(some),
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
        for part in parts(len(matches), MATCHES):
            some = np.ascontiguousarray(matches[part])
            made = self._room(20 * len(some))
            extent.extent(
                self._device, self._stream, *there, shape_of(image), self._upload(some), len(some),
                made, radius=radius, window=window, threshold=threshold,
            )  # fmt: skip
            self._take((made, out[part]))
        return out


def _check_matches(matches: Doubles) -> None:
    if matches.ndim != 2 or matches.shape[1] != 8:
        raise ValueError(f"matches are (n, 8). Got: {matches.shape}")
    if matches.dtype != np.float64:  # the kernels would read past the end of narrower ones
        raise TypeError(f"matches are float64. Got: {matches.dtype}")
