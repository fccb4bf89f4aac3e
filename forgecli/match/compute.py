"""Where the search computes: its heavy steps on the CPU, or what stands for them elsewhere.

`forgecli.match.search.search` hands one `Compute` down to the stages that call these steps. Those
of one window at a time stay on the CPU whatever it is: growing and outlining a region, the look
back from its copy (`forgecli.match.candidates`), and what is done in blots. To correlate one small
window takes so little there that starting a kernel and copying both ways are expected to take more;
nobody has measured that.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window, local_correlation, warp_into
from forgecli.match.bands import FloatImage
from kernels.coherence import agreeing, local_maps
from kernels.correlate import refine
from kernels.extent import extent
from kernels.moved import correlations
from kernels.nearest import Best, most_similar
from kernels.patchmatch import find_field, find_scaled_field
from kernels.zernike import describe

Doubles = NDArray[np.float64]
Pixels = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns of a region's pixels, int64 (n,)."""


class Moments(Protocol):
    """What `describe` gives; the rest of it only `find_field` knows."""

    @property
    def energy(self) -> NDArray[np.float32]:
        """Of each disc, float32 (h, w), see `kernels.zernike.Moments`."""


class Field(Protocol):
    """What `find_field` gives; the rest of it only `agreeing` and `local_maps` know."""

    @property
    def score(self) -> NDArray[np.int32]:
        """Of each match, int32 (h, w), see `kernels.field.Field`."""


class Compute(Protocol):
    """The steps, each as the kernel of its name has it: see there for arrays and units.

    Any of them may raise MemoryError. None is done elsewhere because it failed.
    """

    @property
    def at_once(self) -> int:
        """Pixels of windows that are of use in one call of `view_correlations`."""

    def holding(self, *images: FloatImage) -> AbstractContextManager[None]:
        """Keep images where it computes until the end of the block; they must not change."""

    def close(self) -> None:
        """Give back what it holds. It is not used afterwards."""

    def most_similar(
        self, descriptors: FloatImage, mirror: NDArray[np.int64], points: Doubles, /, *,
        apart: float, k: int, least: float,
    ) -> tuple[Best, Best]:  # fmt: skip
        """See `kernels.nearest.most_similar`."""

    def refine(
        self, image: FloatImage, matches: Doubles, /, *, radius: int, steps: int,
        promising: float = -1.0,
    ) -> tuple[Doubles, NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
        """See `kernels.correlate.refine`."""

    def extent(
        self, image: FloatImage, fine: FloatImage, matches: Doubles, /, *, radius: int,
        window: int, threshold: float,
    ) -> NDArray[np.float32]:  # fmt: skip
        """See `kernels.extent.extent`."""

    def describe(self, image: FloatImage, /, *, radius: int, stride: int, lift: float) -> Moments:
        """See `kernels.zernike.describe`."""

    def find_field(
        self, moments: Any, usable: NDArray[np.bool_], /, *, apart: int, tables: int, reach: int,
        worth: float,
    ) -> Field:  # fmt: skip
        """See `kernels.patchmatch.find_field`. Takes the moments of its own `describe`."""

    def find_scaled_field(
        self, small: Any, small_usable: NDArray[np.bool_], large: Any,
        large_usable: NDArray[np.bool_], /, *, ratio: float, apart: int, tables: int, reach: int,
        worth: float,
    ) -> Field:  # fmt: skip
        """See `kernels.patchmatch.find_scaled_field`. Takes moments of its own `describe`."""

    def agreeing(
        self, field: Any, /, *, reach: int, tolerance: float, worth: float
    ) -> NDArray[np.int32]:
        """See `kernels.coherence.agreeing`. Takes a field of its own `find_field`."""

    def local_maps(
        self, field: Any, points: NDArray[np.int64], /, *, reach: int, tolerance: float,
        worth: float,
    ) -> tuple[Doubles, Doubles]:  # fmt: skip
        """See `kernels.coherence.local_maps`. Takes a field of its own `find_field`."""

    def view_correlations(
        self, image: FloatImage, boxes: NDArray[np.int64], affines: Doubles, side: int, /
    ) -> list[tuple[FloatImage, FloatImage]]:
        """Windows of an image beside what their maps say stands there.

        Args:
            image: float32 (H, W), finite.
            boxes: int64 (n, 4): left, top, right and bottom, the last two outside.
            affines: float64 (n, 2, 3), from image to image.
            side: of the box of a correlation.

        Returns:
            of each window what its map says, as `forgecli.match.agreement.warp_into` has it, and
            the correlation of the two, as `local_correlation` there has it.
        """

    def region_correlations(
        self, image: FloatImage, regions: Sequence[Pixels], affines: Doubles, moves: Doubles, /
    ) -> Doubles:
        """`kernels.moved.correlations` of several regions, float64 (n, len(moves))."""


class OnCpu:
    """The kernels of the CPU. Satisfies `Compute`."""

    __slots__ = ()

    at_once = 0
    """One window at a time: more would only take memory."""

    most_similar = staticmethod(most_similar)
    refine = staticmethod(refine)
    extent = staticmethod(extent)
    describe = staticmethod(describe)
    find_field = staticmethod(find_field)
    find_scaled_field = staticmethod(find_scaled_field)
    agreeing = staticmethod(agreeing)
    local_maps = staticmethod(local_maps)

    def holding(self, *images: FloatImage) -> AbstractContextManager[None]:
        """Nothing to do: they are here."""
        return nullcontext()

    def close(self) -> None:
        """Nothing is held."""

    def view_correlations(
        self, image: FloatImage, boxes: NDArray[np.int64], affines: Doubles, side: int
    ) -> list[tuple[FloatImage, FloatImage]]:
        """See `Compute.view_correlations`."""
        found = []
        for box, affine in zip(boxes.tolist(), affines, strict=True):
            window = Window(*box)
            there = warp_into(image, affine, window)
            here = np.ascontiguousarray(window.cut(image))
            found.append((there, local_correlation(here, there, side)))
        return found

    def region_correlations(
        self, image: FloatImage, regions: Sequence[Pixels], affines: Doubles, moves: Doubles
    ) -> Doubles:
        """See `Compute.region_correlations`."""
        found = np.empty((len(regions), len(moves)))
        for row, region, affine in zip(found, regions, affines, strict=True):
            row[:] = correlations(image, *region, affine, moves)
        return found


CPU: Compute = OnCpu()
"""Where the search computes unless it is told otherwise."""
