"""Where else in the image a patch is: correlation of all places with all others.

Every fourth pixel along both axes is a place, every second place a seed. A seed is compared with
the patches around every second pixel by descriptors that do not change with rotation and
mirroring, and with the best of them in full, at all angles, mirrored or not. The matches then
spread: each place tries those of its neighbours, moved along, which fills the places between the
seeds and makes the field coherent (all-to-all correlation in a network as in BusterNet, Wu et al.,
2018; propagation as in PatchMatch, Barnes et al., 2009, which Cozzolino et al., 2015, use for
copies). Nothing here is learned or differentiated: it works before any training, costs no memory
in it, and what the matches mean is left to the network that takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forgecli.segment.models.harmonics import CircularHarmonics

STRIDE = 4
"""Pixels from one place to the next."""

KEY = 2
"""Pixels from one patch that a seed is compared with to the next; more, and fine texture that was
moved by half of it is not recognised."""

BLOCK = 32
"""Pixels per side of a block; the candidates of one search come from different blocks."""

CANDIDATES = 8
"""Blocks whose best patch is compared in full with the seed."""

CELLS = 2**24
"""Correlations held at a time: 64 MB."""

FAR = 12
"""Pixels, along one axis at least, from the best match to the next best elsewhere."""

SLACK = 32.0
"""Squared distance in pixels at which two matches agree by 1/e."""

STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))

Move = tuple[Tensor, Tensor, Tensor, Tensor]
"""Row and column of the matching pixel, index of the angle, mirrored or not."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The best match of each place; h = H/4, w = W/4.

    Attributes:
        evidence: float32 (N, `EVIDENCE`, h, w): correlation with the match; by how much it exceeds
            that of the next best elsewhere; mean and least correlation of the place and its eight
            neighbours, all moved alike; how far the neighbours' own matches agree with that;
            whether the match's match is the place; logarithm of the contrast here, and its
            difference to there; distance by the longer side; mirrored or not; cosine of the angle.
        place: int64 (N, h w): the place that the match is nearest to.
    """

    evidence: Tensor
    place: Tensor


EVIDENCE = 11
"""Channels of `Matches.evidence`."""


class CopySearch(nn.Module):
    """Finds for each place of an image the place that looks most like it.

    Args:
        apart: pixels; nearer places, along both axes, are not compared: patches overlap there.
    """

    def __init__(self, apart: int = 16) -> None:
        super().__init__()
        self.apart = apart
        self.harmonics = CircularHarmonics()

    @torch.no_grad()
    def forward(self, grey: Tensor) -> Matches:
        """Matches in grey images (N, 1, H, W) from 0 to 1, H and W multiples of 32."""
        kind = grey.device.type
        mixed = torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if mixed else nullcontext():
            rows, contrast = self.harmonics(grey)  # (N, H, W, 2 J), (N, H, W)
            field = _Field(self.harmonics, rows, contrast, self.apart)
            return field.matches(*field.searched())


class _Field:
    """N images of h x w places, P = h w, in pictures of tall x wide pixels."""

    def __init__(
        self, harmonics: CircularHarmonics, rows: Tensor, contrast: Tensor, apart: int
    ) -> None:
        self.harmonics, self.apart = harmonics, apart
        self.images, self.tall, self.wide, width = rows.shape
        self.h, self.w = self.tall // STRIDE, self.wide // STRIDE
        self.table = rows.reshape(-1, width)  # (N tall wide, 2 J)
        self.contrasts = contrast.reshape(-1)  # (N tall wide)
        device = rows.device
        base = torch.arange(self.images, device=device) * (self.tall * self.wide)
        self.base = base[:, None]  # (N, 1)
        down = torch.arange(self.h, device=device) * STRIDE + STRIDE // 2
        right = torch.arange(self.w, device=device) * STRIDE + STRIDE // 2
        self.row = down[:, None].expand(self.h, self.w).reshape(-1)  # (P), P = h w
        self.column = right[None].expand(self.h, self.w).reshape(-1)  # (P)
        self.spot = torch.stack([self.row, self.column], -1)  # (P, 2)
        self.here = self.rows_at(self.row[None], self.column[None])  # (N, P, 2 J)

    def rows_at(self, row: Tensor, column: Tensor) -> Tensor:
        """Moments (N, ..., 2 J) of the patches at (N or 1, ...)."""
        base = self.base.view(-1, *[1] * (row.ndim - 1))
        return self.table[base + row * self.wide + column]

    def searched(self) -> tuple[Move, Tensor]:
        """The best match of each place (N, P), and how well the next best elsewhere fits."""
        harmonics, here = self.harmonics, self.here
        seeds, keys = self._seeds(here), self.table.view(self.images, self.tall, self.wide, -1)
        keys = keys[:, ::KEY, ::KEY].flatten(1, 2)  # (N, K, 2 J)
        found = self._candidates(
            harmonics.invariants(seeds), harmonics.invariants(keys)
        )  # (N, S, C)
        across = self.wide // KEY
        row = found // across * KEY  # (N, S, C)
        column = found % across * KEY  # (N, S, C)
        score, angle, mirrored = harmonics.best(
            self._seeds(here)[:, :, None], self.rows_at(row, column)
        )
        near = self._near(row, column, self._seeds(self.spot[None]))  # (N, S, C)
        score = torch.where(near, -2.0, score)
        best, move = _chosen(score, (row, column, angle, mirrored))
        far = ((row - move[0][..., None]).abs() > FAR) | ((column - move[1][..., None]).abs() > FAR)
        rival = torch.where(far, score, -1.0).amax(-1)  # (N, S)
        top, move, rival = self._spread(best, move, rival)
        for step in (1, 2, 1):
            top, move = self._improved(top, move, self._neighbours(move, step))
            top, move = self._improved(top, move, self._around(move))
        return move, rival

    def _seeds(self, values: Tensor) -> Tensor:
        """Values (N, P, D) at every second place: (N, S, D), S = P / 4."""
        return self._grid(values)[:, ::2, ::2].flatten(1, 2)

    def _grid(self, values: Tensor) -> Tensor:
        """Values (N, P, ...) as (N, h, w, ...)."""
        return values.reshape(values.shape[0], self.h, self.w, *values.shape[2:])

    def _spread(self, best: Tensor, move: Move, rival: Tensor) -> tuple[Tensor, Move, Tensor]:
        """From the seeds (N, S) to the places (N, P): each as the seed above left moves."""

        def grown(values: Tensor) -> Tensor:
            grid = values.view(-1, self.h // 2, 1, self.w // 2, 1)
            return grid.expand(-1, -1, 2, -1, 2).reshape(values.shape[0], -1)

        row, column, angle, mirrored = (grown(part) for part in move)
        turn = self.harmonics.angles[angle]  # (N, P)
        down = (
            (self.row - STRIDE // 2) % (2 * STRIDE) * torch.where(mirrored, -1, 1)
        )  # (N, P): 0 or one place
        right = (self.column - STRIDE // 2) % (2 * STRIDE)  # (P)
        y = row + (torch.sin(turn) * right + torch.cos(turn) * down).round().long()
        x = column + (torch.cos(turn) * right - torch.sin(turn) * down).round().long()
        y, x = y.clamp(0, self.tall - 1), x.clamp(0, self.wide - 1)
        score = self.harmonics.compare(self.here, self.rows_at(y, x), angle, mirrored)
        near = self._near(y[..., None], x[..., None], self.spot[None])[..., 0]  # (N, P)
        return torch.where(near, -2.0, score), (y, x, angle, mirrored), grown(rival)

    def _near(self, row: Tensor, column: Tensor, spot: Tensor) -> Tensor:
        """Which of (N, P, k) matches are too near to the spots (1, P, 2) that they belong to."""
        return ((row - spot[..., :1]).abs() < self.apart) & (
            (column - spot[..., 1:]).abs() < self.apart
        )

    def _candidates(self, seeds: Tensor, keys: Tensor) -> Tensor:
        """Keys (N, S, C) for each seed (N, S, D): the best of each block, of the best blocks."""
        tall, wide = self.tall // KEY, self.wide // KEY
        side = BLOCK // KEY
        order = torch.arange(tall * wide, device=keys.device)
        order = order.view(tall // side, side, wide // side, side).transpose(1, 2).reshape(-1)
        keys = keys[:, order].transpose(1, 2)  # (N, D, K): keys, block after block
        row, column = order // wide * KEY, order % wide * KEY  # (K)
        line = self.w // 2
        near_row = (self.row[:: 2 * self.w, None] - row).abs() < self.apart  # (h/2, K)
        near_column = (self.column[: self.w : 2, None] - column).abs() < self.apart  # (w/2, K)
        # The number of parts must not depend on the batch in an exported network, which has any.
        images = 1 if torch.compiler.is_exporting() else self.images
        lines = max(1, CELLS // (images * line * tall * wide))
        found = []
        for top in range(0, self.h // 2, lines):
            bottom = min(top + lines, self.h // 2)
            cells = seeds[:, top * line : bottom * line] @ keys  # (N, s, K)
            near = (near_row[top:bottom, None] & near_column[None]).flatten(0, 1)  # (s, K)
            cells = cells.masked_fill_(near, -2.0)
            best, inside = cells.view(*cells.shape[:2], -1, side * side).max(-1)  # (N, s, blocks)
            blocks = best.topk(min(CANDIDATES, best.shape[-1]), -1).indices  # (N, s, C)
            found.append(blocks * (side * side) + _taken(inside, blocks))
        return order[torch.cat(found, 1)]

    def _neighbours(self, move: Move, step: int) -> Move:
        """What the matches of the four neighbours say of each place: (N, P, 4)."""
        row, column, angle, mirrored = (part.view(-1, self.h, self.w) for part in move)
        moves = []
        for down, right in STEPS:
            shift = (-down * step, -right * step)
            told = tuple(torch.roll(part, shift, (1, 2)).flatten(1)
                         for part in (row, column, angle, mirrored))  # fmt: skip
            moves.append(self._along((told[0], told[1], told[2], told[3]), -down * step,
                                     -right * step))  # fmt: skip
        return _stacked(moves)

    def _around(self, move: Move) -> Move:
        """The four pixels around each match: (N, P, 4)."""
        row, column, angle, mirrored = move
        return _stacked([
            (row + down, column + right, angle, mirrored) for down, right in STEPS
        ])  # fmt: skip

    def _along(self, move: Move, down: int, right: int) -> Move:
        """The move of the place that is so many places away, if it moves as one with this one."""
        row, column, angle, mirrored = move
        turn = self.harmonics.angles[angle]  # (N, P)
        cosine, sine = torch.cos(turn), torch.sin(turn)
        y = torch.where(mirrored, -1.0, 1.0) * (down * STRIDE)
        x = float(right * STRIDE)
        return (
            row + (sine * x + cosine * y).round().long(),
            column + (cosine * x - sine * y).round().long(),
            angle,
            mirrored,
        )

    def _improved(self, top: Tensor, move: Move, tried: Move) -> tuple[Tensor, Move]:
        row, column = tried[0].clamp(0, self.tall - 1), tried[1].clamp(0, self.wide - 1)
        score = self.harmonics.compare(
            self.here[:, :, None], self.rows_at(row, column), tried[2], tried[3]
        )  # (N, P, 4)
        near = self._near(row, column, self.spot[None])  # (N, P, 4)
        score = torch.cat([top[..., None], torch.where(near, -2.0, score)], -1)
        parts = [torch.cat([old[..., None], new], -1)
                 for old, new in zip(move, (row, column, *tried[2:]), strict=True)]  # fmt: skip
        return _chosen(score, parts)

    def matches(self, move: Move, rival: Tensor) -> Matches:
        """What is to be known about the moves."""
        row, column, angle, mirrored = move
        score = self.harmonics.compare(self.here, self.rows_at(row, column), angle, mirrored)
        grid = self._grid(self.here)  # (N, h, w, 2 J)
        fits, agreements = [], []
        for down, right in AROUND:
            beside = torch.roll(grid, (-down, -right), (1, 2)).flatten(1, 2)  # (N, P, 2 J)
            there = self._along(move, down, right)
            y, x = there[0].clamp(0, self.tall - 1), there[1].clamp(0, self.wide - 1)
            fits.append(self.harmonics.compare(beside, self.rows_at(y, x), angle, mirrored))
            own_y, own_x = (torch.roll(part.view(-1, self.h, self.w), (-down, -right), (1, 2))
                            .flatten(1) for part in (row, column))  # fmt: skip
            agreements.append(torch.exp(-((own_y - y).square() + (own_x - x).square()) / SLACK))
        fit = torch.stack([score, *fits], -1)  # (N, P, 9)
        alone = self._near(row[..., None], column[..., None], self.spot[None])  # (N, P, 1)
        fit = fit.masked_fill(alone, 0.0)  # in an image too small to hold a copy
        score = fit[..., 0]
        place = (row // STRIDE) * self.w + column // STRIDE  # (N, P)
        back = _length(_taken(row, place) - self.row, _taken(column, place) - self.column)
        flat = self.base + self.row * self.wide + self.column
        contrast = (self.contrasts[flat] + 1e-3).log()
        other = (self.contrasts[self.base + row * self.wide + column] + 1e-3).log()
        span = float(max(self.tall, self.wide))
        distance = _length(row - self.row, column - self.column) / span
        evidence = [
            score,
            score - rival,
            fit.mean(-1),
            fit.amin(-1),
            torch.stack(agreements, -1).mean(-1),
            torch.exp(-back / 8.0),
            contrast + 3.0,
            (other - contrast).abs().clamp(max=3.0),
            distance,
            mirrored.float(),
            torch.cos(self.harmonics.angles[angle]),
        ]
        return Matches(torch.stack(evidence, 1).view(self.images, -1, self.h, self.w), place)


def _length(down: Tensor, right: Tensor) -> Tensor:
    return (down.square() + right.square()).float().sqrt()


def _chosen(score: Tensor, parts: Sequence[Tensor]) -> tuple[Tensor, Move]:
    best, at = score.max(-1)  # (N, P)
    row, column, angle, mirrored = (_taken(part, at[..., None])[..., 0] for part in parts)
    return best, (row, column, angle, mirrored)


def _taken(values: Tensor, at: Tensor) -> Tensor:
    """Values (..., k) at the indices (..., n), n of them in each row: (..., n).

    What `gather` does, as plain indexing, which becomes ONNX's Gather.
    """
    start = torch.arange(0, values.numel(), values.shape[-1], device=values.device)
    return values.reshape(-1)[start.view(*values.shape[:-1], 1) + at]


def _stacked(moves: Sequence[Move]) -> Move:
    row, column, angle, mirrored = (torch.stack(parts, -1) for parts in zip(*moves, strict=True))
    return row, column, angle, mirrored
