"""The comparing and verifying kernels on a GPU against those of the CPU, stage by stage.

    python -m bench.gpu_verify [--rounds N] [--quick] [--json FILE]

Stages: comparing all keypoints with all, refining matches, measuring how far they reach, warping
and correlating windows, correlating regions in and beside their place; and all of them. Each is
called as `forge` calls it, with every copy of matches and results to and from the GPU; only the
images lie there before, as they do for all of a search. A stage ends when its results are on the
host. The CPU uses all the cores it may.

First the two sides are compared, and nothing is printed if they disagree by more than `TOLERANCES`
says. Every ratio is the median, over interleaved rounds, of the CPU's time over the GPU's in the
same round, with its quartiles. On a machine without a GPU it says so, and exits with 2. This has
not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from bench.gpu_parts import Part
from bench.gpu_stages import SIDES_QUICK, figure, label, run
from bench.machine import paired, ratio
from bench.match import drawn, material
from forgecli.match.agreement import Window, warp_into
from forgecli.match.keypoints import MIRROR
from kernels.correlate import refine
from kernels.cuda.device import Device
from kernels.cuda.verification import Verification
from kernels.extent import extent
from kernels.local_correlation import local_correlation
from kernels.moved import correlations
from kernels.nearest import most_similar

SIDES = (512, 1024, 1600)
"""Of the images, in pixels."""
MATCHES = 6000
"""Of an image, at least: where there are fewer, they are taken again, a little beside."""
WINDOWS = 32
"""Candidates whose windows and regions are correlated."""
REACH = 48
"""Of a window, from its middle."""

TOLERANCES = {
    "most similar": "similarities within 1e-5, and the same neighbours where they are clear",
    "refine": "nine correlations of ten within 1e-3, and their places within 0.01 pixels",
    "extent": "of a hundred areas, 98 within a pixel, and what is said of them within 1/50",
    "views": "the same pixels outside; of a thousand values 999 within 0.01, correlations 1e-3",
    "regions": "correlations within 1e-6",
}

_MOVES = np.array([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])

Call = Callable[[], Any]


class Sides:
    """One drawn image, and each stage as a call on the CPU and one on the GPU."""

    def __init__(self, device: Device, side: int, matches: int = MATCHES) -> None:
        given = material(drawn(0, side))
        self._bands, self._keypoints, self._settings = given.bands, given.keypoints, given.settings
        self._verification = Verification(device)
        self._verification.hold(given.bands.low, given.bands.smooth, given.bands.middle)
        if not len(given.proposals):
            raise SystemExit(f"an image of {side} x {side} gives no matches to refine")
        random = np.random.default_rng(0)
        again = np.tile(given.proposals, (-(-matches // len(given.proposals)), 1))
        again[len(given.proposals) :, 2:4] += random.normal(
            0, 0.5, (len(again) - len(given.proposals), 2)
        )
        self._matches = np.ascontiguousarray(again)
        refined, correlation, _ = refine(given.bands.low, self._matches)
        self._refined = np.ascontiguousarray(refined[correlation > 0.5])
        if not len(self._refined):
            raise SystemExit(f"an image of {side} x {side} gives no matches that agree")
        self._candidates(self._refined[:: max(1, len(self._refined) // WINDOWS)][:WINDOWS])

    def _candidates(self, chosen: NDArray[np.float64]) -> None:
        """A window, a map and a disc around each match."""
        height, width = self._bands.shape
        middles = np.rint(chosen[:, :2]).astype(np.int64)
        low = np.maximum(middles - REACH, 0)
        high = np.minimum(middles + REACH + 1, (width, height))
        self._boxes = np.concatenate((low, high), axis=1)
        linear = chosen[:, 4:].reshape(-1, 2, 2)
        shift = chosen[:, 2:4] - np.einsum("nij,nj->ni", linear, chosen[:, :2])
        self._affines = np.concatenate((linear, shift[:, :, None]), axis=2)
        self._regions = []
        for x, y in middles.tolist():
            disc = np.zeros((height, width), np.uint8)
            cv2.circle(disc, (x, y), REACH // 2, (1,), cv2.FILLED)
            rows, columns = np.nonzero(disc)
            self._regions.append((rows, columns))

    def stages(self) -> dict[str, tuple[Call, Call]]:
        """By name: on the CPU, on the GPU."""
        settings, bands, gpu = self._settings, self._bands, self._verification
        own, matches = self._keypoints, self._matches
        near: dict[str, Any] = {"apart": settings.min_distance, "k": settings.neighbours}
        steps = {"radius": settings.patch_radius, "steps": settings.refine_steps}
        around: dict[str, Any] = {
            "radius": settings.extent_radius,
            "window": settings.correlation_side,
            "threshold": settings.extent_correlation,
        }
        side = settings.correlation_side
        return {
            "most similar": (
                lambda: most_similar(own.descriptors, MIRROR, own.points, **near),
                lambda: gpu.most_similar(own.descriptors, MIRROR, own.points, **near),
            ),
            "refine": (
                lambda: refine(bands.low, matches, **steps),
                lambda: gpu.refine(bands.low, matches, **steps),
            ),
            "extent": (
                lambda: extent(bands.smooth, bands.middle, self._refined, **around),
                lambda: gpu.extent(bands.smooth, bands.middle, self._refined, **around),
            ),
            "views": (
                lambda: self._views(side),
                lambda: gpu.view_correlations(bands.smooth, self._boxes, self._affines, side),
            ),
            "regions": (
                self._in_places,
                lambda: gpu.region_correlations(bands.middle, self._regions, self._affines, _MOVES),
            ),
        }

    def _views(self, side: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        found = []
        for box, affine in zip(self._boxes.tolist(), self._affines, strict=True):
            window = Window(*box)
            there = warp_into(self._bands.smooth, affine, window)
            here = np.ascontiguousarray(window.cut(self._bands.smooth))
            found.append((there, local_correlation(here, there, side)))
        return found

    def _in_places(self) -> NDArray[np.float64]:
        return np.array([
            correlations(self._bands.middle, *region, np.ascontiguousarray(affine), _MOVES)
            for region, affine in zip(self._regions, self._affines, strict=True)
        ])  # fmt: skip

    @property
    def work(self) -> str:
        """What the stages work on, in words."""
        return (f"{len(self._keypoints)} keypoints, {len(self._matches)} matches,"
                f" {len(self._refined)} that agree, {len(self._boxes)} windows")  # fmt: skip

    def check(self) -> None:
        """Refuse unless both sides find the same, within `TOLERANCES`.

        Raises:
            SystemExit: the GPU disagrees with the CPU.
        """
        both = {name: (cpu(), gpu()) for name, (cpu, gpu) in self.stages().items()}
        for name, (cpu, gpu) in both.items():
            if not _AGREES[name](cpu, gpu):
                raise SystemExit(f"the GPU disagrees with the CPU: {name}: not {TOLERANCES[name]}")


def lists_agree(cpu: Any, gpu: Any) -> bool:
    """Whether two results of `kernels.nearest.most_similar` are one, but for rounding."""
    return all(
        np.allclose(one[1], other[1], atol=1e-5, rtol=0)
        and np.array_equal(one[0][own], other[0][own])
        for one, other in zip(cpu, gpu, strict=True)
        for own in [_known(one[1])]
    )


def _known(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Places of lists, values falling, that rounding gives to no other: whose neighbours in the
    list are farther off than 1e-5, or that are empty. What follows the last is not known."""
    ahead = np.zeros(values.shape, np.bool_)
    with np.errstate(invalid="ignore"):  # -inf from -inf
        ahead[:, :-1] = values[:, :-1] - values[:, 1:] > 1e-5
    known = ahead.copy()
    known[:, 1:] &= ahead[:, :-1]
    return np.asarray(known | (values == -np.inf))


def _refined_agree(cpu: Any, gpu: Any) -> bool:
    inside = cpu[1] > -1
    if not np.array_equal(inside, gpu[1] > -1) or not np.array_equal(cpu[0][:, :2], gpu[0][:, :2]):
        return False
    far = np.abs(cpu[0][:, 2:4] - gpu[0][:, 2:4]).max(axis=1)
    off = (np.abs(cpu[1] - gpu[1]) >= 1e-3) | (np.abs(cpu[2] - gpu[2]) >= 1e-3 * cpu[2] + 1e-6)
    return bool(np.mean(off | (far >= 0.01)) <= 0.1)


def _extents_agree(cpu: Any, gpu: Any) -> bool:
    off = np.abs(cpu - gpu)
    same = (off[:, 0] <= 1) & (off[:, 1:4] <= 0.02).all(axis=1) & (cpu[:, 4] == gpu[:, 4])
    return bool(np.mean(same) >= 0.98)


def _views_agree(cpu: Any, gpu: Any) -> bool:
    seen, correlation, other_seen, other_correlation = (
        np.concatenate([each[part].ravel() for each in side])
        for side in (cpu, gpu) for part in (0, 1)
    )  # fmt: skip
    inside = ~np.isnan(seen)
    if not np.array_equal(inside, ~np.isnan(other_seen)):
        return False
    near = np.abs(seen - other_seen)[inside] <= 0.01
    return bool(
        near.mean() >= 0.999 and np.mean(np.abs(correlation - other_correlation) <= 1e-3) >= 0.999
    )


def _places_agree(cpu: Any, gpu: Any) -> bool:
    return bool(np.allclose(cpu, gpu, atol=1e-6, rtol=0))


_AGREES: dict[str, Callable[[Any, Any], bool]] = {
    "most similar": lists_agree,
    "refine": _refined_agree,
    "extent": _extents_agree,
    "views": _views_agree,
    "regions": _places_agree,
}


def compared(
    device: Device, side: int, rounds: int, *, least: float = 0.02, matches: int = MATCHES
) -> list[dict[str, Any]]:
    """One record per stage, of an image (side, side), and one of all stages.

    Args:
        rounds: how often each stage has its turn on either side.
        least: seconds of a turn, by repetition.
        matches: see `MATCHES`.

    Raises:
        SystemExit: a result differs.
    """
    sides = Sides(device, side, matches)
    sides.check()
    stages = sides.stages()
    every = (
        lambda: [cpu() for cpu, _ in stages.values()],
        lambda: [gpu() for _, gpu in stages.values()],
    )
    records = []
    for stage, (cpu, gpu) in {**stages, "all": every}.items():
        times = paired({"cpu": cpu, "gpu": gpu}, rounds=rounds, least=least)
        over = ratio(times["cpu"], times["gpu"])
        records.append(
            {
                "side": side,
                "stage": stage,
                "work": sides.work,
                "cpu_milliseconds": times["cpu"].milliseconds,
                "gpu_milliseconds": times["gpu"].milliseconds,
                "cpu_over_gpu": [over.low, over.middle, over.high],
                "shown": str(over),
            }
        )
    return records


def measured(device: Device, sides: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Records of all sizes, and what they were made on."""
    records = [record for side in sides for record in compared(device, side, rounds)]
    return {"device": device.name, "threads": numba.get_num_threads(), "tolerances": TOLERANCES,
            "records": records}  # fmt: skip


def measure(part: Part) -> None:
    """As a part of `bench.gpu`."""
    from kernels.cuda.cupy_device import CupyDevice

    device = CupyDevice()
    for side in SIDES_QUICK if part.quick else SIDES:
        for record in compared(device, side, rounds=3 if part.quick else 7):
            part.add(label(record), figure(record), **record)


def main() -> None:
    """Measure, print, write."""
    run(__doc__, "gpu_verify", measured, SIDES)


if __name__ == "__main__":
    main()
