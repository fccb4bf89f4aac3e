"""Gutters: straight strips of one plain colour between the panels of a figure.

A dark gap between cells is plain too. What tells a gutter is its flank: a panel begins along a
straight line, all of it within a pixel or two, while cells and bands begin in soft curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forgecli.match.agreement import Window
from forgecli.match.settings import MatchSettings

Grey = NDArray[np.uint8]
Shares = NDArray[np.float64]
Span = tuple[int, int]
"""First line, and the line after the last one."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Where a figure shows one grey level, counted so that any rectangle's share is at hand.

    Attributes:
        level: grey level, 0 to 255.
        exact: int32 (H + 1, W + 1), sums of pixels that differ by rounding only.
        near: int32 (H + 1, W + 1), sums of pixels that may be the same under JPEG.
        grey: uint8 (H, W), the figure.
    """

    level: int
    exact: NDArray[np.int32]
    near: NDArray[np.int32]
    grey: Grey

    def shares(self, block: Window, axis: int, *, exact: bool) -> Shares:
        """Share of the ground in each row (axis 0) or column (axis 1) of a block, float64 (n,)."""
        sums = self.exact if exact else self.near
        left, top, right, bottom = block.left, block.top, block.right, block.bottom
        if axis == 0:
            run = sums[top : bottom + 1, right] - sums[top : bottom + 1, left]
            return np.asarray(np.diff(run) / max(block.width, 1), np.float64)
        run = sums[bottom, left : right + 1] - sums[top, left : right + 1]
        return np.asarray(np.diff(run) / max(block.height, 1), np.float64)

    def distances(self, block: Window, axis: int, lines: Span) -> Shares:
        """Mean distance to the level of some rows or columns of a block, in grey levels."""
        part = within(block, axis, lines)
        seen = self.grey[part.top : part.bottom, part.left : part.right]
        return np.asarray(np.abs(seen.astype(np.int16) - self.level).mean(axis=1 - axis))

    def share(self, block: Window, *, exact: bool) -> float:
        """Share of the ground in a block."""
        sums = self.exact if exact else self.near
        left, top, right, bottom = block.left, block.top, block.right, block.bottom
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return float(total) / max(block.width * block.height, 1)


def grounds_of(grey: Grey, step: Grey, settings: MatchSettings) -> tuple[Ground, ...]:
    """The grey levels that gutters of a figure may have: white, black, and what is flat often.

    Args:
        grey: uint8 (H, W).
        step: uint8 (H, W), range of grey levels in 3 x 3 pixels.
    """
    flat = cv2.calcHist([grey], [0], (step <= 2).astype(np.uint8), [256], [0, 256])
    flat = np.asarray(flat, np.float32).ravel()
    wide = np.convolve(flat, np.ones(5), mode="same")
    levels = [255, 0]
    for level in np.argsort(-wide, kind="stable"):
        if len(levels) >= settings.ground_levels or wide[level] < settings.least_ground * grey.size:
            break
        if min(abs(int(level) - other) for other in levels) > settings.gutter_ripple:
            levels.append(int(level))
    made = (_ground(grey, level, flat, settings) for level in levels)
    return tuple(ground for ground in made if ground is not None)


def _ground(
    grey: Grey, level: int, flat: NDArray[np.float32], settings: MatchSettings
) -> Ground | None:
    # White paper is seldom exactly 255 after a scan or JPEG: the commonest flat level counts.
    low, high = max(0, level - 6), min(255, level + 6)
    if flat[low : high + 1].max() > 0:
        level = low + int(np.argmax(flat[low : high + 1]))
    # Dark micrographs are but a few levels lighter than a black gutter.
    ripple = round(settings.gutter_ripple if level >= 40 else settings.dark_ripple)
    near, exact = (
        cv2.inRange(grey, max(0, level - by), min(255, level + by)) for by in (ripple, 2)
    )
    if cv2.countNonZero(near) < settings.thinnest_ground * grey.size:
        return None
    sums = [
        np.asarray(cv2.integral(cv2.threshold(each, 0, 1, cv2.THRESH_BINARY)[1]), np.int32)
        for each in (exact, near)
    ]
    return Ground(level, sums[0], sums[1], grey)


def gutters_of(
    ground: Ground, block: Window, axis: int, settings: MatchSettings, *, one_sided: bool = True
) -> list[Span]:
    """The gutters of one level that part a block into rows (axis 0) or columns (axis 1), in order.

    Margins of the block, which part nothing, are not among them.

    Args:
        one_sided: whether a panel's edge along one side is enough, and the other may be written on.
    """
    exact = ground.shares(block, axis, exact=True)
    near = ground.shares(block, axis, exact=False)
    lines = _Lines(ground, block, axis)
    enough = any if one_sided else all
    clean = [
        _widened(near, lines, span, settings)
        for span in runs_of(exact >= settings.plain_share)
        if enough(lines.parted(exact, span, settings.edge_share, settings))
    ]
    # Under JPEG, or with letters on it: by its straight flank alone.
    rippled = [
        span
        for span in runs_of(near >= settings.rippled_share)
        if enough(lines.parted(near, span, settings.rippled_edge, settings))
        and not any(a < span[1] and span[0] < b for a, b in clean)
    ]
    return _united([*clean, *rippled])


@dataclass(frozen=True, slots=True)
class _Lines:
    """The rows or columns of a block, against one ground."""

    ground: Ground
    block: Window
    axis: int

    def is_edge(
        self, shares: Shares, gutter: Span, side: int, least: float, settings: MatchSettings
    ) -> bool:
        """Whether a panel begins beside a gutter: along much of the line, and at once.

        Args:
            shares: of the ground in each line of the block.
            side: -1 for the lines before the gutter, 1 for those after it.
            least: share of the line.
        """
        a, b = gutter
        count = shares.size
        beside = (max(0, a - 6), a) if side < 0 else (b, min(count, b + 6))
        soon = shares[beside[0] : beside[1]][::side][:3]
        if soon.size < 3 or soon.min() > 1.0 - least:
            return False
        away = self.ground.distances(self.block, self.axis, beside)[::side]
        # Distances are counted from the gutter's own, which noise and ripple make.
        middle = (a + b) // 2
        own = (max(a, middle - 3), min(b, middle + 3))
        away = away - self.ground.distances(self.block, self.axis, own).mean()
        return float(away[:3].max()) >= settings.edge_sharpness * float(away.max())

    def parted(
        self, shares: Shares, gutter: Span, least: float, settings: MatchSettings
    ) -> tuple[bool, bool]:
        """Whether panels begin on either side of what may be a gutter."""
        a, b = gutter
        if b - a < settings.min_gutter or a == 0 or b == shares.size:
            return False, False
        return (
            self.is_edge(shares, gutter, -1, least, settings),
            self.is_edge(shares, gutter, 1, least, settings),
        )


def _widened(near: Shares, lines: _Lines, gutter: Span, settings: MatchSettings) -> Span:
    """A gutter with the lines beside it that the coder's blocks have rippled."""
    a, b = gutter
    reach, least = settings.coder_block, settings.edge_share
    plain = near >= settings.rippled_share
    before = plain[max(0, a - reach) : a][::-1]
    after = plain[b : b + reach]
    first = a - (int(np.argmin(before)) if not before.all() else 0)
    last = b + (int(np.argmin(after)) if not after.all() else 0)
    wide = (first, last)
    return (
        first if first < a and lines.is_edge(near, wide, -1, least, settings) else a,
        last if last > b and lines.is_edge(near, wide, 1, least, settings) else b,
    )


def trimmed(grounds: Sequence[Ground], block: Window, settings: MatchSettings) -> Window:
    """A block without the margins around it, and without what is written in them."""
    for _ in range(2):  # writing beside a panel is seen better once the other margins are gone
        before = block
        for axis in (0, 1):
            for ground in grounds:
                if block.width <= 0 or block.height <= 0:
                    return block
                exact = ground.shares(block, axis, exact=True)
                near = ground.shares(block, axis, exact=False)
                first = _margin(exact, near, settings)
                last = exact.size - _margin(exact[::-1], near[::-1], settings)
                block = within(block, axis, (first, max(first, last)))
        if block == before:
            break
    return block


def _margin(exact: Shares, near: Shares, settings: MatchSettings) -> int:
    """How many lines at the beginning are margin."""
    busy = np.flatnonzero(exact < settings.plain_share)
    if busy.size == 0:
        return int(exact.size)
    margin = int(busy[0])
    # Writing covers little of a line, and the panel's edge most of it.
    written = np.flatnonzero(near < settings.written_share)
    edge = int(written[0]) if written.size else 0
    if (
        margin < edge <= settings.largest_margin * near.size
        and near[margin:edge].mean() >= settings.written_share
        and near[edge - 1] - near[edge : edge + 3].min() >= settings.edge_share
    ):
        return edge
    return margin


def within(block: Window, axis: int, span: Span) -> Window:
    """The rows (axis 0) or columns (axis 1) of a block from one line to another."""
    if axis == 0:
        return Window(block.left, block.top + span[0], block.right, block.top + span[1])
    return Window(block.left + span[0], block.top, block.left + span[1], block.bottom)


def between(gutters: Sequence[Span], lines: int) -> list[Span]:
    """What lies between gutters that are in order."""
    edges = [0, *(edge for gutter in gutters for edge in gutter), lines]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def runs_of(flags: NDArray[np.bool_]) -> list[Span]:
    """Where a one-dimensional array is true, run by run."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _united(spans: Sequence[Span]) -> list[Span]:
    """The spans in order, those that overlap joined."""
    joined: list[Span] = []
    for a, b in sorted(spans):
        if joined and a <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(b, joined[-1][1]))
        else:
            joined.append((a, b))
    return joined
